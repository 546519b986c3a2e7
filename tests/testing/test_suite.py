from __future__ import annotations

from collections.abc import Mapping

import pytest

from authz.rego.errors import CompileError
from authz.testing import Outcome, Result, Suite, compile_suite


def suite(source: str, data: Mapping[str, object] | None = None, policy: str = "package p") -> Suite:
    return compile_suite({"t.rego": f"package t\n\n{source}\n", "p.rego": policy}, data)


def results(source: str, policy: str = "package p") -> dict[str, Result]:
    compiled = suite(source, None, policy)
    return {test.name: compiled.run(test, 0) for test in compiled.tests}


def outcome(source: str) -> Outcome:
    (result,) = results(source).values()
    return result.outcome


def leaves(source: str) -> dict[str, bool]:
    (result,) = results(source).values()
    assert (result.outcome is Outcome.PASS) == all(case.has_passed for _, case in result.leaves())
    return {"/".join(names): case.has_passed for names, case in result.leaves()}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("test_x if true", Outcome.PASS),
        ("test_x := true", Outcome.PASS),
        ("test_x if false", Outcome.FAIL),
        ("test_x := false", Outcome.FAIL),
        ("test_x := 1", Outcome.FAIL),
        ('test_x := "true"', Outcome.FAIL),
        ("test_x contains true", Outcome.FAIL),
        ("test_x(y) if y", Outcome.FAIL),
        ("todo_test_x if false", Outcome.SKIPPED),
        ("test_x if 1 / 0 == 1", Outcome.ERROR),
        ("test_x := 1 if true\n\nelse := 2", Outcome.FAIL),
        ("test_x if false\n\nelse := true", Outcome.PASS),
    ],
)
def test_a_test_passes_only_if_it_is_true(source: str, expected: Outcome) -> None:
    assert outcome(source) is expected


def test_a_built_in_that_fails_is_an_error_even_where_it_would_let_the_test_pass() -> None:
    (result,) = results('test_x if not to_number("x")').values()
    assert result.outcome is Outcome.ERROR
    assert result.error is not None
    assert (result.error.code, result.error.location.row) == ("eval_builtin_error", 3)


def test_a_conflict_is_an_error() -> None:
    (result,) = results("test_x if p == 1\n\np := 1\n\np := 2").values()
    assert result.error is not None
    assert result.error.code == "eval_conflict_error"


def test_a_rule_that_holds_does_not_hide_one_of_the_same_name_that_does_not() -> None:
    found = results("test_x if true\n\ntest_x if false")
    assert {name: result.outcome for name, result in found.items()} == {"test_x": Outcome.PASS, "test_x#01": Outcome.FAIL}


def test_input_data_and_functions_are_replaced() -> None:
    policy = "package p\n\nallow if { input.x == data.limit; time.now_ns() == 7; f(1) == 3 }\n\nf(x) := x"
    source = "test_x if data.p.allow with input.x as 5 with data.limit as 5 with time.now_ns as 7 with data.p.f as 3"
    assert [result.outcome for result in results(source, policy).values()] == [Outcome.PASS]


def test_every_case_counts_also_one_that_leaves_no_value() -> None:
    source = """
test_x[tc.note] if {
	some tc in [{"note": "one", "n": 1}, {"note": "two", "n": 2}, {"note": 3, "n": 3}]
	double := tc.n * 2
	double != 4
}"""
    assert leaves(source) == {"one": True, "two": False, "3": True}


def test_cases_may_be_grouped() -> None:
    source = 'test_x[group][n] if {\n\tsome group, ns in {"a": [1, 2], "b": [0]}\n\tsome n in ns\n\tn > 0\n}'
    assert leaves(source) == {"a/1": True, "a/2": True, "b/0": False}


def test_cases_with_constant_names_are_tests_each() -> None:
    found = results('test_x["a/b"] if false\n\ntest_x["c"] if true')
    assert {name: [names for names, _ in result.leaves()] for name, result in found.items()} == {
        "test_x": [("a/b",)],
        "test_x#01": [("c",)],
    }
    assert [result.outcome for result in found.values()] == [Outcome.FAIL, Outcome.PASS]


def test_a_case_whose_name_is_declared_before_it_is_bound_is_found() -> None:
    source = "test_x[note] if {\n\tsome note, other\n\tn := cases[note]\n\tother = n\n\tother == 1\n}\n\ncases := {`a`: 1, `b`: 2}"
    assert leaves(source) == {"a": True, "b": False}


def test_a_case_whose_name_is_bound_by_the_last_literal_is_found() -> None:
    assert leaves("test_x[note] if {\n\tn := `one`\n\tnote = n\n}") == {"one": True}


