"""What policies mean where implementers go wrong: each expectation was compared with OPA 1.20.

Every test runs with tables and without. Here are values, undefined and false, negation, conflicts, `else`, defaults, arguments,
iteration, `with`, results as arguments. Other topics of the language and the tests that hold them:

- numbers and their texts: `test_numbers`, `test_render`; literals that are refused: `test_lexer`, `test_parser_terms`
- safety, order of expressions, scopes, recursion, arity: `test_safety`, `test_verdicts`; `and`, `or`, `not`: `test_logical`
- heads with several steps, packages, base data, repeated keys: `test_documents`; rules against data: `test_data_conflicts`
- annotations and `rego.metadata`: `test_annotations`, `test_metadata`; v0 and v1: `test_parser_versions`
- texts: `builtins/test_strings`, `test_sprintf`, `test_templates`; globs and patterns: `test_glob`, `test_regex`
- amounts, versions, networks, encodings: `test_units`, `test_semver`, `test_net`, `test_encoding`
- objects, patches, subsets, arrays, ranges: `test_objects`, `test_aggregates`, `test_arithmetic`
- time and what is the same within an evaluation: `test_clock`, `test_uuid`; tokens: `test_jwt`, `test_x509`
"""

from __future__ import annotations

from typing import Any

import pytest

from authz import rego

pytestmark = pytest.mark.parametrize("optimize", [True, False], ids=["tables", "plain"])


def package(text: str, optimize: bool, document: Any = None, data: Any = None) -> Any:
    """Return the document of package `t` as JSON."""
    policy = rego.compile({"p.rego": "package t\n" + text}, data, optimize=optimize)
    ((solution),) = policy.query("data.t = x", input={} if document is None else document)
    return solution["x"]


def conflict(text: str, optimize: bool, document: Any = None) -> str:
    with pytest.raises(rego.EvalError) as caught:
        package(text, optimize, document)
    assert caught.value.code == "eval_conflict_error"
    return caught.value.message


# Values


def test_true_one_and_text_are_three_values_and_one_is_one_point_nought(optimize: bool) -> None:
    found = package('p := {1, true, 1.0, "1"}\nq if input.a == 1.0\nr if input.a == true\ns if input.b == 1', optimize, {"a": 1, "b": True})
    assert found == {"p": [True, 1, "1"], "q": True}
    assert found["p"][0] is True


def test_values_of_different_types_have_an_order(optimize: bool) -> None:
    text = (
        'p := [1 < "a", null < false, false < true, [9] < {"a": 1}, {"a": 1} < {1}, [1] < [1, 0]]\nq := [x | some x in {3, 1, "a", null}]'
    )
    assert package(text, optimize) == {"p": [True] * 6, "q": [None, 1, 3, "a"]}


def test_objects_compare_key_by_key(optimize: bool) -> None:
    assert package('p if {"a": 2} > {"a": 1, "b": 0}\nq if {"b": 0} > {"a": 9}', optimize) == {"p": True, "q": True}


def test_keys_that_are_no_strings_become_text_and_a_string_key_wins(optimize: bool) -> None:
    text = 'p := {1: "i", "1": "s"}\nq[k] := 1 if some k in [null, true, [1.50, {"b": {2}}]]'
    assert package(text, optimize) == {"p": {"1": "s"}, "q": {"null": 1, "true": 1, '[1.50,{"b":[2]}]': 1}}


def test_numbers_are_exact(optimize: bool) -> None:
    assert package("p := 0.1 + 0.2 == 0.3\nq := -7 % 3\nr := 3.0 + 1\ns := 1e109 / 1e100", optimize) == {
        "p": True, "q": -1, "r": 4, "s": 1000000000,
    }  # fmt: skip


def test_halves_round_away_from_zero(optimize: bool) -> None:
    assert package("p := [round(2.5), round(-2.5), ceil(0.5), floor(1.5)]", optimize) == {"p": [3, -3, 1, 1]}


