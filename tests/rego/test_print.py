"""`print`: as OPA prints it where somebody listens, nothing where decisions are made."""

from __future__ import annotations

from typing import Any

import pytest

from authz import rego
from authz.rego.errors import CompileError
from tests.rego.observed.asking import observed


def printed(source: str, query: str = "data.p.r", document: Any = None) -> list[str]:
    """Return what is printed, which does not depend on who evaluates."""
    modules, value = {"p.rego": f"package p\n\n{source}\n"}, None if document is None else rego.from_json(document)
    found: list[str] = []
    policy = rego.compile(modules, prints=True)
    prepared = policy.prepare(policy.parse_query(query))
    context = prepared.context(value, 0)
    context.output = found.append
    prepared.solutions(context)
    watched = observed(modules)
    heard: list[str] = []
    observable = watched.prepare(watched.parse_query(query))
    context = observable.context(value, 0)
    context.output = heard.append
    observable.solutions(context, lambda _: None, with_variables=False)
    assert heard == found
    return found


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('r if print("a")', ["a"]),
        ("r if print()", [""]),
        ('r if print(1, "x", null, true, [1, "y"], {"a": {1, "2"}})', ['1 x null true [1, "y"] {"a": {1, "2"}}']),
        ("r if print(1.50, 1e3, 100000000000000000000000)", ["1.50 1e3 100000000000000000000000"]),
        ("r if print(input.x)", ["5"]),
        ("r if { x := 1; print(x, input.no, x + 1) }", ["1 <undefined> 2"]),
        ('r if print(1 / 0, to_number("x"), 2)', ["<undefined> <undefined> 2"]),
        ("r if print(q)\n\nq := 1 if false", ["<undefined>"]),
        ("r if print(f(1))\n\nf(x) := x + 1", ["2"]),
        ("r if print([x | x := [1, 2][_]])", ["[1, 2]"]),
        ("r if print(data.p.s)\n\ns contains 1\n\ns contains 2", ["{1, 2}"]),
        ("r if print(walk([1]))", ["[[], [1]]", "[[0], 1]"]),
        ("r if { some x in [1, 2]; print(x); x == 2 }", ["1", "2"]),
        ("r if { every x in [1, 2] { print(x); x > 0 } }", ["1", "2"]),
        ('r if { x := [y | y := 1; print("c", y)]; x == [1] }', ["c 1"]),
        ("r contains x if { some x in [1, 2]; print(x) }", ["1", "2"]),
        ('r := 1 if { print("one"); false } else := 2 if print("two")', ["one", "two"]),
        ('r if { print("before"); 1 == 2; print("behind") }', ["before"]),
        ('r if { print("before"); input.x == 1 }', ["before"]),
        ('r if { input.x == 1; print("behind") }', []),
        ('r if not print("n")', ["n"]),
    ],
)
def test_what_is_printed_is_opas(source: str, lines: list[str]) -> None:
    assert printed(source, document={"x": 5}) == lines


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('r if f(1)\n\nf(x) if print("in f", x)', ["in f 1"]),
        ('r if f(1) with input.a as 5\n\nf(x) if print("in f", x, input.a)', ["in f 1 5"]),
        ('r if f(2) with f as 3\n\nf(x) := x if print("real")', []),
        ('r if f(2) with f as g\n\nf(x) := x if print("real")\n\ng(x) := x if print("mock", x)', ["mock 2"]),
        ("r if print(count([1, 2, 3])) with count as 99", ["3"]),  # as in OPA, a `with` of the print itself is none
        ("r if print(input.z) with input.z as 1", ["<undefined>"]),
        ('r if { q; q }\n\nq if print("once")', ["once"]),
    ],
)
def test_functions_and_mocks_print_what_is_evaluated(source: str, lines: list[str]) -> None:
    assert printed(source) == lines


def test_a_query_may_print() -> None:
    assert printed("q := 1", "x := data.p.q; print(x, data.p.no)") == ["1 <undefined>"]


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("r if print(_)", "rego_compile_error", "var _ is undeclared"),
        ("r if print(input[_])", "rego_compile_error", "var _ is undeclared"),
        ("r if print(x)", "rego_compile_error", "var x is undeclared"),
        ("r if { print(x); x = 1 }", "rego_compile_error", "var x is undeclared"),
        ("r if { x := print(1); x }", "rego_type_error", "print(...) used as value"),
        ("r if print(1) == true", "rego_type_error", "print(...) used as value"),
        ("r if count([print(1)]) == 1", "rego_type_error", "print(...) used as value"),
    ],
)
@pytest.mark.parametrize("prints", [True, False])
def test_what_cannot_be_printed_is_refused_everywhere(source: str, code: str, message: str, prints: bool) -> None:
    with pytest.raises(CompileError) as caught:
        rego.compile({"p.rego": f"package p\n\n{source}\n"}, prints=prints)
    assert (caught.value.code, caught.value.message) == (code, message)


PRINTING = 'package p\n\nallow if {\n\tprint("user", input.user)\n\tinput.user == "ann"\n}\n\nallow if input.user == "bob"\n'
SILENT = 'package p\n\nallow if {\n\tinput.user == "ann"\n}\n\nallow if input.user == "bob"\n'


@pytest.mark.parametrize("optimize", [True, False])
def test_a_decision_has_no_trace_of_print(optimize: bool) -> None:
    texts = [rego.compile({"p.rego": source}, optimize=optimize).artifact.text for source in (PRINTING, SILENT)]
    assert "print" not in texts[0]
    assert texts[0] == texts[1]


def test_a_policy_that_prints_has_no_tables_only_where_somebody_listens() -> None:
    assert rego.compile({"p.rego": PRINTING}).artifact.tables != ()
    assert rego.compile({"p.rego": PRINTING}, prints=True).artifact.tables == ()
    assert rego.compile({"p.rego": SILENT}, prints=True).artifact.tables != ()
