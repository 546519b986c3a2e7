"""Terms: precedence, references, calls, collections, comprehensions, template strings."""

from __future__ import annotations

from decimal import Decimal

import pytest

from authz.rego import nodes
from tests.rego.syntax import call, is_accepted, lit, ref, term, var

X, Y, Z = var("x"), var("y"), var("z")
ONE, TWO, THREE = lit(1), lit(2), lit(3)


@pytest.mark.parametrize(
    ("source", "same"),
    [
        ("1 + 2 * 3", "1 + (2 * 3)"),
        ("1 * 2 + 3", "(1 * 2) + 3"),
        ("1 - 2 - 3", "(1 - 2) - 3"),
        ("6 / 3 % 2", "(6 / 3) % 2"),
        ("x | y & z + 1", "x | (y & (z + 1))"),
        ("x & y | z", "(x & y) | z"),
        ("x | y == z | 1", "(x | y) == (z | 1)"),
        ("1 < 2 == 3 != 4", "((1 < 2) == 3) != 4"),
        ("x == 1 in y", "(x == 1) in y"),
        ("x in y == z", "x in (y == z)"),
        ("x in y in z", "(x in y) in z"),
        ("1 + x.y[0] * f(2)", "1 + (x.y[0] * f(2))"),
        ("1 + 2 * 3 - 4 | 5", "((1 + (2 * 3)) - 4) | 5"),
        ("x, y + 1 in z", "x, (y + 1) in z"),
    ],
)
def test_operators_bind_as_in_opa(source: str, same: str) -> None:
    assert term(source) == term(same)


def test_operators_are_calls_of_the_builtins_they_stand_for() -> None:
    names = {
        "==": "equal", "!=": "neq", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte", "|": "or", "&": "and",
        "+": "plus", "-": "minus", "*": "mul", "/": "div", "%": "rem", "in": "internal.member_2",
    }  # fmt: skip
    for operator, name in names.items():
        assert term(f"x {operator} y") == call(name, X, Y)
    assert term("x, y in z") == call("internal.member_3", X, Y, Z)


def test_membership_with_a_key_needs_parentheses_in_lists() -> None:
    assert term("[0, 2 in x]") == nodes.Array((lit(0), call("internal.member_2", TWO, X)))
    assert term("[(0, 2 in x)]") == nodes.Array((call("internal.member_3", lit(0), TWO, X),))
    assert term("f(x, y in z)") == call("f", X, call("internal.member_2", Y, Z))
    assert term("z[0, 2 in x]") == ref("z", call("internal.member_3", lit(0), TWO, X))


def test_minus_before_a_number_is_part_of_it_and_before_a_name_a_subtraction() -> None:
    assert term("-1") == lit(-1)
    assert term("- 0.5") == lit(Decimal("-0.5"))
    assert term("-0.1234567890123456789012345678901234567") == lit(Decimal("-0.1234567890123456789012345678901234567"))
    assert term("1 -1") == call("minus", ONE, ONE)
    assert term("2--1") == call("minus", TWO, lit(-1))
    assert term("-x.y * 3") == call("mul", call("minus", lit(0), ref("x", "y")), THREE)


@pytest.mark.parametrize("source", ["--1", "-(1)", '-"a"', "-[1][0]", "- -x", "+1"])
def test_minus_before_anything_else_is_refused(source: str) -> None:
    assert not is_accepted(f"p := {source}")


def test_references_step_by_name_and_by_key() -> None:
    assert term('x.y["z"][0][y]') == ref("x", "y", "z", 0, Y)
    assert term("input.if.contains.in") == ref("input", "if", "contains", "in")
    assert term("data") == var("data")


def test_a_step_follows_without_white_space() -> None:
    assert is_accepted("p if {\n x\n [y]\n}")
    assert not is_accepted("p if { x [y] }")
    assert not is_accepted("p if { x .y }")
    assert not is_accepted("p if { x. y }")
    assert not is_accepted("p if { f (y) }")


def test_calls_and_composites_may_be_looked_into() -> None:
    assert term("f(x)[0].y") == ref(call("f", X), 0, "y")
    assert term("[1, 2][x]") == ref(nodes.Array((ONE, TWO)), X)
    assert term('{"a": 1}.a') == ref(nodes.ObjectTerm(((lit("a"), ONE),)), "a")
    assert term("[x | x := y][0]") == ref(term("[x | x := y]"), 0)
    assert term("(x + y)[0]") == ref(call("plus", X, Y), 0)


@pytest.mark.parametrize("source", ['"a"[0]', "1[0]", "true.x", "null[0]", '$"a".b', "(x.y).z", "(input).x", "x.0", "1.5.x", "x[]", "x[1"])
def test_other_terms_may_not_be_looked_into(source: str) -> None:
    assert not is_accepted(f"p := {source}")


