"""`authz test`: run the tests of policies. Owns flags, the clock and exit codes; the shape of reports is `reporting`'s."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

import click

from authz.cli import reporting
from authz.cli.loading import explained, load
from authz.cli.output import print_json
from authz.cli.reporting import Timed
from authz.rego.builtins.regex import Regex
from authz.rego.builtins.regex_syntax import PatternError
from authz.rego.errors import CompileError
from authz.testing import Outcome, Suite, compile_suite

EXIT_FAILED: Final = 2
"""A test failed, ended in an error, or was skipped without `-z`: OPA's code."""

EXIT_EMPTY: Final = 1


def _pattern(_: click.Context, __: click.Parameter, value: str | None) -> Regex | None:
    """Compile a regular expression as OPA's tools take it: RE2."""
    try:
        return None if value is None else Regex(value)
    except PatternError as error:
        raise click.BadParameter(f"`{value}` is not a regular expression: {error}") from None


@click.command("test")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--verbose", "-v", is_flag=True, help="Show every test, and the source of those that fail.")
@click.option("--run", "-r", "pattern", callback=_pattern, metavar="REGEX", help="Only tests whose name (data.package.test_x) matches.")
@click.option("--format", "-f", "format_", type=click.Choice(["pretty", "json"]), default="pretty", show_default=True)
@click.option("--exit-zero-on-skipped", "-z", is_flag=True, help="Skipped tests are no failure.")
@click.option("--fail-on-empty", is_flag=True, help="Fail if no test was run.")
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="How often; ends at the first failure.")
@click.option("--bundle", "-b", is_flag=True, help="As OPA's; policies are always loaded as bundles are.")
@click.option("--var-values", is_flag=True, help="As OPA's; variables are always shown.")
@click.option("--v0-compatible", is_flag=True, help="Read policies as Rego v0.")
def test(  # noqa: PLR0913 - flags
    paths: tuple[Path, ...],
    verbose: bool,
    pattern: Regex | None,
    format_: str,
    exit_zero_on_skipped: bool,
    fail_on_empty: bool,
    count: int,
    bundle: bool,  # noqa: ARG001
    var_values: bool,  # noqa: ARG001
    v0_compatible: bool,
) -> None:
    """Run the tests (rules named test_...) of the policies at PATH, directories or files."""
    source = load(paths)
    try:
        suite = compile_suite(source.modules, source.data, 0 if v0_compatible else 1)
    except CompileError as error:
        raise explained(error, source.modules, 0 if v0_compatible else 1) from None
    for _ in range(count):
        results = run(suite, pattern)
        if format_ == "json":
            print_json(reporting.json_report(results))
        else:
            stops = suite.explain([timed.result for timed in results], time.time_ns())
            click.echo("".join(f"{line}\n" for line in reporting.Report(suite, source.modules, stops, verbose).lines(results)), nl=False)
        if not results:
            _say_empty(suite, pattern)
        code = EXIT_EMPTY if fail_on_empty and not results else exit_code(results, exit_zero_on_skipped)
        if code:
            sys.exit(code)


def run(suite: Suite, pattern: Regex | None) -> list[Timed]:
    """Run the tests that match and measure each."""
    results: list[Timed] = []
    for one in suite.tests:
        if pattern is None or pattern.contains(one.full_name):
            now_ns, started = time.time_ns(), time.perf_counter_ns()
            result = suite.run(one, now_ns)
            results.append(Timed(result, 0 if one.is_skipped else time.perf_counter_ns() - started))
    return results


def exit_code(results: list[Timed], exit_zero_on_skipped: bool) -> int:
    """Return what OPA's runner ends with."""
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
