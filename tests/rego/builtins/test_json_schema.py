"""JSON Schema: what fits and what does not, in the words of OPA's gojsonschema; references and bounds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rego.builtins.as_json import call, failure

NOT_A_TYPE = (
    "has a primitive type that is NOT VALID -- given: /x/ Expected valid values are:[array boolean integer number null object string]"
)
DRAFT_4, DRAFT_7 = (f"http://json-schema.org/draft-0{draft}/schema#" for draft in (4, 7))


def findings(document: Any, schema: Any) -> list[tuple[str, str, str]]:
    """Return kind, place and sentence of everything that does not fit in `{"k": document}`."""
    fits, found = call("json.match_schema", {"k": document}, {"properties": {"k": schema}})
    assert fits is (not found)
    assert all(each["error"] == f"{each['field']}: {each['desc']}" for each in found)
    return [(each["type"], each["field"], each["desc"]) for each in found]


@pytest.mark.parametrize(
    ("document", "schema"),
    [
        (1, {}),
        (1, True),
        (1.0, {"type": "integer"}),
        (1, {"type": "number"}),
        (None, {"type": ["string", "null"]}),
        (5.5, {"multipleOf": 0.5}),
        ("é", {"minLength": 1, "maxLength": 1}),
        ("xay", {"pattern": "a"}),
        ({"a": 1, "xb": 2}, {"properties": {"a": {}}, "patternProperties": {"b$": {}}, "additionalProperties": False}),
        ([1, "a"], {"items": [{"type": "integer"}], "additionalItems": {"type": "string"}}),
        ([1, 1.5], {"uniqueItems": True, "contains": {"type": "integer"}}),
        ({"a": 1.0}, {"const": {"a": 1}}),
        (1, {"enum": ["1", 1]}),
        (1, {"oneOf": [{"type": "integer"}, {"type": "string"}], "not": {"type": "string"}}),
        (1, {"if": {"type": "string"}, "then": False}),
        (True, {"minimum": 5, "minLength": 5, "format": "date"}),
        ("x", {"format": "nobody-knows"}),
    ],
)
def test_documents_that_fit(document: Any, schema: Any) -> None:
    assert findings(document, schema) == []


@pytest.mark.parametrize(
    ("document", "schema", "kind", "text"),
    [
        ("a", {"type": ["integer", "null"]}, "invalid_type", "Invalid type. Expected: [integer,null], given: string"),
        (1.5, {"type": "integer"}, "invalid_type", "Invalid type. Expected: integer, given: number"),
        (1, False, "false", "False always fails validation"),
        (5, {"minimum": 6}, "number_gte", "Must be greater than or equal to 6"),
        (5, {"maximum": 4.5}, "number_lte", "Must be less than or equal to 4.5"),
        (5, {"exclusiveMinimum": 5}, "number_gt", "Must be greater than 5"),
        (5, {"exclusiveMaximum": 5}, "number_lt", "Must be less than 5"),
        (5, {"minimum": 5, "exclusiveMinimum": True}, "number_gt", "Must be greater than 5"),
        (0.3, {"multipleOf": 0.2}, "multiple_of", "Must be a multiple of 0.2"),
        ("abc", {"minLength": 4}, "string_gte", "String length must be greater than or equal to 4"),
        ("abc", {"maxLength": 2}, "string_lte", "String length must be less than or equal to 2"),
        ("abc", {"pattern": "^x"}, "pattern", "Does not match pattern '^x'"),
        ("x", {"format": "ipv4"}, "format", "Does not match format 'ipv4'"),
        ([1], {"minItems": 2}, "array_min_items", "Array must have at least 2 items"),
        ([1, 2], {"maxItems": 1}, "array_max_items", "Array must have at most 1 items"),
        ([1, 2, 1.0], {"uniqueItems": True}, "unique", "array items[0,2] must be unique"),
        ([1, 2], {"items": [True], "additionalItems": False}, "array_no_additional_items", "No additional items allowed on array"),
        ([], {"contains": True}, "contains", "At least one of the items must match"),
        ({}, {"minProperties": 1}, "array_min_properties", "Must have at least 1 properties"),
        ({"a": 1, "b": 1}, {"maxProperties": 1}, "array_max_properties", "Must have at most 1 properties"),
        ({}, {"required": ["a"]}, "required", "a is required"),
        ({"a": 1}, {"additionalProperties": False}, "additional_property_not_allowed", "Additional property a is not allowed"),
        ({"a": 1}, {"dependencies": {"a": ["b"]}}, "missing_dependency", "Has a dependency on b"),
        (1, {"enum": [2, "x", None, {"a": 1.0}]}, "enum", 'k must be one of the following: 2, "x", null, {"a":1}'),
        (1, {"enum": []}, "enum", "k must be one of the following: "),
        (1, {"const": None}, "const", "k does not match: null"),
        (1, {"oneOf": [{"type": "integer"}, {"minimum": 0}]}, "number_one_of", "Must validate one and only one schema (oneOf)"),
        (1, {"not": {"type": "integer"}}, "number_not", "Must not validate the schema (not)"),
    ],
)
def test_what_does_not_fit_is_told_in_opas_words(document: Any, schema: Any, kind: str, text: str) -> None:
    assert findings(document, schema) == [(kind, "k", text)]


def test_alternatives_tell_what_the_closest_one_lacks() -> None:
    alternatives = [{"type": "string"}, {"minimum": 3}]
    lacking = ("number_gte", "k", "Must be greater than or equal to 3")
    assert findings(1, {"anyOf": alternatives}) == [("number_any_of", "k", "Must validate at least one schema (anyOf)"), lacking]
    assert findings(1, {"oneOf": alternatives}) == [("number_one_of", "k", "Must validate one and only one schema (oneOf)"), lacking]
    assert [kind for kind, _, _ in findings(1, {"allOf": alternatives})] == ["invalid_type", "number_gte", "number_all_of"]
    assert findings(1, {"if": True, "then": {"minimum": 3}}) == [("condition_then", "k", 'Must validate "then" as "if" was valid'), lacking]
    assert findings(1, {"if": False, "else": {"minimum": 3}})[0] == ("condition_else", "k", 'Must validate "else" as "if" was not valid')


def test_places_are_paths_from_the_root() -> None:
    schema = {"properties": {"a": {"items": {"type": "integer"}}}, "required": ["b"], "propertyNames": {"maxLength": 1}}
    _, found = call("json.match_schema", {"a": [1, "x"], "cc": 1}, schema)
    assert [(each["type"], each["field"]) for each in found] == [
        ("required", "(Root)"),
        ("invalid_property_name", "(Root)"),
        ("string_lte", "(Root)"),
        ("invalid_type", "a.1"),
    ]


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("date", ["2020-02-29"], ["2020-02-30", "2020-1-1"]),
        ("time", ["10:00:00", "10:00:00Z"], ["25:00:00", "10:00"]),
        ("date-time", ["2020-01-01T10:00:00.5+01:00"], ["2020-01-01 10:00:00Z"]),
        ("email", ["a@b", "X <a@b.c>", '"a b"@c', "a@[1.2.3.4]"], ["a@", "a b@c", "a..b@c", "a@b,c@d"]),
        ("ipv4", ["1.2.3.4"], ["1.2.3", "01.2.3.4", "::1"]),
        ("ipv6", ["::1"], ["1::2::3", "fe80::1%eth0", "1.2.3.4"]),
        ("uri", ["http://a.b/c", "mailto:x", "http://h:80/"], ["a/b", "http://h:x/", "http://a b/", "a:\\b"]),
        ("uri-reference", ["a/b", "/a?b#c", "//h/p"], ["%zz", "1a:b"]),
        ("uri-template", ["http://x/{a}", "a}b"], ["http://x/{a"]),
        ("hostname", ["a.b", "A.b-c.D"], ["-a.b", "a_b", "a" * 64, "a.b."]),
        ("uuid", ["550E8400-e29b-41d4-a716-446655440000"], ["550e8400-e29b-41d4-a716-44665544000"]),
        ("regex", ["[a-z]+", ""], ["(", "(?=a)"]),
        ("json-pointer", ["", "/a~0b/"], ["a/", "/a~2"]),
        ("relative-json-pointer", ["0#", "1/a"], ["01/a", "#"]),
    ],
)
def test_formats(name: str, right: list[str], wrong: list[str]) -> None:
    assert [text for text in right if findings(text, {"format": name})] == []
    assert [text for text in wrong if not findings(text, {"format": name})] == []


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "x"}, NOT_A_TYPE),
        ({"type": 1}, "Invalid type. Expected: type, given: string/Array Of Strings"),
        ({"type": ["string", "string"]}, "string type is duplicated"),
        ({"properties": 1}, "Properties must be of type object"),
        ({"properties": {"a": 1}}, "Expected: Valid Schema, given: Invalid JSON"),
        ({"required": ["a", "a"]}, "required items must be unique"),
        ({"minimum": "a"}, "minimum must be of a Number"),
        ({"exclusiveMinimum": True}, "exclusiveMinimum cannot be used without minimum"),
        ({"$schema": DRAFT_7, "exclusiveMinimum": True}, "Invalid type. Expected: number, given: exclusiveMinimum"),
        ({"$schema": DRAFT_4, "exclusiveMinimum": 1}, "Invalid type. Expected: boolean, given: exclusiveMinimum"),
        ({"minLength": 1.5}, "minLength must be of an integer"),
        ({"minLength": -1}, "minLength must be greater than or equal to 0"),
        ({"minLength": 3, "maxLength": 1}, "minLength cannot be greater than maxLength"),
        ({"multipleOf": 0}, "multipleOf must be strictly greater than 0"),
        ({"pattern": "("}, "pattern must be a valid regex"),
        ({"patternProperties": {"(": {}}}, "Invalid regex pattern '('"),
        ({"enum": [1, 1.0]}, "enum items must be unique"),
        ({"items": [1]}, "Invalid type. Expected: Valid Schema/Array Of Schemas, given: items"),
        ({"additionalItems": 1}, "Invalid type. Expected: boolean/Valid Schema, given: additionalItems"),
        ({"dependencies": {"a": [1]}}, "Dependency must be of type Schema Or Array Of Strings"),
        ({"definitions": {"a": 1}}, "Invalid type. Expected: Array Of Schemas, given: definitions"),
        ({"not": 1}, "not must be of an object"),
        ({"allOf": {}}, "allOf must be of an array"),
        ({"uniqueItems": 1}, "uniqueItems must be of a boolean"),
        ({"title": 1}, "Invalid type. Expected: string, given: title"),
        ({"$schema": 1}, "$schema must be of type string"),
        ({"$ref": "#/nope/x"}, "Object has no key 'nope'"),
        ({"$ref": "#/a/5", "a": []}, "Out of bound array[0,0] index '5'"),
        ({"$ref": "#/a/x", "a": 1}, "Invalid token reference 'x'"),
        ({"$ref": "#/a", "a": 1}, "Valid Schema must be of type object"),
        ({"$ref": "x.json"}, "Reference /x.json must be canonical"),
        ({"$ref": "http://example.com/x.json"}, "remote reference loading disabled: http://example.com/x.json"),
        ({"$ref": "file:///etc/passwd"}, "remote reference loading disabled: file:///etc/passwd"),
        ("{", "invalid JSON string"),
        ([], "schema is invalid"),
        (1, "wrong type, expected string or object"),
    ],
)  # fmt: skip
def test_what_is_no_schema_is_refused_in_opas_words(schema: Any, message: str) -> None:
    assert call("json.verify_schema", schema) == [False, f"jsonschema: {message}"]
    assert failure("json.match_schema", {}, schema) == message


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ('{"minLength": 2.0}', "minLength must be of an integer"),
        ('{"maxItems": 99999999999999999999}', "maxItems must be of an integer"),
        ('{"$id": "%zz"}', 'parse "%zz": invalid URL escape "%zz"'),
        ('{"$ref": "x", "$id": "http://a/b"}', "remote reference loading disabled: http://a/x"),
        ('{"allOf": [{"$id": "#a"}, {"$id": "#a"}]}', 'Reference already exists: "#a"'),
        ('{"enum": [1e999]}', "json: cannot unmarshal number 1e999 into Go value of type float64"),
    ],
)
def test_the_text_of_a_schema_counts(schema: str, message: str) -> None:
    assert call("json.verify_schema", schema) == [False, f"jsonschema: {message}"]


def test_equal_schemas_that_are_written_differently_are_told_apart() -> None:
    assert call("json.verify_schema", {"minLength": 2}) == [True, None]
    assert call("json.verify_schema", {"minLength": 2.0}) == [False, "jsonschema: minLength must be of an integer"]


@pytest.mark.parametrize(
    ("document", "schema", "text"),
    [
        (1, {"minimum": 10000000}, "Must be greater than or equal to 1e+07"),
        (1, {"const": 1e30}, "k does not match: 1e+30"),
        (1, {"enum": ["<", 0.1]}, 'k must be one of the following: "\\u003c", 0.1'),
    ],
)
def test_bounds_and_values_are_shown_as_go_shows_them(document: Any, schema: Any, text: str) -> None:
    assert [each for _, _, each in findings(document, schema)] == [text]


def test_a_reference_beside_other_keywords_hides_none_of_their_mistakes() -> None:
    assert call("json.verify_schema", {"$ref": "#", "minLength": "x"}) == [False, "jsonschema: minLength must be of an integer"]


def test_drafts_have_the_keywords_of_their_time() -> None:
    four, six = ({"$schema": f"http://json-schema.org/draft-0{draft}/schema#", "const": 1, "if": True, "then": False} for draft in (4, 6))
    assert call("json.match_schema", {}, four) == [True, []]
    assert [each["type"] for each in call("json.match_schema", {}, six)[1]] == ["const"]


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/definitions/x", "definitions": {"x": {"type": "string"}}},
        {"$ref": "#/a~1b/0", "a/b": [{"type": "string"}]},
        {"$ref": "#foo", "definitions": {"q": {"$id": "#foo", "type": "string"}}},
        {"$ref": "http://a.b/x.json", "definitions": {"a": {"$id": "http://a.b/x.json", "type": "string"}}},
        {"$id": "http://x.y/r.json", "$ref": "#/definitions/a", "definitions": {"a": {"type": "string"}}},
        {
            "$id": "http://x.y/r.json",
            "$ref": "d/b.json",
            "definitions": {"a": {"$id": "d/b.json", "$ref": "#/definitions/c", "definitions": {"c": {"type": "string"}}}},
        },
    ],
)
def test_references_lead_into_the_same_document(schema: Any) -> None:
    fits, found = call("json.match_schema", {}, schema)
    assert not fits
    assert [each["desc"] for each in found] == ["Invalid type. Expected: string, given: object"]


def test_a_schema_may_refer_to_itself() -> None:
    tree = {"properties": {"next": {"$ref": "#"}, "value": {"type": "integer"}}}
    assert call("json.match_schema", {"next": {"next": {"value": 1}}}, tree) == [True, []]
    assert call("json.match_schema", {"next": {"next": {"value": "x"}}}, tree)[1][0]["field"] == "next.next.value"


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/properties/a", "properties": {"a": {"$ref": "#/properties/b"}, "b": {"$ref": "#/properties/a"}}},
        {"allOf": [{"$ref": "#"}]},
        {
            "$ref": "#/definitions/d0",
            "definitions": {f"d{i}": {"anyOf": [{"$ref": f"#/definitions/d{i + 1}"}] * 2} for i in range(30)} | {"d30": False},
        },
    ],
)
def test_endless_and_multiplying_references_end_in_an_error(schema: Any) -> None:
    assert failure("json.match_schema", {}, schema) == "validation takes too many steps or leads too deep"


def test_a_text_that_would_keep_a_backtracking_engine_busy_is_looked_at_quickly() -> None:
    assert findings("a" * 4000, {"format": "email"})
    assert findings("a" * 5000 + "@b", {"format": "email"}), "longer texts have no format"


def test_numbers_far_apart_are_no_multiples() -> None:
    assert failure("json.match_schema", '{"k": 1e9999}', {"properties": {"k": {"multipleOf": 3}}})


KEYWORDS = ["type", "properties", "items", "anyOf", "not", "enum", "minimum", "minLength", "required", "$ref", "$id", "dependencies", "a"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["string", "object", "#", "#/a", "http://[", "%", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=4),
    max_leaves=25,
)


@settings(deadline=None)
@given(JSON, JSON)
def test_any_schema_fits_or_not_or_is_none(schema: Any, document: Any) -> None:
    valid, reason = call("json.verify_schema", schema)
    assert valid is (reason is None)
    if not valid:
        assert failure("json.match_schema", {"a": document}, schema)
