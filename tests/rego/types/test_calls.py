"""Arguments and results are of the declared types, or of those that a function's definitions show, or the call is refused."""

import pytest

from tests.rego.types.checking import bad_arguments, finding, findings, no_match

PLUS = "x: number, y: number, z: number"
COUNT = "collection: any<string, array[any], object[any: any], set[any]>, n: number"


@pytest.mark.parametrize(
    ("text", "name", "have", "want"),
    [
        ('p if 1 + "a" == 2', "plus", "number, string, ???", PLUS),
        ('p if not 1 + "a"', "plus", "number, string", PLUS),
        ('p := [1 | 1 + "a"]', "plus", "number, string", PLUS),
        ('p := [x | x := 1 + "a"]', "plus", "number, string, ???", PLUS),
        ("p if count(1) with input as 1", "count", "number", COUNT),
        ('p if count([1], "a")', "count", "array<number>, string", COUNT),
        ('p := concat(",", [x | x := 1])', "concat", "string, array[number], ???",
         "delimiter: string, collection: any<array[string], set[string]>, output: string"),
        ('p := {1} | "a"', "or", "set[number], string, ???", "x: set[any], y: set[any], z: set[any]"),
        ('p := json.marshal_with_options(1, {"pretty": 1})', "json.marshal_with_options", "number, object<pretty: number>, ???",
         "x: any, opts: object<indent: string, prefix: string, pretty: boolean>[string: any], y: string"),
        ('f(x) if plus(x, "a")', "plus", "???, string", PLUS),
        ("f(x) if plus(x, [x])", "plus", "number, array<number>", PLUS),
        ("f(x) if time.clock([x, true])", "time.clock", "array<number, boolean>",
         "x: any<number, array<number, string>>, output: array<number, number, number>"),
        ('f(x) := x + 1\np := f("a")', "data.t.f", "string, ???", "number, number"),
        ('f([x, y]) := x + y\np := f([1, "a"])', "data.t.f", "array<number, string>, ???", "array<number, number>, number"),
        ('f({"a": x}) := x\np := f({"b": 1})', "data.t.f", "object<b: number>, ???", "object<a: any>, any"),
        ('f(1) := 2\nf("a") := "x"\np := f(true)', "data.t.f", "boolean, ???", "any<number, string>, any<number, string>"),
        ('f(x) := 1\np if f([1], "a")', "data.t.f", "array<number>, string", "any, number"),
    ],
)  # fmt: skip
def test_an_argument_of_a_wrong_type_is_refused(text: str, name: str, have: str, want: str) -> None:
    assert finding(text) == bad_arguments(name, have, want)


@pytest.mark.parametrize(
    "text",
    [
        "p := input.x + input.y",
        'p := json.unmarshal("1") + 1',
        'f(x) := x.a\np := f({"b": 1})\nq := f(1)',
        'f(x) := 1 if startswith(x, "a")\nf(x) := 2 if x > 3\np := f(1)',
        "default f(_) := 1\nf(x) := x + 1\np := f({})",
        'p if { x := {"pretty": true}; json.marshal_with_options(1, x) }',
        'p if { x := 1; json.marshal([x]); startswith(x, "a") }',  # `any` widens what is inside a composite
        'p if walk({"a": 1}, [_, "y"])',
        'p := semver.is_valid(1) if { x := object.get({}, "a", 1); startswith(x, "a") }',
        'p if regex.match("a", input.x, true)',
    ],
)
def test_arguments_that_may_do_are_left_to_evaluation(text: str) -> None:
    assert findings(text) == []


def test_the_result_of_a_call_has_the_declared_type() -> None:
    assert finding('p if { x := split("a", "/"); x == "a" }') == no_match("array[string]", "string")
    assert finding('f(x) := y if y := x + 1\np if f(1) == "a"') == no_match("number", "string")


@pytest.mark.parametrize(
    ("text", "name", "have", "want"),
    [
        ("p if count([1]) with count as f\nf(x) := x + 1", "count", "number", COUNT.removesuffix(", n: number")),
        ("p if count([1]) with count as concat", "count", "string, any<array[string], set[string]>", COUNT.removesuffix(", n: number")),
        ("p if f(1) with f as g\nf(x) := x + 1\ng(x, y) := x", "data.t.f", "any, any", "number"),
        ('p if f(1) with f as g\nf(x) := x + 1\ng("a") := 2', "data.t.f", "string", "number"),
        ("p := regex.match(lower(input.x))", "regex.match", "???, ???", "pattern: string, value: string"),
        ('p if regex.match({1, "a"}, [input.x], {"a": 1}, 2)', "regex.match",
         "set[any<number, string>], array<any>, object<a: number>, number", "pattern: string, value: string"),
    ],
)  # fmt: skip
def test_functions_that_cannot_stand_in_and_wrong_numbers_of_arguments_are_refused(text: str, name: str, have: str, want: str) -> None:
    assert finding(text) == bad_arguments(name, have, want, "arity mismatch")


def test_a_replaced_function_keeps_its_types() -> None:
    assert findings("f(x) := x + 1\np if f(1) with f as g\ng(x) := [x]\nq if lower(input.x) with lower as upper") == []
    assert findings('f(x) := x + 1\np if { x := f(1) with f as "a"; startswith(x, "a") }')
