"""The formats of `authz eval`: an answer → text, as OPA's formats of the same names.

Knows neither policies nor how a query is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from authz.cli.asking import Answer
from authz.cli.coverage import SHOWN_DIGITS, coverage_json, share
from authz.cli.output import errors_json, json_line, json_lines, value_json
from authz.cli.profiles import metrics_json, metrics_table, profile_json, profile_table
from authz.cli.tables import table
from authz.cli.trace_json import explanation_json
from authz.rego.nodes import Location
from authz.rego.observed.trace import Explain, explained, lines
from authz.rego.queries import Expression, Solution
from authz.rego.values import Boolean, Value

Expressions = tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """How an answer is shown: what of a trace and of a profile, and how many characters of a value in a table."""

    query: str = ""
    explain: Explain = Explain.FULL
    with_variables: bool = False
    profile_sort: tuple[str, ...] = ()
    profile_limit: int = 10
    pretty_limit: int = 80


class Report:
    """The answers of all repetitions of one question. What is shown is the last one's; measured is each."""

    def __init__(self, answers: Sequence[Answer], shown: Shown) -> None:
        self._answers = answers
        self._last = answers[-1]
        self._shown = shown

    def text(self, format_: str) -> str:
        """Return what goes to standard output."""
        return self._formats[format_](self)

    # JSON

    def _as_json(self) -> str:
        """Return OPA's output; `{}` for undefined."""
        return json_lines(self._told(self._result())) + "\n"

    def _as_discarded(self) -> str:
        """Return everything but the solutions."""
        return json_lines(self._told({"result": "discarded"} if self._last.solutions else {})) + "\n"

    def _result(self) -> dict[str, Any]:
        last = self._last
        errors = last.failures if last.error is None else [last.error]
        if errors:
            return {"errors": [item for error in errors for item in errors_json(error)]}
        return {"result": [_json_solution(last.expressions, solution) for solution in last.solutions]} if last.solutions else {}

    def _told(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return a document with what is told besides the answer, in OPA's order."""
        shown, prefix = self._shown, "" if len(self._answers) == 1 else "aggregated_"
        if metrics := self._metrics():
            document[prefix + "metrics"] = metrics_json(metrics)
        if self._last.explanation is not None and (events := explained(self._last.explanation, shown.explain)):
            document["explanation"] = explanation_json(events)
        if runs := self._profiles():
            document[prefix + "profile"] = profile_json(runs, shown.profile_sort, shown.profile_limit)
        if self._last.coverage is not None:
            document["coverage"] = coverage_json(self._last.coverage)
        return document

    def _metrics(self) -> list[dict[str, int]]:
        return [one.metrics for one in self._answers if one.metrics is not None]

    def _profiles(self) -> list[Any]:
        return [one.profile for one in self._answers if one.profile is not None]

    # For scripts

    def _as_values(self) -> str:
        """Return an array of the expressions' values for each solution."""
        return "".join(json_lines([value_json(value) for value in solution.values]) + "\n" for solution in self._last.solutions)

    def _as_bindings(self) -> str:
        """Return an object of the variables for each solution."""
        return "".join(json_lines(_json_bindings(solution)) + "\n" for solution in self._last.solutions)

    def _as_raw(self) -> str:
        """Return a line for each solution: strings as they are, other values as JSON."""
        return "".join(" ".join(map(_raw, solution.values)) + "\n" for solution in self._last.solutions)

    # For people

    def _as_pretty(self) -> str:
        """Return the trace, the answer, and tables of what was measured."""
        shown, last = self._shown, self._last
        trace = lines(explained(last.explanation or [], shown.explain), with_variables=shown.with_variables)
        text = "".join(f"{line}\n" for line in trace)
        if last.error is None and not last.failures:
            text += self._pretty_result()
        if metrics := self._metrics():
            text += metrics_table(metrics)
        if runs := self._profiles():
            text += profile_table(runs, shown.profile_sort, shown.profile_limit, self._query_text)
        if last.coverage is not None:
            text += table([], [["Overall Coverage", f"{share(last.coverage):.{SHOWN_DIGITS}f}"]])
        return text

    def _query_text(self, location: Location) -> str:
        """Return the expression of the query that is at a place."""
        found = (item.text for item in self._last.expressions if (item.location.row, item.location.col) >= (location.row, location.col))
        return next(found, self._shown.query)

    def _pretty_result(self) -> str:
        """Return the value, if it is the only thing there is to say, else a table; or `undefined`."""
        expressions, solutions = self._last.expressions, self._last.solutions
        if not solutions:
            return "undefined\n"
        first = solutions[0]
        is_one_value = len(first.values) == 1 or all(isinstance(value, Boolean) for value in first.values)
        if len(solutions) == 1 and not first.bindings and is_one_value:
            return json_lines(value_json(first.values[0])) + "\n"
        names = sorted(first.bindings)
        columns = [index for index, value in enumerate(first.values) if not names or not isinstance(value, Boolean)]
        rows = [[*(one.bindings[name] for name in names), *(one.values[index] for index in columns)] for one in solutions]
        return table([*names, *(expressions[index].text for index in columns)], [[self._cell(value) for value in row] for row in rows])

    def _cell(self, value: Value) -> str:
        text, limit = json_line(value_json(value)), self._shown.pretty_limit
        return text if limit == 0 or len(text) <= limit else text[:limit] + "..."

    _formats: Final[dict[str, Callable[[Report], str]]] = {
        "json": _as_json,
        "pretty": _as_pretty,
        "raw": _as_raw,
        "values": _as_values,
        "bindings": _as_bindings,
        "discard": _as_discarded,
    }

    FORMATS: Final = tuple(_formats)


def _json_solution(expressions: Expressions, solution: Solution) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "expressions": [
            {"value": value_json(value), "text": item.text, "location": {"row": item.location.row, "col": item.location.col}}
            for item, value in zip(expressions, solution.values, strict=True)
        ]
    }
    if solution.bindings:
        shown["bindings"] = _json_bindings(solution)
    return shown


def _json_bindings(solution: Solution) -> dict[str, Any]:
    return {name: value_json(solution.bindings[name]) for name in sorted(solution.bindings)}


def _raw(value: Value) -> str:
    return value if isinstance(value, str) else json_line(value_json(value))
