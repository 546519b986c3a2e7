"""`authz fmt`: policies laid out as OPA lays them out. Owns files, flags and exit codes; the layout is `rego.formatting`'s."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Final

import click

from authz.bundle.directory import MODULE_SUFFIX, SourceError
from authz.cli.group import EXIT_INPUT, report
from authz.refresh.files import MAX_FILE_BYTES, read_file
from authz.rego.errors import CompileError
from authz.rego.formatting import Target, format_source
from authz.telemetry.documents import printable

EXIT_FORMAT: Final = 2
"""A file does not parse, or `--fail` found one that is not laid out: OPA's code."""

STDIN: Final = "-"


class Output(Enum):
    """What becomes of a module."""

    PRINT = "print"
    WRITE = "write"
    LIST = "list"
    DIFF = "diff"


@click.command("fmt")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--write", "-w", is_flag=True, help="Overwrite the files that change; print nothing.")
@click.option("--list", "-l", "list_", is_flag=True, help="Only print the names of files that would change.")
@click.option("--diff", "-d", is_flag=True, help="Only print what would change.")
@click.option("--fail", is_flag=True, help="Exit with 2 if a file would change, and write none.")
@click.option("--v0-compatible", is_flag=True, help="Read and write Rego v0.")
@click.option("--v0-v1", is_flag=True, help="Read Rego v0, write what both v0 and v1 read.")
@click.option("--v1-compatible", is_flag=True, help="With --v0-v1: read Rego v1.")
@click.option("--drop-v0-imports", is_flag=True, help="Leave out imports of `rego.v1` and `future.keywords` that Rego v1 does not need.")
@click.option(
    "--check-result",
    type=bool,
    is_flag=False,
    flag_value=True,
    default=True,
    show_default=True,
    metavar="BOOL",
    help="Refuse a result that does not parse, means something else, or lacks a comment.",
)
def fmt(  # noqa: PLR0913 - flags
    paths: tuple[str, ...],
    write: bool,
    list_: bool,
    diff: bool,
    fail: bool,
    v0_compatible: bool,
    v0_v1: bool,
    v1_compatible: bool,
    drop_v0_imports: bool,
    check_result: bool,
) -> None:
    """Lay out the policies at PATH: files, or directories with the `.rego` files below; without PATH standard input."""
    version = 0 if v0_compatible or (v0_v1 and not v1_compatible) else 1
    target = Target.BOTH if v0_v1 else Target.V1 if version == 1 else Target.V0

    def layout(name: str, source: str) -> str:
        return format_source(name, source, version, target, drop_v0_imports=drop_v0_imports, check_result=check_result)

    if paths in ((), (STDIN,)):
        sys.exit(_format_stdin(layout))
    output = Output.LIST if list_ else Output.DIFF if diff else Output.WRITE if write else Output.PRINT
    sys.exit(max((_format_path(Path(path), layout, output, fail) for path in paths), default=0))


def _format_stdin(layout: Callable[[str, str], str]) -> int:
    try:
        click.echo(layout("stdin", _decoded("stdin", sys.stdin.buffer.read(MAX_FILE_BYTES + 1))), nl=False)
    except (CompileError, SourceError) as error:
        _report(error)
        return EXIT_INPUT
    return 0


def _format_path(root: Path, layout: Callable[[str, str], str], output: Output, fail: bool) -> int:
    """Format a file or the files below a directory; one that is wrong does not keep the others. Return the exit code."""
    status = 0
    try:
        for path in _modules(root):
            try:
                status = max(status, _format_file(path, layout, output, fail))
            except CompileError as error:
                _report(error)
                status = EXIT_FORMAT
    except SourceError as error:
        _report(error)
        return max(status, EXIT_INPUT)
    return status


def _format_file(path: Path, layout: Callable[[str, str], str], output: Output, fail: bool) -> int:
    name = printable(path)
    source = _decoded(name, read_file(path))
    formatted = layout(name, source)
    changes = formatted != source
    refused = fail and changes
    if output is Output.LIST and changes:
        click.echo(name)
    elif output is Output.DIFF and changes:
        click.echo(_diff(name, source, formatted), nl=False)
    elif output is Output.PRINT and not refused:
        click.echo(formatted, nl=False)
    elif output is Output.WRITE and changes and not refused:
        _overwrite(path, formatted)
    if refused and output in (Output.PRINT, Output.WRITE):
        click.echo(f"{name}: is not laid out", err=True)
    return EXIT_FORMAT if refused else 0


def _modules(path: Path) -> Iterator[Path]:
    """Yield the `.rego` files that a path stands for, by name, links to directories not followed. Raises SourceError."""
    if path.is_dir():
        try:
            entries = sorted(path.iterdir(), key=lambda entry: entry.name)
        except OSError as error:
            raise SourceError(f"{printable(path)}: {error.strerror}") from error
        for entry in entries:
            if entry.suffix == MODULE_SUFFIX or (entry.is_dir() and not entry.is_symlink()):
                yield from _modules(entry)
    elif path.suffix == MODULE_SUFFIX:
        yield path
    elif not path.exists():
        raise SourceError(f"{printable(path)}: no such file or directory")


def _decoded(name: str, content: bytes) -> str:
    if len(content) > MAX_FILE_BYTES:
        raise SourceError(f"{name}: larger than {MAX_FILE_BYTES} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(f"{name}: not valid UTF-8") from error


def _overwrite(path: Path, text: str) -> None:
    try:
        path.write_bytes(text.encode())
    except OSError as error:
        raise SourceError(f"{printable(path)}: {error.strerror}") from error


def _diff(name: str, source: str, formatted: str) -> str:
    """Return the changes as `diff -u` shows them, so that `patch` takes them."""
    lines = difflib.unified_diff(
        source.splitlines(keepends=True), formatted.splitlines(keepends=True), fromfile=name, tofile=f"{name} (formatted)"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _report(error: CompileError | SourceError) -> None:
    if isinstance(error, CompileError):
        click.echo(f"{error}", err=True)
    else:
        report(error)
