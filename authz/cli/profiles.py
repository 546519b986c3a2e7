"""Profiles as OPA reports them: the most expensive lines, as JSON and as a table. Knows no evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from authz.cli.measures import statistics
from authz.cli.output import duration_text, location_json
from authz.cli.tables import table
from authz.rego.nodes import Location
from authz.rego.observed.profile import LineProfile

_CRITERIA: Final[dict[str, Callable[[LineProfile], Any]]] = {
    "total_time_ns": lambda line: line.total_time_ns,
    "num_eval": lambda line: line.num_eval,
    "num_redo": lambda line: line.num_redo,
    "num_gen_expr": lambda line: line.num_gen_expr,
    "file": lambda line: line.location.file,
    "line": lambda line: line.location.row,
}
CRITERIA: Final = tuple(_CRITERIA)
"""What profiles can be sorted by, from the greatest."""

_STATISTICS: Final = ("min", "max", "mean", "90%", "99%")
_COUNTS: Final = ("Num Eval", "Num Redo", "Num Gen Expr")

Repetitions = Sequence[Sequence[LineProfile]]
"""The lines that each repetition of an evaluation reached."""


def ranked(lines: Sequence[LineProfile], criteria: Sequence[str], limit: int) -> list[LineProfile]:
    """Return at most `limit` lines, all if that is 0, the greatest by the criteria first."""
    names = criteria or ("total_time_ns", "num_eval", "num_redo", "file", "line")
    found = sorted(lines, key=lambda line: [_CRITERIA[name](line) for name in names], reverse=True)
    return found[: limit or None]


def profile_json(runs: Repetitions, criteria: Sequence[str], limit: int) -> list[dict[str, Any]]:
    """Return the profile of the last repetition, the times of several as their statistics."""
    times = _times(runs)
    return [
        {
            **({"total_time_ns": line.total_time_ns} if len(runs) == 1 else {"total_time_ns_stats": statistics(times[_place(line)])}),
            "num_eval": line.num_eval,
            "num_redo": line.num_redo,
            "num_gen_expr": line.num_gen_expr,
            "location": location_json(line.location),
        }
        for line in ranked(runs[-1], criteria, limit)
    ]


def profile_table(runs: Repetitions, criteria: Sequence[str], limit: int, text_of: Callable[[Location], str]) -> str:
    """Return the profile as a table; `text_of` gives what a place in the query is called by."""
    times = _times(runs)
    rows: list[list[str]] = []
    for line in ranked(runs[-1], criteria, limit):
        stats = statistics(times[_place(line)])
        shown = [line.total_time_ns] if len(runs) == 1 else [int(stats[name]) for name in _STATISTICS]
        counts = [str(line.num_eval), str(line.num_redo), str(line.num_gen_expr)]
        where = f"{line.location.file}:{line.location.row}" if line.location.file else text_of(line.location)
        rows.append([*map(duration_text, shown), *counts, where])
    titles = ["Time"] if len(runs) == 1 else [name.capitalize() for name in _STATISTICS]
    return table([*titles, *_COUNTS, "Location"], rows)


def metrics_json(runs: Sequence[dict[str, int]]) -> dict[str, Any]:
    """Return the metrics of a run, of several their statistics."""
    if len(runs) == 1:
        return dict(runs[0])
    return {name: statistics([run[name] for run in runs]) for name in runs[-1]}


def metrics_table(runs: Sequence[dict[str, int]]) -> str:
    found = metrics_json(runs)
    if len(runs) == 1:
        return table(["Metric", "Value"], [[name, str(value)] for name, value in found.items()])
    titles = ["Metric", *(name.capitalize() for name in _STATISTICS)]
    return table(titles, [[name, *(str(stats[key]) for key in _STATISTICS)] for name, stats in found.items()])


def _place(line: LineProfile) -> tuple[str, int]:
    return line.location.file, line.location.row


def _times(runs: Repetitions) -> dict[tuple[str, int], list[int]]:
    times: dict[tuple[str, int], list[int]] = {}
    for lines in runs:
        for line in lines:
            times.setdefault(_place(line), []).append(line.total_time_ns)
    return times
