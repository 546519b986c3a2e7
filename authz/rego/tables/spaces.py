"""Spaces: rows that test the same dimensions share one nest of dictionaries, keyed by the components of their cells.

A look-up goes through every space once: the components of single dimensions make the first key, each of the others a level below.
So it costs as many steps as there are spaces, not rows (tuple space search, Srinivasan et al., SIGCOMM 1999).
Owns which dimensions a row is filed under and what is left for code to look at. Knows no rules.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any, Final

from authz.rego.tables.cells import Cell
from authz.rego.tables.dimensions import Dimension, Filing, Naming, filing
from authz.rego.tables.indexes import Component

MAX_DIMENSIONS: Final = 32
"""Dimensions of one table; every check pays for each. Rows that need a further one run their code."""

MAX_SPACES: Final = 16
"""Spaces that a table keeps as they are; the rows of smaller ones go to one with fewer dimensions and run their code."""

MAX_PLACES: Final = 4_096
"""Places that one row is filed under (`in` several lists at once); beyond it a list is left to code."""

MAX_ALL_PLACES: Final = 8_000_000
"""Places of one table."""

Bucket = Any
"""What a look-up finds: row numbers in ascending order, or what a table makes of them."""


@dataclass(slots=True)
class Space:
    """The rows that are filed under the same dimensions (by number). `root` maps the components of the single ones (alone, or as a
    tuple; all of them at once) to what maps those of the first other dimension to … a bucket."""

    singles: tuple[int, ...]
    others: tuple[int, ...]
    root: dict[Component, Any] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """How many keys lead to a bucket."""
        return bool(self.singles) + len(self.others)

    def add(self, single: tuple[Component, ...], others: tuple[Component, ...], row: int) -> None:
        """File a row under one component of each dimension."""
        keys = others
        if self.singles:
            keys = (single[0] if len(single) == 1 else single, *others)
        level = self.root
        for key in keys[:-1]:
            level = level.setdefault(key, {})
        bucket = level.setdefault(keys[-1], [])
        if not bucket or bucket[-1] != row:
            bucket.append(row)

    def map_buckets(self, make: Callable[[list[int]], Bucket]) -> None:
        """Replace every bucket by what `make` makes of it."""
        levels = [self.root]
        for _ in range(self.depth - 1):
            levels = [below for level in levels for below in level.values()]
        for level in levels:
            for key, bucket in level.items():
                level[key] = make(bucket)


@dataclass(slots=True)
class Filed:
    """All spaces of a table; the dimensions they use, by number; and the rows that are in none (candidates of every check).

    `said` has, by row, the cells that its place says all of. `repeats`: a look-up may find a row twice.
    """

    spaces: list[Space]
    filings: dict[int, Filing]
    always: list[int]
    said: list[frozenset[Cell]]
    repeats: bool


Place = dict[int, tuple[Cell, tuple[Component, ...], bool]]
"""By dimension: the cell, its components, and whether they say all of it."""


def file_rows(rows: Sequence[tuple[Cell, ...]]) -> Filed:
    """File rows, given as their cells."""
    naming = Naming()
    numbered = [naming.of(cells) for cells in rows]
    filings = _filings(numbered, naming.names)
    places = [_limited(_place(row, filings)) for row in numbered]
    chosen = _chosen(places)
    filer = _Filer(filings)
    for number, place in enumerate(places):
        filer.file(number, place, chosen[frozenset(place)])
    spaces = sorted(filer.spaces.values(), key=lambda space: (len(space.others), len(space.singles)))
    used = {name for space in spaces for name in (*space.singles, *space.others)}
    return Filed(spaces, {name: filings[name] for name in sorted(used)}, filer.always, filer.said, filer.repeats)


class _Filer:
    """Puts rows into spaces, one after the other."""

    def __init__(self, filings: dict[int, Filing]) -> None:
        self._filings = filings
        self.spaces: dict[frozenset[int], Space] = {}
        self.always: list[int] = []
        self.said: list[frozenset[Cell]] = []
        self.repeats = False
        self._left = MAX_ALL_PLACES

    def file(self, number: int, place: Place, names: frozenset[int]) -> None:
        self._left -= prod(len(place[name][1]) for name in names)
        if not names or self._left < 0:
            self.always.append(number)
            self.said.append(frozenset())
            return
        space = self.spaces.get(names)
        if space is None:
            space = self.spaces[names] = _space(names, self._filings)
        singles = [place[name][1] for name in space.singles]
        others = [place[name][1] for name in space.others]
        self.repeats = self.repeats or any(len(components) > 1 for components in others)
        for first in product(*singles):
            for rest in product(*others):
                space.add(first, rest, number)
        self.said.append(frozenset([place[name][0] for name in names if place[name][2]]))


def _filings(rows: list[dict[int, Cell]], names: list[Dimension]) -> dict[int, Filing]:
    """Return the dimensions that most rows test, with their indexes."""
    cells: list[list[Cell]] = [[] for _ in names]
    for row in rows:
        for number, cell in row.items():
            cells[number].append(cell)
    most = sorted(range(len(names)), key=lambda number: -len(cells[number]))[:MAX_DIMENSIONS]
    return {number: filing(names[number], cells[number]) for number in most}


def _place(row: dict[int, Cell], filings: dict[int, Filing]) -> Place:
    return {number: (cell, *filings[number].components(cell)) for number, cell in row.items() if number in filings}


def _limited(place: Place) -> Place:
    """Return the place without the dimensions whose components multiply to too much."""
    while len(place) > 1 and prod(len(components) for _, components, _ in place.values()) > MAX_PLACES:
        largest = max(place, key=lambda number: len(place[number][1]))
        place = {number: item for number, item in place.items() if number != largest}
    return place


def _chosen(places: list[Place]) -> dict[frozenset[int], frozenset[int]]:
    """Return, for each set of dimensions that rows test, the set that they are filed under: itself, or if there are too many
    a smaller one, with the dimension that tells most rows apart if possible."""
    count = Counter(frozenset(place) for place in places)
    kept = {names for names, _ in count.most_common(MAX_SPACES) if names}
    apart = _distinct(places)
    chosen: dict[frozenset[int], frozenset[int]] = {}
    for names in count:
        if names in kept or not names:
            chosen[names] = names
            continue
        best = max(sorted(names), key=lambda number: apart[number])
        smaller = [other for other in kept if best in other and other < names]
        chosen[names] = max(smaller, key=lambda other: (len(other), sorted(other)), default=frozenset({best}))
    return chosen


def _distinct(places: list[Place]) -> dict[int, int]:
    """Return by dimension how many components it tells apart."""
    distinct: dict[int, set[Component]] = defaultdict(set)
    for place in places:
        for number, (_, components, _) in place.items():
            distinct[number].update(components)
    return {number: len(found) for number, found in distinct.items()}


def _space(names: frozenset[int], filings: dict[int, Filing]) -> Space:
    ordered = sorted(names)
    singles = tuple(number for number in ordered if filings[number].dimension.is_single)
    return Space(singles, tuple(number for number in ordered if number not in singles))
