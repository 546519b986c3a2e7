"""The `authz` command and what its subcommands are called."""

from __future__ import annotations

from typing import Final

import click

from authz.cli.group import Group

COMMANDS: Final = {
    "build": "authz.cli.build:build",
    "bundle": "authz.cli.bundle:bundle",
    "check": "authz.cli.check:check",
    "compile": "authz.cli.compile:compile_command",
    "deps": "authz.cli.deps:deps",
    "eval": "authz.cli.eval:eval_command",
    "explain": "authz.cli.explain:explain",
    "fmt": "authz.cli.fmt:fmt",
    "inspect": "authz.cli.inspect:inspect",
    "serve": "authz.cli.serve:serve",
    "sign": "authz.cli.sign:sign_command",
    "test": "authz.cli.test:test",
    "verify": "authz.cli.sign:verify",
    "version": "authz.cli.version:version",
}


@click.group(cls=Group, commands_by_name=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Policy decision point for Envoy and Istio: ext_authz answered from compiled Rego."""
