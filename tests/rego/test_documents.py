"""Rules, packages and base data as one document: heads with several steps, `else` and defaults below them, what is empty or hidden.

Each expectation was compared with OPA 1.20. Every test runs with tables and without.
"""

from __future__ import annotations

from typing import Any

import pytest

from authz import rego

pytestmark = pytest.mark.parametrize("optimize", [True, False], ids=["tables", "plain"])

KEYS = ("1", "2", "3", None)


def ask(modules: dict[str, str] | str, optimize: bool, query: str = "data.t", document: Any = None, data: Any = None) -> Any:
    """Return the value of a query as JSON, UNDEFINED if it has none. A text is a module of package `t`."""
    if isinstance(modules, str):
        modules = {"p.rego": f"package t\n{modules}"}
    policy = rego.compile(modules, data, optimize=optimize)
    found = policy.query(f"{query} = x", input={} if document is None else document)
    return found[0]["x"] if found else rego.UNDEFINED


# Heads


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p[1] := 1 if false else := 2", {"p": {"1": 2}}),
        ("p[1] := 1 if input.x else := 2 if input.y else := 3\np[2] := 4", {"p": {"1": 3, "2": 4}}),
        ('p["a"].b := 1 if false else := 2\np.a.c := 3', {"p": {"a": {"b": 2, "c": 3}}}),
        ("p[true] if false else := false", {"p": {"true": False}}),
        ("default p[1] := 1\np[1] := 2 if input.x", {"p": {"1": 1}}),
        ("default p[1] := 1\np[1] := 2\np[2] := 3", {"p": {"1": 2, "2": 3}}),
        ("default p.a := 1\np.b := 2", {"p": {"a": 1, "b": 2}}),
    ],
)
def test_a_constant_key_has_an_else_and_a_default_of_its_own(optimize: bool, text: str, expected: Any) -> None:
    assert ask(text, optimize) == expected


def test_many_constant_keys_choose_among_their_alternatives_one_by_one(optimize: bool) -> None:
    rules = "\n".join(f'p[{key}] := 1 if input.x == "{key}" else := 2 if input.y == "{key}" else := 0' for key in range(1, 4))
    for x in KEYS:
        for y in KEYS:
            expected = {key: 1 if x == key else 2 if y == key else 0 for key in KEYS if key is not None}
            assert ask(rules, optimize, "data.t.p", {"x": x, "y": y}) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p[[1]] := 1 if false else := 2", {"p": {}}),
        ("p[[1]] := 1 if true else := 2\np[[2]] := 5", {"p": {"[1]": 1, "[2]": 5}}),
        ("p[1] := 1 if false else := 2\np[x] := 7 if some x in [5]", {"p": {"5": 7}}),
        ("default p[1] := 1\np[x] := 7 if some x in [5]", {"p": {"5": 7}}),
    ],
)
def test_of_an_object_whose_keys_are_found_only_bodies_count(optimize: bool, text: str, expected: Any) -> None:
    assert ask(text, optimize) == expected


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("p[[1]] := 1\np[{2}] := 2", "data.t.p[[1]]", 1),
        ("p[[1]] := 1\np[{2}] := 2", "data.t.p[{2}]", 2),
        ("p[{1: [2]}].x := 3", "data.t.p[{1: [2]}].x", 3),
        ("p[x] := y if some x, y in [[1], [2]]", "data.t.p[1]", [2]),
        ("p.q[null] := 1", "data.t.p.q[null]", 1),
    ],
)
def test_keys_may_be_any_value(optimize: bool, text: str, query: str, expected: Any) -> None:
    assert ask(text, optimize, query) == expected


@pytest.mark.parametrize(
    "text",
    [
        "p[x] := 1 if some x in [1, 2]\np[1].y := 2",
        "p.a[x] := {1: 1} if some x in [1]\np.a[1][2] := 3",
        "p[x].y := 1 if some x in [1]\np[1] := {2: 1}",
        "p[x] contains 1 if some x in [1]\np[1] := 2",
    ],
)
def test_a_key_inside_the_value_of_another_rule_is_a_conflict(optimize: bool, text: str) -> None:
    with pytest.raises(rego.EvalError) as caught:
        ask(text, optimize, "data.t.p")
    assert caught.value.code == "eval_conflict_error"


def test_equal_values_of_one_key_are_no_conflict(optimize: bool) -> None:
    assert ask("p[x] := 1 if some x in [1, 2]\np[1] := 1", optimize) == {"p": {"1": 1, "2": 1}}


def test_a_condition_in_brackets_begins_a_body_behind_a_bare_name(optimize: bool) -> None:
    assert ask("p if[1]\nq if [false][0]\nr if{1}", optimize) == {"p": True, "r": True}


