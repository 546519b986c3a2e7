"""What the keywords of a JSON schema may hold, apart from schemas; errors are those of OPA's gojsonschema.

Each function takes a schema's document and returns what one or more keywords say, or
raises SchemaError. Knows nothing of references and of what is validated.
"""

from __future__ import annotations

import math
from typing import Final, NoReturn

from authz.rego.builtins.regex import Regex, compiled
from authz.rego.builtins.regex_syntax import PatternError
from authz.rego.builtins.yaml_scalars import json_number
from authz.rego.numbers import NUMBERS, as_index, parse
from authz.rego.render import json_text
from authz.rego.values import Boolean, Number, Object, Value, number_text

ANY_DRAFT: Final = 99
"""No draft is named: keywords of all drafts count, and the older meanings too."""

_INT_LENGTH: Final = 20
_TYPES: Final = ("array", "boolean", "integer", "number", "null", "object", "string")


class SchemaError(ValueError):
    """The document is no JSON schema."""


def wrong_type(expected: str, given: str) -> NoReturn:
    raise SchemaError(f"Invalid type. Expected: {expected}, given: {given}")


def text(document: Object, key: str) -> str | None:
    value = document.get(key)
    if value is not None and not isinstance(value, str):
        wrong_type("string", key)
    return value


def array(document: Object, key: str) -> tuple[Value, ...]:
    value = document.get(key)
    if value is None:
        return ()
    if not isinstance(value, tuple):
        raise SchemaError(f"{key} must be of an array")
    return value


def types(document: Object) -> tuple[str, ...]:
    value = document.get("type")
    if value is None:
        return ()
    found: list[str] = []
    for name in value if isinstance(value, tuple) else (value,):
        if not isinstance(name, str):
            wrong_type("type", "string/Array Of Strings")
        if name not in _TYPES:
            valid = " ".join(_TYPES)
            raise SchemaError(f"has a primitive type that is NOT VALID -- given: /{name}/ Expected valid values are:[{valid}]")
        if name in found:
            raise SchemaError(f"{name} type is duplicated")
        found.append(name)
    return tuple(found)


def bounds(document: Object, draft: int) -> dict[str, Number]:
    """Return multipleOf and the limits of numbers; a draft 4 limit that is made exclusive counts as such."""
    bounds: dict[str, Number] = {}
    multiple = document.get("multipleOf")
    if multiple is not None:
        if not isinstance(multiple, NUMBERS):
            wrong_type("Number", "multipleOf")
        if multiple <= 0:
            raise SchemaError("multipleOf must be strictly greater than 0")
        bounds["multipleOf"] = multiple
    for key, exclusive_key in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        limit, exclusive = document.get(key), document.get(exclusive_key)
        if limit is not None:
            if not isinstance(limit, NUMBERS):
                raise SchemaError(f"{key} must be of a Number")
            bounds[key] = limit
        if isinstance(exclusive, Boolean) and draft in (4, ANY_DRAFT):
            if limit is None:
                raise SchemaError(f"{exclusive_key} cannot be used without {key}")
            if exclusive:
                bounds[exclusive_key] = bounds.pop(key)
        elif isinstance(exclusive, NUMBERS) and draft != 4:
            bounds[exclusive_key] = exclusive
        elif exclusive is not None:
            wrong_type({4: "boolean", ANY_DRAFT: "boolean/number"}.get(draft, "number"), exclusive_key)
    return bounds


def counts(document: Object, least: str, most: str, *, ordered: bool = True) -> dict[str, int]:
    """Return a pair of limits of a size; `ordered`: the lower one must not be above the other."""
    counts: dict[str, int] = {}
    for key in (least, most):
        value = document.get(key)
        if value is None:
            continue
        number = _integer(value)
        if number is None:
            raise SchemaError(f"{key} must be of an integer")
        if number < 0:
            raise SchemaError(f"{key} must be greater than or equal to 0")
        counts[key] = number
    if ordered and len(counts) == 2 and counts[least] > counts[most]:
        raise SchemaError(f"{least} cannot be greater than {most}")
    return counts


def _integer(value: Value) -> int | None:
    """Return a number that is written as an integer of 64 bits."""
    text = number_text(value) if isinstance(value, NUMBERS) else ""
    return as_index(int(text)) if text.removeprefix("-").isdecimal() and len(text) <= _INT_LENGTH else None


def pattern(document: Object) -> Regex | None:
    """Return the pattern that a string has to have a match of."""
    value = text(document, "pattern")
    return None if value is None else _compiled(value, "pattern must be a valid regex")


def property_pattern(source: str) -> Regex:
    """Return the pattern of the names that a key of `patternProperties` is about."""
    return _compiled(source, f"Invalid regex pattern '{source}'")


def _compiled(source: str, failure: str) -> Regex:
    try:
        return compiled(source)
    except PatternError:
        raise SchemaError(failure) from None


def required(document: Object) -> tuple[str, ...]:
    found: list[str] = []
    for name in array(document, "required"):
        if not isinstance(name, str):
            wrong_type("string", "required")
        if name in found:
            raise SchemaError("required items must be unique")
        found.append(name)
    return tuple(found)


def enum(document: Object) -> tuple[str, ...] | None:
    """Return the values that are allowed, as their JSON."""
    if "enum" not in document:
        return None
    values = tuple(map(plain_json, array(document, "enum")))
    if len(set(values)) < len(values):
        raise SchemaError("enum items must be unique")
    return values


def plain_json(value: Value) -> str:
    """Return the value's JSON with its numbers as doubles: what gojsonschema compares."""
    return json_text(_with_doubles(value))


def _with_doubles(value: Value) -> Value:
    if isinstance(value, NUMBERS):
        number = float(value)
        if math.isinf(number):
            raise SchemaError(f"json: cannot unmarshal number {number_text(value)} into Go value of type float64")
        return parse(json_number(number))
    if isinstance(value, Object):
        return Object((key, _with_doubles(item)) for key, item in value.items())
    return tuple(map(_with_doubles, value)) if isinstance(value, tuple) else value
