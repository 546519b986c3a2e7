"""Which rules and steps can end an evaluation with an error.

Tables may skip what fails, never what raises: cells behind a step that can raise are no condition for running it. A pure walk over plans.
"""

from __future__ import annotations

from collections.abc import Iterator

from authz.rego import plan as p
from authz.rego.planner import Planned
from authz.rego.program import Kind, Path


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
