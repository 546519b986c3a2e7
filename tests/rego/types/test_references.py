"""Every step of a reference can select something, or the reference is refused."""

import pytest

from tests.rego.types.checking import finding, findings, no_collection, no_match, no_member


@pytest.mark.parametrize(
    ("text", "ref", "carets", "have"),
    [
        ("p := q.x\nq := 1", "data.t.q.x", 8, "number"),
        ("p if not q.x\nq := 1", "data.t.q.x", 8, "number"),
        ('p if { x := "a"; x.y }', "x.y", 1, "string"),
        ('p := q.foo[_].bar\nq := {"foo": [1]}', "data.t.q.foo[_].bar", 15, "number"),
        ('p := q[_][_]\nq := {"foo": null}', "data.t.q[_][_]", 11, "null"),
        ("p if data.t.q[input.x + 1].x\nq := [true]", "data.t.q[plus(input.x, 1)].x", 26, "boolean"),
        ('p := {"a": 1}.a.b', '{"a": 1}.a.b', 10, "number"),
        ("p if { some x in q; x }\nq := 1", "data.t.q[_]", 8, "number"),
        ("p if { every x in q.z { x } }\nq := 1", "data.t.q.z", 8, "number"),
        ("p if { every x in [1] { q.z == x } }\nq := 1", "data.t.q.z", 8, "number"),
        ("p := [x | x := q.z]\nq := 1", "data.t.q.z", 8, "number"),
        ('p := $"{q.y}"\nq := 1', "data.t.q.y", 8, "number"),
        ("p if { input.x with input as q.y }\nq := 1", "data.t.q.y", 8, "number"),
        ("p if not input.x[q.y]\nq := 1", "data.t.q.y", 8, "number"),
        ("p if startswith(q.y, input.x)\nq := 1", "data.t.q.y", 8, "number"),
    ],
)
def test_a_value_without_parts_has_no_steps(text: str, ref: str, carets: int, have: str) -> None:
    assert finding(text) == no_collection(ref, carets, have)


@pytest.mark.parametrize(
    ("text", "ref", "offset", "have", "want"),
    [
        ("p := [1, 2][true]", "[1, 2][true]", 7, "have: true", "want (type): number"),
        ("p := [1, 2][1.0]", "[1, 2][1.0]", 7, "have: 1.0", "want (type): number"),
        ('p := {"b": 1, "a": 2}["x y"]', '{"a": 2, "b": 1}["x y"]', 17, 'have: "x y"', 'want (one of): ["a" "b"]'),
        ("p if { {1, 2}.a }", "{1, 2}.a", 7, 'have: "a"', "want (type): number"),
        ('p if split("a", "/")[true]', 'split("a", "/")[true]', 16, "have: true", "want (type): number"),
        ('p if { a := [1]; b := "x"; a[b] }', "a[b]", 2, "have (type): string", "want (type): number"),
        ('p if { x := {"a": 1}; y := 1; x[y] }', "x[y]", 2, "have (type): number", 'want (one of): ["a"]'),
        ('p := q[[1, "a"]]\nq := {[1, 2]: 1}', 'data.t.q[[1, "a"]]', 9, "have (type): array<number, string>",
         "want (type): array<number, number>"),
        ('p := o.c\no := {"a": 1, "b": 2}', "data.t.o.c", 9, 'have: "c"', 'want (one of): ["a" "b"]'),
        ('p if data.t.q[r.a].x\nr := {"a": "s"}\nq := [1]', "data.t.q[data.t.r.a].x", 9, "have (type): string", "want (type): number"),
        ("p if { x := [1]; x[1] }", "x[1]", 2, "have: 1", "want (type): number"),
    ],
)  # fmt: skip
def test_a_step_is_of_the_keys_type_and_one_of_the_known_keys(text: str, ref: str, offset: int, have: str, want: str) -> None:
    assert finding(text) == no_member(ref, offset, have, want)


@pytest.mark.parametrize(
    "text",
    [
        "p := input.x.y[0][true]",
        "p := data.base.x[_][null]",
        "p if { x := []; x[5].y }",
        "p if { x := {}; x.y.z }",
        'p := q[x]\nq := {"a": 1}\nx := input.y',
        "p if data.x[z] == 1",
        "p := {1: 2}[1.0]",
        'p if { x := {"a": {"b": 1}, "c": 1}; x[_][_] == 1 }',
        "p := data.t.missing.x",
        "p if { every x in q { x == 1 } }\nq := 1",  # OPA does not look at what `every` ranges over
        'p if { every x in [1] { x + "a" } }',  # nor at the calls in its body
    ],
)
def test_what_may_select_something_is_left_to_evaluation(text: str) -> None:
    assert findings(text) == []


def test_a_variable_that_is_a_step_ranges_over_the_keys() -> None:
    assert finding('p if { {"a": 1}[x]; x == 1 }') == no_match("string", "number")
    assert finding("q.a := 1\np if { data.t.q[x]; x == 1 }") == no_match("string", "number")


def test_a_function_is_no_value() -> None:
    text = "function data.t.f used as reference, not called\ndata.t.f\n^^^^^^^^\nhave: (any) => any"
    assert finding("f(x) := x\np := f") == text
    assert finding("f(x) := x\np if { some y in f; y }") == text.replace("\ndata.t.f\n", "\ndata.t.f[_]\n")
    assert finding("f(x) := x\np := f.a") == text.replace("data.t.f used", "data.t.f.a used").replace("\ndata.t.f\n", "\ndata.t.f.a\n")


def test_a_finding_that_only_follows_from_another_one_is_left_out() -> None:
    assert findings("p if { q.x == 1; r := q.y; r == 2; s := [q.z]; s == [1] }\nq := 1") == [
        no_collection(f"data.t.q.{name}", 8, "number") for name in "xyz"
    ]


def test_rules_that_use_a_wrong_rule_are_not_wrong_for_that() -> None:
    assert len(findings('p := 1 if q.x\nq := 1\nr if p == "a"\nf(x) := p.y\nt := f(1).z')) == 1
