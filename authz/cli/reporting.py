"""How the outcome of a test run is shown: OPA's lines and OPA's JSON, and below a failure where it stopped.

Knows results and source lines; runs nothing and prints nothing.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import click

from authz.cli.bench import Benchmark, go_name
from authz.cli.output import duration_text, errors_json, location_json
from authz.cli.trace_json import explanation_json
from authz.rego.errors import source_line
from authz.rego.observed.events import Event
from authz.rego.observed.trace import lines
from authz.rego.render import to_text
from authz.testing import Case, Outcome, Result, Stop, Suite

RULER: Final = "-" * 80
_COLOURS: Final = {Outcome.PASS: "green", Outcome.FAIL: "red", Outcome.ERROR: "red", Outcome.SKIPPED: "yellow"}
_SUMMARY: Final = ((Outcome.PASS, "PASS"), (Outcome.FAIL, "FAIL"), (Outcome.SKIPPED, "SKIPPED"), (Outcome.ERROR, "ERROR"))
_SHOWN_VALUE: Final = 160  # characters

Stops = Mapping[tuple[tuple[str, ...], tuple[str, ...]], Stop]


@dataclass(frozen=True, slots=True)
class Timed:
    """A result and how long it took; `trace` are the events to be shown of a failure, None if none are."""

    result: Result
    duration_ns: int
    benchmark: Benchmark | None = None
    trace: list[Event] | None = None


@dataclass(frozen=True, slots=True)
class Style:
    """How results are shown: every test, the variables in traces, the names of benchmarks as Go's."""

    verbose: bool = False
    with_variables: bool = False
    is_gobench: bool = False


def json_report(results: list[Timed]) -> list[dict[str, Any]]:
    """Return the results as OPA's JSON reporter gives them."""
    return [_json_result(timed) for timed in results]


def _json_result(timed: Timed) -> dict[str, Any]:
    result, test = timed.result, timed.result.test
    shown: dict[str, Any] = {
        "location": location_json(test.location), "package": ".".join(test.package), "name": test.name, "duration": timed.duration_ns,
    }  # fmt: skip
    if result.outcome is Outcome.FAIL:
        shown["fail"] = True
    if result.outcome is Outcome.SKIPPED:
        shown["skip"] = True
    if result.error is not None:
        shown["error"] = errors_json(result.error)[0]
    if result.cases:
        shown["sub_results"] = _json_cases(result.cases)
    if timed.trace is not None:
        shown["trace"] = explanation_json(timed.trace)
    if result.output:
        shown["output"] = b64encode(result.output.encode()).decode()
    if timed.benchmark is not None:
        shown["benchmark_result"] = timed.benchmark.json()
    return shown


