"""`authz eval`: ask the policies one query. Owns flags, input and exit codes; asking is `asking`'s, the formats are `answers`'s."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

from authz.cli import coverage, limits
from authz.cli.answers import Report, Shown
from authz.cli.asking import Question, ask
from authz.cli.loading import load_schemas, read_input, read_stdin_input
from authz.cli.output import errors_json, print_json
from authz.cli.profiles import CRITERIA
from authz.cli.sending import Send, sending_flags
from authz.errors import AuthzError
from authz.rego.errors import CompileError
from authz.rego.observed.coverage import RUNS
from authz.rego.observed.trace import Explain
from authz.rego.values import Value

EXIT_FAIL: Final = 1
"""The answer is what `--fail` or `--fail-defined` refuses."""

EXIT_ERROR: Final = 2
"""Policies, query or input are wrong, or the evaluation ended in an error: OPA's code."""


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags of the command, by the names that click gives them."""

    query: str | None
    data: tuple[Path, ...]
    bundle: tuple[Path, ...]
    input_file: Path | None
    stdin_input: bool
    stdin: bool
    format_: str
    fail: bool
    fail_defined: bool
    strict_builtin_errors: bool
    show_builtin_errors: bool
    strict: bool
    package: str | None
    imports: tuple[str, ...]
    explain: str
    var_values: bool
    coverage: bool
    coverage_runs: tuple[str, ...]
    profile: bool
    profile_limit: int | None
    profile_sort: tuple[str, ...]
    metrics: bool
    count: int
    timeout: int
    pretty_limit: int
    schema: Path | None
    v0_compatible: bool
    send: Send | None

    def check(self) -> None:
        """Raise UsageError for flags that exclude each other."""
        _refuse("--fail and --fail-defined", self.fail and self.fail_defined)
        _refuse("--input and --stdin-input", self.input_file is not None and self.stdin_input)
        _refuse("--stdin and --stdin-input", self.stdin and self.stdin_input)
        _refuse("QUERY and --stdin", self.stdin and self.query is not None)
        if self.query is None and not self.stdin:
            raise click.UsageError("give a query, as in `authz eval -d policies/ data.envoy.authz.allow`, or --stdin")

    def question(self) -> Question:
        """Return what is asked. Raises SourceError for an input or schemas that cannot be read."""
        profile = self.profile or self.profile_limit is not None or bool(self.profile_sort)
        return Question(
            sys.stdin.read() if self.query is None else self.query,
            (*self.data, *self.bundle),
            self._document(),
            0 if self.v0_compatible else 1,
            strict=self.strict,
            schemas=load_schemas(self.schema),
            strict_builtin_errors=self.strict_builtin_errors,
            show_builtin_errors=self.show_builtin_errors,
            package=self.package,
            imports=self.imports,
            explain=self.explain != "off",
            profile=profile,
            metrics=self.metrics or profile,
            coverage=self.coverage_runs if self.coverage else None,
            timeout_ns=self.timeout,
            send=self.send,
        )

    def _document(self) -> Value | None:
        """Return the input document; None, undefined, if none is given."""
        if self.stdin_input:
            return read_stdin_input()
        return None if self.input_file is None else read_input(self.input_file)

    def shown(self, query: str) -> Shown:
        explain = Explain.FULL if self.explain == "off" else Explain(self.explain)
        limit = _PROFILE_LIMIT if self.profile_limit is None else self.profile_limit
        return Shown(query, explain, self.var_values, self.profile_sort, limit, self.pretty_limit)


_PROFILE_LIMIT: Final = 10
_PATH: Final = click.Path(path_type=Path)


@click.command("eval")
@click.argument("query", required=False)
@click.option("--data", "-d", multiple=True, type=_PATH, metavar="PATH", help="Policies and data; repeatable.")
@click.option("--bundle", "-b", multiple=True, type=_PATH, metavar="PATH", help="The same as --data.")
@click.option("--input", "-i", "input_file", type=_PATH, metavar="FILE", help="The input document, JSON or YAML.")
@click.option("--stdin-input", "-I", is_flag=True, help="Read the input document from standard input, JSON.")
@click.option("--stdin", is_flag=True, help="Read the query from standard input.")
@click.option("--format", "-f", "format_", type=click.Choice(Report.FORMATS), default="json", show_default=True)
@click.option("--package", metavar="PATH", help="The package that the query stands in.")
@click.option("--import", "imports", multiple=True, metavar="PATH", help="What the query imports, as `data.x as y`; repeatable.")
@click.option("--fail", is_flag=True, help="Exit with 1 if the query is undefined.")
@click.option("--fail-defined", is_flag=True, help="Exit with 1 if the query is defined.")
@click.option("--strict-builtin-errors", is_flag=True, help="The first built-in that fails ends the evaluation.")
@click.option("--show-builtin-errors", is_flag=True, help="Show the built-ins that fail, instead of the answer.")
@click.option("--strict", "-S", is_flag=True, help="Also refuse unused local variables, arguments and imports.")
@click.option(
    "--explain", type=click.Choice(["off", *map(str, Explain)]), default="off", show_default=True, help="Show the trace of the evaluation."
)
@click.option("--var-values", is_flag=True, help="Show the values of variables in a trace.")
@click.option("--coverage", is_flag=True, help="Report which lines were evaluated.")
@click.option("--coverage-runs", callback=coverage.runs, default=",".join(RUNS), show_default=True, metavar="RUNS", help="… and why not.")
@click.option("--profile", is_flag=True, help="Report where the time went.")
@click.option("--profile-limit", type=click.IntRange(0), metavar="N", help="How many lines of a profile; 0 for all.  [default: 10]")
@click.option("--profile-sort", multiple=True, type=click.Choice(CRITERIA), help="What a profile is sorted by; repeatable.")
@click.option("--metrics", is_flag=True, help="Report how long parsing, compiling and evaluating took.")
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="How often; measures become statistics.")
@click.option("--timeout", callback=limits.duration, default="0", metavar="DURATION", help="End an evaluation that takes longer (`1.5s`).")
@click.option("--pretty-limit", type=click.IntRange(0), default=80, metavar="N", help="Characters of a table's values; 0 for all.")
@click.option("--schema", "-s", type=_PATH, metavar="PATH", help="JSON schema of the input, or a directory of them.")
@click.option("--v0-compatible", is_flag=True, help="Read policies and query as Rego v0.")
@sending_flags
def eval_command(**flags: Any) -> None:
    """Evaluate QUERY and print its solutions."""
    found = Flags(**flags)
    found.check()
    try:
        question = found.question()
        answers = [ask(question, partial(click.echo, err=True)) for _ in range(found.count)]
    except AuthzError as error:
        _report(error, found.format_)
        sys.exit(EXIT_ERROR)
    click.echo(Report(answers, found.shown(question.query)).text(found.format_), nl=False)
    last = answers[-1]
    if found.format_ not in _JSON:
        for failure in last.failures if last.error is None else [last.error]:
            click.echo(f"error: {failure}", err=True)
    if last.error is not None:
        sys.exit(EXIT_ERROR)
    if (found.fail and not last.solutions) or (found.fail_defined and last.solutions):
        sys.exit(EXIT_FAIL)


_JSON: Final = ("json", "discard")


def _refuse(what: str, is_given: bool) -> None:
    if is_given:
        raise click.UsageError(f"{what} exclude each other")


def _report(error: AuthzError, format_: str) -> None:
    if format_ in _JSON:
        print_json({"errors": errors_json(error)})
    else:
        click.echo(f"{error}" if isinstance(error, CompileError) else f"error: {error}", err=True)
