"""Decision tables: the rows of a rule, filed so that a look-up finds those that can match, and the code that is left for each.

Owns when a rule gets a table, and what of it travels to the serving process. Emits no code and decides nothing itself.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, replace
from typing import Final

from authz.rego import plan as p
from authz.rego.artifact import TableInfo
from authz.rego.nodes import Location
from authz.rego.planner import Planned
from authz.rego.program import Kind, Path
from authz.rego.tables.canonical import are_alike
from authz.rego.tables.cells import Cell
from authz.rego.tables.dimensions import Filing
from authz.rego.tables.expressions import World
from authz.rego.tables.raising import Quiet
from authz.rego.tables.residual import ResidualMaker, joined
from authz.rego.tables.rows import Row, RowReader
from authz.rego.tables.small import End, Tree, chained, ends_of_constant, is_small, make_tree
from authz.rego.tables.spaces import Bucket, Space, file_rows
from authz.rego.values import Value

MIN_ROWS: Final = 2
"""Below it there is nothing to choose between: the rule's own code is the shortest test."""

HIT: Final = True
"""A bucket with a row that decides whatever else matches."""

EXACT: Final = -1
"""In place of a residual: the row's cells are all there is."""


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one rule and where they are filed.

    By row: `codes` has the number of its residual or EXACT, `values` what its head gives if it is EXACT or what its residual is handed,
    `places` its definition and position in an `else` chain, `locations` where its body stands. `hits`: some buckets are HIT;
    `only_hits`: all are. With a `tree` there are no spaces.
    """

    path: Path
    rows: tuple[Row, ...]
    filings: dict[int, Filing]
    spaces: tuple[Space, ...]
    always: tuple[int, ...]
    repeats: bool
    hits: bool
    only_hits: bool
    tree: Tree | None
    residuals: tuple[p.Definition, ...]
    codes: array[int]
    values: tuple[tuple[Value, ...] | None, ...]
    places: tuple[tuple[int, int], ...]
    locations: tuple[Location, ...]
    notes: tuple[str, ...]

    def info(self) -> TableInfo:
        """Return the table's size."""
        return TableInfo(len(self.rows), len(self.filings), sum(code != EXACT for code in self.codes))


class TableBuilder:
    """Builds the tables of one set of plans."""

    def __init__(self, planned: Planned, world: World) -> None:
        self._reader = RowReader(planned, world)
        self._quiet = Quiet(planned, self._reader.raising, world.mocked)

    def build(self, plan: p.RulePlan) -> Table | None:
        """Return the rule's table, or None where it would not help."""
        if (_body_count(plan) < MIN_ROWS and not _iterates(plan)) or _has_chained_members(plan):
            return None
        rows = tuple(self._reader.rows(plan))
        if len(rows) < MIN_ROWS:
            return None
        filed = file_rows([row.cells for row in rows])
        if not filed.spaces:
            return None
        is_tree = is_small(rows, len(filed.spaces))
        said = [frozenset(row.cells) for row in rows] if is_tree else filed.said
        rows = _settled(plan, rows, said)
        if _body_count(plan) < MIN_ROWS and not any(row.exact or row.turns for row in rows):
            return None
        definitions, codes, values = _codes(plan, rows, said)
        tree = self._tree(plan, rows, definitions, codes, values) if is_tree else None
        spaces, always = ([], []) if is_tree else (filed.spaces, filed.always)
        hits, only_hits = _finish(plan, rows, spaces)
        locations = tuple(tuple(plan.definitions[row.definition].chain())[row.position].location for row in rows)
        places = tuple((row.definition, row.position) for row in rows)
        return Table(
            plan.path, rows, filed.filings, tuple(spaces), tuple(always), filed.repeats, hits, only_hits, tree,
            tuple(definitions), codes, values, places, locations, tuple(self._reader.notes.get(plan.path, ())),
        )  # fmt: skip

    def _tree(
        self, plan: p.RulePlan, rows: tuple[Row, ...], residuals: list[p.Definition], codes: array[int],
        values: tuple[tuple[Value, ...] | None, ...],
    ) -> Tree:  # fmt: skip
        if is_constant(plan):
            return make_tree(rows, ends_of_constant(rows, codes, residuals, self._quiet))
        chain = chained(plan, rows, codes, values)
        if chain:
            return make_tree(rows, [End.DECIDES if row.exact else End.RUNS for row in rows], chain)
        return make_tree(rows, [End.WAITS] * len(rows))