def _json_cases(cases: tuple[Case, ...]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for case in cases:
        shown[case.name] = {"name": case.name, **({} if case.has_passed else {"fail": True})}
        if case.below:
            shown[case.name]["sub_results"] = _json_cases(case.below)
    return shown


class Report:
    """The lines for a person."""

    def __init__(self, suite: Suite, modules: Mapping[str, str], stops: Stops, style: Style) -> None:
        self._suite = suite
        self._modules = modules
        self._stops = stops
        self._style = style

    def lines(self, results: list[Timed]) -> Iterator[str]:
        """Yield failures (every test if verbose), the source of failures if verbose, and the counts."""
        shown = [one for one in results if self._style.verbose or one.benchmark or one.result.outcome is not Outcome.PASS]
        yield from self._tests(shown)
        failures = [timed for timed in shown if timed.result.outcome is Outcome.FAIL]
        if self._style.verbose and failures:
            yield from (RULER, "FAILURES", RULER)
            for timed in failures:
                yield from self._failure(timed)
        if shown:
            yield RULER
        yield from _counts(results)

    def _tests(self, shown: list[Timed]) -> Iterator[str]:
        file = ""
        for timed in shown:
            if timed.benchmark is not None:
                name = timed.result.test.full_name
                yield timed.benchmark.text(go_name(name) if self._style.is_gobench else name)
                continue
            location = timed.result.test.location
            if file and file != location.file:
                yield ""
            file = location.file
            yield f"{file}:{location.row}:"
            yield headline(timed)
            for case in timed.result.cases:
                yield from _indented(self._case(timed.result, case, ()))
            if timed.result.output:
                yield from ("", *_indented(timed.result.output.strip().split("\n")), "")
            yield from _indented(self._reason(timed.result))

    def _reason(self, result: Result) -> Iterator[str]:
        """Yield why a test failed that has no cases."""
        if result.error is not None:
            yield str(result.error)
        if result.cases or result.outcome is not Outcome.FAIL:
            return
        stop = self._stops.get((result.test.path, ()))
        if stop is not None:
            yield from self._stop(stop)
        elif result.detail:
            yield result.detail

    def _failure(self, timed: Timed) -> Iterator[str]:
        """Yield the source of a test that failed, and its trace."""
        yield headline(timed)
        yield from self._source(timed.result)
        yield ""
        if timed.trace:
            yield from (*_indented(lines(timed.trace, with_variables=self._style.with_variables)), "")

    def _case(self, result: Result, case: Case, above: tuple[str, ...]) -> Iterator[str]:
        if case.has_passed and not self._style.verbose:
            return
        indent = "  " * len(above)
        yield f"{indent}{case.name}: {_word(Outcome.PASS if case.has_passed else Outcome.FAIL)}"
        names = (*above, case.name)
        stop = self._stops.get((result.test.path, names))
        if stop is not None and not case.below:
            yield from (indent + "  " + line for line in self._stop(stop))
        for below in case.below:
            yield from self._case(result, below, names)

    def _stop(self, stop: Stop) -> Iterator[str]:
        location = stop.location
        yield f"{location.file}:{location.row}: {source_line(self._modules[location.file], location.row).strip()}"
        for name, value in stop.variables:
            text = to_text(value)
            yield f"  {name} = {text if len(text) <= _SHOWN_VALUE else text[:_SHOWN_VALUE] + '…'}"

    def _source(self, result: Result) -> Iterator[str]:
        """Yield the lines of the failed rule, those marked at which it stopped."""
        test = result.test
        text = self._modules[test.location.file].split("\n")
        after = self._suite.following_row(test) or len(text) + 1
        rows = list(range(test.location.row, after))
        while len(rows) > 1 and (not text[rows[-1] - 1].strip() or text[rows[-1] - 1].startswith("#")):
            rows.pop()
        marked = {stop.location.row for (path, _), stop in self._stops.items() if path == test.path}
        for row in rows:
            yield f"{'>' if row in marked else ' '}{row:5d} | {text[row - 1]}".rstrip()


def headline(timed: Timed) -> str:
    """Return the name, the outcome and the duration of a test."""
    result = timed.result
    duration = "" if result.outcome is Outcome.SKIPPED else f" ({duration_text(timed.duration_ns)})"
    return f"{result.test.full_name}: {_word(result.outcome)}{duration}"


def _indented(shown: Iterable[str]) -> Iterator[str]:
    return ("  " + line for line in shown)


def _word(outcome: Outcome) -> str:
    return click.style(outcome.value, fg=_COLOURS[outcome])


def _counts(results: list[Timed]) -> Iterator[str]:
    """Yield the counts that are not zero; a parametrised test counts as its cases."""
    found: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
    for timed in results:
        cases = [case for _, case in timed.result.leaves()]
        if cases:
            found[Outcome.PASS] += sum(case.has_passed for case in cases)
            found[Outcome.FAIL] += sum(not case.has_passed for case in cases)
        else:
            found[timed.result.outcome] += 1
    total = sum(found.values())
    yield from (f"{click.style(word, fg=_COLOURS[outcome])}: {found[outcome]}/{total}" for outcome, word in _SUMMARY if found[outcome])