def test_the_last_of_equal_keys_in_a_literal_wins_but_a_comprehension_conflicts(optimize: bool) -> None:
    assert package('p := {"a": 1, "a": 2}', optimize) == {"p": {"a": 2}}
    assert conflict('p := {k: v | some k in ["a"]; some v in [1, 2]}', optimize) == "object keys must be unique"


def test_only_arrays_are_indexed_and_only_by_integers(optimize: bool) -> None:
    text = 'p if input.s[0]\nq if input.a[-1]\nr if input.a["0"]\ns := input.a[0]\nu := input.a[1.0]'
    assert package(text, optimize, {"s": "abc", "a": [7, 8]}) == {"s": 7, "u": 8}


# Undefined, false, negation


def test_null_zero_and_empty_values_hold_but_false_and_undefined_do_not(optimize: bool) -> None:
    text = "\n".join(f"p{index} if input.x[{index}]" for index in range(8))
    assert package(text, optimize, {"x": [None, 0, "", [], {}, False, True]}) == {f"p{index}": True for index in (0, 1, 2, 3, 4, 6)}


def test_a_rule_that_is_false_is_defined(optimize: bool) -> None:
    text = "p := false\nq if not p\nr if p == false\ns if p"
    assert package(text, optimize) == {"p": False, "q": True, "r": True}


def test_what_is_built_on_undefined_is_undefined(optimize: bool) -> None:
    text = 'p := [1, input.x]\nq := {"a": input.x}\nr := {input.x}\ns := count(input.x)\nu := [1 | input.x]\nv := $"<{input.x}>"'
    assert package(text, optimize) == {"u": [], "v": "<<undefined>>"}


def test_partial_sets_and_objects_are_never_undefined(optimize: bool) -> None:
    text = "p contains 1 if input.x\nq[1] := 2 if input.x\nr.a contains 1 if input.x\nf(x) := 1\nu if input.x"
    assert package(text, optimize) == {"p": [], "q": {}, "r": {"a": []}}


def test_places_that_heads_name_in_constants_are_there_without_a_solution(optimize: bool) -> None:
    text = 'p[true].a.b contains 1 if input.x\nq[1][2] := 1 if input.x\nr[x].y := 1 if x := input.x\nr["z"].w := 1 if input.x'
    assert package(text, optimize) == {"p": {"true": {"a": {"b": []}}}, "q": {"1": {}}, "r": {}}


def test_a_failing_built_in_is_undefined_unless_strict(optimize: bool) -> None:
    text = 'package t\np if not 1 / input.zero == 1\nq := to_number("x")\nr if startswith(input.n, "a")'
    policy = rego.compile({"p.rego": text}, optimize=optimize)
    document = {"zero": 0, "n": 1}
    assert policy.query("data.t = x", input=document) == [{"x": {}}]
    for rule, code in (("p", "eval_builtin_error"), ("q", "eval_builtin_error"), ("r", "eval_type_error")):
        with pytest.raises(rego.EvalError) as caught:
            policy.query(f"data.t.{rule}", input=document, strict_builtin_errors=True)
        assert caught.value.code == code


@pytest.mark.parametrize("test", ["input.x", "input.x == 1", "1 == input.x", "input.x.y", "input.x = 1", "r"])
def test_not_holds_for_an_undefined_reference_or_equality(optimize: bool, test: str) -> None:
    assert package(f"p if not {test}\nr if input.x", optimize) == {"p": True}


@pytest.mark.parametrize(
    "test",
    [
        "input.x != 1",
        "input.x > 1",
        'startswith(input.x, "a")',
        "f(input.x)",
        '"a" in input.x',
        "input.x in {1}",
        "count(input.x) == 0",
        "[input.x] == [1]",
    ],
)
def test_not_is_undefined_where_an_operand_of_a_call_is(optimize: bool, test: str) -> None:
    """References inside calls stand in front of the `not`: the trap of traps for an authorizer."""
    assert package(f"p if not {test}\nf(x) := false", optimize) == {}