def test_the_parts_of_a_case_count() -> None:
    assert leaves("test_x[n] := {`small`: n < 3, `odd`: n % 2 == 1} if some n in [1, 2]") == {
        "1/odd": True,
        "1/small": True,
        "2/odd": False,
        "2/small": True,
    }


def test_a_parametrised_test_without_any_case_fails() -> None:
    (result,) = results("test_x[note] if some note in []").values()
    assert (result.outcome, result.detail) == (Outcome.FAIL, "it has no cases")


def explained(source: str) -> dict[tuple[str, ...], tuple[int, dict[str, object]]]:
    compiled = suite(source)
    stops = compiled.explain([compiled.run(test, 0) for test in compiled.tests], 0)
    return {names: (stop.location.row, dict(stop.variables)) for (_, names), stop in stops.items()}


def test_a_failure_is_explained_by_the_literal_that_did_not_hold_and_its_variables() -> None:
    assert explained("test_x if {\n\tx := 1\n\tunused := 2\n\tx > 0\n\tx > 1\n\tx > 2\n}") == {(): (7, {"x": 1})}


def test_a_failure_of_the_first_literal_is_explained() -> None:
    assert explained("test_x if false") == {(): (3, {})}


def test_each_case_that_failed_is_explained() -> None:
    source = "test_x[n] if {\n\tsome n in [1, 2, 3]\n\tn != 2\n\tdouble := n * 2\n\tdouble < 5\n}"
    assert explained(source) == {("2",): (5, {"n": 2}), ("3",): (7, {"double": 6})}


def test_a_value_that_is_not_true_needs_no_literal() -> None:
    assert explained("test_x := 3 if true") == {}


def test_a_body_that_binds_late_is_explained_where_it_can_be_taken_apart() -> None:
    # Its first literal by itself would be unsafe.
    source = "test_x if {\n\tx > 1\n\tx = 3\n\tx > 5\n}\n\ntest_y if {\n\ty := 1\n\ty == 2\n}"
    compiled = suite(source)
    stops = compiled.explain([compiled.run(test, 0) for test in compiled.tests], 0)
    assert {path[-1]: stop.location.row for (path, _), stop in stops.items()} == {"test_x": 6, "test_y": 11}


def test_a_rule_over_base_data_is_refused() -> None:
    with pytest.raises(CompileError, match="conflicting rule for data path t/test_x found"):
        suite("test_x if true", {"t": {"test_x": True}})


def test_what_does_not_compile_is_refused() -> None:
    with pytest.raises(CompileError, match="var y is unsafe"):
        suite("test_x[n] if { some n in [1]; y }")


def test_what_a_test_prints_is_kept_and_only_where_it_is_wanted() -> None:
    source = 'test_x if { print(1, input.no); f(2) }\n\nf(x) if print("f", x)\n\ntest_y if true'
    assert {name: result.output for name, result in results(source).items()} == {"test_x": "1 <undefined>\nf 2\n", "test_y": ""}
    silent = compile_suite({"t.rego": f"package t\n\n{source}\n"}, None, prints=False)
    assert [silent.run(test, 0).output for test in silent.tests] == ["", ""]


def test_an_error_keeps_what_was_printed_before_it() -> None:
    (result,) = results('test_x if { print("before"); 1 / 0 == 1 }').values()
    assert (result.outcome, result.output) == (Outcome.ERROR, "before\n")


HEAVY = "count([1 | numbers.range(1, 1000)[_]; numbers.range(1, 100)[_]]) == 100000"


def test_the_cases_of_a_test_cost_no_more_than_their_names() -> None:
    assert leaves(f"test_x[n] if {{\n\tsome n in [1, 2]\n\t{HEAVY}\n\tn != 2\n}}") == {"1": True, "2": False}


def test_coverage_is_of_tests_and_of_what_they_test() -> None:
    compiled = suite("test_x if data.p.a\n\ntodo_test_y if data.p.b", policy="package p\n\na if true\n\nb if true")
    reports = compiled.coverage(compiled.tests, 0)
    assert {file: ({one.row for one in found.covered}, {one.row for one, _ in found.not_covered}) for file, found in reports.items()} == {
        "p.rego": ({3}, {5}),
        "t.rego": ({3}, {5}),
    }


def test_an_error_is_no_reason_to_cover_nothing() -> None:
    compiled = suite("test_x if { 1 == 1; data.p.a == 2 }", policy="package p\n\na := 1 if true\n\na := 2 if true")
    assert {one.row for one in compiled.coverage(compiled.tests, 0)["p.rego"].covered} == {3, 5}
