"""Rows: the ways in which a definition can have a solution, as conjunctions of cells.

Owns the reading of definitions, helper rules and disjunctions included. INVARIANT: cells are
necessary conditions: a definition of whose rows none matches has no solution and no error. An
`exact` row has nothing else to hold. Builds no index and writes no code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from authz.rego import plan as p
from authz.rego.cells import Cell, Column, Columns, HasMember, OneOf, cell_of, column_of, is_defined, is_presence, parts_of
from authz.rego.lower import ROOT_CONTEXT
from authz.rego.planlocals import used_names
from authz.rego.planner import Planned
from authz.rego.program import Kind, Path
from authz.rego.values import FALSE

MAX_ALTERNATIVES: Final = 64
"""Rows that one definition may become by looking into helper rules; beyond it helpers stay code."""

MAX_CELLS: Final = 64
"""Cells of one row; what a longer body tests beyond them stays code."""

MAX_DEPTH: Final = 8
"""Helper rules looked into one inside the other."""


@dataclass(frozen=True, slots=True)
class Row:
    """One way in which a definition (by its index) can have a solution; `raises`: its code can end the evaluation with an error."""

    definition: int
    cells: tuple[Cell, ...]
    exact: bool
    raises: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known half-way through a block; `depth` counts the helper rules looked into one inside the other."""

    cells: tuple[Cell, ...] = ()
    exact: bool = True
    stopped: bool = False
    depth: int = 0

    def with_cells(self, *cells: Cell) -> Reading:
        new = tuple(cell for cell in cells if cell not in self.cells)
        room = MAX_CELLS - len(self.cells)
        return replace(self, cells=self.cells + new[:room], exact=self.exact and len(new) <= room)

    def joined(self, helper: Reading) -> Reading:
        """Return what is known after a helper rule that this reading of it makes true."""
        known = self.with_cells(*helper.cells)
        return replace(known, exact=self.exact and helper.exact, stopped=helper.stopped, depth=max(self.depth, helper.depth + 1))


class RowReader:
    """Reads the rows of rules. `raising` tells which rules can end an evaluation with an error."""

    def __init__(self, planned: Planned, mocked: frozenset[str], overridden: frozenset[Path], raising: dict[Path, bool]) -> None:
        self.planned = planned
        self.mocked = mocked
        self.overridden = overridden
        self.raising = raising
        # Each helper is read once, those it uses before it: looking into them again for every use would take exponential time.
        self.helpers: dict[Path, tuple[Reading, ...] | None] = {}
        for path in planned.order:
            self.helpers[path] = self._read_helper(planned.plans[path])

    def rows(self, plan: p.RulePlan) -> Iterator[Row]:
        """Yield the rows of every definition, in order; each body of an `else` chain gives inexact ones.

        Mere presence is a cell of exact rows only: it tells rows apart too rarely to pay for its column,
        and residual code tests it anyway.
        """
        for index, definition in enumerate(plan.definitions):
            is_chain = definition.orelse is not None
            raises = any(may_raise(step, self.raising) for part in definition.chain() for step in part.block)
            for item in definition.chain():
                for reading in self._alternatives(item, item.block):
                    exact = reading.exact and not is_chain and isinstance(item.value, p.Const)
                    cells = reading.cells if exact else tuple(cell for cell in reading.cells if not is_presence(cell))
                    yield Row(index, cells, exact, raises)

    def _alternatives(self, definition: p.Definition, block: p.Block) -> list[Reading]:
        found = self._block(block, definition.heads, look=True)
        return found if len(found) <= MAX_ALTERNATIVES else self._block(block, definition.heads, look=False)

    def _block(self, block: p.Block, heads: tuple[p.Atom, ...], *, look: bool) -> list[Reading]:
        """Return the alternatives of a block; none if it can never hold. `look` into helper rules, or leave them to code."""
        readings, columns = [Reading()], dict[str, Column]()
        untested: dict[Column, None] = {}
        skip = False
        for index, step in enumerate(block):
            if skip:
                skip = False
                continue
            paired = self._paired(block, index, heads, columns, readings) if look or isinstance(step, p.Loop) else None
            if paired is not None:
                readings, skip = paired, True
            elif isinstance(step, p.Let) and (column := column_of(step.expr, columns, self.mocked)) is not None:
                columns[step.name] = column
                untested[column] = None
            elif isinstance(step, p.Check) and isinstance(step.cond, p.Never):
                return [reading for reading in readings if reading.stopped]
            else:
                readings = self._single(step, readings, columns)
        return [reading.with_cells(*_presence(reading, untested)) for reading in readings]

    def _single(self, step: p.Step, readings: list[Reading], columns: Columns) -> list[Reading]:
        cell = cell_of(step.cond, columns, self.mocked) if isinstance(step, p.Check) else None
        raises = cell is None and may_raise(step, self.raising)
        result = []
        for reading in readings:
            if reading.stopped:
                result.append(reading)
            elif cell is not None:
                result.append(reading.with_cells(cell))
            else:
                result.append(replace(reading, exact=False, stopped=raises))
        return result

    def _paired(
        self, block: p.Block, index: int, heads: tuple[p.Atom, ...], columns: Columns, readings: list[Reading]
    ) -> list[Reading] | None:
        """Read a step together with the test behind it: a helper rule, or a member of a column."""
        step, following = block[index], block[index + 1] if index + 1 < len(block) else None
        if not isinstance(following, p.Check):
            return None
        match step, following.cond:
            case p.Let(name, p.RuleValue(ctx, path)), p.Truthy(p.Local(tested)) if ctx == ROOT_CONTEXT and tested == name:
                return None if _is_used({name}, block[index + 2 :], heads) else self._helper(path, readings)
            case p.Loop(p.Local(name), key, value), p.Equal(p.Local(tested), p.Const(member)) if name in columns and tested == value:
                if _is_used({key, value}, block[index + 2 :], heads):
                    return None
                cell = HasMember(columns[name], member)
                return [reading if reading.stopped else reading.with_cells(cell) for reading in readings]
        return None

    def _helper(self, path: Path, readings: list[Reading]) -> list[Reading] | None:
        """Return the readings after a helper rule is true; None if it cannot be looked into."""
        helper = self.helpers.get(path)
        if helper is None or any(reading.stopped for reading in readings) or len(helper) * len(readings) > MAX_ALTERNATIVES:
            return None
        return [reading.joined(alternative) for reading in readings for alternative in helper]

    def _read_helper(self, plan: p.RulePlan) -> tuple[Reading, ...] | None:
        """Return the alternatives by which a helper rule is true; None if it is too large, too deep or more than a condition."""
        if not self._is_transparent(plan):
            return None
        found: list[Reading] = []
        for definition in plan.definitions:
            if not is_never_true(definition):
                found += self._alternatives(definition, condition_block(definition))
            if len(found) > MAX_ALTERNATIVES:
                return None
        return tuple(found) if all(reading.depth < MAX_DEPTH for reading in found) else None

    def _is_transparent(self, plan: p.RulePlan) -> bool:
        if plan.kind is not Kind.COMPLETE or self.raising[plan.path]:
            return False
        if any(plan.path[: len(path)] == path for path in self.overridden):
            return False
        if plan.default is not None and not is_never_true(plan.default):
            return False
        return all(definition.orelse is None and _is_condition(definition) for definition in plan.definitions)


