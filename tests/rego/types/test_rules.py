"""The definitions of a document, and of documents inside it, make one type."""

import pytest

from tests.rego.types.checking import finding, findings, no_collection, no_match, no_member


def type_of(rules: str) -> str:
    """Return how a message names the type of `p`, which is no set of `null`."""
    left = finding(f"{rules}\nprobe if p == {{null}}").splitlines()[1]
    return left.removeprefix("left  : ")


@pytest.mark.parametrize(
    ("rules", "name"),
    [
        ("p := 1", "number"),
        ("p if input.x", "boolean"),
        ('p := 1 if input.x\np := "a" if input.y', "any<number, string>"),
        ("default p := false\np := 1 if input.x", "any<boolean, number>"),
        ('p := 1 if input.x\nelse := "a" if input.y\nelse := null', "any<null, number, string>"),
        ('p contains 1\np contains "a" if input.x', None),
        ("p := {1}\np := {true} if input.x", None),
        ('p[x] := 1 if x := "a"', "object[string: number]"),
        ('p[x] := 1 if x := "a"\np[y] := true if y := 2', "object[any<number, string>: any<boolean, number>]"),
        ("p[x].y := 1 if x := input.x", "object[any: object[string: number]]"),
        ('p[x] contains 1 if x := "a"', "object[string: set[number]]"),
        ('p.a := 1\np.b := "x"', "object<a: number, b: string>[string: any]"),
        ("p.a contains 1", "object<a: set[number]>[string: any]"),
        ('p[1] := "a"\np[true] := "b"', "object<true: string, 1: string>[string: any]"),
        ('p[x] := 1 if x := "q"\np.a := "x"', "object[string: any<number, string>]"),
        ('p.a.b[x] := 1 if x := "q"\np.a.c := null', "object<a: object<b: object[string: number], c: null>[string: any]>[string: any]"),
        ("p := [input.x, data.y, q]\nq := 1", "array<any, any, number>"),
        ('p := {"a": q, "b": [q]}\nq := [r]\nr := 1', "object<a: array<number>, b: array<array<number>>>"),
        ("p := [x | some x in q]\nq := {true, 1}", "array[any<boolean, number>]"),
        ("p := f(1)\nf(x) := [x]", "array<any>"),
        ('p := x if { x := input.y with input as {"y": 1} }', None),
    ],
)
def test_a_rule_has_the_type_of_what_its_definitions_make(rules: str, name: str | None) -> None:
    if name is None:
        assert not findings(f"{rules}\nprobe if p == {{null, 1, true}}")
    else:
        assert type_of(rules) == name


def test_sets_and_open_objects_are_merged_others_are_alternatives() -> None:
    assert finding('p contains 1\np contains "a" if input.x\nq if p == [1]') == no_match("set[any<number, string>]", "array<number>")
    assert type_of('p := {"a": 1}\np := {"a": "s"} if input.x') == "any<object<a: number>, object<a: string>>"


def test_a_part_of_a_package_may_come_from_data_a_part_of_a_rule_may_not() -> None:
    assert not findings("p.a := 1\nq := p.b.c\nr := data.t.other.x")
    assert finding("p := {}\nq := data.t[1]") == no_member("data.t[1]", 7, "have (type): number", 'want (one of): ["p"]')
    assert finding("a[x] := y if { some x, y in [1, 2] }\np if a.foo == 1") == no_member(
        "data.t.a.foo", 9, 'have: "foo"', "want (type): number"
    )
    assert finding("a.b.c := 1\nq if a.b.c.d") == no_collection("data.t.a.b.c.d", 12, "number")


def test_a_function_takes_what_any_of_its_definitions_takes() -> None:
    rules = 'f(1) := 1\nf("a") := 2\nf([x]) := x + 1\n'
    assert not findings(f'{rules}p := [f(1), f("b"), f([input.x])]')
    assert len(findings(f'{rules}p := f({{}})\nq := f(["a"])')) == 2


def test_v0_rules_are_checked_alike() -> None:
    assert findings('p[x] { x := 1 }\nq { p["a"] }\nr[x] = 1 { x := "k" }\ns { r.a == "b" }', rego_version=0) == [
        no_member("data.t.p.a", 9, 'have: "a"', "want (type): number"),
        no_match("number", "string"),
    ]
