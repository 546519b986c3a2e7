"""A compiled set of tests: runs one at a time, says of those that failed where they stopped, and what the runs covered.

A test's outcome is that of the generated code, which is what decides; an observed evaluation only tells how it came about. The time
is the caller's, and so is measuring it. Knows no files and no output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import Final

from authz.rego import compiler, nodes
from authz.rego.compiler import Source
from authz.rego.data_conflicts import data_conflicts
from authz.rego.errors import CompileError, EvalError
from authz.rego.observed.coverage import RUNS, CoverageRuns, FileReport
from authz.rego.observed.evaluation import ALL_SHORTCUTS, Shortcuts
from authz.rego.observed.events import Observer
from authz.rego.observed.policy import ObservedPolicy, parse_with_spans
from authz.rego.pending import HttpRequest, Memory, asking
from authz.rego.planner import Planned, plan_modules
from authz.rego.policy import Policy
from authz.rego.render import to_text
from authz.rego.types import Schemas
from authz.rego.values import TRUE, Document, Object, Value
from authz.testing.cases import Names, cases_of, names_of
from authz.testing.discovery import Path, RegoTest, discover
from authz.testing.result import Outcome, Result, Stop
from authz.testing.watch import Watch

SHOWN_TEXT: Final = 120
"""Characters of a value that a person is shown."""

Send = Callable[[HttpRequest, int], Object]
"""Returns the answer to a request that a test's evaluation makes at a time (ns). Raises EvalError."""


def compile_suite(  # noqa: PLR0913 - the options of one suite
    modules: Mapping[str, str],
    data: Document,
    rego_version: int | Mapping[str, int] = 1,
    *,
    prints: bool = True,
    send: Send | None = None,
    schemas: Schemas | None = None,
) -> Suite:
    """Compile modules with their tests. Raises CompileError, also for a rule that stands where the data has a value.

    Without tables: a test has to meet every built-in that fails, and tables skip rows. Without `send`, `http.send` fails unless a
    test replaces it.
    """
    source = replace(compiler.make_source(modules, data, rego_version, optimize=False), prints=prints)
    parsed, tests = discover(parse_with_spans(source))
    planned = plan_modules(parsed, prints=prints, schemas=schemas)
    conflicts = data_conflicts({path: group.location for path, group in planned.program.groups.items()}, source.data)
    if conflicts:
        raise CompileError(conflicts)
    return Suite(source, parsed, tests, planned, send)