def _is_used(names: set[str | None], block: p.Block, heads: tuple[p.Atom, ...]) -> bool:
    return not names.isdisjoint(used_names((block, heads)))


def _presence(reading: Reading, untested: dict[Column, None]) -> Iterator[Cell]:
    """Yield the cells of columns that a block reads, and so needs, but that no cell demands to be there."""
    demanded = {part for cell in reading.cells if not (isinstance(cell, OneOf) and cell.absent) for part in parts_of(cell.column)}
    yield from (is_defined(column) for column in untested if column not in demanded and not reading.stopped)


def condition_block(definition: p.Definition) -> p.Block:
    """Return the definition's block, with a boolean value as a last test: a helper `is_post := method == "POST"`."""
    if isinstance(definition.value, p.Const):
        return definition.block
    last = definition.block[-1] if definition.block else None
    match last:
        case p.Let(name, p.CallBuiltin(_, "equal" | "neq" | "startswith" | "internal.member_2") as call) if definition.value == p.Local(
            name
        ):
            return (*definition.block[:-1], p.Check(p.Holds(call), last.location))
    return definition.block


def _is_condition(definition: p.Definition) -> bool:
    """Tell whether the definition's truth is that of its condition block."""
    return isinstance(definition.value, p.Const) or condition_block(definition) != definition.block


def is_never_true(definition: p.Definition) -> bool:
    return isinstance(definition.value, p.Const) and definition.value.value is FALSE


def raising_rules(planned: Planned) -> dict[Path, bool]:
    """Tell for every rule whether evaluating it can end in an error (conflicting values)."""
    raising: dict[Path, bool] = {}
    for path in planned.order:
        plan = planned.plans[path]
        raising[path] = _can_conflict(plan) or any(
            may_raise(step, raising) for definition in chain(plan) for step in definition.block
        )  # fmt: skip
    return raising


def chain(plan: p.RulePlan) -> Iterator[p.Definition]:
    """Yield every definition of a rule, `else` bodies and the default included."""
    for definition in (*plan.definitions, *((plan.default,) if plan.default else ())):
        yield from definition.chain()


def _can_conflict(plan: p.RulePlan) -> bool:
    if plan.kind is Kind.SET:
        return False
    if plan.kind is Kind.OBJECT:
        return True
    values = {
        definition.value.value if isinstance(definition.value, p.Const) else None
        for definition in chain(plan)
        if definition is not plan.default
    }
    if len(plan.definitions) == 1 and not any(isinstance(step, p.Loop | p.LoopRelation) for item in chain(plan) for step in item.block):
        return False
    return None in values or len(values) > 1


def may_raise(step: p.Step, raising: dict[Path, bool]) -> bool:
    """Tell whether a step can end the evaluation with an error."""
    match step:
        case p.Let(_, p.RuleValue(_, path) | p.CallRule(_, path)):
            return raising.get(path, True)
        case p.Let(_, p.Document()) | p.Scope():
            return True
        case p.Let(_, p.Comprehension(kind=kind, block=block)):
            return kind == "object" or any(may_raise(inner, raising) for inner in block)
        case p.Check(p.NoSolution(block)) | p.Check(p.Every(block=block)):
            return any(may_raise(inner, raising) for inner in block)
    return False
