"""The `authz` command and what its subcommands are called."""

from __future__ import annotations

from typing import Final

import click

from authz.cli.group import Group

COMMANDS: Final = {
    "bundle": "authz.cli.bundle:bundle",
    "check": "authz.cli.check:check",
    "compile": "authz.cli.compile:compile_command",
    "deps": "authz.cli.deps:deps",
    "eval": "authz.cli.eval:eval_command",
    "explain": "authz.cli.explain:explain",
    "fmt": "authz.cli.fmt:fmt",
    "serve": "authz.cli.serve:serve",
    "test": "authz.cli.test:test",
    "version": "authz.cli.version:version",
}


@click.group(cls=Group, commands_by_name=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Policy decision point for Envoy and Istio: ext_authz answered from compiled Rego."""
