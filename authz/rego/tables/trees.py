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

MAX_CELLS: Final = 12
"""Cells of a row of a tree: each is a level of indentation, of which Python has a hundred."""

MIN_FOUND: Final = 4
"""Tests of one kind on a column that an index answers together; fewer are made one by one."""

_FOUND: Final = frozenset({"prefix", "suffix", "glob", "regex", "between", "network", "member"})
"""Kinds whose index is faster than that many tests; to look for each of 64 literals is faster than to cut the text into pieces."""


@dataclass(frozen=True, slots=True)
class Left:
    """A row and the cells that are left to test. Rows of the same `end` are the same to whoever finds them."""

    number: int
    end: Hashable
    cells: tuple[Cell, ...]

    def without(self, cell: Cell) -> Left:
        return Left(self.number, self.end, tuple(other for other in self.cells if other is not cell))


@dataclass(frozen=True, slots=True)
class Ends:
    """Rows of which nothing is left to test, one of each end."""

    rows: tuple[Left, ...]


@dataclass(frozen=True, slots=True)
class OneByOne:
    """Tests of one kind on one column, made one by one: how to go on with each."""

    column: Column
    branches: tuple[tuple[Cell, Node], ...]


@dataclass(frozen=True, slots=True)
class Switch:
    """What a column's value decides: by value, which of the branches is taken. No two are."""

    column: Column
    branches: tuple[Node, ...]
    places: dict[Component, int]


@dataclass(frozen=True, slots=True)
class Found:
    """As Switch, for what an index finds: any number of branches is taken, in any order. `repeats`: a row may be found more than once."""

    filing: Filing
    cells: tuple[Cell, ...]
    branches: tuple[Node, ...]
    places: dict[Component, int]
    repeats: bool


Step: TypeAlias = Union[Ends, OneByOne, Switch, Found]
Node: TypeAlias = tuple[Step, ...]
"""All of its steps are taken, one after the other."""

_COSTS: Final[dict[type, int]] = {InputColumn: 40, ParamColumn: 0, StepColumn: 60, CallColumn: 150, SizeColumn: 50, KeyColumn: 50}
_TEST_COSTS: Final[dict[type, int]] = {
    OneOf: 20, Prefix: 45, Suffix: 45, Contains: 30, HasMember: 60, Between: 40, InNetwork: 600, Matches: 150,
}  # fmt: skip
"""Nanoseconds, measured once: only their ratios matter."""

_CHANCE_OF_OTHERS: Final = 0.8
_CHANCE_OF_PATTERN: Final = 0.3


class TreeMaker:
    """Makes nodes for the rows of one table, given as their cells. `repeats`: a row may be found more than once."""

    def __init__(self, rows: Sequence[tuple[Cell, ...]], *, repeats: bool) -> None:
        self._may_repeat = repeats
        self._uses: Counter[Column] = Counter()
        self._values: dict[Column, Counter[Component]] = defaultdict(Counter)
        self._tested: Counter[Column] = Counter()
        for cells in rows:
            self._uses.update({part for cell in cells for part in parts_of(cell.column)})
            for cell in cells:
                if kind_of(cell) == EQUAL:
                    self._tested[cell.column] += 1
                    self._values[cell.column].update(components_of(cell))
        self._ranks: dict[Cell, float] = {}
        self._copies_left = len(rows)  # of rows that a switch has in several branches: a tree is no larger than two tables

    def node(self, rows: Sequence[Left]) -> Node:
        """Return how to test some rows: what most of them begin with goes first."""
        ended = {row.end: row for row in rows if not row.cells}
        groups: dict[Dimension, list[tuple[Cell, Left]]] = {}
        for row in rows:
            if row.cells:
                cell = min(row.cells, key=self._rank)
                groups.setdefault(Dimension(cell.column, kind_of(cell)), []).append((cell, row.without(cell)))
        ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
        ends = (Ends(tuple(ended.values())),) if ended else ()
        return (*ends, *(self._step(dimension, group) for dimension, group in ordered))

    def _step(self, dimension: Dimension, group: list[tuple[Cell, Left]]) -> Step:
        """Return how to go on with rows whose next test is of one dimension."""
        cells = tuple(dict.fromkeys(cell for cell, _ in group))
        if dimension.kind == EQUAL and len(cells) > 1:
            branches, places = _branches((components_of(cell), row) for cell, row in group)
            if self._has_room(branches, group):
                return Switch(dimension.column, tuple(map(self.node, branches)), places)
        elif len(cells) >= MIN_FOUND and dimension.kind[0] in _FOUND:
            filed = filing(dimension, cells)
            found = [(filed.components(cell)[0], row) for cell, row in group]
            repeats = any(len(components) > 1 for components, _ in found)
            branches, places = _branches(found)
            if (self._may_repeat or not repeats) and self._has_room(branches, group):
                return Found(filed, cells, tuple(map(self.node, branches)), places, repeats)
        return OneByOne(dimension.column, tuple((cell, self.node([row for other, row in group if other == cell])) for cell in cells))

    def _has_room(self, branches: Sequence[tuple[Left, ...]], group: Sequence[tuple[Cell, Left]]) -> bool:
        """Tell whether the tree has room for rows that are in several branches, and take it."""
        copies = sum(map(len, branches)) - len(group)
        if copies > self._copies_left:
            return False
        self._copies_left -= copies
        return True

    def _rank(self, cell: Cell) -> float:
        """Return what a test costs for each row that it rules out."""
        known = self._ranks.get(cell)
        if known is None:
            column = sum(_COSTS[type(part)] / self._uses[part] for part in parts_of(cell.column))
            known = self._ranks[cell] = (column + _TEST_COSTS[type(cell)]) / (1 - self._chance(cell))
        return known

    def _chance(self, cell: Cell) -> float:
        """Return a guess at how often the cell holds: as often as rows of the table say so."""
        if kind_of(cell) != EQUAL:
            return _CHANCE_OF_OTHERS if isinstance(cell, OneOf) else _CHANCE_OF_PATTERN
        count = sum(self._values[cell.column][value] for value in components_of(cell))
        return min((count + 1) / (self._tested[cell.column] + 2), _CHANCE_OF_OTHERS)


def components_of(cell: Cell) -> tuple[Component, ...]:
    """Return the values of a cell of kind EQUAL, None for an undefined column among them."""
    assert isinstance(cell, OneOf)
    return (*cell.values, None) if cell.absent else cell.values


def _branches(rows: Iterable[tuple[tuple[Component, ...], Left]]) -> tuple[tuple[tuple[Left, ...], ...], dict[Component, int]]:
    """Return the different sets of rows that a component leads to, and to which of them each leads."""
    found: dict[Component, list[Left]] = {}
    for components, row in rows:
        for component in dict.fromkeys(components):
            found.setdefault(component, []).append(row)
    numbers: dict[tuple[Left, ...], int] = {}
    places = {component: numbers.setdefault(tuple(branch), len(numbers)) for component, branch in found.items()}
    return tuple(numbers), places