@pytest.mark.parametrize(
    "test", ["input.x != 1", "input.x > 1", 'startswith(input.x, "a")', "f(input.x)", '"a" in input.x', "input.x in {2}"]
)
def test_not_holds_for_a_test_of_a_defined_operand_that_fails(optimize: bool, test: str) -> None:
    assert package(f"p if not {test}\nf(x) := false", optimize, {"x": 1}) == {"p": True}


def test_a_negated_literal_waits_for_its_variables(optimize: bool) -> None:
    assert package('p := x if { not bad[x]; x = input.xs[_] }\nbad := {"a": 1}', optimize, {"xs": ["b"]})["p"] == "b"


# Rules


def test_two_values_of_a_complete_rule_conflict_and_equal_ones_do_not(optimize: bool) -> None:
    message = "complete rules must not produce multiple outputs"
    text = "p := 1 if input.a\np := 2 if input.b"
    assert conflict(text, optimize, {"a": 1, "b": 1}) == message
    assert package(text, optimize, {"b": 1}) == {"p": 2}
    assert package("p := 1 if input.a\np := 1.0 if input.b", optimize, {"a": 1, "b": 1}) == {"p": 1}
    assert conflict("p := x if some x in input.xs", optimize, {"xs": [1, 2]}) == message
    assert conflict("p := input.x == 1 if input.a\np if input.b", optimize, {"a": 1, "b": 1, "x": 2}) == message


def test_two_values_of_a_function_conflict(optimize: bool) -> None:
    text = "f(x) := 1 if x > 0\nf(x) := 2 if x > 1\np := f(input.n)"
    assert conflict(text, optimize, {"n": 2}) == "functions must not produce multiple outputs for same inputs"
    assert package(text, optimize, {"n": 1}) == {"p": 1}


def test_two_values_of_a_key_conflict(optimize: bool) -> None:
    assert conflict('p[k] := v if some k, v in {"a": 1}\np["a"] := 2', optimize) == "object keys must be unique"
    assert package('p[k] := v if some k, v in {"a": 1}\np["a"] := 1', optimize) == {"p": {"a": 1}}


def test_a_conflict_in_a_rule_that_is_needed_ends_the_evaluation(optimize: bool) -> None:
    text = "v := 1 if input.a\nv := 2 if input.b\nallow if v == 1\nallow if input.c"
    conflict(text, optimize, {"a": 1, "b": 1, "c": 1})


def test_else_is_tried_in_order_and_belongs_to_its_own_rule(optimize: bool) -> None:
    text = "p := 1 if input.a else := 2 if input.b else := 3"
    assert [package(text, optimize, {name: 1})["p"] for name in ("a", "b", "c")] == [1, 2, 3]
    two = "p := 1 if input.a else := 2 if input.b\np := 3 if input.c"
    assert package(two, optimize, {"c": 1}) == {"p": 3}
    conflict(two, optimize, {"b": 1, "c": 1})


def test_a_body_that_holds_with_an_undefined_value_goes_on_to_else(optimize: bool) -> None:
    assert package("p := input.missing if input.a else := 2", optimize, {"a": 1}) == {"p": 2}


def test_default_applies_where_nothing_else_does(optimize: bool) -> None:
    text = "default p := [x | some x in [1, 2]]\np := 3 if input.a\ndefault q := false\nq if input.a == 1"
    assert package(text, optimize) == {"p": [1, 2], "q": False}
    assert package(text, optimize, {"a": 1}) == {"p": 3, "q": True}


def test_the_default_of_a_function_needs_defined_arguments(optimize: bool) -> None:
    assert package("default f(x) := 7\nf(x) := 1 if x == 1\np := f(input.x)\nq := f(2)\nr := f(1)", optimize) == {"q": 7, "r": 1}


def test_arguments_are_patterns_and_all_definitions_that_match_run(optimize: bool) -> None:
    text = 'f([x, {"a": y}]) := x + y\nf("k") := 9\nf([_, z]) := 5 if z == 5\np := [f(v) | some v in input.vs]'
    assert package(text, optimize, {"vs": [[1, {"a": 2}], "k", [1], [3, 5], {"a": 2}]}) == {"p": [3, 9, 5]}


