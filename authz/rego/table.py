"""Decision tables: the rows of a rule with an index for every column.

Owns the choice of columns and the building of indexes; emits no code and decides nothing itself.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from authz.rego import plan as p
from authz.rego.artifact import TableInfo
from authz.rego.cells import Cell, Column, HasMember, OneOf, Prefix
from authz.rego.index import HashIndex, Index, MemberIndex, PrefixIndex
from authz.rego.planner import Planned
from authz.rego.program import Kind, Path
from authz.rego.rows import Row, RowReader, raising_rules
from authz.rego.values import Value

MIN_ROWS: Final = 2
"""Below it there is nothing to choose between: the rule's own code is the shortest test."""

MAX_COLUMNS: Final = 32
"""Columns of one table; every check pays for each. Rows that need a further one run their code."""

MAX_INDEX_BITS: Final = 2**31
"""Bits of bitsets in one index (256 MiB); a column that would need more is left to residual code."""


Key: TypeAlias = tuple[Column, "type[Cell]", int]
"""A column, the kind of test, and a number where one row tests it several times."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column with its index. The most selective come first."""

    key: Key
    index: Index

    @property
    def column(self) -> Column:
        return self.key[0]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one rule. `exact` marks the rows that need no residual code."""

    path: Path
    rows: tuple[Row, ...]
    columns: tuple[TableColumn, ...]
    exact: int

    @property
    def settled(self) -> int:
        """The exact rows that no row before them can keep from being reached, by an error of its code."""
        first = next((number for number, row in enumerate(self.rows) if row.raises), len(self.rows))
        return self.exact & ((1 << first) - 1)

    def info(self) -> TableInfo:
        """Return the table's size."""
        return TableInfo(len(self.rows), len(self.columns), sum(not row.exact for row in self.rows))

    def coded(self) -> frozenset[int]:
        """Return the definitions some row of which is not decided by its cells alone."""
        return frozenset(row.definition for row in self.rows if not row.exact)


class TableBuilder:
    """Builds the tables of one set of plans."""

    def __init__(self, planned: Planned, mocked: frozenset[str], overridden: frozenset[Path]) -> None:
        self.planned = planned
        self.reader = RowReader(planned, mocked, overridden, raising_rules(planned))

    def build(self, plan: p.RulePlan) -> Table | None:
        """Return the rule's table, or None where it would not help."""
        if plan.kind is Kind.FUNCTION:
            return None
        rows = tuple(self.reader.rows(plan))
        groups = _grouped(rows)
        columns = tuple(_columns(groups, len(rows)))
        if len(rows) < MIN_ROWS or not columns or (not any(row.exact for row in rows) and len(plan.definitions) < MIN_ROWS):
            return None
        kept = {column.key for column in columns}
        lost = {number for key, cells in groups.items() if key not in kept for number in cells}
        rows = tuple(replace(row, exact=row.exact and number not in lost) for number, row in enumerate(rows))
        exact = sum(1 << index for index, row in enumerate(rows) if row.exact)
        return Table(plan.path, rows, columns, exact)


def _grouped(rows: tuple[Row, ...]) -> dict[Key, dict[int, list[Cell]]]:
    """Return the cells of every column and kind of test, by row."""
    groups: dict[Key, dict[int, list[Cell]]] = defaultdict(dict)
    for number, row in enumerate(rows):
        seen: dict[tuple[Column, type[Cell]], int] = defaultdict(int)
        for cell in row.cells:
            place = (cell.column, type(cell))
            # Several prefixes or members of one row must all hold: each gets an index of its own.
            turn = 0 if isinstance(cell, OneOf) else seen[place]
            seen[place] += 1
            groups[(*place, turn)].setdefault(number, []).append(cell)
    return groups


def _columns(groups: dict[Key, dict[int, list[Cell]]], count: int) -> list[TableColumn]:
    """Return an indexed column for each group, the most selective first."""
    useful = sorted(groups.items(), key=lambda item: -len(item[1]))[:MAX_COLUMNS]
    made = [_column(key, cells, count) for key, cells in useful]
    return [column for column in made if column is not None]


def _column(key: Key, cells: dict[int, list[Cell]], count: int) -> TableColumn | None:
    kind = key[1]
    free = (1 << count) - 1
    for number in cells:
        free &= ~(1 << number)
    index: Index
    if kind is Prefix:
        prefixes = [(cell.prefix, 1 << number) for number, group in cells.items() for cell in group if isinstance(cell, Prefix)]
        index = PrefixIndex([(prefix, mask | free) for prefix, mask in prefixes], free)
    elif kind is HasMember:
        index = MemberIndex(
            [(cell.member, 1 << number) for number, group in cells.items() for cell in group if isinstance(cell, HasMember)], free
        )
    else:
        index = _hash_index({number: [cell for cell in group if isinstance(cell, OneOf)] for number, group in cells.items()}, free)
    return TableColumn(key, index) if len(index.masks) * count <= MAX_INDEX_BITS else None


def _hash_index(cells: dict[int, list[OneOf]], free: int) -> HashIndex:
    """Build the masks value by value: rows whose cells mention it are asked, the others fall under `other`."""
    by_value: dict[Value, list[int]] = defaultdict(list)
    tests: dict[int, list[tuple[frozenset[Value], bool, bool]]] = {}
    other = absent = free
    for number, group in cells.items():
        if all(cell.other for cell in group):
            other |= 1 << number
        if all(cell.absent for cell in group):
            absent |= 1 << number
        tests[number] = [(frozenset(cell.values), cell.within, cell.other) for cell in group]
        for value in dict.fromkeys(value for cell in group for value in cell.values):
            by_value[value].append(number)
    masks: dict[Value | None, int] = {None: absent}
    for value, numbers in by_value.items():
        mask = other
        for number in numbers:
            if all(within if value in known else others for known, within, others in tests[number]):
                mask |= 1 << number
            else:
                mask &= ~(1 << number)
        masks[value] = mask
    return HashIndex(masks, other)
