"""`authz compile`: print what a stage of the compiler makes of a policy."""

from __future__ import annotations

from pathlib import Path

import click

from authz.refresh.compile_worker import load
from authz.rego.emit import STAGES, emit


@click.command("compile")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--emit", "stage", type=click.Choice(STAGES), default="python", show_default=True, help="The stage to print.")
@click.option(
    "--entrypoint", "entrypoints", multiple=True, metavar="PATH", help="Compile for this rule, as in envoy/authz/allow; repeatable."
)
@click.option("--v0-compatible", is_flag=True, help="Read policies as Rego v0.")
def compile_command(paths: tuple[Path, ...], stage: str, entrypoints: tuple[str, ...], v0_compatible: bool) -> None:
    """Compile the policies at PATH (directories or files) and print a stage of it on stdout."""
    source = load(paths)
    click.echo(emit(stage, source.modules, source.data, source.versions(0 if v0_compatible else 1), entrypoints).rstrip("\n"))