def _settled(plan: p.RulePlan, rows: tuple[Row, ...], said: list[frozenset[Cell]]) -> tuple[Row, ...]:
    """Return the rows, exact ones of which the table does not say all as such that need code."""
    is_flat = not _is_deep(plan)
    return tuple(
        replace(row, exact=False) if row.exact and not (is_flat and known.issuperset(row.cells)) else row
        for row, known in zip(rows, said, strict=True)
    )


def _codes(
    plan: p.RulePlan, rows: tuple[Row, ...], said: list[frozenset[Cell]]
) -> tuple[list[p.Definition], array[int], tuple[tuple[Value, ...] | None, ...]]:
    """Return the code of all residuals, and for each row the number of its own (or EXACT) and its values."""
    maker = ResidualMaker(plan)
    left = [number for number, row in enumerate(rows) if not row.exact]
    definitions, found = joined(maker.residual(rows[number], said[number]) for number in left)
    codes = array("i", [EXACT]) * len(rows)
    values = [row.heads for row in rows]
    for number, (code, handed) in zip(left, found, strict=True):
        codes[number] = code
        values[number] = handed or None
    return definitions, codes, tuple(values)


def _body_count(plan: p.RulePlan) -> int:
    return sum(1 for definition in plan.definitions for _ in definition.chain())


def _iterates(plan: p.RulePlan) -> bool:
    return any(not isinstance(step, p.Check) for definition in plan.definitions for step in definition.block)


def _has_chained_members(plan: p.RulePlan) -> bool:
    """Tell whether an object's rules have `else` branches: a row does not tell the next one whether it had a value."""
    return plan.kind is Kind.OBJECT and any(definition.orelse is not None for definition in plan.definitions)


def _is_deep(plan: p.RulePlan) -> bool:
    """Tell whether an object's rules have several keys, or sets as values: those are put together by code."""
    return plan.kind is Kind.OBJECT and any(len(definition.keys) != 1 or definition.key is not None for definition in plan.definitions)


def _finish(plan: p.RulePlan, rows: tuple[Row, ...], spaces: list[Space]) -> tuple[bool, bool]:
    """Make the buckets final; return whether some are HIT, and whether all are."""
    settled = bytes(len(rows))
    if is_constant(plan):
        # No row before the first one that raises can be kept from deciding.
        first = next((number for number, row in enumerate(rows) if row.raises), len(rows))
        settled = bytes(row.exact and number < first for number, row in enumerate(rows))
    count = [0, 0]

    def made(bucket: list[int]) -> Bucket:
        is_hit = any(settled[number] for number in bucket)
        count[is_hit] += 1
        return HIT if is_hit else tuple(bucket)

    for space in spaces:
        space.map_buckets(made)
    return count[1] > 0, count[0] == 0


def is_constant(plan: p.RulePlan) -> bool:
    """Tell whether whatever row of a rule holds, its value is the same."""
    return plan.kind in {Kind.COMPLETE, Kind.FUNCTION} and single_constant(plan)


def single_constant(plan: p.RulePlan) -> bool:
    """Tell whether every definition, `else` branches included, has the same constant value."""
    atoms = [item.value for definition in plan.definitions for item in definition.chain()]
    constants = [atom.value for atom in atoms if isinstance(atom, p.Const)]
    return bool(constants) and len(constants) == len(atoms) and all(are_alike(value, constants[0]) for value in constants)
