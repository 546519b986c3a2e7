"""GraphQL built-ins: trees, messages and verdicts as OPA's gqlparser gives them, and bounds."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz import rego
from authz.rego.builtins.graphql_parser import MAX_NESTING, MAX_QUERY
from tests.rego.builtins.as_json import call, failure

SCHEMA = """
type Query { a(x: Int!, e: E, i: I): Int! b: T u: U n: N l: [T!] }
type T implements N { id: ID! s(first: Int = 3): String t: T }
type V { id: ID }
interface N { id: ID! }
union U = T | V
enum E { A B }
input I { x: Int! y: [E] }
type Mutation { m: Int }
type Subscription { s1: Int s2: Int }
directive @once on FIELD
"""


ALIASES = "Use different aliases on the fields to fetch both if this was intentional"


def at(place: str) -> str:
    return f" in GraphQL string at location {place}"


def value(kind: int, raw: str, **more: Any) -> dict[str, Any]:
    return {"Kind": kind, "Raw": raw, "ExpectedTypeHasDefault": False, **more}


# Parsing


def test_a_query_becomes_gqlparsers_tree() -> None:
    tree = call("graphql.parse_query", "query Q($v: [Int!] = [1] @d) { x: a(i: {k: $v}) @skip(if: true) { ...F ... on T { id } } }")
    selection = {
        "Alias": "x",
        "Name": "a",
        "Arguments": [{"Name": "i", "Value": value(9, "", Children=[{"Name": "k", "Value": value(0, "v")}])}],
        "Directives": [{"Name": "skip", "Location": "", "Arguments": [{"Name": "if", "Value": value(5, "true")}]}],
        "SelectionSet": [{"Name": "F"}, {"TypeCondition": "T", "SelectionSet": [{"Alias": "id", "Name": "id"}]}],
    }
    variable = {
        "Variable": "v",
        "Type": {"NamedType": "", "NonNull": False, "Elem": {"NamedType": "Int", "NonNull": True}},
        "DefaultValue": value(8, "", Children=[{"Name": "", "Value": value(1, "1")}]),
        "Directives": [{"Name": "d", "Location": ""}],
        "Used": False,
    }
    operation = {"Operation": "query", "Name": "Q", "VariableDefinitions": [variable], "SelectionSet": [selection]}
    assert tree == {"Operations": [operation]}


@pytest.mark.parametrize(
    ("text", "kind", "raw"),
    [
        ("-1.5e3", 2, "-1.5e3"),
        ("123456789012345678901234567890", 1, "123456789012345678901234567890"),
        ('"\\u00e9\\n\\"\\/"', 3, 'é\n"/'),
        ('"\\ud83d"', 3, "\ufffd"),
        ('"""x\n  y"""', 4, "x\n  y"),
        ('"""\n\n    x\n   y\n\n"""', 4, " x\ny"),
        ('"""a \\""" b"""', 4, 'a """ b'),
        ('""""""', 4, ""),
        ("null", 6, "null"),
        ("ENUM", 7, "ENUM"),
    ],
)
def test_values_keep_kind_and_text(text: str, kind: int, raw: str) -> None:
    tree = call("graphql.parse_query", f"{{a(b: {text})}}")
    assert tree["Operations"][0]["SelectionSet"][0]["Arguments"] == [{"Name": "b", "Value": value(kind, raw)}]


def test_comments_stand_with_what_follows_them() -> None:
    tree = call("graphql.parse_query", "# lost\n{ # of a\n a } # of\n# Q\nquery Q { b }")
    assert tree["Operations"][0]["SelectionSet"] == [{"Alias": "a", "Name": "a", "Comment": {"List": [{"Value": "# of a"}]}}]
    assert tree["Operations"][1]["Comment"] == {"List": [{"Value": "# of"}, {"Value": "# Q"}]}


def test_a_schema_becomes_gqlparsers_tree() -> None:
    text = '"d" enum E @x { "v" V # end\n } extend schema { query: Q } directive @r(a: Int = 1) repeatable on | FIELD | QUERY'
    assert call("graphql.parse_schema", text) == {
        "Definitions": [
            {
                "Kind": "ENUM",
                "Name": "E",
                "Description": "d",
                "BuiltIn": False,
                "Directives": [{"Name": "x", "Location": ""}],
                "EnumValues": [{"Name": "V", "Description": "v"}],
                "EndOfDefinitionComment": {"List": [{"Value": "# end"}]},
            }
        ],
        "SchemaExtension": [{"Description": "", "OperationTypes": [{"Operation": "query", "Type": "Q"}]}],
        "Directives": [
            {
                "Name": "r",
                "Description": "",
                "Arguments": [
                    {"Name": "a", "Description": "", "Type": {"NamedType": "Int", "NonNull": False}, "DefaultValue": value(1, "1")}
                ],
                "IsRepeatable": True,
                "Locations": ["FIELD", "QUERY"],
            }
        ],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "expected at least one definition, found } in GraphQL string at location 1:2"),
        ("{a()}", "expected at least one definition, found ) in GraphQL string at location 1:4"),
        ("query Q {a", "Expected Name, found <EOF> in GraphQL string at location 1:11"),
        ("{a(b:)}", "Unexpected ) in GraphQL string at location 1:6"),
        ('"x"', 'Unexpected String "x" in GraphQL string at location 1:2'),
        ("{...A(b:1)}", "Expected Name, found ( in GraphQL string at location 1:6"),
        ("query Q($a: Int = $b){a}", "Unexpected $ in GraphQL string at location 1:19"),
        ("fragment on on T {a}", 'Unexpected Name "on" in GraphQL string at location 1:10'),
        ("fragment F T {a}", 'Expected "on", found Name "T" in GraphQL string at location 1:12'),
        ("{a(b:01)}", "Unexpected <Invalid> in GraphQL string at location 1:7"),
        ("{a(b:1.5e)}", "Unexpected <Invalid> in GraphQL string at location 1:10"),
        ('{a(b:"\\q")}', "Unexpected <Invalid> in GraphQL string at location 1:8"),
        ('{a(b:"x\n")}', "Unexpected <Invalid> in GraphQL string at location 1:8"),
        ('{a(b:"""', "Unexpected <Invalid> in GraphQL string at location 1:9"),
        ("{\r\n é}", "Expected Name, found <Invalid> in GraphQL string at location 2:3"),
        ("{ ..a}", "Expected Name, found <Invalid> in GraphQL string at location 1:3"),
    ],
)
def test_what_is_no_query_is_refused_in_gqlparsers_words(text: str, message: str) -> None:
    assert failure("graphql.parse_query", text) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type A {}", "expected at least one definition, found } in GraphQL string at location 1:9"),
        ("extend type A", "Unexpected <EOF> in GraphQL string at location 1:14"),
        ('"d" extend type A @x', 'Unexpected String "d" in GraphQL string at location 1:2'),
        ("extend foo A", 'Unexpected Name "foo" in GraphQL string at location 1:8'),
        ("foo", 'Unexpected Name "foo" in GraphQL string at location 1:1'),
        ("directive @d on FIELD | NOWHERE", 'Unexpected Name "NOWHERE" in GraphQL string at location 1:25'),
        ("schema { root: A }", 'Unexpected Name "root" in GraphQL string at location 1:10'),
        ("extend interface I implements A", 'Unexpected Name "implements" in GraphQL string at location 1:20'),
        ("union U = A || B", "Expected Name, found | in GraphQL string at location 1:14"),
    ],
)
def test_what_is_no_schema_is_refused_in_gqlparsers_words(text: str, message: str) -> None:
    assert failure("graphql.parse_schema", text) == message


