"""One question to policies, from files to answer: loads, compiles, evaluates, and observes what is to be told besides.

Owns which evaluation answers: the compiled code, unless a trace or a profile is of interest. Prints nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from authz import rego
from authz.bundle.directory import PolicySource
from authz.cli.limits import time_limit
from authz.cli.loading import compile_source, load_any
from authz.cli.measures import Timers
from authz.cli.sending import Send
from authz.rego import compiler, nodes
from authz.rego.errors import UNSAFE, CompileError, EvalError, with_source_lines
from authz.rego.observed.coverage import CoverageRuns, FileReport
from authz.rego.observed.evaluation import ALL_SHORTCUTS, Shortcuts
from authz.rego.observed.events import Event, Observer
from authz.rego.observed.policy import ObservedPolicy, ObservedQuery, parse_with_spans
from authz.rego.observed.profile import LineProfile, Profile
from authz.rego.parser import parse_header
from authz.rego.pending import Memory, asking
from authz.rego.planner import plan_modules
from authz.rego.policy import PreparedQuery
from authz.rego.queries import Expression, Solution, answer
from authz.rego.values import Value

QUERY_FILE: Final = "query"  # what locations in the query call it


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of which policies, and what is to be told besides the answer.

    The query stands below `package` and `imports`; `coverage` are the additional runs, None if coverage is of no interest. Without
    `send`, `http.send` fails.
    """

    query: str
    paths: tuple[Path, ...] = ()
    document: Value | None = None
    rego_version: int = 1
    strict: bool = False
    schemas: rego.Schemas | None = None
    strict_builtin_errors: bool = False
    show_builtin_errors: bool = False
    package: str | None = None
    imports: tuple[str, ...] = ()
    explain: bool = False
    profile: bool = False
    metrics: bool = False
    coverage: tuple[str, ...] | None = None
    timeout_ns: int = 0
    send: Send | None = None

    @property
    def is_observed(self) -> bool:
        return self.explain or self.profile or self.coverage is not None


@dataclass(slots=True)
class Answer:
    """Solutions or errors, and what was told: None where nobody asked."""

    expressions: tuple[Expression, ...] = ()
    solutions: list[Solution] = field(default_factory=list)
    error: EvalError | None = None
    failures: list[EvalError] = field(default_factory=list)
    metrics: dict[str, int] | None = None
    explanation: list[Event] | None = None
    profile: list[LineProfile] | None = None
    coverage: dict[str, FileReport] | None = None


def ask(question: Question, output: Callable[[str], None]) -> Answer:
    """Answer a question; `output` takes what `print` prints. Raises AuthzError for what cannot be evaluated."""
    timers = Timers()
    with timers.measured("rego_load_files"):
        source = load_any(question.paths)
    with timers.measured("rego_module_compile"):
        policy = compile_source(source, question.rego_version, strict=question.strict, prints=True, schemas=question.schemas)
    observed = _observed(question, source, timers)
    with timers.measured("rego_query_parse"):
        header = parse_header(question.package, question.imports, question.rego_version)
    inquiry = _Inquiry(question, header, timers, output)
    try:
        found = inquiry.answer(policy, observed)
    except CompileError as error:
        raise with_source_lines(_with_help(error, policy), {**source.modules, QUERY_FILE: question.query}) from None
    found.metrics = timers.metrics() if question.metrics else None
    return found


def _observed(question: Question, source: PolicySource, timers: Timers) -> ObservedPolicy | None:
    """Return what can be observed, if anybody observes. Parsing by itself is measured here; compiling parses, too."""
    if not (question.is_observed or question.metrics):
        return None
    made = compiler.make_source(source.modules, source.data, source.versions(question.rego_version), optimize=False)
    with timers.measured("rego_module_parse"):
        parsed = parse_with_spans(made)
    return ObservedPolicy(made, parsed, plan_modules(parsed, schemas=question.schemas)) if question.is_observed else None


