"""Bodies: where literals end, `some`, `every`, `not`, `with`, queries."""

from __future__ import annotations

import pytest

from authz.rego import nodes
from authz.rego.errors import CompileError
from authz.rego.parser import parse_query, parse_term
from tests.rego.syntax import body, call, expr, is_accepted, lit, ref, var

X, Y, Z, XS = var("x"), var("y"), var("z"), var("xs")


def holds(term: nodes.Term, *, negated: bool = False) -> nodes.Literal:
    return nodes.Literal(nodes.TermExpr(term), negated)


def test_semicolons_and_new_lines_separate_literals() -> None:
    assert body("x; y\nz") == (holds(X), holds(Y), holds(Z))
    assert body("x # y\n\n# c\nz") == (holds(X), holds(Z))


def test_an_operator_continues_a_literal_on_the_next_line() -> None:
    assert body("x\n== y") == body("x == y")
    assert body("x +\ny") == body("x + y")
    assert body("f(\nx,\ny\n)") == body("f(x, y)")


def test_a_bracket_on_the_next_line_begins_a_literal() -> None:
    assert body("x\n[y]") == (holds(X), holds(nodes.Array((Y,))))
    assert body("x\n(y)") == (holds(X), holds(Y))


@pytest.mark.parametrize("source", ["", "true;", "; true", "true;; true", "true true", "x := 1, y := 2", "x = y = z", "x := y := z"])
def test_malformed_bodies_are_refused(source: str) -> None:
    assert not is_accepted(f"p := [1 | {source}]")
    assert not is_accepted(f"p if {{ x; {source} }}")


def test_assignment_unification_and_comparison_are_three_things() -> None:
    assert expr("x := y == z") == nodes.Assign(X, call("equal", Y, Z))
    assert expr("[x, y] = z") == nodes.Unify(nodes.Array((X, Y)), Z)
    assert expr("x == y") == nodes.TermExpr(call("equal", X, Y))
    assert expr("x := 1, y in z") == nodes.Assign(X, call("internal.member_3", lit(1), Y, Z))


def test_negation() -> None:
    assert body("not x; not y == 1") == (holds(X, negated=True), holds(call("equal", Y, lit(1)), negated=True))
    for source in ("not not x", "not some x in y", "not every x in y { x }"):
        assert not is_accepted(f"p if {source}")


def test_some_declares_names() -> None:
    assert expr("some x") == nodes.SomeDecl((X,))
    assert body("some x, _\nxs[x]") == (nodes.Literal(nodes.SomeDecl((X, var("$0")))), holds(ref("xs", X)))


def test_some_in_iterates() -> None:
    assert expr("some x in xs") == nodes.SomeIn(None, X, XS)
    assert expr("some x, y in xs.z") == nodes.SomeIn(X, Y, ref("xs", "z"))
    assert expr('some [x, _], {"a": y} in xs') == nodes.SomeIn(nodes.Array((X, var("$0"))), nodes.ObjectTerm(((lit("a"), Y),)), XS)
    assert expr("some _ in xs") == nodes.SomeIn(None, var("$0"), XS)


@pytest.mark.parametrize("source", ["some x == 1", "some x, y, z in xs", "some", "some x,", "some 1", "some x.y", "some f(x)", "some x in"])
def test_other_forms_of_some_are_refused(source: str) -> None:
    assert not is_accepted(f"p if {{ {source} }}")


def test_every() -> None:
    assert expr("every x in xs { x; y }") == nodes.Every(None, X, XS, (holds(X), holds(Y)))
    assert expr("every x, y in xs { z }") == nodes.Every(X, Y, XS, (holds(Z),))


@pytest.mark.parametrize(
    "source", ["every x in xs", "every x in xs {}", "every [x] in xs { x }", "every 1, x in xs { x }", "every x { x }", "every x in xs x"]
)
def test_other_forms_of_every_are_refused(source: str) -> None:
    assert not is_accepted(f"p if {{ {source} }}")


def test_with_modifies_one_literal() -> None:
    literal, second = body("not x with input.a as 1 with data.b as y\nz with f as time.now_ns")
    assert literal.negated
    assert literal.withs == (nodes.With(ref("input", "a"), lit(1)), nodes.With(ref("data", "b"), Y))
    assert second.withs == (nodes.With(var("f"), ref("time", "now_ns")),)
    assert body("some x in xs with input as 1")[0].withs == (nodes.With(var("input"), lit(1)),)
    assert body("every x in xs { x } with input as 1")[0].withs == (nodes.With(var("input"), lit(1)),)


@pytest.mark.parametrize(
    "source", ["x with input", "x with 1 as 2", "x with f(y) as 2", "x with as 2", "x with contains as f", "x with [y] as 1"]
)
def test_malformed_modifiers_are_refused(source: str) -> None:
    assert not is_accepted(f"p if {{ {source} }}")


def test_a_keyword_that_begins_a_reference_is_a_name() -> None:
    assert body('in.x; not["y"]; if.z') == (holds(ref("in", "x")), holds(ref("not", "y")), holds(ref("if", "z")))
    assert body("x\nin.y") == (holds(X), holds(ref("in", "y")))
    assert body("x\nwith.y") == (holds(X), holds(ref("with", "y")))


def test_the_literals_of_a_query_need_nothing_between_them() -> None:
    assert body("x = 1 y = 2") == body("x = 1; y = 2")


@pytest.mark.parametrize("source", ["", "# nothing", "x;", "x }", "x, y"])
def test_malformed_queries_are_refused(source: str) -> None:
    with pytest.raises(CompileError):
        parse_query(source)


def test_a_query_knows_its_places() -> None:
    literals = parse_query("x\n  y", file="q")
    assert str(literals[1].location) == "q:2:3"


@pytest.mark.parametrize("source", ["", "x y", "x = 1", "x; y", "[1", "1)"])
def test_a_term_is_one_term(source: str) -> None:
    with pytest.raises(CompileError) as caught:
        parse_term(source)
    assert caught.value.code == "rego_parse_error"