def test_functions_may_be_false(optimize: bool) -> None:
    assert package("f(x) := x > 1\np if f(1)\nq := f(1)\nr if f(2)", optimize) == {"q": False, "r": True}


def test_heads_with_several_steps_nest_and_merge(optimize: bool) -> None:
    text = 'p[q].r := 1 if some q in ["a", "b"]\np.c.d contains 3\np[x][y] := 2 if { x := "a"; y := "s" }\np[0] := 4'
    assert package(text, optimize) == {"p": {"a": {"r": 1, "s": 2}, "b": {"r": 1}, "c": {"d": [3]}, "0": 4}}


def test_writing_into_the_value_of_another_rule_conflicts(optimize: bool) -> None:
    assert conflict('p[x] := {"b": 1} if x := "a"\np[x].c := 2 if x := "a"', optimize) == "object keys must be unique"


def test_base_data_merges_with_the_rules_of_its_package_and_the_rule_wins_by_name(optimize: bool) -> None:
    policy = rego.compile({"p.rego": "package t\np := 1\nq := data.t.base\nr := data.t.p"}, {"t": {"base": 2, "p": 9}}, optimize=optimize)
    assert policy.entrypoint("t/r").decide({}) == 1
    assert policy.entrypoint("t/q").decide({}) == 2


def test_a_number_finds_a_text_key_of_base_data_only_in_one_reference(optimize: bool) -> None:
    text = "p := data.k[1]\nq := x if { k := data.k; x := k[1] }\nr := input.k[1]\ns := data.k[true]"
    keyed = {"k": {"1": "a", "true": "b"}}
    assert package(text, optimize, keyed, keyed) == {"p": "a"}


# Iteration


def test_some_iterates_values_or_keys_with_values(optimize: bool) -> None:
    text = """p := [x | some x in {"a": 1, "b": 2}]
q := [[k, v] | some k, v in {"a": 1}]
r := [[i, v] | some i, v in ["x"]]
s := [k | some k, _ in {7}]"""
    assert package(text, optimize) == {"p": [1, 2], "q": [["a", 1]], "r": [[0, "x"]], "s": [7]}


def test_in_tests_values_and_is_false_for_what_is_no_collection(optimize: bool) -> None:
    text = 'p := [1 in {"a": 1}, "a" in {"a": 1}, 1 in 1, 1 in "1", 1 in input.x]\nq := [0, 2 in [2]]\nr if "a", 1 in {"a": 1}'
    assert package(text, optimize, {"x": 1}) == {"p": [True, False, False, False, False], "q": [0, True], "r": True}


def test_indexing_a_set_gives_the_member(optimize: bool) -> None:
    assert package('q := s["a"]\ns := {"a", "b"}\nr := s["c"]', optimize) == {"q": "a", "s": ["a", "b"]}


def test_every_holds_for_nothing_but_needs_a_collection(optimize: bool) -> None:
    text = "\n".join(
        [
            "p if every x in [] { x == 1 }",
            "q if every x in input.m { x == 1 }",
            "r if every x in input.n { x }",
            's if every k, v in {"a": 1} { k == "a"; v == 1 }',
            "u if every x in [1, 2] { some y in [x, 3]; y > 1 }",
            "v if every x in [1, 2] { x > 1 }",
        ]
    )
    assert package(text, optimize, {"n": 1}) == {"p": True, "s": True, "u": True}


def test_walk_yields_every_path_with_its_value(optimize: bool) -> None:
    text = 'p := [x | walk({"a": [1]}, x)]\nq := {path | walk([{7}], [path, _])}'
    assert package(text, optimize) == {"p": [[[], {"a": [1]}], [["a"], [1]], [["a", 0], 1]], "q": [[], [0], [0, 7]]}


