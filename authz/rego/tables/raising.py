"""Which rules and steps can end an evaluation with an error.

Tables may skip what fails, never what raises: cells behind a step that can raise are no condition for running it. What does nothing at all
but give a value is quiet: nobody can tell when, or whether, it ran. A pure walk over plans.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Final

from authz.rego import plan as p
from authz.rego.builtins import BUILTINS
from authz.rego.planner import Planned, walk
from authz.rego.program import Kind, Path

_MAX_DEFINITIONS: Final = 64
"""Definitions of a rule that are looked at; a longer one counts as not quiet, so that nobody waits for the look."""


def raising_rules(planned: Planned) -> dict[Path, bool]:
    """Tell for every rule whether evaluating it can end in an error (conflicting values)."""
    raising: dict[Path, bool] = {}
    for path in planned.order:
        plan = planned.plans[path]
        raising[path] = _can_conflict(plan) or any(may_raise(step, raising) for item in bodies(plan) for step in item.block)
    return raising


def bodies(plan: p.RulePlan) -> Iterator[p.Definition]:
    """Yield every definition of a rule, `else` bodies and the default included."""
    for definition in (*plan.definitions, *((plan.default,) if plan.default else ())):
        yield from definition.chain()


def _can_conflict(plan: p.RulePlan) -> bool:
    if plan.kind is Kind.SET:
        return False
    if plan.kind is Kind.OBJECT:
        return True
    values = {
        item.value.value if isinstance(item.value, p.Const) else None for definition in plan.definitions for item in definition.chain()
    }
    iterates = any(isinstance(step, p.Loop | p.LoopRelation) for item in bodies(plan) for step in item.block)
    if len(plan.definitions) == 1 and not iterates:
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


class Quiet:
    """Tells what is quiet. Rules are looked at when somebody asks, all of them at once, those that others use before them."""

    def __init__(self, planned: Planned, raising: dict[Path, bool], mocked: frozenset[str]) -> None:
        self._planned = planned
        self._raising = raising
        self._mocked = mocked

    def is_block(self, block: p.Block) -> bool:
        """Tell whether a block ends in no error, asks nobody, prints nothing and is charged nothing."""
        return all(_is_quiet(item, self._rules, self._mocked) for item in walk(block))

    @cached_property
    def _rules(self) -> dict[Path, bool]:
        quiet: dict[Path, bool] = {}
        for path in self._planned.order:
            plan = self._planned.plans[path]
            is_small = plan.kind is not Kind.FUNCTION and not self._raising[path] and len(plan.definitions) <= _MAX_DEFINITIONS
            quiet[path] = is_small and all(_is_quiet(item, quiet, self._mocked) for body in bodies(plan) for item in walk(body.block))
        return quiet


def _is_quiet(item: object, quiet: dict[Path, bool], mocked: frozenset[str]) -> bool:
    match item:
        case p.Loop() | p.LoopRelation() | p.Scope() | p.CallRule() | p.Document() | p.Comprehension() | p.Every():
            return False
        case p.RuleValue(_, path):
            return quiet.get(path, False)
        case p.CallBuiltin(_, name):
            return name not in mocked and not BUILTINS[name].needs_context
    return True
