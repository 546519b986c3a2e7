"""Looking into rules, functions and comprehensions: what they test becomes cells of the block that uses them.

Owns which rules are transparent and the outcomes of each. What can raise, or what a `with` replaces, is never looked into.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from authz.rego import plan as p
from authz.rego.lower import ROOT_CONTEXT
from authz.rego.planner import Planned, used_groups
from authz.rego.program import Kind, Path
from authz.rego.tables.conditions import Options, equality
from authz.rego.tables.expressions import World
from authz.rego.tables.negation import freshened
from authz.rego.tables.raising import may_raise
from authz.rego.tables.reading import Collected, Env, Known, Member, Reading
from authz.rego.tables.walk import MAX_STEPS, Forks, Frame, TooManyReadingsError, Walk

MAX_FORKS: Final = 64
"""Ways that rules and conditions may split one block into; beyond it they are left to code."""

MAX_DEPTH: Final = 8
"""Rules and functions that are looked into one inside the other."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way for a rule to have a value (None: a value that is not known), or for a set to have a member."""

    reading: Reading
    value: Known | None

    @property
    def is_certain(self) -> bool:
        """Tell whether all that it takes is in the cells."""
        return self.reading.exact and self.reading.is_settled()


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The ways for a rule to have a value; `from_data`: constants that were iterated are among what tells them apart."""

    items: tuple[Outcome, ...]
    from_data: bool


class Looking(Walk):
    """Reads rules, functions and comprehensions."""

    def __init__(self, planned: Planned, world: World, raising: dict[Path, bool], *, looks: bool) -> None:
        super().__init__(planned, world, raising)
        self.looks = looks
        self._rules: dict[Path, Outcomes | None] = {}
        self._height = 0
        self._depth = 0

    def read_rules(self) -> None:
        """Read all rules that others use, those that they use before them: so a long chain of rules needs no deep recursion."""
        plans = self.planned.plans
        used = {path for plan in plans.values() for path in used_groups(plan, self.planned.program)}
        for path in self.planned.order:
            plan = plans[path]
            if path in used and plan.kind is not Kind.FUNCTION and not self._is_opaque(plan):
                self._rule(plan)

    def called(self, frame: Frame, place: int, step: p.Let, expr: p.RuleValue | p.CallRule, reading: Reading) -> Forks:
        """Read a local that is a rule's value or a function's result."""
        plan = self.planned.plans[expr.path]
        if expr.ctx != ROOT_CONTEXT or self._is_opaque(plan):
            return self.unread(step, reading)
        if plan.kind is Kind.SET:
            reading.env[step.name] = Collected(plan)
            return None
        found = self._function(plan, expr, reading) if isinstance(expr, p.CallRule) else self._rule(plan)
        if found is None or not may_fork(found, reading):
            return self.unread(step, reading)
        forks = [self.after(outcome, found, reading, step.name, is_own=isinstance(expr, p.CallRule)) for outcome in found.items]
        if frame.is_own:
            for outcome, fork in zip(found.items, forks, strict=True):
                _note(fork, outcome, place, step.name)
        return forks

    def collect(self, step: p.Let, expr: p.Comprehension, reading: Reading) -> Forks:
        """Read a local that is a comprehension."""
        if not self.looks or expr.ctx != ROOT_CONTEXT or expr.kind == "object" or may_raise(step, self.raising):
            return self.unread(step, reading)
        reading.env[step.name] = Collected(expr, tuple(reading.env.items()))
        return None

    def _is_opaque(self, plan: p.RulePlan) -> bool:
        """Tell whether a rule must not be looked into: it can raise, some `with` replaces it, or it makes an object."""
        if not self.looks or plan.kind is Kind.OBJECT or self.raising[plan.path] or ".".join(plan.path) in self.world.mocked:
            return True
        return any(plan.path[: len(path)] == path for path in self.world.overridden)

    def _rule(self, plan: p.RulePlan) -> Outcomes | None:
        """Return the outcomes of a rule without arguments; read once, those it uses before it: all uses share them."""
        if plan.path not in self._rules:
            left, self.steps_left = self.steps_left, MAX_STEPS
            try:
                self._rules[plan.path] = self._read(plan, Reading(), {})
            except TooManyReadingsError:
                self._rules[plan.path] = None
            self.steps_left = left
        return self._rules[plan.path]

    def _function(self, plan: p.RulePlan, call: p.CallRule, reading: Reading) -> Outcomes | None:
        env = {f"a{index}": known for index, arg in enumerate(call.args) if (known := reading.atom(arg)) is not None}
        return self._read(plan, reading, env)

    def _read(self, plan: p.RulePlan, outer: Reading, env: Env) -> Outcomes | None:
        """Read the definitions of a rule; None if it is at the top of too many that use each other."""
        if self._depth == MAX_DEPTH:
            return None
        above, self._height = self._height, 0
        turns = self.turns
        self._depth += 1
        try:
            found = tuple(self._outcomes(plan, outer, env))
        finally:
            self._depth -= 1
        height = self._height + 1
        self._height = max(above, height)
        return Outcomes(found, self.turns > turns) if height <= MAX_DEPTH else None

    def _outcomes(self, plan: p.RulePlan, outer: Reading, env: Env) -> Iterator[Outcome]:
        for definition in plan.definitions:
            for position, item in enumerate(definition.chain()):
                for reading in self.walk(Frame(item.block, item.heads), 0, outer.inner(dict(env))):
                    reading.exact = reading.exact and position == 0  # that the bodies before it fail is for code to see
                    yield Outcome(reading, reading.atom(item.value if item.key is None else item.key))
        if plan.default is not None:
            reading = outer.inner({})
            reading.exact = False  # that all others fail is for code to see
            yield Outcome(reading, plan.default.value if isinstance(plan.default.value, p.Const) else None)

    def after(self, outcome: Outcome, found: Outcomes, reading: Reading, name: str, *, is_own: bool) -> Reading:
        """Return the reading behind an outcome, its value under `name`."""
        fork = self.turn(reading) if found.from_data else reading.fork()
        if not found.from_data:
            fork.forks = reading.forks * len(found.items)
        value = outcome.value
        if is_own:
            fork.join(outcome.reading)
        else:
            fresh: dict[Member, Member] = {}
            value = freshened(value, outcome.reading, fresh)
            fork.absorb(outcome.reading, fresh)
        if value is not None:
            fork.env[name] = value
        return fork

    # Members of sets that rules and comprehensions make

    def members(self, collected: Collected, reading: Reading) -> Outcomes | None:
        """Return the ways for a set or an array to have a member; None if that is left to code."""
        source = collected.source
        if isinstance(source, p.RulePlan):
            found = self._rule(source)
        else:
            turns = self.turns
            inner = reading.inner(dict(collected.env))
            frame = Frame(source.block, (source.value,))
            items = tuple(Outcome(item, item.atom(source.value)) for item in self.walk(frame, 0, inner))
            found = Outcomes(items, self.turns > turns)
        return found if found is not None and may_fork(found, reading) else None

    def each_equal(self, item: Known, name: str, collected: Collected, reading: Reading) -> list[Reading] | None:
        """Return the reading once for every way in which `item` is a member, which is `name`; None if that is left to code."""
        found = self.members(collected, reading)
        if found is None:
            return None
        forks: list[Reading] = []
        for outcome in found.items:
            fork = self.after(outcome, found, reading, name, is_own=collected.is_own)
            options = equality(item, fork.atom(p.Local(name)))
            if options is None:
                fork.exact = False
                forks.append(fork)
            else:
                forks += applied(fork, options)
        return forks


def may_fork(found: Outcomes, reading: Reading) -> bool:
    return found.from_data or len(found.items) * reading.forks <= MAX_FORKS


def applied(reading: Reading, options: Options) -> list[Reading]:
    """Return the reading with each of the options."""
    forks = [reading, *(reading.fork() for _ in options[1:])] if options else []
    for fork, option in zip(forks, options, strict=True):
        fork.apply(option)
    return forks


def _note(fork: Reading, outcome: Outcome, place: int, name: str) -> None:
    """Note what the code of a row can rely on: a rule has one value, so if all that an outcome demands is in its cells, this is it."""
    if outcome.is_certain:
        fork.covered.append((place, outcome.reading.demands()))
        fork.assume(name, outcome.reading.demands())
    else:
        fork.loose |= {name}
