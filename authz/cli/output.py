"""How the commands print: JSON as OPA lays it out, errors in OPA's shape, durations as Go writes them.

Knows no command and no policy.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import click
import orjson

from authz.errors import AuthzError
from authz.rego.errors import CompileError, EvalError
from authz.rego.nodes import Location
from authz.rego.values import Document, Number, Object, Set, Value, json_key, number_text, to_json

_INT64: Final = 2**63


def json_lines(document: Document) -> str:
    """Return a document as JSON, indented by two, numbers exact at any size."""
    try:
        return orjson.dumps(document, default=_number, option=orjson.OPT_INDENT_2).decode()
    except TypeError:  # an integer beyond 64 bits, or half of a surrogate pair
        return orjson.dumps(_plain(document), default=_number, option=orjson.OPT_INDENT_2).decode()


def json_line(document: Document) -> str:
    """Return a document as one line of JSON without spaces."""
    try:
        return orjson.dumps(document, default=_number).decode()
    except TypeError:
        return orjson.dumps(_plain(document), default=_number).decode()


def value_json(value: Value) -> Document:
    """Return a value as JSON that prints as OPA prints it: as `to_json`, but every number as its source wrote it."""
    if isinstance(value, Object):
        texts = {json_key(key): value_json(value[key]) for key in value.ordered() if not isinstance(key, str)}
        return texts | {key: value_json(value[key]) for key in value.ordered() if isinstance(key, str)}
    if isinstance(value, Set | tuple):
        return [value_json(item) for item in (value.ordered() if isinstance(value, Set) else value)]
    return value if isinstance(value, Decimal) else to_json(value)


def _number(value: Number) -> orjson.Fragment:
    return orjson.Fragment(number_text(value))


def _plain(document: Document) -> Document:
    if isinstance(document, dict):
        return {_plain(key): _plain(item) for key, item in document.items()}
    if isinstance(document, list | tuple):
        return [_plain(item) for item in document]
    if isinstance(document, str):
        return document.encode("utf-8", "replace").decode()
    if isinstance(document, int) and not -_INT64 <= document < _INT64:
        return _number(document)
    return document


def print_json(document: Document, *, err: bool = False) -> None:
    """Print a document on stdout or stderr."""
    click.echo(json_lines(document), err=err)


def location_json(location: Location) -> dict[str, Any]:
    """Return a place in a file as OPA writes it."""
    return {"file": location.file, "row": location.row, "col": location.col}


def errors_json(error: AuthzError, limit: int = 0) -> list[dict[str, Any]]:
    """Return an error's findings as OPA writes them, at most `limit` of them unless that is 0."""
    if isinstance(error, CompileError):
        shown = error.diagnostics[: limit or None]
        return [_error_json(item.message, item.code, item.location, item.help, item.details) for item in shown]
    if isinstance(error, EvalError):
        return [_error_json(error.message, error.code, error.location, None)]
    return [_error_json(error.message, error.code, None, error.help)]


def _error_json(message: str, code: str, location: Location | None, help: str | None, lines: tuple[str, ...] = ()) -> dict[str, Any]:
    found: dict[str, Any] = {"message": message, "code": str(code)}
    if location is not None and location.row:
        found["location"] = location_json(location)
    details = ({"help": help} if help else {}) | ({"lines": list(lines)} if lines else {})
    return found | ({"details": details} if details else {})


def plain_number(value: float) -> int | float:
    """Return a number as Go prints it in JSON: a whole one without a fraction."""
    return int(value) if value == int(value) else value


_UNITS: Final = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"))


def duration_text(duration_ns: int) -> str:
    """Return a duration as Go prints it: `1.5ms`, `20µs`, `2.25s`."""
    for size, unit in _UNITS:
        if duration_ns >= size:
            return f"{duration_ns / size:.6f}".rstrip("0").rstrip(".") + unit
    return f"{duration_ns}ns" if duration_ns else "0s"
