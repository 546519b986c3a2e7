"""`authz check`: do the policies parse and compile? Silent if so."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from authz.bundle.checking import refuse_data_conflicts
from authz.cli.group import EXIT_INPUT
from authz.cli.loading import compile_source, load, load_schemas
from authz.cli.output import errors_json, print_json
from authz.errors import AuthzError
from authz.rego.errors import CompileError

MAX_ERRORS: Final = 10


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--strict", "-S", is_flag=True, help="Also refuse unused local variables, arguments and imports.")
@click.option("--bundle", "-b", is_flag=True, help="Also refuse rules that stand where base data stands.")
@click.option("--v0-compatible", is_flag=True, help="Read policies as Rego v0.")
@click.option("--schema", "-s", type=click.Path(path_type=Path), metavar="PATH", help="JSON schema of the input, or a directory of them.")
@click.option("--format", "-f", "format_", type=click.Choice(["pretty", "json"]), default="pretty", show_default=True)
@click.option(
    "--max-errors", "-m", type=click.IntRange(0), default=MAX_ERRORS, show_default=True, metavar="N", help="Findings shown; 0 for all."
)
def check(  # noqa: PLR0913 - flags
    paths: tuple[Path, ...], strict: bool, bundle: bool, v0_compatible: bool, schema: Path | None, format_: str, max_errors: int
) -> None:
    """Say what keeps the policies at PATH (directories or files, tests included) from compiling."""
    version = 0 if v0_compatible else 1
    try:
        source = load(paths)
        compile_source(source, version, strict=strict, prints=True, schemas=load_schemas(schema))
        if bundle:
            refuse_data_conflicts(source, version)
    except AuthzError as error:
        if format_ == "json":
            print_json({"errors": errors_json(error, max_errors)}, err=True)
        else:
            click.echo(_text(error, max_errors), err=True)
        sys.exit(EXIT_INPUT)


def _text(error: AuthzError, max_errors: int) -> str:
    if not isinstance(error, CompileError):
        return f"error: {error}" + (f"\nhelp: {error.help}" if error.help else "")
    hidden = len(error.diagnostics) - max_errors if max_errors else 0
    if hidden <= 0:
        return str(error)
    return f"{CompileError(error.diagnostics[:max_errors])}\nand {hidden} more: --max-errors 0 shows all"