# Schemas


@pytest.mark.parametrize(
    "text",
    [
        "",
        "scalar S @specifiedBy(url: \"x\")",
        "extend type Q { a: Int }",
        "directive @skip on FIELD",
        "enum E { A @deprecated }",
        "union U",
        "interface I { a: N } interface N { b: Int } type A implements N { b: Int } type B implements I { a: A }",
        "interface I { a(x: Int!): Int } type A implements I { a(x: Int, y: Int = 3): Int! }",
        "schema { query: A } type A { a: Int } scalar Query",
    ],
)  # fmt: skip
def test_schemas_that_make_sense(text: str) -> None:
    assert call("graphql.schema_is_valid", text) is True
    assert call("graphql.schema_is_valid", call("graphql.parse_schema", text)) is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type A { a: B }", "1:13: Undefined type B."),
        ("type A { a: Int } type A { a: Int }", "1:24: Cannot redeclare type A."),
        ("scalar String", "1:8: Cannot redeclare type String."),
        ("extend enum String { A }", "1:13: Cannot extend type String because the base type is a SCALAR, not ENUM."),
        ("directive @d on FIELD directive @d on FIELD", "1:34: Cannot redeclare directive d."),
        ("schema { query: A }", "1:10: Schema root query refers to a type A that does not exist."),
        ("schema @nope { query: A } type A { a: Int }", "1:9: Undefined directive nope."),
        ("type A", "1:6: OBJECT A: must define one or more fields."),
        ("enum E { true }", "1:6: ENUM E: non-enum value true."),
        ("enum E { A A }", "1:12: Enum value E.A can only be defined once."),
        ("enum E { A @deprecated @deprecated }", "1:25: The directive deprecated can only be used once at this location."),
        ("type A { a: Int a: Int }", "1:17: Field A.a can only be defined once."),
        ("type A { __a: Int }", '1:10: Name "__a" must not begin with "__", which is reserved by GraphQL introspection.'),
        ("type A { a(x: A): Int }", "1:12: cannot use A as argument x because OBJECT is not a valid input type"),
        ("type A { a: I } input I { a: Int }", "1:10: OBJECT A: field must be one of SCALAR, OBJECT, INTERFACE, UNION, ENUM."),
        ("type A { a: Int @skip(if: true) }", "1:18: Directive skip is not applicable on FIELD_DEFINITION."),
        ("type A { a: Int @deprecated(foo: 1) }", "1:29: Undefined argument foo for directive deprecated."),
        ("directive @d(a: Int!) on OBJECT type A @d { a: Int }", "1:41: Argument a for directive d cannot be null."),
        ("directive @d(a: Int @d) on ARGUMENT_DEFINITION", "1:22: Directive d cannot refer to itself."),
        ("union U = I interface I { a: Int }", '1:7: UNION type "I" must be OBJECT.'),
        ("type A implements A { a: Int }", '1:6: "A" is a non interface type OBJECT.'),
        ("type A implements I { b: Int } interface I { a: Int }", "1:6: For A to implement I it must have a field called a."),
        ("type A implements I { a: Int } interface I { a: Int! }", "1:23: For A to implement I the field a must have type Int!."),
        (
            "type A implements I { a: Int } interface I { a(x: Int): Int }",
            "1:23: For A to implement I the field a must have the same arguments but it is missing x.",
        ),
        (
            "type A implements I { a: Int } interface J { a: Int } interface I implements J { a: Int }",
            "1:6: Type A must implement J because it is implemented by I.",
        ),
    ],
)
def test_schemas_that_make_none_are_refused_in_gqlparsers_words(text: str, message: str) -> None:
    assert failure("graphql.parse", "", text) == f"Error in gqlparser SchemaDocument to Schema conversion: input:{message}"
    assert call("graphql.schema_is_valid", text) is False


