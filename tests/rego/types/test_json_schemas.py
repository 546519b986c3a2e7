"""What the checker makes of a JSON schema; unless a test says otherwise, what OPA 1.20 does."""

import json

import pytest

from authz.rego.builtins.json_schema_parser import parse_schema
from authz.rego.types.json_schemas import type_of_schema
from authz.rego.types.texts import type_text
from authz.rego.values import from_json

A = {"properties": {"a": {"type": "string"}}}
B = {"properties": {"b": {"type": "number"}}}


def kind(schema: object) -> str:
    return type_text(type_of_schema(parse_schema(from_json(schema))))


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({}, "any"),
        (True, "any"),
        ({"type": "string"}, "string"),
        ({"type": "integer"}, "number"),
        ({"type": "boolean"}, "boolean"),
        ({"type": "null"}, "any"),
        ({"type": "array"}, "array[any]"),
        ({"type": "array", "items": {"type": "string"}}, "array[string]"),
        ({"items": [{"type": "string"}, {"type": "number"}], "additionalItems": {"type": "null"}}, "array<string, number>"),
        ({"type": "object"}, "object[any: any]"),
        ({"type": "object", **A, "additionalProperties": True}, "object<a: string>"),
        ({"properties": {"a": {"enum": [1]}}}, "object<a: any>"),
        ({"type": "object", "patternProperties": {"^a": {"type": "string"}}}, "object[any: any]"),
        ({"enum": ["a"]}, "any"),
        ({"oneOf": [{"type": "string"}]}, "any"),
        ({"not": {"type": "string"}, "required": ["a"]}, "any"),
        ({"$ref": "#/definitions/a", "definitions": {"a": A}}, "object<a: string>"),
    ],
    ids=json.dumps,
)
def test_a_schema(schema: object, wanted: str) -> None:
    assert kind(schema) == wanted


@pytest.mark.parametrize(
    ("types", "wanted"),
    [
        (["null", "string"], "string"),
        (["number", "string"], "string"),
        (["string", "boolean"], "boolean"),
        (["array", "object"], "object[any: any]"),
        (["object", "integer"], "number"),
        (["null"], "any"),
    ],
)
def test_of_several_types_one_counts(types: list[str], wanted: str) -> None:
    assert kind({"type": types}) == wanted


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "number"}]}, "any<number, string>"),
        ({"anyOf": [{"type": "string"}, {}]}, "any"),
        ({"type": "object", "anyOf": [A, B]}, "any<object<a: string>, object<b: number>>"),
        ({"type": "object", **A, "anyOf": [B]}, "any<object<a: string>, object<b: number>>"),
        ({"type": "string", "anyOf": [{"type": "number"}]}, "number"),
        ({"type": "string", "anyOf": []}, "string"),
    ],
    ids=json.dumps,
)
def test_any_of_several_schemas(schema: object, wanted: str) -> None:
    assert kind(schema) == wanted


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({"allOf": [A, B]}, "object<a: string, b: number>"),
        ({"type": "object", **A, "allOf": [B]}, "object<a: string, b: number>"),
        ({"allOf": [A, {"type": "object"}]}, "object<a: string>"),
        ({"allOf": [{"type": "object"}, A]}, "object[any: any]"),
        ({"allOf": [{"type": "string"}, {"type": "string"}]}, "string"),
        ({"allOf": [{"items": {"type": "string"}}, {"items": {"type": "string"}}]}, "array[string]"),
    ],
    ids=json.dumps,
)
def test_all_of_several_schemas(schema: object, wanted: str) -> None:
    assert kind(schema) == wanted


@pytest.mark.parametrize("parts", [[{"type": "string"}, {"type": "number"}], [A, {}], [A, {"anyOf": [A, B]}]], ids=json.dumps)
def test_schemas_that_opa_does_not_merge_are_anything(parts: list[object]) -> None:
    """OPA reports most of them."""
    assert kind({"allOf": parts}) == "any"


def test_of_a_key_in_several_schemas_the_first_counts() -> None:
    assert kind({"allOf": [A, {"properties": {"a": {"type": "number"}}}]}) == "object<a: string>"


def test_a_schema_inside_itself_is_anything() -> None:
    """OPA follows it without end, and ends there itself for `#`."""
    tree = {"properties": {"value": {"type": "string"}, "left": {"$ref": "#/definitions/tree"}}}
    assert kind({"$ref": "#/definitions/tree", "definitions": {"tree": tree}}) == "object<left: any, value: string>"
    assert kind({"type": "object", "properties": {"x": {"$ref": "#"}}}) == "object<x: object<x: any>>"
