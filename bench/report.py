"""Records as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.record import Figures, Record


def show(console: Console, record: Record) -> None:
    """Print a record: what has rows as a table each, single figures below."""
    for title, rows in _tables(record.figures, record.name):
        console.print(_table(title, rows))
    single = [f"{name} {value}" for name, value in record.figures.items() if not isinstance(value, Mapping)]
    console.print(", ".join(single), highlight=False)


def _tables(figures: Mapping[str, Any], title: str) -> Iterator[tuple[str, dict[str, Mapping[str, Any]]]]:
    """Yield the tables among figures: rows of numbers, or of points, which are shown by their medians."""
    rows = {name: value for name, value in figures.items() if isinstance(value, Mapping)}
    flat_rows = {name: row for name, row in rows.items() if _is_row(row)}
    if flat_rows:
        yield title, flat_rows
    for name, row in rows.items():
        if name not in flat_rows:
            yield from _tables(row, f"{title}: {name}")


def _is_row(figures: Mapping[str, Any]) -> bool:
    return all(_is_number(value) or _is_point(name, value) for name, value in figures.items())


def _is_point(name: str, value: Any) -> bool:
    """Tell whether it is a point of a curve: figures under a size."""
    return name.isdecimal() and isinstance(value, Mapping)


def _table(title: str, rows: Mapping[str, Mapping[str, Any]]) -> Table:
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    table = Table(title=escape(title), title_justify="left", title_style="bold")
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    for name, row in rows.items():
        table.add_row(escape(name), *(_cell(row[column]) if column in row else "" for column in columns))
    return table


def _cell(value: Any) -> str:
    return f"{value['median_us'] if isinstance(value, Mapping) else value:,.2f}"


def flat(figures: Figures, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield every number with its path."""
    for name, value in figures.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from flat(dict(value), f"{path} / ")
        elif _is_number(value):
            yield path, float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
