"""Negation and `every`: what is known of nested blocks, turned into options of the step that holds them.

Works on finished readings; walks no block.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Final

from authz.rego.tables.cells import Cell, conjunction, negated
from authz.rego.tables.conditions import NEVER, Options, together
from authz.rego.tables.reading import Collected, Env, Items, Known, Member, Option, Reading

MAX_READINGS: Final = 16
"""Readings of a nested block beyond which it is left to code."""

MAX_DENIALS: Final = 8
"""Ways for a block not to hold, beyond which a table would be slower than the code."""


def exact_cells(readings: Iterable[Reading]) -> list[tuple[Cell, ...]] | None:
    """Return the cells of each reading that can hold; None if there are too many, or one has more to hold than its cells."""
    found: list[tuple[Cell, ...]] = []
    for reading in readings:
        reading.finish()
        if not reading.exact or len(found) == MAX_READINGS:
            return None
        cells = conjunction([*reading.cells, *reading.presence()])
        if cells is not None:
            found.append(cells)
    return found


def denied(found: list[tuple[Cell, ...]]) -> Options | None:
    """Return the options of none of these conjunctions holding; None if there are too many of them."""
    if prod(map(len, found)) > MAX_DENIALS:
        return None
    parts: list[Options] = []
    for cells in found:
        opposite = [negated(cell) for cell in cells]
        if None in opposite:
            return None
        parts.append([Option((cell,)) for cell in opposite if cell is not None])
    return NEVER if [] in parts else together(parts)


def any_holds(found: list[list[tuple[Cell, ...]] | None]) -> Options | None:
    """Return the options of a conjunction of any list holding; None if one of the lists is not known."""
    options: Options = []
    for cells in found:
        if cells is None:
            return None
        options += map(Option, cells)
    return options


def all_hold(found: list[list[tuple[Cell, ...]]]) -> Options | None:
    """Return the options of one conjunction of every list holding."""
    return together([[Option(cells) for cells in alternatives] for alternatives in found])


def closed(reading: Reading) -> Env:
    """Return the locals as a nested block may use them: without members that are not settled yet.

    A test of such a member inside a negation is about that member, and a cell would be about any.
    """
    env: Env = {}
    for name, known in reading.env.items():
        plain = _closed(known, reading)
        if plain is not None:
            env[name] = plain
    return env


def _closed(known: Known, reading: Reading) -> Known | None:
    if isinstance(known, Member):
        return reading.known.get(known)
    if isinstance(known, Items):
        items = [_closed(item, reading) for item in known.items]
        return None if None in items else Items(tuple(item for item in items if item is not None))
    if isinstance(known, Collected):
        inner = [(name, _closed(item, reading)) for name, item in known.env]
        return Collected(known.source, tuple((name, item) for name, item in inner if item is not None))
    return known


def freshened(known: Known | None, used: Reading, fresh: dict[Member, Member]) -> Known | None:
    """Return the value of a reading that may be used again: what is settled as constants, other members as new ones, noted in `fresh`."""
    if isinstance(known, Member):
        settled = used.known.get(known)
        return fresh.setdefault(known, Member(known.column)) if settled is None else settled
    if isinstance(known, Items):
        return Items(tuple(item for part in known.items if (item := freshened(part, used, fresh)) is not None))
    return known
