"""Comprehensions see what is known outside; what they tell of a variable stays inside."""

import pytest

from tests.rego.types.checking import bad_arguments, finding, findings, no_match

STARTSWITH = "search: string, base: string, result: boolean"


def test_a_closure_knows_the_types_outside() -> None:
    assert finding('p if { x := 1; y := [z | z := startswith(x, "a")]; y }') == bad_arguments(
        "startswith", "number, string, ???", STARTSWITH
    )


def test_what_a_closure_learns_of_a_variable_stays_inside() -> None:
    assert not findings('f(x) if { y := [1 | x == 1]; z := [1 | x == "a"]; y != z }')


def test_a_variable_inside_may_have_the_name_of_one_outside() -> None:
    assert not findings('p if { x := 1; y := [x | x := "a"]; y == ["b"]; x == 2 }')


def test_a_closure_in_a_closure_is_also_checked_without_what_lies_between() -> None:
    """As OPA does: `y` is a number there after its first use."""
    text = 'p := [x | y := input.a; x := [z | z := y + 1; startswith(y, "a")]]'
    assert finding(text) == bad_arguments("startswith", "number, string", STARTSWITH)


def test_of_two_closures_of_an_expression_the_last_fault_counts() -> None:
    assert findings('p if [1 | 1 == "a"] == [1 | 2 == null]') == [no_match("number", "null")]


def test_a_closure_with_a_fault_has_no_type_and_no_further_faults() -> None:
    assert len(findings('p if { y := [x | x := 1 + "a"]; y + 1 }')) == 1


@pytest.mark.parametrize("text", ['f(y) if { a[y] == [1 | y == "x"; y == 1] }', 'f(y) if { [1 | y == "x"; y == 1] == a[y] }'])
def test_a_closure_is_looked_at_before_the_reference_beside_it(text: str) -> None:
    """So `y` is a text first, and not yet what `a` is indexed with."""
    assert finding(f"{text}\na := [[2]]") == no_match("string", "number")


@pytest.mark.parametrize(
    ("term", "is_refused"),
    [
        ('[a[y], [1 | y == "1"]]', True),
        ('[[1 | y == "1"], a[y]]', False),
        ('{"b": [1 | y == "1"], "a": a[y]}', True),
        ('{"a": [1 | y == "1"], "b": a[y]}', False),
        ('{[1 | y == "1"], a[y]}', True),
    ],
)
def test_members_of_arrays_are_looked_at_as_written_those_of_objects_and_sets_in_their_order(term: str, is_refused: bool) -> None:
    wanted = [no_match("number", "string")] if is_refused else []
    assert findings(f'f(y) if {{ x = {term}; x }}\na := ["b"]') == wanted