class _Inquiry:
    """The evaluations that answer one question, and those who listen to them."""

    def __init__(self, question: Question, header: nodes.Module, timers: Timers, output: Callable[[str], None]) -> None:
        self._question = question
        self._header = header
        self._timers = timers
        self._output = output
        self._events: list[Event] = []
        self._profile = Profile(time.perf_counter_ns)
        self._found = Answer()
        self._now_ns = time.time_ns()
        self._memory = self._asking(question.send)  # one, so that what is told besides was answered alike

    def answer(self, policy: rego.Policy, observed: ObservedPolicy | None) -> Answer:
        """Return the answer of the policy; where somebody listens, of what is observed."""
        question, found = self._question, self._found
        is_heard = question.explain or question.profile
        asked = observed if observed is not None and is_heard else policy
        try:
            with time_limit(question.timeout_ns):
                found.expressions, found.solutions = answer(asked, question.query, lambda body: self._solve(asked, body))
        except EvalError as error:
            found.error = error
        found.explanation = self._events if question.explain else None
        found.profile = self._profile.lines() if question.profile else None
        if observed is not None and question.coverage is not None:
            found.coverage = self._covered(observed, question.coverage)
        return found

    def _solve(self, asked: rego.Policy | ObservedPolicy, body: nodes.Body) -> list[dict[str, Value]]:
        with self._timers.measured("rego_query_compile"):
            query = self._prepared(asked, body)
        context = query.context(self._question.document, self._now_ns, self._question.strict_builtin_errors)
        context.output = self._output
        context.recall(self._memory)
        if self._question.show_builtin_errors and not self._question.strict_builtin_errors:
            context.failures = self._found.failures
        with self._timers.measured("rego_query_eval"):
            if isinstance(query, PreparedQuery):
                return query.solutions(context)
            return query.solutions(context, self._heard, with_variables=self._question.explain)

    def _asking(self, send: Send | None) -> Memory | None:
        return None if send is None else asking(lambda request: send(request, self._now_ns))

    def _prepared(self, asked: rego.Policy | ObservedPolicy, body: nodes.Body) -> PreparedQuery | ObservedQuery:
        if isinstance(asked, ObservedPolicy):
            return asked.prepare(body, self._header)
        meets_all = self._question.strict_builtin_errors or self._question.show_builtin_errors
        return asked.prepare(body, self._header, strict_builtin_errors=meets_all)

    def _heard(self, event: Event) -> None:
        if self._question.profile:
            self._profile(event)
        if self._question.explain:
            self._events.append(event)

    def _covered(self, observed: ObservedPolicy, runs: tuple[str, ...]) -> dict[str, FileReport]:
        """Return what evaluations of the query cover; an error, which the answer has, ends one."""

        def evaluate(observer: Observer, shortcuts: Shortcuts = ALL_SHORTCUTS) -> None:
            def solve(body: nodes.Body) -> list[dict[str, Value]]:
                query = observed.prepare(body, self._header)
                context = query.context(self._question.document, self._now_ns, self._question.strict_builtin_errors)
                context.recall(self._memory)
                return query.solutions(context, observer, with_variables=False, shortcuts=shortcuts)

            with suppress(EvalError), time_limit(self._question.timeout_ns):
                answer(observed, self._question.query, solve)

        coverage = CoverageRuns(runs)
        coverage.evaluate(evaluate)
        return coverage.report(observed.modules)


def _with_help(error: CompileError, policy: rego.Policy) -> CompileError:
    """Return the error, a name that is a package's first with the help that it must begin with `data`."""
    packages = {path.split("/")[0] for path in policy.entrypoints}
    return CompileError(
        tuple(
            replace(item, help=f"rules and data are below `data`: `data.{match[1]}`")
            if item.code == UNSAFE and (match := _UNSAFE_NAME.fullmatch(item.message)) and match[1] in packages
            else item
            for item in error.diagnostics
        )
    )


_UNSAFE_NAME: Final = re.compile(r"var (\w+) is unsafe")
