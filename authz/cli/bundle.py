"""`authz bundle`: what its commands are called."""

from __future__ import annotations

from typing import Final

import click

from authz.cli.group import Group

COMMANDS: Final = {
    "list": "authz.cli.versions:list_command",
    "pin": "authz.cli.versions:pin",
    "refresh": "authz.cli.versions:refresh",
    "rollback": "authz.cli.versions:rollback",
    "serve": "authz.cli.bundle_serve:serve",
    "show": "authz.cli.versions:show",
    "unpin": "authz.cli.versions:unpin",
}


@click.group(cls=Group, commands_by_name=COMMANDS)
def bundle() -> None:
    """Policy bundles: served to others, and the versions that a running sidecar has of them."""
