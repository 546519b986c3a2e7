"""Two terms that are to be equal have types with a common value, or the expression is refused."""

import pytest

from tests.rego.types.checking import finding, findings, no_match


@pytest.mark.parametrize(
    ("text", "left", "right"),
    [
        ('p if 1 == "a"', "number", "string"),
        ('p if not 1 == "a"', "number", "string"),
        ('p if { x := 1; x = "a" }', "number", "string"),
        ('p if { {"a": 1} = {"a": 1, "b": 2} }', "object<a: number>", "object<a: number, b: number>"),
        ("p if { [1, 2] == [1, 2, 3] }", "array<number, number>", "array<number, number, number>"),
        ('p if { [1, "a"] = [x, x] }', "array<number, string>", "array<???, ???>"),
        ('p if { {1} == {"a"} }', "set[number]", "set[string]"),
        ("p if { [] == {} }", "array[any]", "object[any: any]"),
        ("p if { null == false }", "null", "boolean"),
        ('p if { x := [1, "a", null]; x[_] == true }', "any<null, number, string>", "boolean"),
        ('p if { "a" = 1 + 2 }', "string", "number"),
        ('p if { 1 + 2 = "a" }', "number", "string"),
        ('p if { [x, y] = split("a", "b"); x = 1; y }', "string", "number"),
        ('p if { x := [y | y := 1]; x == ["a"] }', "array[number]", "array<string>"),
        ('p if { x := {y | y := 1}; x == {"s"} }', "set[number]", "set[string]"),
        ('p if { x := {"a": y | y := 1}; x == {"a": "b"} }', "object[string: number]", "object<a: string>"),
        ('p if { x := {"a": 1, input.k: "s"}; x.b == 1 }', "string", "number"),
        ("p if { x := {{1, 2}: 1, [null]: 2, true: 3}; x == 1 }", "object<true: number, [<nil>]: number, [1 2]: number>", "number"),
        ("p if { some x in [1]; x == {} }", "number", "object[any: any]"),
        ('p if { some k, v in ["a"]; k == v }', "number", "string"),
        ('p if { some x in "abc"; x }', "???", "???"),
    ],
)
def test_equal_terms_need_a_common_value(text: str, left: str, right: str) -> None:
    assert finding(text) == no_match(left, right)


@pytest.mark.parametrize(
    "text",
    [
        'p if 1 != "a"',
        'p if 1 < "a"',
        'p if "a" in 3',
        "p if { input.x == 1; input.x == [1] }",
        'p if { x := input.a; x = "s"; x + 1 }',  # a variable keeps the type of its first use
        "p if { x = input.y; x = [z]; z = 1 }",
        'p if { {1, "a"} == {"a", true} }',
        "p if { [] == [1] }",
        'p if { {} == {"a": 1} }',
        'p if { [1] == [x | x := 1]; {"a": 1} == {y: 2 | y := "s"} }',
        'p if { x := {"a": 1, input.k: 1}; x == {"b": 2} }',  # other keys may be there
        'p if { x := {1: 1}; x == {y: "x" | y := "s"} }',
        "f(x, y) if { [x, {x: 1}] == [1, y]; x == 1 }",
    ],
)
def test_what_may_be_equal_is_left_to_evaluation(text: str) -> None:
    assert findings(text) == []


def test_a_part_that_one_object_lacks_is_refused_unless_one_of_them_is_open() -> None:
    assert findings('p if { x := {"a": 1, input.k: "s"}; x == {"a": 1, "b": 2} }')
    assert not findings('p if { x := {"a": 1, input.k: "s"}; x == {"a": 1, "b": "2"} }')


def test_the_types_in_a_message_are_those_from_before_it() -> None:
    assert findings('f(x) if { [x, 1] == ["a", "b"]; x == 1 }') == [
        no_match("array<???, number>", "array<string, string>"),
        no_match("string", "number"),
    ]


def test_a_composite_that_is_compared_with_anything_leaves_its_variables_open() -> None:
    assert not findings('p if { x := 1; [x, y] = input.y; startswith(x, "a"); y }')
    assert findings('p if { x := 1; x == input.y; startswith(x, "a") }')