class Suite:
    """Tests that compile, each of which can be run."""

    def __init__(
        self, source: Source, modules: tuple[nodes.Module, ...], tests: tuple[RegoTest, ...], planned: Planned, send: Send | None
    ) -> None:
        self.tests = tests
        self._send = send
        self._memories: dict[Path, Memory] = {}  # of each test's last run, so that what tells of it finds the same answers
        self._source = source
        self._modules = modules
        self._planned = planned
        self._policy = Policy(source, compiler.generate(planned, source), planned)

    @cached_property
    def _observed(self) -> ObservedPolicy:
        return ObservedPolicy(self._source, self._modules, self._planned)

    def run(self, test: RegoTest, now_ns: int) -> Result:
        """Evaluate a test: PASS if it is `true`, ERROR if a built-in or the evaluation fails, FAIL for all else."""
        if test.is_skipped:
            return Result(test, Outcome.SKIPPED)
        if test.is_function:
            return Result(test, Outcome.FAIL, detail="a test has no arguments")
        output: list[str] = []
        self._memories.pop(test.path, None)
        try:
            result = self._judged(test, self._value(test, now_ns, output), now_ns)
        except EvalError as error:
            result = Result(test, Outcome.ERROR, error=error)
        return replace(result, output="".join(f"{line}\n" for line in output))

    def evaluation(self, test: RegoTest, now_ns: int) -> Callable[[], object]:
        """Return what evaluates a test and nothing else."""
        rule = self._policy.rule(self._entry(test))
        return lambda: rule.evaluate_with(self._asking(now_ns), None, now_ns, strict_builtin_errors=True)

    def explain(self, failed: Iterable[Result], now_ns: int) -> dict[tuple[Path, Names], Stop]:
        """Return where tests stopped, by test and case; nothing for one that fails otherwise."""
        found: dict[tuple[Path, Names], Stop] = {}
        for result in failed:
            if result.outcome is Outcome.FAIL and not result.test.is_function:
                waiting = {names for names, case in result.leaves() if not case.has_passed} or {()}
                watch = Watch(result.test)
                self.observe(result.test, now_ns, watch, Shortcuts(indexing=False))
                found |= {(result.test.path, names): stop for names, stop in watch.stops() if names in waiting}
        return found

    def observe(
        self, test: RegoTest, now_ns: int, observer: Observer, shortcuts: Shortcuts = ALL_SHORTCUTS, *, with_variables: bool = True
    ) -> None:
        """Evaluate a test for an observer; a failure is no news, it ends what is told."""
        location = nodes.Location("", 1, 1)
        head, *steps = test.path
        ref = nodes.Ref(nodes.Var(head), tuple(nodes.Scalar(step) for step in steps), location)
        query = self._observed.prepare((nodes.Literal(nodes.Unify(ref, nodes.Var("$0")), location=location),))
        try:
            context = query.context(None, now_ns)
            context.recall(self._memory(test, now_ns))
            query.solutions(context, observer, with_variables=with_variables, shortcuts=shortcuts)
        except EvalError:
            return

    def coverage(self, tests: Iterable[RegoTest], now_ns: int, runs: Iterable[str] = tuple(RUNS)) -> dict[str, FileReport]:
        """Return what running the tests covers of every file; `runs` are those of RUNS that tell why something is not covered."""
        coverage = CoverageRuns(runs)
        for test in tests:
            if not test.is_skipped and not test.is_function:
                coverage.evaluate(partial(self.observe, test, now_ns, with_variables=False))
        return coverage.report(self._modules)

    def following_row(self, test: RegoTest) -> int | None:
        """Return the row of the rule after a test, None if the test is the last one of its file."""
        rows = [rule.location.row for module in self._modules if module.file == test.location.file for rule in module.rules]
        return min((row for row in rows if row > test.location.row), default=None)

    def _judged(self, test: RegoTest, value: Value | None, now_ns: int) -> Result:
        if not test.keys:
            return Result(test, Outcome.PASS) if value is TRUE else Result(test, Outcome.FAIL, detail=_shown(value))
        cases = cases_of(value, self._tried(test, now_ns))
        if not cases:
            return Result(test, Outcome.FAIL, detail="it has no cases")
        return Result(test, Outcome.PASS if all(case.has_passed for case in cases) else Outcome.FAIL, cases)

    def _tried(self, test: RegoTest, now_ns: int) -> set[Names]:
        """Return the cases that began: what the keys of the head are as soon as the body has bound them, whatever follows."""
        header = next(module for module in self._modules if module.file == test.location.file)
        keys = tuple(nodes.Literal(nodes.Unify(nodes.Var(f"key {index}"), key)) for index, key in enumerate(test.keys))
        for size in range(len(test.rule.body) + 1):
            try:
                query = self._policy.prepare(test.rule.body[:size] + keys, header)
            except CompileError:  # not bound yet
                continue
            context = query.context(None, now_ns)
            context.recall(self._memory(test, now_ns))
            found = query.solutions(context)
            return {names_of(tuple(solution[f"key {index}"] for index in range(len(keys)))) for solution in found}
        return set()

    def _value(self, test: RegoTest, now_ns: int, output: list[str]) -> Value | None:
        """Return the value at a test's path. Constant keys of its head belong to the rule's own path: they are put around its value."""
        path = self._entry(test)
        rule, memory = self._policy.rule(path), self._memory(test, now_ns)
        value = rule.evaluate_with(memory, None, now_ns, strict_builtin_errors=True, output=output.append)
        for key in reversed(path[len(test.path) - 1 :]):
            value = None if value is None else Object({key: value})
        return value

    def _memory(self, test: RegoTest, now_ns: int) -> Memory | None:
        """Return what a test's evaluations have been told since it was run, None where they may not ask."""
        if test.path not in self._memories and (memory := self._asking(now_ns)) is not None:
            self._memories[test.path] = memory
        return self._memories.get(test.path)

    def _asking(self, now_ns: int) -> Memory | None:
        send = self._send
        return None if send is None else asking(lambda request: send(request, now_ns))

    def _entry(self, test: RegoTest) -> Path:
        size = len(test.path) - 1
        return next(path for path in self._policy.artifact.entries if path[:size] == test.path[1:])


def _shown(value: Value | None) -> str:
    if value is None:
        return "undefined"
    return "its value is " + shortened(to_text(value))


def shortened(text: str) -> str:
    """Return at most as much of a text as a person is shown."""
    return text if len(text) <= SHOWN_TEXT else text[:SHOWN_TEXT] + "…"