# Validation


@pytest.mark.parametrize(
    "query",
    [
        "",
        "{a(x: 1, e: A, i: {x: 1, y: [A, B]})}",
        "query($x: Int!, $s: Boolean = true) {...F} fragment F on Query {a(x: $x) @skip(if: $s)}",
        "{u {__typename ... on T {id} ... on N {id}}}",
        "{__schema {types {name}}}",
        "{__typename}",
        "mutation {m}",
        "query A {b {id}} query B {b {id}}",
    ],
)
def test_a_query_that_fits_is_valid_as_text_and_as_tree(query: str) -> None:
    tree, schema_tree = call("graphql.parse_query", query), call("graphql.parse_schema", SCHEMA)
    assert call("graphql.is_valid", query, SCHEMA) is True
    assert call("graphql.is_valid", tree, schema_tree) is True
    assert call("graphql.parse", tree, schema_tree) == [tree, schema_tree]
    assert call("graphql.parse_and_verify", query, SCHEMA) == [True, tree, schema_tree]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{zz}", 'Cannot query field "zz" on type "Query" in GraphQL string at location 1:2'),
        ("{b{idd}}", 'Cannot query field "idd" on type "T". Did you mean "id"?\n in GraphQL string at location 1:4'),
        ("{b}", 'Field "b" of type "T" must have a selection of subfields. Did you mean "b { ... }"?\n in GraphQL string at location 1:2'),
        ("{a}", 'Field "a" argument "x" of type "Int!" is required, but it was not provided in GraphQL string at location 1:2'),
        ("{b @skip{id}}", 'Directive "@skip" argument "if" of type "Boolean!" is required, but it was not provided' + at("1:5")),
        ("{a(x:null)}", 'Expected value of type "Int!", found null in GraphQL string at location 1:6'),
        ("{a(x:1,i:1)}", 'Expected value of type "I", found 1 in GraphQL string at location 1:10'),
        ("{a(x:1,i:{})}", 'Field "I.x" of required type "Int!" was not provided in GraphQL string at location 1:10'),
        ("{a(x:1,i:{x:1,qq:2})}", 'Field "qq" is not defined by type "I" in GraphQL string at location 1:10'),
        ("{a(x:1,e:C)}", 'Value "C" does not exist in "E" enum. Did you mean the enum value "A" or "B"?\n' + at("1:10")),
        ('{a(x:"1")}', 'Int cannot represent non-integer value: "1"\n in GraphQL string at location 1:7'),
        ("{a(x:1 x:2)}", 'There can be only one argument named "x" in GraphQL string at location 1:8'),
        ("{a(x:$v)}", 'Variable "$v" is not defined in GraphQL string at location 1:6'),
        ("query($v:Int){a(x:$v)}", 'Variable "$v" of type "Int" used in position expecting type "Int!" in GraphQL string at location 1:19'),
        ("query($v:Int!){b{id}}", 'Variable "$v" is never used in GraphQL string at location 1:7'),
        ("{...F}", 'Unknown fragment "F" in GraphQL string at location 1:5'),
        ("fragment F on T {...F} {b{...F}}", 'Cannot spread fragment "F" within itself in GraphQL string at location 1:21'),
        ("mutation{m @deprecated}", 'Directive "@deprecated" may not be used on FIELD in GraphQL string at location 1:13'),
        ("subscription{s1 s2}", "Anonymous Subscription must select only one top level field in GraphQL string at location 1:17"),
        ("{b{x:id x:s}}", 'Fields "x" conflict because "id" and "s" are different fields. ' + ALIASES + at("1:9")),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_gqlparsers_words(query: str, message: str) -> None:
    assert failure("graphql.parse", query, SCHEMA) == message
    assert call("graphql.is_valid", query, SCHEMA) is False
    assert call("graphql.is_valid", call("graphql.parse_query", query), SCHEMA) is False
    assert call("graphql.parse_and_verify", query, SCHEMA) == [False, {}, {}]


