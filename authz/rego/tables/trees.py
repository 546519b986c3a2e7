"""Trees: the order in which the cells of few rows are tested one after the other, in place of looking them up.

A look-up pays for every space, however few rows are in it. A tree pays for the tests that rows begin with: each begins with the one
that most cheaply rules it out, and rows that begin with the same column share it. Owns the order of tests; writes no code.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, Union

from authz.rego.tables.cells import Between, Cell, Contains, HasMember, InNetwork, Matches, OneOf, Prefix, Suffix
from authz.rego.tables.columns import CallColumn, Column, InputColumn, KeyColumn, ParamColumn, SizeColumn, StepColumn, parts_of
from authz.rego.tables.dimensions import EQUAL, Dimension, Filing, filing, kind_of
from authz.rego.tables.indexes import Component

MAX_ROWS: Final = 64
"""Rows of a tree; more of them are looked up."""

MAX_CELLS: Final = 16
"""Cells of a row of a tree: each is a level of indentation, of which Python has a hundred."""

MIN_FOUND: Final = 4
"""Tests of one kind on a column that an index answers together; fewer are made one by one."""

MAX_COPIES: Final = 2
"""How many times the rows of a switch its branches may have together."""


@dataclass(frozen=True, slots=True)
class Left:
    """A row and the cells that are left to test. Rows of the same `end` are the same to whoever finds them."""

    number: int
    end: Hashable
    cells: tuple[Cell, ...]

    def without(self, cell: Cell) -> Left:
        return Left(self.number, self.end, tuple(other for other in self.cells if other is not cell))


@dataclass(frozen=True, slots=True)
class Switch:
    """What a column's value decides: by value, which of the branches is taken. No two are."""

    column: Column
    branches: tuple[tuple[Left, ...], ...]
    places: dict[Component, int]


@dataclass(frozen=True, slots=True)
class Found:
    """As Switch, for what an index finds: any number of branches is taken, each at most once."""

    filing: Filing
    cells: tuple[Cell, ...]
    branches: tuple[tuple[Left, ...], ...]
    places: dict[Component, int]


@dataclass(frozen=True, slots=True)
class Tests:
    """Tests of one kind on one column, made one by one: the rows that go on with each."""

    column: Column
    branches: tuple[tuple[Cell, tuple[Left, ...]], ...]


@dataclass(frozen=True, slots=True)
class Ends:
    """Rows of which nothing is left to test."""

    rows: tuple[Left, ...]


Step: TypeAlias = Union[Switch, Found, Tests, Ends]


class Ranking:
    """Ranks the cells of a table's rows: which one to test first. Costs are nanoseconds, measured once; their ratios matter."""

    def __init__(self, rows: Iterable[tuple[Cell, ...]]) -> None:
        self._uses: Counter[Column] = Counter()
        self._values: dict[Column, Counter[Component]] = defaultdict(Counter)
        self._tested: Counter[Column] = Counter()
        for cells in rows:
            self._uses.update({part for cell in cells for part in parts_of(cell.column)})
            for cell in cells:
                if kind_of(cell) == EQUAL:
                    self._tested[cell.column] += 1
                    self._values[cell.column].update(components_of(cell))
        self._known: dict[Cell, float] = {}

    def steps(self, rows: Sequence[Left]) -> list[Step]:
        """Return how to go on with some rows, those that have to be tested least first."""
        ended = tuple(row for row in rows if not row.cells)
        groups: dict[Dimension, list[tuple[Cell, Left]]] = {}
        for row in rows:
            if row.cells:
                cell = min(row.cells, key=self._rank)
                groups.setdefault(Dimension(cell.column, kind_of(cell)), []).append((cell, row.without(cell)))
        ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
        return [*([Ends(ended)] if ended else ()), *(_step(dimension, group) for dimension, group in ordered)]

    def _rank(self, cell: Cell) -> float:
        """Return what a test costs for each row that it rules out."""
        known = self._known.get(cell)
        if known is None:
            column = sum(_COSTS[type(part)] / self._uses[part] for part in parts_of(cell.column))
            known = self._known[cell] = (column + _TEST_COSTS[type(cell)]) / (1 - self._chance(cell))
        return known

    def _chance(self, cell: Cell) -> float:
        """Return a guess at how often the cell holds: as often as rows of the table say so."""
        if kind_of(cell) != EQUAL:
            return _OTHERS if isinstance(cell, OneOf) else _PATTERN
        count = sum(self._values[cell.column][value] for value in components_of(cell))
        return min((count + 1) / (self._tested[cell.column] + 2), _OTHERS)


_COSTS: Final[dict[type, int]] = {InputColumn: 40, ParamColumn: 0, StepColumn: 60, CallColumn: 150, SizeColumn: 50, KeyColumn: 50}
_TEST_COSTS: Final[dict[type, int]] = {
    OneOf: 20, Prefix: 45, Suffix: 45, Contains: 30, HasMember: 60, Between: 40, InNetwork: 600, Matches: 150,
}  # fmt: skip
_OTHERS: Final = 0.8
_PATTERN: Final = 0.3


def components_of(cell: Cell) -> tuple[Component, ...]:
    """Return the values of a cell of kind EQUAL, None for an undefined column among them."""
    assert isinstance(cell, OneOf)
    return (*cell.values, None) if cell.absent else cell.values


def _step(dimension: Dimension, group: list[tuple[Cell, Left]]) -> Step:
    """Return how to go on with rows whose next test is of one dimension."""
    cells = list(dict.fromkeys(cell for cell, _ in group))
    if dimension.kind == EQUAL and len(cells) > 1:
        branches, places = _branches((components_of(cell), row) for cell, row in group)
        if sum(map(len, branches)) <= MAX_COPIES * len(group):
            return Switch(dimension.column, branches, places)
    elif len(cells) >= MIN_FOUND and dimension.kind[0] not in ("class", "contains"):
        filed = filing(dimension, cells)
        found = [(filed.components(cell)[0], row) for cell, row in group]
        if all(len(components) == 1 for components, _ in found):
            return Found(filed, tuple(cells), *_branches(found))
    return Tests(dimension.column, tuple((cell, tuple(row for other, row in group if other == cell)) for cell in cells))


def _branches(rows: Iterable[tuple[tuple[Component, ...], Left]]) -> tuple[tuple[tuple[Left, ...], ...], dict[Component, int]]:
    """Return the different sets of rows that a component leads to, and to which of them each leads."""
    found: dict[Component, list[Left]] = {}
    for components, row in rows:
        for component in dict.fromkeys(components):
            found.setdefault(component, []).append(row)
    numbers: dict[tuple[Left, ...], int] = {}
    places = {component: numbers.setdefault(tuple(branch), len(numbers)) for component, branch in found.items()}
    return tuple(numbers), places
