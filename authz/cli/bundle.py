"""`authz bundle`: the commands about policy bundles that are served."""

from __future__ import annotations

import click

from authz.cli import bundle_serve, versions


@click.group()
def bundle() -> None:
    """Policy bundles."""


for command in (bundle_serve.serve, *versions.COMMANDS):
    bundle.add_command(command)
