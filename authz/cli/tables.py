"""Tables for a terminal, drawn as OPA draws them. Knows no contents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDE: Final = 1_000_000  # a table is as wide as what is in it, also where nobody looks: in a pipe


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with a line for each row; without titles, no header."""
    drawn = Table(box=box.SQUARE, show_header=bool(titles))
    for title in titles:
        drawn.add_column(Text(title, justify="center"), no_wrap=True)
    for row in rows:
        drawn.add_row(*map(Text, row))
    output = StringIO()
    Console(file=output, width=_WIDE, color_system=None).print(drawn)
    return output.getvalue()
