"""Coverage as OPA reports it: JSON, the share of lines, and what a threshold refuses. Knows no evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Final

import click

from authz.cli.output import plain_number
from authz.rego.observed.coverage import RUNS, FileReport, Range, percentage

Reports = Mapping[str, FileReport]
"""What was covered, by file."""

SHOWN_DIGITS: Final = 2


def runs(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    """Read names of additional runs, separated by commas; nothing is none of them."""
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    for name in names:
        if name not in RUNS:
            raise click.BadParameter(f"`{name}` is not one of {', '.join(RUNS)}")
    return names


def coverage_json(reports: Reports) -> dict[str, Any]:
    """Return the report of all files."""
    return {"files": {file: _file_json(reports[file]) for file in sorted(reports)}, **_lines(reports.values())}


def _file_json(report: FileReport) -> dict[str, Any]:
    """Return the report of one file; as in OPA, what is nothing or zero is left out."""
    found: dict[str, Any] = {
        "covered": [_range_json(one) for one in report.covered],
        "not_covered": [_range_json(one) | ({"kinds": list(kinds)} if kinds else {}) for one, kinds in report.not_covered],
    }
    return {name: value for name, value in (found | _lines([report])).items() if value}


def _range_json(one: Range) -> dict[str, Any]:
    return {"start": {"row": one.row, "col": one.col}, "end": {"row": one.end_row, "col": one.end_col}}


def _lines(reports: Iterable[FileReport]) -> dict[str, Any]:
    found = list(reports)
    covered, missed = sum(report.covered_lines for report in found), sum(report.not_covered_lines for report in found)
    return {"covered_lines": covered, "not_covered_lines": missed, "coverage": plain_number(percentage(covered, missed))}


def share(reports: Reports) -> float:
    """Return the percentage of lines that are covered."""
    return percentage(sum(one.covered_lines for one in reports.values()), sum(one.not_covered_lines for one in reports.values()))


def below_threshold(reports: Reports, threshold: float, verbose: bool) -> str | None:
    """Return what is said of a coverage below the threshold, None if it is not; verbose with the lines that are not covered."""
    if share(reports) >= threshold:
        return None
    said = f"Code coverage threshold not met: got {share(reports):.{SHOWN_DIGITS}f} instead of {threshold:.{SHOWN_DIGITS}f}\n"
    if verbose:
        said += "Lines not covered:\n" + "".join(f"\t{line}\n" for line in _missed(reports))
    return said


def _missed(reports: Reports) -> Iterator[str]:
    """Yield the places of lines that are not covered; rows that follow each other are one place."""
    for file in sorted(reports):
        rows = sorted({row for one, _ in reports[file].not_covered for row in one.rows})
        for _, run in groupby(enumerate(rows), key=lambda numbered: numbered[1] - numbered[0]):
            first, *others = [row for _, row in run]
            yield f"{file}:{first}" if not others else f"{file}:{first}-{others[-1]}"