def test_a_tree_made_by_hand_may_leave_out_aliases() -> None:
    tree = {"Operations": [{"Operation": "query", "SelectionSet": [{"Name": "l", "SelectionSet": [{"Name": "id"}]}]}]}
    assert call("graphql.is_valid", tree, SCHEMA) is True
    assert call("graphql.is_valid", json.loads(json.dumps(tree).replace('"id"', '"zz"')), SCHEMA) is False


@pytest.mark.parametrize(
    "operand", [None, 1, [], {"Operations": 1}, {"Operations": [1]}, {"Operations": [{"Name": 1}]}, {"Operations": [{"Operation": "x"}]}]
)
def test_what_is_no_query_at_all_is_invalid(operand: Any) -> None:
    assert call("graphql.is_valid", operand, SCHEMA) is False
    assert call("graphql.parse_and_verify", operand, SCHEMA) == [False, {}, {}]
    assert failure("graphql.parse", operand, SCHEMA)


# Bounds


def test_depth_is_bounded_before_anything_overflows() -> None:
    deep = "{a" * MAX_NESTING + "}" * MAX_NESTING
    assert call("graphql.parse_query", deep)
    too_deep = f"document is nested deeper than {MAX_NESTING} levels"
    assert too_deep in failure("graphql.parse_query", "{a" * 1000)
    assert too_deep in failure("graphql.parse_query", "{a(b:" + "[" * 2000)
    assert too_deep in failure("graphql.parse_schema", "type A { a: " + "[" * 5000)
    tree: dict[str, Any] = {"Name": "a"}
    for _ in range(60):
        tree = {"Name": "a", "SelectionSet": [tree]}
    assert call("graphql.is_valid", {"Operations": [{"Operation": "query", "SelectionSet": [tree]}]}, SCHEMA) is False


