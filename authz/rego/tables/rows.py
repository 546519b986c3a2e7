"""Rows: the ways in which the definitions of a rule can have a solution, as conjunctions of cells.

INVARIANT: cells are necessary conditions: a definition of whose rows none matches has no solution and no error. An
`exact` row has nothing else to hold. Builds no index and writes no code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from authz.rego import plan as p
from authz.rego.planner import Planned
from authz.rego.program import Path
from authz.rego.tables.cells import Cell, conjunction, is_presence
from authz.rego.tables.columns import ParamColumn
from authz.rego.tables.expressions import World
from authz.rego.tables.raising import may_raise, raising_rules
from authz.rego.tables.reader import Reader
from authz.rego.tables.reading import Env, Known, Reading, Turn
from authz.rego.tables.walk import Frame, TooManyReadingsError
from authz.rego.values import Value

MAX_CELLS: Final = 64
"""Cells of one row; what a longer body tests beyond them stays code."""


@dataclass(frozen=True, slots=True)
class Row:
    """One way in which a body (`position` in the `else` chain of the definition at index `definition`) can have a solution.

    `heads`: the values of its head, if they are constants. `raises`: the definition's code can end the evaluation with an error.
    `turns` and `covered` say what the code of a row need not do: see Reading.
    """

    definition: int
    position: int
    cells: tuple[Cell, ...]
    exact: bool
    heads: tuple[Value, ...] | None
    raises: bool
    turns: tuple[Turn, ...]
    covered: tuple[tuple[int, tuple[Cell, ...]], ...]


class RowReader:
    """Reads the rows of rules. `notes` says of rules what was left to code because it would have become too much."""

    def __init__(self, planned: Planned, world: World) -> None:
        self.raising = raising_rules(planned)
        self.notes: dict[Path, list[str]] = {}
        options = ((True, True, ""), (True, False, "iterations over data"), (False, False, "rules that it uses"))
        self._readers = [(Reader(planned, world, self.raising, looks=looks, enumerates=all_), left) for looks, all_, left in options]

    def rows(self, plan: p.RulePlan) -> Iterator[Row]:
        """Yield the rows of every body, in order.

        Mere presence is a cell of exact rows only: it tells rows apart too rarely to pay for its column,
        and residual code tests it anyway.
        """
        for index, definition in enumerate(plan.definitions):
            raises = any(may_raise(step, self.raising) for part in definition.chain() for step in part.block)
            for position, item in enumerate(definition.chain()):
                for reading in self._readings(plan, item):
                    row = _row(index, position, item, reading, raises)
                    if row is not None:
                        yield row

    def _readings(self, plan: p.RulePlan, item: p.Definition) -> list[Reading]:
        env: Env = {name: ParamColumn(index) for index, name in enumerate(item.params)}
        frame = Frame(item.block, item.heads, is_own=True)
        for reader, left in self._readers:
            if left:
                note = f"{item.location}: too much to look into; code is left for {left}"
                self.notes.setdefault(plan.path, []).append(note)
            try:
                return list(reader.readings(frame, dict(env)))
            except TooManyReadingsError:
                continue
        reading = Reading()
        reading.exact = False
        return [reading]


def _row(index: int, position: int, item: p.Definition, reading: Reading, raises: bool) -> Row | None:
    """Return the row of a reading; None if its cells contradict each other."""
    cells = conjunction([*reading.cells, *reading.presence()])
    if cells is None:
        return None
    heads = _constants(reading.atom(atom) for atom in item.heads)
    exact = reading.exact and heads is not None and len(cells) <= MAX_CELLS
    if not exact:
        cells = tuple(cell for cell in cells if not is_presence(cell))[:MAX_CELLS]
    return Row(index, position, cells, exact, heads if exact else None, raises, reading.turns, tuple(reading.covered))


def _constants(known: Iterator[Known | None]) -> tuple[Value, ...] | None:
    values: list[Value] = []
    for item in known:
        if not isinstance(item, p.Const):
            return None
        values.append(item.value)
    return tuple(values)
