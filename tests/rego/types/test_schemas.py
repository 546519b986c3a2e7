"""JSON schemas that METADATA blocks name let more be refused: what does not fit the input or base data they describe."""

import time

import pytest

from authz import rego
from authz.rego import from_json
from tests.rego.types.checking import bad_arguments, no_collection, no_match

TEXT = '{"type": "string"}'
REQUEST = '{"properties": {"method": {"type": "string"}, "path": {"type": "array", "items": {"type": "string"}}}}'


def findings(text: str, schemas: rego.Schemas | None) -> list[str]:
    """Return each finding as a message with its details below it."""
    try:
        rego.compile({"p.rego": text}, schemas=schemas)
    except rego.CompileError as error:
        return ["\n".join((diagnostic.message, *diagnostic.details)) for diagnostic in error.diagnostics]
    return []


def block(*entries: str, scope: str = "") -> str:
    lines = ["METADATA", *([f"scope: {scope}"] if scope else []), "schemas:", *(f"- {entry}" for entry in entries)]
    return "".join(f"# {line}\n" for line in lines)


def inline(rules: str) -> list[str]:
    return findings(f"package t\n{rules}", rego.Schemas())


def undefined(ref: str, step: str, known: str) -> str:
    pad = " " * (len(ref) - len(step))
    return f'undefined ref: {ref}\n{ref}\n{pad}^\n{pad}have: "{step}"\n{pad}want (one of): [{known}]'


def test_a_reference_to_what_the_schema_does_not_name_is_refused() -> None:
    assert inline(block(f"input: {REQUEST}") + "p if input.mehtod == 1") == [undefined("input.mehtod", "mehtod", '"method" "path"')]


def test_values_are_of_the_types_that_the_schema_says() -> None:
    assert inline(block(f"input: {REQUEST}") + "p if input.path[0] == 1") == [no_match("string", "number")]
    assert inline(block(f"input: {REQUEST}") + "p if startswith(input.path, input.method)") == [
        bad_arguments("startswith", "array[string], string", "search: string, base: string, result: boolean")
    ]


def test_without_schemas_annotations_say_nothing() -> None:
    assert findings("package t\n" + block(f"input: {TEXT}") + "p if input == 1", None) == []


def test_only_the_annotated_rule_is_meant_but_its_type_is_known_elsewhere() -> None:
    assert inline(block(f"input: {TEXT}") + "p := input\nq if input == 1") == []
    assert inline(block(f"input: {TEXT}") + "p := input\nq if p.x") == [no_collection("data.t.p.x", 8, "string")]


def test_an_annotation_of_a_rule_does_not_reach_its_else() -> None:
    rules = "p := 1 if input == 1\nelse := 2 if input == null"
    assert inline(block(f"input: {TEXT}") + rules) == [no_match("string", "number")]
    assert inline(block(f"input: {TEXT}", scope="document") + rules) == [no_match("string", "number"), no_match("string", "null")]


@pytest.mark.parametrize("scope", ["package", "subpackages"])
def test_an_annotated_package(scope: str) -> None:
    text = block(f"input: {TEXT}", scope=scope) + "package t\np if input == 1\nq if input.x"
    assert findings(text, rego.Schemas()) == [no_match("string", "number"), no_collection("input.x", 5, "string")]


def test_of_annotations_the_innermost_counts() -> None:
    text = (
        block('input: {"type": "null"}', scope="subpackages")
        + "\n"
        + block(f"input: {TEXT}", scope="package")
        + "package t\np if input == 1\n"
        + block('input: {"type": "boolean"}', scope="document")
        + "q if input == 1\n\n"
        + block('input: {"type": "array"}')
        + "q if input == 1"
    )
    lefts = ("string", "boolean", "array[any]")
    assert findings(text, rego.Schemas()) == [no_match(left, "number") for left in lefts]


def test_a_path_into_a_typed_document_overrides_a_part_of_it() -> None:
    rules = block(f"input: {REQUEST}", 'input.path: {"type": "number"}', f"input.user.name: {TEXT}") + "p if input == 1"
    assert inline(rules) == [no_match("object<method: string, path: number, user: object<name: string>[any: any]>", "number")]


def test_a_path_alone_leaves_the_rest_open() -> None:
    rules = block(f"input.user: {TEXT}") + "p if { input.other == 2; input.user == 1 }"
    assert inline(rules) == [no_match("string", "number")]


def test_base_data_and_rules_may_have_schemas() -> None:
    assert inline(block(f"data.acl: {REQUEST}") + "p if data.acl.paht") == [undefined("data.acl.paht", "paht", '"method" "path"')]
    assert inline(block(f"data.t.q.b: {TEXT}") + 'p if q == 1\nq := {"a": 1}') == [no_match("object<a: number, b: string>", "number")]
    assert inline(block(f"data.t: {TEXT}") + "p if q == 1\nq := 1") == [no_collection("data.t.q", 6, "string")]


def test_replaced_input_is_of_the_schema_and_of_the_value() -> None:
    head = block(f"input: {REQUEST}")
    assert inline(head + "p if input == null with input as 1") == [
        no_match("any<number, object<method: string, path: array[string]>>", "null")
    ]
    assert inline(head + "p if input.method == null with input.user as 1") == [no_match("string", "null")]
    assert inline(head + "p if input.user == null with input.user as 1") == []


def test_named_schemas() -> None:
    schemas = rego.Schemas({("request",): from_json({"type": "string"}), ("acl", "users"): from_json({"type": "number"})})
    text = "package t\n" + block("input: schema.request", "data.acl: schema.acl.users") + "p if { input == 1; data.acl == null }"
    assert findings(text, schemas) == [no_match("string", "number"), no_match("number", "null")]
    assert findings(text, rego.Schemas()) == []
    assert findings(text, rego.Schemas({})) == ["undefined schema: schema.request", "undefined schema: schema.acl.users"]


def test_the_schema_without_a_name_is_that_of_all_input() -> None:
    schemas = rego.Schemas({(): from_json({"type": "string"})})
    assert findings("package t\np if input == 1\nq if { some x in [input]; x == 1 }", schemas) == [no_match("string", "number")] * 2
    with pytest.raises(rego.CompileError, match=r"undefined ref: input\.x"):
        rego.compile({"p.rego": "package t"}, schemas=schemas).query("input.x")


def test_a_schema_that_is_none() -> None:
    problem = "unable to compile the schema: string type is duplicated"
    assert inline(block('input: {"type": ["string", "string"]}') + "p := input.x\nq if p == 1") == [problem]
    assert findings("package t\np if input == 1", rego.Schemas({(): from_json({"type": ["string", "string"]})})) == [problem]


def test_rules_with_the_same_schemas_are_compiled_soon() -> None:
    """One tree of types serves them all."""
    rules = "\n".join(f"p{number} if input.method == {number}" for number in range(2000))
    text = block(f"input: {REQUEST}", scope="package") + f"package t\n{rules}"
    started = time.process_time()
    assert set(findings(text, rego.Schemas())) == {no_match("string", "number")}
    assert time.process_time() - started < 5
