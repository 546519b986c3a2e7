"""Small tables: which of them are trees, and what becomes of a row that a tree has found.

Owns when the order of rows does not matter. Orders no tests (`trees`) and writes no code.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from typing import Final

from authz.rego import plan as p
from authz.rego.program import Kind
from authz.rego.tables.canonical import are_alike
from authz.rego.tables.raising import Quiet
from authz.rego.tables.rows import Row
from authz.rego.tables.trees import MAX_CELLS, MAX_ROWS, Left, Node, TreeMaker
from authz.rego.values import Value

MIN_SPACES: Final = 2
"""Rows of one space are one look-up, which no tree beats."""


class End(Enum):
    """What to do with a row that was found."""

    DECIDES = "its value is the rule's"
    RUNS = "so is what its code gives, if that is defined"
    WAITS = "all rows that were found are gone through in their order"


@dataclass(frozen=True, slots=True)
class Tree:
    """How rows are tested one by one, stage after stage; `ends` says by row what becomes of it."""

    stages: tuple[Node, ...]
    ends: tuple[End, ...]


def is_small(rows: Sequence[Row], spaces: int) -> bool:
    """Tell whether rows, which would be filed in so many spaces, had better be tested one by one."""
    return len(rows) <= MAX_ROWS and spaces >= MIN_SPACES and all(len(row.cells) <= MAX_CELLS for row in rows)


def make_tree(rows: Sequence[Row], ends: Sequence[End], chain: Sequence[Sequence[int]] = ()) -> Tree:
    """Return the tree of rows whose ends are known; `chain` has the numbers of the rows of each body of an `else` chain."""
    maker = TreeMaker([row.cells for row in rows], repeats=not chain)  # of a chain, code that is charged would run again
    stages = tuple(
        maker.node([Left(number, place if chain or ends[number] is End.DECIDES else ~number, rows[number].cells) for number in stage])
        for place, stage in enumerate(chain or (range(len(rows)),))
    )
    return Tree(stages, tuple(ends))


def ends_of_constant(rows: Sequence[Row], codes: array[int], residuals: Sequence[p.Definition], quiet: Quiet) -> list[End]:
    """Return what becomes of the rows of a rule that has one constant value, so that whichever row holds decides.

    Unless one before it ends in an error, or does anything else that somebody can tell.
    """
    is_quiet = [quiet.is_block(residual.block) for residual in residuals]
    ends: list[End] = []
    may_decide = may_run = True
    for row, code in zip(rows, codes, strict=True):
        may_decide = may_decide and not row.raises
        may_run = may_run and not row.raises and (row.exact or is_quiet[code])
        ends.append(End.DECIDES if row.exact and may_decide else End.RUNS if not row.exact and may_run else End.WAITS)
    return ends


def chained(plan: p.RulePlan, rows: Sequence[Row], codes: array[int], values: Sequence[tuple[Value, ...] | None]) -> list[list[int]]:
    """Return the rows of each body of a rule that is one `else` chain, if all those of a body come to the same value; else none.

    Then the first row with a value decides: no other can be in conflict with it.
    """
    if plan.kind not in {Kind.COMPLETE, Kind.FUNCTION} or len(plan.definitions) != 1:
        return []
    stages = [list(numbers) for _, numbers in groupby(range(len(rows)), lambda number: rows[number].position)]
    if all(codes[number] == codes[stage[0]] and _are_one(values[number], values[stage[0]]) for stage in stages for number in stage):
        return stages
    return []


def _are_one(left: tuple[Value, ...] | None, right: tuple[Value, ...] | None) -> bool:
    if left is None or right is None:
        return left is right
    return len(left) == len(right) and all(map(are_alike, left, right))