def test_a_function_is_called_by_its_dotted_name() -> None:
    assert term("io.jwt.decode(x, 1,)") == nodes.Call(("io", "jwt", "decode"), (X, ONE))
    assert term('a["b c"](x)') == nodes.Call(("a", "b c"), (X,))
    assert term("f()") == call("f")
    assert not is_accepted("p := f(x)(y)")
    assert not is_accepted("p := f(,)")
    assert not is_accepted("p := a[x](y)")


def test_collections() -> None:
    assert term("[]") == nodes.Array(())
    assert term("{}") == nodes.ObjectTerm(())
    assert term("set()") == nodes.SetTerm(())
    assert term("{1, x,}") == nodes.SetTerm((ONE, X))
    assert term('{"a": 1, x: {y},}') == nodes.ObjectTerm(((lit("a"), ONE), (X, nodes.SetTerm((Y,)))))
    assert term("[\n1,\n2,\n]") == nodes.Array((ONE, TWO))
    assert term("[, 1]") == nodes.Array((ONE,))
    assert term("{x + 1: y | z, 2: 3}") == nodes.ObjectTerm(((call("plus", X, ONE), call("or", Y, Z)), (TWO, THREE)))


@pytest.mark.parametrize("source", ["[,]", "{,}", "[1 2]", "{1 2}", "{1: 2 3}", "{1: 2, 3}", "{1, 2: 3}", "{1:}", "{:1}", "[1,,2]"])
def test_malformed_collections_are_refused(source: str) -> None:
    assert not is_accepted(f"p := {source}")


def test_comprehensions() -> None:
    body = (nodes.Literal(nodes.Assign(X, Y)), nodes.Literal(nodes.TermExpr(Z)))
    assert term("[x | x := y; z]") == nodes.ArrayComprehension(X, body)
    assert term("{x | x := y\n z}") == nodes.SetComprehension(X, body)
    assert term("{x: z | x := y; z}") == nodes.ObjectComprehension(X, Z, body)
    assert term("[(x + 1) | z]") == nodes.ArrayComprehension(call("plus", X, ONE), body[1:])


def test_a_bar_after_the_first_term_begins_a_comprehension() -> None:
    assert term("[x | y]") == nodes.ArrayComprehension(X, (nodes.Literal(nodes.TermExpr(Y)),))
    assert term("{x | y}") == nodes.SetComprehension(X, (nodes.Literal(nodes.TermExpr(Y)),))
    assert term("[x + 1 | y]") == nodes.Array((call("or", call("plus", X, ONE), Y),))


def test_a_comma_shows_that_a_bar_was_an_operator() -> None:
    union = call("or", X, Y)
    assert term("[x | y, z]") == nodes.Array((union, Z))
    assert term("{x | y, z}") == nodes.SetTerm((union, Z))
    assert term("{1: x | y, 2: z}") == nodes.ObjectTerm(((ONE, union), (TWO, Z)))
    assert term("[[x | y, z] | 1, 2]") == nodes.Array((call("or", nodes.Array((union, Z)), ONE), TWO))
    assert term("[, x | y]") == nodes.Array((union,))


def test_commas_inside_a_comprehension_body_do_not_end_it() -> None:
    assert isinstance(term("{x | some x, y; y[x]}"), nodes.SetComprehension)
    assert isinstance(term("{x: y | some x, y in z}"), nodes.ObjectComprehension)
    assert isinstance(term("[x | 1, x in y]"), nodes.ArrayComprehension)


def test_template_strings() -> None:
    assert term('$""') == nodes.TemplateString(())
    assert term('$"a{x}b{1 + y}"') == nodes.TemplateString(("a", X, "b", call("plus", ONE, Y)))
    assert term('$"{$"{x}"}\\{"') == nodes.TemplateString((nodes.TemplateString((X,)), "{"))
    assert term("$`\\n\n{x in y}`") == nodes.TemplateString(("\\n\n", call("internal.member_2", X, Y)))


def test_a_modifier_in_a_template_string_holds_for_its_expression() -> None:
    (part,) = term('$"{x with input as 1}"').parts  # type: ignore[union-attr]
    assert isinstance(part, nodes.Ref)
    assert isinstance(part.head, nodes.ArrayComprehension)
    assert part.head.body[0].withs == (nodes.With(var("input"), ONE),)


@pytest.mark.parametrize("source", ["{}", "{x := 1}", "{x = 1}", "{not x}", "{some x}", "{1; 2}", "{1 2}", "{every x in y { x }}", "{x"])
def test_a_template_expression_is_one_term(source: str) -> None:
    assert not is_accepted(f'p := $"{source}"')


def test_wildcards_are_fresh_variables() -> None:
    assert term("x[_][_]") == ref("x", var("$0"), var("$1"))
    assert var("$0").is_wildcard


def test_generated_names_are_plain_names() -> None:
    assert term("__local0__.x") == ref("__local0__", "x")