def test_comprehensions_see_outer_variables_and_may_shadow_them(optimize: bool) -> None:
    text = "p := [y | x := 1; y := [z | some z in [x, 2]]]\nq := y if { x := 1; y := [x | x := 2]; x == 1 }\nr := [x | some x in [2, 1, 2]]"
    assert package(text, optimize) == {"p": [[1, 2]], "q": [2], "r": [2, 1, 2]}


def test_unification_solves_patterns_from_both_sides(optimize: bool) -> None:
    text = """p := [x, y] if [x, 2] = [1, y]
q := [x, y] if { [x, {"a": y}] = [y, {"a": input.n}] }
r if { [x, x] = input.pair }
s := [x, z] if { {"a": x, "b": [_, z]} = input.o }
u if { {"a": x} = input.o; x }"""
    document = {"n": 3, "pair": [1, 2], "o": {"a": 1, "b": [2, 3]}}
    assert package(text, optimize, document) == {"p": [1, 2], "q": [3, 3], "s": [1, 3]}


# with


def test_with_replaces_input_below_a_path_that_it_makes(optimize: bool) -> None:
    text = """r := input
p := x if x := r with input.a.b as 1
q := x if x := r with input as {"z": 1} with input.y as 2
s := x if x := r with input.a as 1 with input as 7"""
    found = package(text, optimize, {"a": {"c": 2}})
    assert found == {"r": {"a": {"c": 2}}, "p": {"a": {"b": 1, "c": 2}}, "q": {"z": 1, "y": 2}, "s": 7}


def test_with_reaches_everything_its_expression_evaluates_and_nothing_else(optimize: bool) -> None:
    text = """v := input.x
f(y) := [v, y]
p := [v, w, v] if { w := v with input.x as 2 }
q := x if x := f(v) with input.x as 3
r := y if y := [z | z := v] with input.x as 4"""
    assert package(text, optimize, {"x": 1}) == {"v": 1, "p": [1, 2, 1], "q": [3, 3], "r": [4]}


def test_with_replaces_data_and_whole_rules(optimize: bool) -> None:
    text = """v := data.base.n
u := 5
p := x if x := v with data.base.n as 2
q := x if x := v with data.base as {"n": 3}
r := x if x := u with u as 6
s := x if x := data.other.u with data.other as {"u": 7}"""
    assert package(text, optimize, None, {"base": {"n": 1}}) == {"v": 1, "u": 5, "p": 2, "q": 3, "r": 6, "s": 7}


def test_with_replaces_functions_by_values_functions_and_rules(optimize: bool) -> None:
    text = """f(x) := count(x) + 1
g(x) := x
v := input.n
p := x if x := count("abc") with count as 7
q := x if x := count("abc") with count as f
r := x if x := count(input.missing) with count as 7
s := x if x := g(1) with g as count
u := x if x := g(1) with g as v with input.n as 9
w if not count([1]) == 1 with count as v"""
    found = package(text, optimize, {"n": 5})
    assert {key: found.get(key) for key in "pqrsuw"} == {"p": 7, "q": 4, "r": None, "s": None, "u": 9, "w": True}


def test_the_clock_stands_still_and_can_be_replaced(optimize: bool) -> None:
    policy = rego.compile({"p.rego": "package t\np := [time.now_ns(), x] if x := time.now_ns() with time.now_ns as 5"}, optimize=optimize)
    assert policy.entrypoint("t/p").decide({}, now_ns=42) == [42, 5]


# Results as arguments


def test_an_extra_argument_is_the_result_and_may_be_false(optimize: bool) -> None:
    text = 'p if count([1, 2, 3], 3)\nq := x if contains("a", "b", x)\nf(x) := x\nr if f(1, 1)\ns := y if f([1, 2], [_, y])\nu if f(1, 2)'
    assert package(text, optimize) == {"p": True, "q": False, "r": True, "s": 2}


def test_minimum_of_nothing_is_undefined_and_sums_are_not(optimize: bool) -> None:
    assert package("p := min([])\nq := sum([])\nr := product([])", optimize) == {"q": 0, "r": 1}
