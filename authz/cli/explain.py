"""`authz explain`: which rows of the policies' rules made a decision, and which came nearest. Owns flags and the two formats."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from google.protobuf import json_format

from authz.bundle.directory import SourceError
from authz.cli.loading import compile_source, load, read_input, read_stdin_input
from authz.cli.output import errors_json, location_json, print_json, value_json
from authz.extauthz import BadRequestError, IdentitySource, InputConfig, full_document
from authz.identity import IdentityConfig, IdentityResolver, XfccMode
from authz.rego.explanation import NEAREST, Explainer, RowReport, RuleReport
from authz.rego.policy import current_time_ns
from authz.rego.render import to_text
from authz.rego.tables.cells import cell_text
from authz.rego.tables.columns import column_text
from authz.rego.tables.verdicts import CellVerdict
from authz.rego.values import Value, to_json

_SHOWN: Final = 120  # characters of a value


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--input", "-i", "input_file", type=click.Path(path_type=Path), metavar="FILE", help="The input document, JSON or YAML.")
@click.option("--stdin-input", "-I", is_flag=True, help="Read the input document from standard input, JSON.")
@click.option("--check-request", is_flag=True, help="The input is Envoy's CheckRequest in its JSON form, not the input document.")
@click.option("--entrypoint", default="envoy/authz/allow", show_default=True, metavar="PATH", help="The rule that decides.")
@click.option(
    "--nearest", type=click.IntRange(1), default=NEAREST, show_default=True, metavar="N", help="Rows to show of a rule that fails."
)
@click.option("--xfcc-mode", type=click.Choice([mode.value for mode in XfccMode]), default=XfccMode.APPEND_FORWARD.value, show_default=True)
@click.option("--v0-compatible", is_flag=True, help="Read policies as Rego v0.")
@click.option("--format", "-f", "format_", type=click.Choice(["pretty", "json"]), default="pretty", show_default=True)
def explain(  # noqa: PLR0913 - flags
    paths: tuple[Path, ...],
    input_file: Path | None,
    stdin_input: bool,
    check_request: bool,
    entrypoint: str,
    nearest: int,
    xfcc_mode: str,
    v0_compatible: bool,
    format_: str,
) -> None:
    """Say which rules at PATH (directories or files) decide an input, test by test; and of those that do not, which come nearest."""
    if (input_file is None) is not stdin_input:
        raise click.UsageError("the input comes from --input FILE or from --stdin-input: give one of them")
    source = load(paths, with_tests=False)
    policy = compile_source(source, 0 if v0_compatible else 1)
    document = read_stdin_input() if input_file is None else read_input(input_file)
    if check_request:
        document = _from_check_request(document, XfccMode(xfcc_mode), str(input_file or "standard input"))
    reports = Explainer(policy).explain(entrypoint, document, current_time_ns(), nearest)
    if format_ == "json":
        print_json({"entrypoint": entrypoint, "rules": [_rule_json(report) for report in reports]})
    else:
        click.echo("\n\n".join("\n".join(_rule_lines(report)) for report in reports))


def _from_check_request(document: Value, mode: XfccMode, origin: str) -> Value:
    """Return the input document that `authz serve` makes of a CheckRequest."""
    try:
        message = json_format.ParseDict(to_json(document), CheckRequest())
        return full_document(message, IdentitySource(IdentityResolver(IdentityConfig(mode))), InputConfig())
    except json_format.ParseError as error:
        raise SourceError(f"{origin}: not a CheckRequest: {' '.join(str(error).split())}") from error
    except BadRequestError as error:
        raise SourceError(f"{origin}: {error.message}", help="a check of it is answered with 400, whatever the policy") from error


# JSON


def _rule_json(report: RuleReport) -> dict[str, Any]:
    shown: dict[str, Any] = {"path": ".".join(report.path), "location": location_json(report.location), "rows": report.rows}
    if report.value is not None:
        shown["value"] = value_json(report.value)
    if report.error is not None:
        shown["error"] = errors_json(report.error)[0]
    shown["decided"] = [_row_json(row) for row in report.decided]
    shown["nearest"] = [_row_json(row) for row in report.nearest]
    return shown


def _row_json(row: RowReport) -> dict[str, Any]:
    shown: dict[str, Any] = {"location": location_json(row.location), "tests": [_cell_json(verdict) for verdict in row.cells]}
    if row.code_holds is not None:
        shown["code_holds"] = row.code_holds
    if row.error is not None:
        shown["error"] = errors_json(row.error)[0]
    return shown


def _cell_json(verdict: CellVerdict) -> dict[str, Any]:
    shown: dict[str, Any] = {"test": cell_text(verdict.cell), "holds": verdict.holds}
    shown["input"] = {column_text(column): value_json(value) for column, value in verdict.sources if value is not None}
    return shown if verdict.actual is None else {**shown, "actual": value_json(verdict.actual)}


# Text


def _rule_lines(report: RuleReport) -> Iterator[str]:
    name = click.style(".".join(report.path), bold=True)
    if report.error is not None:
        yield f"{name} ends in an error: {report.error}"
    else:
        yield f"{name} is undefined" if report.value is None else f"{name} = {_short(report.value)}"
    if not report.rows:
        yield "  no body of it can hold, whatever the input"
    for row in report.decided:
        yield f"  {row.location} holds"
        yield from _row_lines(row)
    if report.nearest:
        yield f"  no body holds; nearest of {report.rows}:"
    for row in report.nearest:
        yield f"  {row.location} {_verdict(row)}"
        yield from _row_lines(row)


def _verdict(row: RowReport) -> str:
    if row.error is not None:
        return f"ends in an error: {row.error}"
    if row.failed:
        return f"fails in {len(row.failed)} of {len(row.cells)} tests"
    return "passes its tests of the input, but what else it asks for does not hold"


def _row_lines(row: RowReport) -> Iterator[str]:
    for verdict in sorted(row.cells, key=lambda verdict: verdict.holds):
        mark = click.style("✓", fg="green") if verdict.holds else click.style("✗", fg="red")
        actual = ", ".join(f"{column_text(column)} is {_short(value)}" for column, value in verdict.sources)
        yield f"    {mark} {cell_text(verdict.cell)}" + ("" if verdict.holds else f"  ({actual})")


def _short(value: Value | None) -> str:
    if value is None:
        return "undefined"
    text = to_text(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
