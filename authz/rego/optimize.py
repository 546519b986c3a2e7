"""Folding: base data that is fixed for the snapshot becomes constants of the plans.

Owns which data may be folded (none that a `with` replaces) and the substitution. The plans stay
equivalent; tables and residual code are both made from the result.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, Final, TypeVar

from authz.rego import plan as p
from authz.rego.nodes import Location
from authz.rego.planner import Planned
from authz.rego.program import Path
from authz.rego.runtime import get, get_data
from authz.rego.values import EMPTY_OBJECT, EMPTY_SET, Object, Set, Value

T = TypeVar("T")


def optimized(planned: Planned, data: Value, overridden: frozenset[Path]) -> Planned:
    """Return the plans with base data folded in."""
    folder = Folder(data, overridden)
    plans = {
        path: replace(plan, definitions=tuple(folder.definition(item) for item in plan.definitions)) for path, plan in planned.plans.items()
    }
    return replace(planned, plans=plans)


_EMPTY: Final[dict[str, Value]] = {"array": (), "set": EMPTY_SET, "object": EMPTY_OBJECT}


class Folder:
    """Replaces reads of base data, and look-ups in constants, by their values."""

    def __init__(self, data: Value, overridden: frozenset[Path]) -> None:
        self.data = data
        self.overridden = tuple(path[1:] for path in overridden)

    def definition(self, definition: p.Definition) -> p.Definition:
        block, known = self.block(definition.block, {})
        orelse = None if definition.orelse is None else self.definition(definition.orelse)
        heads = replace(definition, block=(), orelse=None)
        return replace(substituted(heads, known), block=block, orelse=orelse)

    def block(self, block: p.Block, known: dict[str, p.Const]) -> tuple[p.Block, dict[str, p.Const]]:
        """Return the folded block and the locals that became constants."""
        known = dict(known)
        steps: list[p.Step] = []
        for step in block:
            current = self._nested(substituted(step, known), known)
            folded = self._fold(current)
            if isinstance(folded, p.Const):
                assert isinstance(current, p.Let)
                known[current.name] = folded
            else:
                steps.append(folded)
                if isinstance(folded, p.Check) and isinstance(folded.cond, p.Never):
                    break
        return tuple(steps), known

    def _fold(self, step: p.Step) -> p.Step | p.Const:
        if isinstance(step, p.Check) and isinstance(step.cond, p.Holds):
            return replace(step, cond=p.Holds(_searched(step.cond.call)))
        if not isinstance(step, p.Let):
            return step
        if isinstance(step.expr, p.CallBuiltin):
            return replace(step, expr=_searched(step.expr))
        if not self._is_constant(step.expr):
            return step
        found = self._constant(step.expr)
        return p.Check(p.Never(), step.location) if found is None else p.Const(found)

    def _is_constant(self, expr: p.Expr) -> bool:
        match expr:
            case p.BaseData(_, path):
                return all(isinstance(step, p.Const) for step in path) and not self._is_overridden(path)
            case p.Lookup(p.Const(), p.Const()) | p.Const():
                return True
        return False

    def _constant(self, expr: p.Expr) -> Value | None:
        """Return the value of a constant expression; None where it is undefined."""
        match expr:
            case p.BaseData(_, path):
                return get_data(self.data, [step.value for step in path if isinstance(step, p.Const)])
            case p.Lookup(p.Const(base), p.Const(key)):
                return get(base, key)
            case p.Const(value):
                return value
        return None

    def _is_overridden(self, path: tuple[p.Atom, ...]) -> bool:
        steps = tuple(step.value for step in path if isinstance(step, p.Const))
        return any(steps[: len(other)] == other or other[: len(steps)] == steps for other in self.overridden)

    def _nested(self, step: p.Step, known: dict[str, p.Const]) -> p.Step:
        """Fold the bodies of comprehensions, negations and `every`."""
        match step:
            case p.Let(_, p.Comprehension() as expr):
                block, inner = self.block(expr.block, known)
                if block and block[-1] == p.Check(p.Never()):
                    return replace(step, expr=p.Const(_EMPTY[expr.kind]))
                heads = substituted(replace(expr, block=()), inner)
                return replace(step, expr=replace(heads, block=block))
            case p.Check(p.NoSolution(block)):
                return replace(step, cond=p.NoSolution(self.block(block, known)[0]))
            case p.Check(p.Every() as cond):
                return replace(step, cond=replace(cond, block=self.block(cond.block, known)[0]))
        return step


def _searched(call: p.CallBuiltin) -> p.CallBuiltin:
    """Return `x in constants` with the constants as a set: one look-up instead of a comparison with each."""
    match call.name, call.args:
        case "internal.member_2", (item, p.Const(tuple() as values)):
            return replace(call, args=(item, p.Const(Set(values))))
        case "internal.member_2", (item, p.Const(Object() as values)):
            return replace(call, args=(item, p.Const(Set(values.values()))))
    return call


def substituted(node: T, known: dict[str, p.Const]) -> T:
    """Return the plan element with locals replaced by their constants."""
    return _substitute(node, known) if known else node


def _substitute(node: Any, known: dict[str, p.Const]) -> Any:
    if isinstance(node, p.Local):
        return known.get(node.name, node)
    if isinstance(node, tuple):
        return tuple(_substitute(item, known) for item in node)
    if is_dataclass(node) and not isinstance(node, p.Const | Location | type):
        return replace(node, **{field.name: _substitute(getattr(node, field.name), known) for field in fields(node)})
    return node
