"""Result files side by side: `python -m bench.compare BEFORE.json… -- AFTER.json…` (of two files the `--` may be left out).

Prints the ratio of every figure with its spread: of several records on a side the medians of each, of one its percentiles. A ratio
whose spread has 1 in it is no difference. It judges nothing else: whether more is better depends on the figure.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.record import Record, read

_SEPARATOR: Final = "--"
_MEDIAN, _LOW, _HIGH = "median_us", "p10_us", "p90_us"


class Range(NamedTuple):
    """A figure and what it may as well have been; equal bounds where nothing is known of that."""

    low: float
    middle: float
    high: float


def main(arguments: list[str]) -> int:
    """Compare two sides; 2 for a wrong call, a file that cannot be read, or different benches."""
    sides = _sides(arguments)
    if not all(sides):
        print((__doc__ or "").partition("\n")[0], file=sys.stderr)
        return 2
    try:
        before, after = ([read(Path(name)) for name in side] for side in sides)
    except (OSError, ValueError, TypeError) as error:
        print(f"bench.compare: {error}", file=sys.stderr)
        return 2
    names = sorted({record.name for record in (*before, *after)})
    if len(names) > 1:
        print(f"bench.compare: {' and '.join(f'`{name}`' for name in names)} are different benches", file=sys.stderr)
        return 2
    Console(width=None if sys.stdout.isatty() else 140).print(_table(names[0], before, after))
    return 0


def _sides(arguments: list[str]) -> tuple[list[str], list[str]]:
    if _SEPARATOR not in arguments:
        return (arguments[:1], arguments[1:]) if len(arguments) == 2 else ([], [])
    place = arguments.index(_SEPARATOR)
    return arguments[:place], arguments[place + 1 :]


def _table(name: str, before: Sequence[Record], after: Sequence[Record]) -> Table:
    commits = (", ".join(dict.fromkeys(record.commit for record in side)) for side in (before, after))
    table = Table(title=f"{name}: {' → '.join(commits)}", title_justify="left")
    for column in ("", "before", "after", "after / before", "spread", ""):
        table.add_column(column, justify="right" if column else "left")
    old, new = ranges(before), ranges(after)
    for figure in (figure for figure in old if figure in new):
        table.add_row(escape(figure), *_cells(old[figure], new[figure]))
    return table


def _cells(old: Range, new: Range) -> tuple[str, ...]:
    values = f"{old.middle:,.2f}", f"{new.middle:,.2f}"
    if not (old.low and old.middle and old.high):
        return values
    low, ratio, high = new.low / old.high, new.middle / old.middle, new.high / old.low
    spread = f"{low:.2f} … {high:.2f}" if low < high else ""
    return *values, f"{ratio:.2f}", spread, "no difference" if spread and low <= 1 <= high else ""


def ranges(records: Sequence[Record]) -> dict[str, Range]:
    """Return the figures that all records of a side have, by their path."""
    each = [dict(_ranges(record.figures)) for record in records]
    if len(each) == 1:
        return each[0]
    common = (name for name in each[0] if all(name in one for one in each))
    return {name: _range([one[name].middle for one in each]) for name in common}


def _range(values: list[float]) -> Range:
    return Range(min(values), statistics.median(values), max(values))


def _ranges(figures: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Range]]:
    median = figures.get(_MEDIAN)
    if median is not None:
        yield f"{prefix}{_MEDIAN}", Range(figures.get(_LOW, median), median, figures.get(_HIGH, median))
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from _ranges(value, f"{prefix}{name} / ")
        elif name not in {_MEDIAN, _LOW, _HIGH}:
            yield f"{prefix}{name}", Range(value, value, value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