# Literals


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('p := {"a": 1, "a": 2}', {"a": 2}),
        ('p := {"b": 1, "a": 1, "b": 3}', {"a": 1, "b": 3}),
        ('p := {input.k: 1, "a": 2}', {"a": 1}),
        ('p := {"a": 2, input.k: 1}', {"a": 1}),
        ('x := "a"\np := {x: 1, "a": 2}', {"a": 1}),
        ('p := {lower("A"): 1, input.k: 2}', {"a": 2}),
    ],
)
def test_of_equal_keys_in_a_literal_the_last_counts_computed_ones_behind_constants(optimize: bool, text: str, expected: Any) -> None:
    assert ask(text, optimize, "data.t.p", {"k": "a"}) == expected


# Packages


def test_a_package_without_rules_is_an_empty_document(optimize: bool) -> None:
    modules = {"a.rego": "package a.b.c", "t.rego": "package t\np := data.a\nq if data.a.b.c\nr := data.a.b.c.d"}
    assert ask(modules, optimize, "data.t") == {"p": {"b": {"c": {}}}, "q": True}
    assert ask(modules, optimize, "data.a.b") == {"c": {}}


def test_an_empty_package_shows_the_base_data_below_it(optimize: bool) -> None:
    modules = {"a.rego": "package a.b", "t.rego": "package t\np := data.a.b.x"}
    assert ask(modules, optimize, "data.a", data={"a": {"b": {"x": 1}, "y": 2}}) == {"b": {"x": 1}, "y": 2}
    assert ask(modules, optimize, "data.t.p", data={"a": {"b": {"x": 1}}}) == 1


def test_functions_are_in_no_document_but_can_be_called(optimize: bool) -> None:
    modules = {"a.rego": "package a\nf(x) := x + 1\np := 1", "t.rego": "package t\nq := data.a\nr := data.a.f(2)"}
    assert ask(modules, optimize, "data.t") == {"q": {"p": 1}, "r": 3}
    assert ask(modules, optimize, "data.a.f(1)") == 2


def test_an_import_wins_over_a_rule_of_the_same_name(optimize: bool) -> None:
    modules = {"a.rego": "package a\nx := 1", "t.rego": "package t\nimport data.a.x\nx := 2\np := x\nq := data.t.x"}
    assert ask(modules, optimize, "data.t") == {"x": 2, "p": 1, "q": 2}


def test_a_rule_wins_over_the_documents_roots_in_v0(optimize: bool) -> None:
    policy = rego.compile({"p.rego": "package t\ninput := 1\np := input"}, rego_version=0, optimize=optimize)
    assert policy.query("data.t.p = x", input=5) == [{"x": 1}]


# `with`


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("p := data.a.x if { true with data.a as {} }", 1),
        ("p := y if { y := data.a.x with data.a as {1: 2} }", rego.UNDEFINED),
        ("p := y if { y := data.a with data.a as [1] }", [1]),
        ("p := y if { y := q with data.a as {} }\nq := data.a.f(1)", 2),
        ("p := y if { y := q with data.a as {2: 3} }\nq := data.a", {"2": 3}),
        ("p := y if { y := data.a.b with data.a.b.c as 1 }", {"c": 1, "d": 2}),
        ("p := y if { y := data.a.b.c.z with data.a.b.c as {4: 5} with data.a.b.c.z as 6 }", 6),
    ],
)
def test_what_with_replaces_hides_rules_but_no_functions(optimize: bool, body: str, expected: Any) -> None:
    modules = {"t.rego": f"package t\n{body}", "a.rego": "package a\nx := 1\nf(y) := y + 1", "b.rego": "package a.b\nd := 2"}
    assert ask(modules, optimize, "data.t.p") == expected


# Arguments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("f([x, [y, x]]) := y\np := f([1, [2, 1]])", 2),
        ("f([x, [y, x]]) := y\np := f([1, [2, 3]])", rego.UNDEFINED),
        ('f(x, {x: 1}) := x\np := f("a", {"a": 1})', "a"),
        ("f({x}) := 1\np := f({1})", rego.UNDEFINED),
        ('f({x: 1}) := x\np := f({"a": 1})', rego.UNDEFINED),
        ("f(x, x) := x\np := f(1, 1)", 1),
        ("f(x, x) := x\np := f(1, 2)", rego.UNDEFINED),
        ("f(_, _) := 1\np := f(1, 2)", 1),
        ("q := 1\nf(q) := q\np := f(2)", 2),
        ("f(set()) := 1\np := f(set())", 1),
        ("f({1, 2}) := 1\np := f({2, 1})", 1),
    ],
)
def test_arguments_match_patterns_but_no_unknown_members_or_keys(optimize: bool, text: str, expected: Any) -> None:
    assert ask(text, optimize, "data.t.p") == expected