def test_the_size_of_a_query_is_bounded_as_text_and_as_tree() -> None:
    assert failure("graphql.parse_query", "{" + "a " * MAX_QUERY + "}") == f"document has more than {MAX_QUERY} tokens"
    tree = {"Operations": [{"Operation": "query", "SelectionSet": [{"Name": "b"}] * MAX_QUERY}]}
    assert failure("graphql.parse", tree, SCHEMA) == f"query has more than {MAX_QUERY} parts"


PARTS = [*"{}()[]:!|&=@$#\n\\é\x00", "...", "a", "on", "type", "query", "extend", '"', '"""', "1", "1.5"]


@settings(deadline=None)
@given(st.lists(st.sampled_from(PARTS)).map(" ".join))
def test_any_text_is_a_tree_or_an_error(text: str) -> None:
    assert call("graphql.schema_is_valid", text) in (True, False)
    assert call("graphql.is_valid", text, SCHEMA) in (True, False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 12) | st.sampled_from(["query", "a", "T", "OBJECT", "ENUM", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "Operations",
                    "SelectionSet",
                    "Name",
                    "Alias",
                    "Arguments",
                    "Value",
                    "Kind",
                    "Raw",
                    "Children",
                    "Type",
                    "NamedType",
                    "Fields",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(JSON, JSON)
def test_any_tree_is_valid_or_not(part: Any, other: Any) -> None:
    query = {"Operations": [{"Operation": "query", "SelectionSet": [part]}]}
    schema = {"Definitions": [{"Kind": "OBJECT", "Name": "Query", "Fields": [other]}, part]}
    for tree in (query, part):
        assert call("graphql.is_valid", tree, SCHEMA) in (True, False)
    for tree in (schema, other):
        assert call("graphql.schema_is_valid", tree) in (True, False)
        assert call("graphql.is_valid", "{a}", tree) in (True, False)


# Loading


def test_the_library_is_loaded_by_policies_that_validate_and_by_no_others() -> None:
    program = """
import sys
from authz import rego
rego.compile({"a.rego": "package a\\np := graphql.parse_query(input.q)"})
assert "graphql" not in sys.modules
rego.compile({"a.rego": "package a\\np if graphql.is_valid(input.q, input.s)"})
assert "graphql" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_policy_can_look_into_a_query() -> None:
    policy = rego.compile(
        {"a.rego": f"package a\nallow if graphql.parse(input.q, `{SCHEMA}`)[0].Operations[_].SelectionSet[_].Name == `b`"}
    )
    entry = policy.entrypoint("a/allow")
    assert entry.decide({"q": "{b {id}}"}) is True
    assert entry.decide({"q": "{n {id}}"}) is rego.UNDEFINED
    assert entry.decide({"q": "{b {idd}}"}) is rego.UNDEFINED
