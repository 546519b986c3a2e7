"""`authz eval`: ask the policies one query. Owns flags, input and exit codes; the formats are `answers`'s."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from authz import rego
from authz.bundle.directory import PolicySource
from authz.cli.answers import FORMATS
from authz.cli.loading import compile_source, load_any, read_input, read_stdin_input
from authz.cli.output import errors_json, print_json
from authz.errors import AuthzError
from authz.rego.errors import UNSAFE, CompileError, with_source_lines
from authz.rego.queries import Expression, Solution, answer
from authz.rego.values import Value

EXIT_FAIL: Final = 1
"""The answer is what `--fail` or `--fail-defined` refuses."""

EXIT_ERROR: Final = 2
"""Policies, query or input are wrong, or the evaluation ended in an error: OPA's code."""

QUERY_FILE: Final = "query"  # what locations in the query call it


@click.command("eval")
@click.argument("query", required=False)
@click.option("--data", "-d", multiple=True, type=click.Path(path_type=Path), metavar="PATH", help="Policies and data; repeatable.")
@click.option("--bundle", "-b", multiple=True, type=click.Path(path_type=Path), metavar="PATH", help="The same as --data.")
@click.option("--input", "-i", "input_file", type=click.Path(path_type=Path), metavar="FILE", help="The input document, JSON or YAML.")
@click.option("--stdin-input", "-I", is_flag=True, help="Read the input document from standard input, JSON.")
@click.option("--stdin", is_flag=True, help="Read the query from standard input.")
@click.option("--format", "-f", "format_", type=click.Choice(list(FORMATS)), default="json", show_default=True)
@click.option("--fail", is_flag=True, help="Exit with 1 if the query is undefined.")
@click.option("--fail-defined", is_flag=True, help="Exit with 1 if the query is defined.")
@click.option("--strict-builtin-errors", is_flag=True, help="The first built-in that fails ends the evaluation.")
@click.option("--strict", "-S", is_flag=True, help="Also refuse unused local variables, arguments and imports.")
@click.option("--v0-compatible", is_flag=True, help="Read policies and query as Rego v0.")
def eval_command(  # noqa: PLR0913 - flags
    query: str | None,
    data: tuple[Path, ...],
    bundle: tuple[Path, ...],
    input_file: Path | None,
    stdin_input: bool,
    stdin: bool,
    format_: str,
    fail: bool,
    fail_defined: bool,
    strict_builtin_errors: bool,
    strict: bool,
    v0_compatible: bool,
) -> None:
    """Evaluate QUERY and print its solutions."""
    _refuse("--fail and --fail-defined", fail and fail_defined)
    _refuse("--input and --stdin-input", input_file is not None and stdin_input)
    _refuse("--stdin and --stdin-input", stdin and stdin_input)
    _refuse("QUERY and --stdin", stdin and query is not None)
    if query is None and not stdin:
        raise click.UsageError("give a query, as in `authz eval -d policies/ data.envoy.authz.allow`, or --stdin")
    text = sys.stdin.read() if query is None else query
    version = 0 if v0_compatible else 1
    try:
        source = load_any((*data, *bundle))
        policy = compile_source(source, version, strict=strict)
        document = _document(input_file, stdin_input)
        expressions, solutions = _answer(policy, source, text, document, strict_builtin_errors)
    except AuthzError as error:
        _report(error, format_)
        sys.exit(EXIT_ERROR)
    click.echo(FORMATS[format_](expressions, solutions), nl=False)
    if (fail and not solutions) or (fail_defined and solutions):
        sys.exit(EXIT_FAIL)


def _refuse(what: str, is_given: bool) -> None:
    if is_given:
        raise click.UsageError(f"{what} exclude each other")


def _document(input_file: Path | None, stdin_input: bool) -> Value | None:
    """Return the input document; None, undefined, if none is given."""
    if stdin_input:
        return read_stdin_input()
    return None if input_file is None else read_input(input_file)


def _answer(
    policy: rego.Policy, source: PolicySource, query: str, document: Value | None, strict_builtin_errors: bool
) -> tuple[tuple[Expression, ...], list[Solution]]:
    try:
        return answer(policy, query, document, strict_builtin_errors=strict_builtin_errors)
    except CompileError as error:
        raise with_source_lines(_with_help(error, policy), {**source.modules, QUERY_FILE: query}) from None


def _with_help(error: CompileError, policy: rego.Policy) -> CompileError:
    """Return the error, a name that is a package's first with the help that it must begin with `data`."""
    packages = {path.split("/")[0] for path in policy.entrypoints}
    return CompileError(
        tuple(
            replace(item, help=f"rules and data are below `data`: `data.{match[1]}`")
            if item.code == UNSAFE and (match := _UNSAFE_NAME.fullmatch(item.message)) and match[1] in packages
            else item
            for item in error.diagnostics
        )
    )


_UNSAFE_NAME: Final = re.compile(r"var (\w+) is unsafe")


def _report(error: AuthzError, format_: str) -> None:
    if format_ == "json":
        print_json({"errors": errors_json(error)})
    else:
        click.echo(f"{error}" if isinstance(error, CompileError) else f"error: {error}", err=True)
