"""`json.verify_schema` and `json.match_schema`: JSON Schema of drafts 4, 6 and 7, as OPA's gojsonschema has it.

Owns operands and results. What a schema may say is in `json_schema_parser` and
`json_schema_keywords`, what that means for a document in `json_schema_check`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from authz.rego.builtins.documents import value_of_json
from authz.rego.builtins.json_schema_check import CheckError, Finding, check
from authz.rego.builtins.json_schema_keywords import SchemaError
from authz.rego.builtins.json_schema_parser import Schema, parse_schema
from authz.rego.builtins.registry import ANY, ARRAY, builtin
from authz.rego.errors import BuiltinError
from authz.rego.render import to_text
from authz.rego.values import FALSE, NULL, TRUE, Object, Set, Value, boolean, json_key

_SCHEMAS_KEPT: Final = 64
"""Schemas that stay parsed: a policy has few, and each decision would read them again."""


@builtin("json.verify_schema", ANY, result=ARRAY)
def verify_schema(schema: Value) -> Value:
    """Return whether the operand is a schema, with the reason if it is none."""
    try:
        _parsed(_Operand(schema))
    except ValueError as error:
        return (FALSE, f"jsonschema: {error}")
    return (TRUE, NULL)


@builtin("json.match_schema", ANY, ANY, result=ARRAY)
def match_schema(document: Value, schema: Value) -> Value:
    """Return whether the document fits the schema, with everything that does not."""
    try:
        checked = _document(document)
        findings = check(_parsed(_Operand(schema)), checked)
    except (SchemaError, CheckError, ValueError) as error:
        raise BuiltinError(f"json.match_schema: {error}") from None
    return (boolean(not findings), tuple(map(_described, findings)))


class _Operand:
    """A schema as it is written: equal operands can differ in the text of a number, and a length cannot be `2.0`."""

    def __init__(self, value: Value) -> None:
        self.value = value

    def __hash__(self) -> int:
        return hash(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Operand) and (self.value is other.value or to_text(self.value) == to_text(other.value))


@lru_cache(_SCHEMAS_KEPT)
def _parsed(operand: _Operand) -> Schema:
    return parse_schema(_document(operand.value))


def _document(operand: Value) -> Value:
    """Return the JSON document that an operand is, or that its text is. Raises ValueError."""
    if isinstance(operand, str):
        try:
            return value_of_json(operand)
        except ValueError:
            raise SchemaError("invalid JSON string") from None
    if not isinstance(operand, Object | tuple):
        raise SchemaError("wrong type, expected string or object")
    return _as_json(operand)


def _as_json(value: Value) -> Value:
    """Return the value that its JSON reads back as: sets are arrays, every key is text. Every object in it is a new one."""
    if isinstance(value, Object):
        return Object((json_key(key), _as_json(value[key])) for key in value.ordered())
    if isinstance(value, tuple | Set):
        return tuple(_as_json(item) for item in (value.ordered() if isinstance(value, Set) else value))
    return value


def _described(finding: Finding) -> Value:
    return Object(
        {"error": f"{finding.field}: {finding.text}", "type": finding.kind, "field": finding.field, "desc": finding.text}
    )  # fmt: skip
