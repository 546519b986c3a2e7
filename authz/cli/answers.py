"""The formats of `authz eval`: solutions of a query → text, as OPA's formats of the same names.

Knows neither policies nor how a query is answered.
"""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from authz.cli.output import json_line, json_lines, value_json
from authz.rego.queries import Expression, Solution
from authz.rego.values import Boolean, Value

SHOWN_CELL: Final = 80
"""Characters of a value in a table."""

_WIDE: Final = 1_000_000  # a table is as wide as what is in it, also where nobody looks: in a pipe

Expressions = tuple[Expression, ...]


def as_json(expressions: Expressions, solutions: list[Solution]) -> str:
    """Return OPA's result set; `{}` for undefined."""
    if not solutions:
        return "{}\n"
    return json_lines({"result": [_json_solution(expressions, solution) for solution in solutions]}) + "\n"


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


def as_values(_: Expressions, solutions: list[Solution]) -> str:
    """Return an array of the expressions' values for each solution."""
    return "".join(json_lines([value_json(value) for value in solution.values]) + "\n" for solution in solutions)


def as_bindings(_: Expressions, solutions: list[Solution]) -> str:
    """Return an object of the variables for each solution."""
    return "".join(json_lines(_json_bindings(solution)) + "\n" for solution in solutions)


def as_raw(_: Expressions, solutions: list[Solution]) -> str:
    """Return a line for each solution: strings as they are, other values as JSON."""
    return "".join(" ".join(_raw(value) for value in solution.values) + "\n" for solution in solutions)


def _raw(value: Value) -> str:
    return value if isinstance(value, str) else json_line(value_json(value))


def as_pretty(expressions: Expressions, solutions: list[Solution]) -> str:
    """Return the value, if it is the only thing there is to say, else a table; or `undefined`."""
    if not solutions:
        return "undefined\n"
    first = solutions[0]
    is_one_value = len(first.values) == 1 or all(isinstance(value, Boolean) for value in first.values)
    if len(solutions) == 1 and not first.bindings and is_one_value:
        return json_lines(value_json(first.values[0])) + "\n"
    return _table(expressions, solutions)


def _table(expressions: Expressions, solutions: list[Solution]) -> str:
    first = solutions[0]
    names = sorted(first.bindings)
    columns = [index for index, value in enumerate(first.values) if not names or not isinstance(value, Boolean)]
    table = Table(box=box.ASCII2)
    for title in [*names, *(expressions[index].text for index in columns)]:
        table.add_column(Text(title), no_wrap=True)
    for solution in solutions:
        values = [solution.bindings[name] for name in names] + [solution.values[index] for index in columns]
        table.add_row(*[Text(_cell(value)) for value in values])
    output = StringIO()
    Console(file=output, width=_WIDE, color_system=None).print(table)
    return output.getvalue()


def _cell(value: Value) -> str:
    text = json_line(value_json(value))
    return text if len(text) <= SHOWN_CELL else text[:SHOWN_CELL] + "..."


FORMATS: Final[dict[str, Callable[[Expressions, list[Solution]], str]]] = {
    "json": as_json,
    "pretty": as_pretty,
    "raw": as_raw,
    "values": as_values,
    "bindings": as_bindings,
}
