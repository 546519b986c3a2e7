"""The demo's tables on a terminal. Computes nothing but differences of the figures it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.demo.rows import Row
from bench.lab.client import Response
from bench.lab.load import LoadResult

PERCENTS: Final = (50, 95, 99)
PLAIN_WIDTH: Final = 140


@dataclass(frozen=True, slots=True)
class Checked:
    """A row with what came back."""

    row: Row
    outcome: Response | str

    @property
    def mismatch(self) -> str | None:
        return self.row.expected.mismatch(self.outcome)

    @property
    def actual(self) -> str:
        return self.outcome if isinstance(self.outcome, str) else str(self.outcome.status)


def make_console() -> Console:
    """Return a console for the tables; where there is no terminal (CI, a pipe) lines are as long as the tables need."""
    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_WIDTH)


def show_rows(console: Console, title: str, checked: Sequence[Checked]) -> None:
    """Print a table of requests, expected and actual answers."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in ("what", "caller", "request"):
        table.add_column(name, overflow="fold")
    for name in ("expected", "actual"):
        table.add_column(name, justify="center")
    table.add_column("")
    for item in checked:
        row, mismatch = item.row, item.mismatch
        mark = "[green]✓[/]" if mismatch is None else f"[bold red]✗ {escape(mismatch)}[/]"
        request = f"{row.request.method} {row.request.path}"
        table.add_row(*map(escape, (row.what, row.caller or "none", request, str(row.expected.status), item.actual)), mark)
    console.print(table)


def show_load(console: Console, results: Sequence[tuple[str, LoadResult]], connections: int) -> None:
    """Print latencies as a caller sees them, one line for each way through Envoy."""
    table = Table(title=f"load: {connections} connections, mTLS, keep-alive", title_justify="left", title_style="bold")
    table.add_column("through Envoy")
    for name in ("requests", "requests/s", *(f"p{percent} ms" for percent in PERCENTS)):
        table.add_column(name, justify="right")
    for name, result in results:
        figures = [f"{result.percentile_ms(percent):.2f}" for percent in PERCENTS]
        table.add_row(name, f"{result.requests:,}", f"{result.rate:,.0f}", *figures)
    console.print(table)
