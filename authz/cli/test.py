"""`authz test`: run the tests of policies. Owns flags, the clock and exit codes; the shape of reports is `reporting`'s."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import click

from authz.bundle import checking
from authz.bundle.directory import PolicySource
from authz.cli import coverage, limits, loading, reporting
from authz.cli.bench import measure
from authz.cli.output import print_json
from authz.cli.reporting import Timed
from authz.cli.sending import Send, sending_flags
from authz.rego.builtins.regex import Regex
from authz.rego.builtins.regex_syntax import PatternError
from authz.rego.errors import CompileError, EvalError
from authz.rego.observed.coverage import RUNS
from authz.rego.observed.events import Event
from authz.rego.observed.trace import Explain, explained
from authz.testing import Outcome, RegoTest, Result, Stop, Suite, compile_suite

EXIT_FAILED: Final = 2
"""A test failed, ended in an error, or was skipped without `-z`; or too few lines are covered: OPA's code."""

EXIT_EMPTY: Final = 1

EXIT_NOT_COVERED: Final = 1
"""There is no coverage to report, for a test failed: OPA's code."""

_TIMEOUT_NS: Final = 5_000_000_000
_BENCH_TIMEOUT_NS: Final = 30_000_000_000


def _pattern(_: click.Context, __: click.Parameter, value: str | None) -> Regex | None:
    """Compile a regular expression as OPA's tools take it: RE2."""
    try:
        return None if value is None else Regex(value)
    except PatternError as error:
        raise click.BadParameter(f"`{value}` is not a regular expression: {error}") from None


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags of the command, by the names that click gives them."""

    paths: tuple[Path, ...]
    verbose: bool
    pattern: Regex | None
    format_: str
    coverage: bool
    coverage_runs: tuple[str, ...]
    threshold: float
    exit_zero_on_skipped: bool
    fail_on_empty: bool
    count: int
    bench: bool
    benchmem: bool
    timeout: int | None
    explain: str | None
    bundle: bool
    var_values: bool
    schema: Path | None
    v0_compatible: bool
    send: Send | None

    @property
    def is_covering(self) -> bool:
        return self.coverage or self.threshold > 0

    @property
    def is_verbose(self) -> bool:
        """Whether every test is shown: also, as in OPA, where traces are."""
        return self.verbose or self.explain is not None

    @property
    def timeout_ns(self) -> int:
        """The time that a test may take; 0 for no limit."""
        return self.timeout if self.timeout is not None else _BENCH_TIMEOUT_NS if self.bench else _TIMEOUT_NS

    def check(self) -> None:
        """Raise UsageError for flags that do not go together."""
        if self.bench and self.is_covering:
            raise click.UsageError("coverage reporting is not supported when benchmarking tests")
        if self.format_ == "gobench" and not self.bench:
            raise click.UsageError("--format gobench shows benchmarks: it goes with --bench")


@click.command("test")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--verbose", "-v", is_flag=True, help="Show every test, and the source of those that fail.")
@click.option("--run", "-r", "pattern", callback=_pattern, metavar="REGEX", help="Only tests whose name (data.package.test_x) matches.")
@click.option("--format", "-f", "format_", type=click.Choice(["pretty", "json", "gobench"]), default="pretty", show_default=True)
@click.option("--coverage", "-c", is_flag=True, help="Report what the tests cover, as JSON, if they pass.")
@click.option("--coverage-runs", callback=coverage.runs, default=",".join(RUNS), show_default=True, metavar="RUNS", help="… and why not.")
@click.option("--threshold", type=click.FloatRange(0, 100), default=0, metavar="PERCENT", help="Fail if less of the lines is covered.")
@click.option("--exit-zero-on-skipped", "-z", is_flag=True, help="Skipped tests are no failure.")
@click.option("--fail-on-empty", is_flag=True, help="Fail if no test was run.")
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="How often; ends at the first failure.")
@click.option("--bench", is_flag=True, help="Measure the tests that pass.")
@click.option("--benchmem", is_flag=True, help="As OPA's; allocations are not counted.")
@click.option(
    "--timeout", callback=limits.duration, metavar="DURATION", help="What a test may take, as `1.5s`.  [default: 5s, 30s with --bench]"
)
@click.option("--explain", type=click.Choice(list(map(str, Explain))), help="Show the traces of tests that fail.")
@click.option("--var-values", is_flag=True, help="Show the values of variables in traces; elsewhere they are shown always.")
@click.option("--bundle", "-b", is_flag=True, help="As OPA's; policies are always loaded as bundles are.")
@click.option("--schema", "-s", type=click.Path(path_type=Path), metavar="PATH", help="JSON schema of the input, or a directory of them.")
@click.option("--v0-compatible", is_flag=True, help="Read policies as Rego v0.")
@sending_flags
def test(**values: Any) -> None:
    """Run the tests (rules named test_...) of the policies at PATH, directories or files."""
    flags = Flags(**values)
    flags.check()
    source = loading.load(flags.paths)
    version = 0 if flags.v0_compatible else 1
    try:
        schemas = loading.load_schemas(flags.schema)
        suite = compile_suite(
            source.modules, source.data, source.versions(version), prints=not flags.bench, send=flags.send, schemas=schemas
        )
    except CompileError as error:
        raise checking.explained(error, source, version) from None
    for _ in range(flags.count):
        code = _Run(flags, suite, source).exit_code()
        if code:
            sys.exit(code)


class _Run:
    """One run of the tests that match."""

    def __init__(self, flags: Flags, suite: Suite, source: PolicySource) -> None:
        self._flags = flags
        self._suite = suite
        self._modules = source.modules
        found = (one for one in suite.tests if flags.pattern is None or flags.pattern.contains(one.full_name))
        self._tests = [replace(one, is_skipped=False) if flags.bench else one for one in found]

    def exit_code(self) -> int:
        """Run, report, and return what OPA's runner ends with."""
        flags = self._flags
        results = [self._timed(one) for one in self._tests]
        failed = [timed for timed in results if timed.result.outcome in {Outcome.FAIL, Outcome.ERROR}]
        if flags.is_covering and failed:
            self._report(failed)
            first = failed[0]
            click.echo(first.result.error or reporting.headline(first), err=True)
            return EXIT_NOT_COVERED
        if flags.is_covering:
            covered = self._suite.coverage(self._tests, time.time_ns(), flags.coverage_runs)
            missed = coverage.below_threshold(covered, flags.threshold, flags.verbose)
            if missed is not None:
                click.echo(missed, nl=False, err=True)
                return EXIT_FAILED
            print_json(coverage.coverage_json(covered))
        elif flags.format_ == "json":
            print_json(reporting.json_report(results))
        else:
            self._report(results)
        if not results:
            _say_empty(self._suite, flags.pattern)
        return EXIT_EMPTY if flags.fail_on_empty and not results else _exit_code(results, flags.exit_zero_on_skipped)

    def _timed(self, one: RegoTest) -> Timed:
        """Run a test and measure it; with `--explain`, have one that fails tell what it does."""
        now_ns, started = time.time_ns(), time.perf_counter_ns()
        result = self._result(one, now_ns)
        benchmark = measure(self._suite.evaluation(one, now_ns)) if self._flags.bench and result.outcome is Outcome.PASS else None
        timed = Timed(result, 0 if one.is_skipped else time.perf_counter_ns() - started, benchmark)
        if self._flags.explain is None or result.outcome is not Outcome.FAIL or one.is_function:
            return timed
        events: list[Event] = []
        with self._limited():
            self._suite.observe(one, now_ns, events.append)
        return replace(timed, trace=explained(events, Explain(self._flags.explain)))

    def _result(self, one: RegoTest, now_ns: int) -> Result:
        try:
            with limits.time_limit(self._flags.timeout_ns):
                return self._suite.run(one, now_ns)
        except EvalError as error:  # the time was up before it began, or when it had ended
            return Result(one, Outcome.ERROR, error=error)

    def _report(self, results: list[Timed]) -> None:
        stops: dict[tuple[tuple[str, ...], tuple[str, ...]], Stop] = {}
        for timed in results:
            with self._limited():
                stops |= self._suite.explain([timed.result], time.time_ns())
        style = reporting.Style(self._flags.is_verbose, self._flags.var_values, is_gobench=self._flags.format_ == "gobench")
        report = reporting.Report(self._suite, self._modules, stops, style)
        click.echo("".join(f"{line}\n" for line in report.lines(results)), nl=False)

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """Limit the time for what is only told of a test; what is known when it is up is told."""
        with suppress(EvalError), limits.time_limit(self._flags.timeout_ns):
            yield


def _exit_code(results: list[Timed], exit_zero_on_skipped: bool) -> int:
    good = {Outcome.PASS, Outcome.SKIPPED} if exit_zero_on_skipped else {Outcome.PASS}
    return 0 if all(timed.result.outcome in good for timed in results) else EXIT_FAILED


def _say_empty(suite: Suite, pattern: Regex | None) -> None:
    if pattern is None:
        click.echo("no tests found: a test is a rule whose name begins with `test_`", err=True)
    elif suite.tests:
        known = ", ".join(one.full_name for one in suite.tests[:3])
        click.echo(f"no test matches `{pattern.pattern}`; tests are called {known}{' …' if len(suite.tests) > 3 else ''}", err=True)
    else:
        click.echo("no tests found", err=True)
