"""What OPA's layout reads off the source: rows and texts of parts, closing brackets, the lines of a list.

OPA searches the text of a part, strings and comments included, and so does this module. It
writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

NOT_FOUND: Final = 0
"""The row of a bracket that OPA does not find: above every comment."""


class Place(NamedTuple):
    """The row on which a part begins, and its text."""

    row: int
    text: str

    def closing_row(self, brackets: str, skipped: str = "") -> int:
        """Return the row of the bracket that closes the first pair of `brackets`, behind the first pair of `skipped` if given."""
        start, rows = 0, 0
        if skipped:
            opening, end = _pair(self.text, skipped, 0)
            if end < 0:
                return NOT_FOUND
            start, rows = end, self.text.count("\n", opening, end)
        opening, end = _pair(self.text, brackets, start)
        return self.row + rows + self.text.count("\n", opening, end) if end >= 0 else NOT_FOUND

    def breaks_before(self, text: str) -> bool:
        """Say whether a line ends before the first place where `text` stands, if any."""
        position = self.text.find(text)
        return position >= 0 and "\n" in self.text[:position]


class Item(NamedTuple):
    """An item of a list: where it stands and what writes it."""

    place: Place
    write: Callable[[], None]


def lines_of(items: Sequence[Item], row: int) -> list[list[Item]]:
    """Return the items by line: one that begins on a row below the one before it begins a line. `row` is the list's own."""
    lines: list[list[Item]] = [[]]
    for item in items:
        if item.place.row > row and lines[-1]:
            lines.append([])
        row = item.place.row
        lines[-1].append(item)
    return lines


def _pair(text: str, brackets: str, start: int) -> tuple[int, int]:
    """Return the offsets of the first opening bracket and of the one that closes it; -1 for one that is not there."""
    opening, depth = -1, 0
    for found in re.compile("[" + re.escape(brackets) + "]").finditer(text, start):
        if found[0] == brackets[0]:
            opening = found.start() if opening < 0 else opening
            depth += 1
        elif opening >= 0:
            depth -= 1
            if depth == 0:
                return opening, found.start()
    return opening, -1
