"""A compiled set of tests: runs one at a time, and says of those that failed where they stopped.

The time is the caller's, and so is measuring it. Knows no files and no output.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from authz.rego import compiler, nodes
from authz.rego.compiler import Source
from authz.rego.data_conflicts import data_conflicts
from authz.rego.errors import CompileError, EvalError
from authz.rego.planner import Planned, plan_modules
from authz.rego.policy import Policy
from authz.rego.render import to_text
from authz.rego.values import TRUE, Document, Object, Set, Value
from authz.testing.cases import Names, cases_of, names_of
from authz.testing.discovery import Path, RegoTest, discover
from authz.testing.probes import first_size, probe, probe_path, variables
from authz.testing.result import Outcome, Result, Stop

SHOWN_TEXT: Final = 120
"""Characters of a value that a person is shown."""

Bound = dict[Names, Object]
"""For every case of a test that a probe holds for, the variables of one way in which it does. A test without cases has one: `()`."""


def compile_suite(modules: Mapping[str, str], data: Document, rego_version: int = 1) -> Suite:
    """Compile modules with their tests. Raises CompileError, also for a rule that stands where the data has a value.

    Without tables: a test has to meet every built-in that fails, and tables skip rows.
    """
    source = compiler.make_source(modules, data, rego_version, optimize=False)
    parsed, tests = discover(compiler.parse_source(source))
    planned = plan_modules(parsed)
    conflicts = data_conflicts(planned.program.groups, source.data)
    if conflicts:
        raise CompileError(conflicts)
    return Suite(source, parsed, tests, planned)


class Suite:
    """Tests that compile, each of which can be run."""

    def __init__(self, source: Source, modules: tuple[nodes.Module, ...], tests: tuple[RegoTest, ...], planned: Planned) -> None:
        self.tests = tests
        self._source = source
        self._modules = modules
        self._planned = planned
        self._policy = self._with_probes([(test, first_size(test)) for test in tests if test.keys and not test.is_skipped])

    def run(self, test: RegoTest, now_ns: int) -> Result:
        """Evaluate a test: PASS if it is `true`, ERROR if a built-in or the evaluation fails, FAIL for all else."""
        if test.is_skipped:
            return Result(test, Outcome.SKIPPED)
        if test.is_function:
            return Result(test, Outcome.FAIL, detail="a test has no arguments")
        try:
            value = self._value(test, now_ns)
        except EvalError as error:
            return Result(test, Outcome.ERROR, error=error)
        if not test.keys:
            return Result(test, Outcome.PASS) if value is TRUE else Result(test, Outcome.FAIL, detail=_shown(value))
        cases = cases_of(value, _bound(self._policy, test, first_size(test), now_ns))
        if not cases:
            return Result(test, Outcome.FAIL, detail="it has no cases")
        return Result(test, Outcome.PASS if all(case.has_passed for case in cases) else Outcome.FAIL, cases)

    def explain(self, failed: Iterable[Result], now_ns: int) -> dict[tuple[Path, Names], Stop]:
        """Return where tests stopped, by test and case; nothing for one that fails otherwise or cannot be taken apart."""
        results = [result for result in failed if result.outcome is Outcome.FAIL and not result.test.is_function]
        policy = self._with_probes([(result.test, size) for result in results for size in _sizes(result.test)])
        found: dict[tuple[Path, Names], Stop] = {}
        for result in results:
            for names, stop in self._stops(policy, result, now_ns):
                found[result.test.path, names] = stop
        return found

    def following_row(self, test: RegoTest) -> int | None:
        """Return the row of the rule after a test, None if the test is the last one of its file."""
        rows = [rule.location.row for module in self._modules if module.file == test.location.file for rule in module.rules]
        return min((row for row in rows if row > test.location.row), default=None)

    def _stops(self, policy: Policy, result: Result, now_ns: int) -> Iterator[tuple[Names, Stop]]:
        """Yield, for each case that failed, the literal that ends the first probe in which it is missing."""
        test = result.test
        last: Bound = {(): Object()}
        if test.keys:
            last = _bound(self._policy, test, first_size(test), now_ns)
        waiting = {names for names, case in result.leaves() if not case.has_passed} if test.keys else {()}
        for size in _sizes(test):
            if probe_path(test, size)[1:] not in policy.artifact.entries:
                continue
            bound = _bound(policy, test, size, now_ns)
            for names in sorted(waiting & last.keys() - bound.keys()):
                yield names, _stop(test.rule.body[size - 1], last[names])
            waiting &= bound.keys()
            last = bound

    def _value(self, test: RegoTest, now_ns: int) -> Value | None:
        """Return the value at a test's path. Constant keys of its head belong to the rule's own path: they are put around its value."""
        size = len(test.path) - 1
        path = next(path for path in self._policy.artifact.entries if path[:size] == test.path[1:])
        value = self._policy.rule(path).evaluate(None, now_ns, strict_builtin_errors=True)
        for key in reversed(path[size:]):
            value = None if value is None else Object({key: value})
        return value

    def _with_probes(self, probes: list[tuple[RegoTest, int]]) -> Policy:
        """Compile with probes. One that does not compile by itself (its variables are bound further down) is left out."""
        try:
            planned = plan_modules(self._extended(probes)) if probes else self._planned
        except CompileError:
            return self._with_probes([item for item in probes if self._is_sound(item)])
        return Policy(self._source, compiler.generate(planned, self._source), planned)

    def _is_sound(self, item: tuple[RegoTest, int]) -> bool:
        try:
            plan_modules(self._extended([item]))
        except CompileError:
            return False
        return True

    def _extended(self, probes: list[tuple[RegoTest, int]]) -> tuple[nodes.Module, ...]:
        rules: dict[str, list[nodes.Rule]] = {}
        for test, size in probes:
            rules.setdefault(test.location.file, []).append(probe(test, size))
        return tuple(replace(module, rules=(*module.rules, *rules.get(module.file, ()))) for module in self._modules)


def _sizes(test: RegoTest) -> range:
    """Return the sizes of the probes that tell where a test stopped."""
    return range((first_size(test) if test.keys else 0) + 1, len(test.rule.body) + 1)


def _bound(policy: Policy, test: RegoTest, size: int, now_ns: int) -> Bound:
    """Return what a probe holds for; nothing if it is not there or fails."""
    path = probe_path(test, size)[1:]
    if path not in policy.artifact.entries:
        return {}
    try:
        members = policy.rule(path).evaluate(None, now_ns)
    except EvalError:
        return {}
    assert isinstance(members, Set)
    bound: Bound = {}
    for member in members.ordered():
        assert isinstance(member, tuple)
        keys, found = member
        assert isinstance(found, Object)
        bound.setdefault(names_of(keys), found)
    return bound


def _stop(literal: nodes.Literal, bound: Object) -> Stop:
    mentioned = set(variables(literal))
    return Stop(literal.location, tuple((name, bound[name]) for name in bound.ordered() if isinstance(name, str) and name in mentioned))


def _shown(value: Value | None) -> str:
    if value is None:
        return "undefined"
    return "its value is " + shortened(to_text(value))


def shortened(text: str) -> str:
    """Return at most as much of a text as a person is shown."""
    return text if len(text) <= SHOWN_TEXT else text[:SHOWN_TEXT] + "…"
