"""`authz version`."""

from __future__ import annotations

import click

from authz import __version__


@click.command()
def version() -> None:
    """Print the version of authz."""
    click.echo(__version__)
