"""Within the extent of a `with`, the replaced document may also be of the value's type, and what depends on it of any."""

import pytest

from authz import rego
from tests.rego.types.checking import finding, findings, no_collection, no_match, no_member


@pytest.mark.parametrize(
    "text",
    [
        'p if { q.x with q as {"x": 1} }\nq := 1',
        'p if { q.x.y with q.x as {"y": 1} }\nq.x := 1',
        "p if { x := q.y with q as input.z; x }\nq := 1",
        'p if { startswith(q, "a") with q as "a" }\nq := 1',
        'p if { not q.y == 1 with q as {"y": 1} }\nq := 1',
        'p if { x := [y | y := q.z] with q as {"z": 1}; x }\nq := 1',
        'p if { every x in [1] { q.y == x } with q as {"y": 1} }\nq := 1',
        "f(x) if { {null} == m with m as x }\nm := 1",
        "p if { r.a with q as 1 }\nq := 2\nr := q",
        "p if { s.a.b with q as 1 }\nq := 2\nr := [q]\ns := {r}",
        "p if { r == true with q as 1 }\nq := 2\nr[x] := q if x := 1",
        'p if { f("a") == [] with q as 1 }\nf(x) := x + q\nq := 1',
        "p if { r == true with f as 1 }\nr := f(1)\nf(x) := x + 1",
        "p if { input.x.y with input as 1 }",
    ],
)
def test_what_may_be_replaced_by_something_fitting_is_left_to_evaluation(text: str) -> None:
    assert findings(text) == []


def test_the_replaced_document_has_its_own_type_too() -> None:
    assert finding("p if { q == true with q as [1] }\nq := 1") == no_match("any<number, array<number>>", "boolean")
    assert finding('p if { q.a.b with q.a as "s" }\nq.a := 1') == no_collection("data.t.q.a.b", 10, "any<number, string>")
    assert finding("p if { x := q.y with q as [1] }\nq := 1") == no_member("data.t.q.y", 9, 'have: "y"', "want (type): number")


def test_only_the_literal_with_the_modifier_is_affected() -> None:
    assert finding('p if { q.x with q as {"x": 1}; q.y }\nq := 1') == no_collection("data.t.q.y", 8, "number")


def test_what_does_not_depend_on_the_replaced_document_keeps_its_type() -> None:
    assert finding("p if { r.a with q as 1 }\nq := 2\nr := 1") == no_collection("data.t.r.a", 8, "number")
    assert finding("p if { r.a with data.base as 1 }\nr := 1") == no_collection("data.t.r.a", 8, "number")


def test_an_input_of_which_a_part_is_replaced_is_an_object() -> None:
    assert finding("p if { input == 1 with input.a as 1 }") == no_match("object<a: any>[string: any]", "number")
    assert not findings('p if { input.b == 1 with input.a as 1; input == 2 with input as {"a": 1} }')


def test_a_value_is_checked_like_any_term() -> None:
    assert finding("p if { x := 1 with q as q.z; x }\nq := 1") == no_collection("data.t.q.z", 8, "number")


def test_a_rule_that_replaces_what_depends_on_it_is_recursive() -> None:
    with pytest.raises(rego.CompileError, match=r"rule data\.t\.p is recursive: data\.t\.p -> data\.t\.p"):
        rego.compile({"p.rego": "package t\np if q with data.t.p as 1\nq := 1"})


def test_the_value_is_looked_at_once_for_all_the_calls_of_a_literal() -> None:
    """Evaluated again after `count(x)`, `x + 1` would not fit."""
    assert not findings("f(x) if { sum([count(x)]) > 1 with input as [y | y := x + 1] }")
