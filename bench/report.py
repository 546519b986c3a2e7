"""Records as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.record import Figures, Record


def show(console: Console, record: Record) -> None:
    """Print a record: rows of equal columns as a table, single figures below."""
    figures = record.figures.get("stages", record.figures)
    rows = {name: value for name, value in figures.items() if isinstance(value, Mapping)}
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    table = Table(title=record.name, title_justify="left", title_style="bold")
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    for name, row in rows.items():
        table.add_row(name, *(f"{row[column]:,.2f}" if column in row else "" for column in columns))
    console.print(table)
    single = [f"{name} {value}" for name, value in record.figures.items() if not isinstance(value, Mapping)]
    console.print(", ".join(single), highlight=False)


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
