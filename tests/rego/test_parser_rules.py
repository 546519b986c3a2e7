"""Rules: heads, values, bodies, `else`, defaults; packages and imports."""

from __future__ import annotations

import pytest

from authz.rego import nodes, parser
from authz.rego.errors import CompileError
from tests.rego.syntax import call, is_accepted, lit, module, ref, rule, rules, var

X, Y = var("x"), var("y")
P = nodes.Ref(var("p"), ())
TRUE = lit(True)


def head(
    ref: nodes.Ref,
    value: nodes.Term | None = TRUE,
    *,
    key: nodes.Term | None = None,
    args: tuple[nodes.Term, ...] | None = None,
) -> nodes.Head:
    return nodes.Head(ref, args, key, value)


def holds(*terms: nodes.Term) -> nodes.Body:
    return tuple(nodes.Literal(nodes.TermExpr(term)) for term in terms)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("p := 1", head(P, lit(1))),
        ("p = 1", head(P, lit(1))),
        ("p if x", head(P)),
        ("p := y if x", head(P, Y)),
        ("p.a := 1", head(ref("p", "a"), lit(1))),
        ("p.a if x", head(ref("p", "a"))),
        ("p[x] if y", head(ref("p", X))),
        ("p[x] := y if y", head(ref("p", X), Y)),
        ('p["a b"][x].c := y', head(ref("p", "a b", X, "c"), Y)),
        ("p contains x if y", head(P, None, key=X)),
        ('p contains {"a": x}', head(P, None, key=nodes.ObjectTerm(((lit("a"), X),)))),
        ("p.q[x] contains f(y)", head(ref("p", "q", X), None, key=call("f", Y))),
        ("p contains 1, x in y", head(P, None, key=call("internal.member_3", lit(1), X, Y))),
        ("f(x) := y", head(nodes.Ref(var("f"), ()), Y, args=(X,))),
        ("f(x) if y", head(nodes.Ref(var("f"), ()), args=(X,))),
        ("f(x)", head(nodes.Ref(var("f"), ()), args=(X,))),
        ("a.f([x, 1], _) := y", head(ref("a", "f"), Y, args=(nodes.Array((X, lit(1))), var("$0")))),
        ("f() := 1", head(nodes.Ref(var("f"), ()), lit(1))),
        ("if.x := 1", head(ref("if", "x"), lit(1))),
        ("default.x := 1", head(ref("default", "x"), lit(1))),
        ("import.x := 1", head(ref("import", "x"), lit(1))),
        ("contains.x contains 1", head(ref("contains", "x"), None, key=lit(1))),
    ],
)
def test_heads(source: str, expected: nodes.Head) -> None:
    assert rule(source).head == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("p[x] { y }", head(P, None, key=X)),
        ("p.a { y }", head(P, None, key=lit("a"))),
        ("p[x] = y { y }", head(ref("p", X), Y)),
        ("p[x].y { y }", head(ref("p", X, "y"))),
        ("p[1]", head(P, None, key=lit(1))),
        ("p.a.b", head(ref("p", "a", "b"))),
        ("p = 1 { y }", head(P, lit(1))),
        ("p { y }", head(P)),
        ("p = {1: 2}", head(P, nodes.ObjectTerm(((lit(1), lit(2)),)))),
    ],
)
def test_heads_of_rego_v0(source: str, expected: nodes.Head) -> None:
    assert rule(source, 0).head == expected


@pytest.mark.parametrize(
    "source",
    [
        "p",
        '"p" := 1',
        "1",
        "[p] := 1",
        "p :=",
        "p contains",
        "f(x) contains y",
        "p := 1; q := 2",
        "p := 1;",
        "p := 1 with input as 2",
        "p == 1",
    ],
)
def test_statements_that_are_no_rules_are_refused(source: str) -> None:
    assert not is_accepted(source)
    assert not is_accepted(source, 0)


def test_the_first_bracket_of_a_head_may_stand_apart_if_a_body_follows() -> None:
    assert rule("p [x] if y") == rule("p[x] if y")
    assert rule("f (x) := y if y") == rule("f(x) := y if y")
    assert not is_accepted("p [x] := y")


def test_rules_need_nothing_between_them() -> None:
    assert [each.head.ref for each in rules("p := 1 q := 2\nr if x s if { y } t := 3")] == [nodes.Ref(var(name), ()) for name in "pqrst"]


def test_a_body_is_braces_or_one_literal() -> None:
    assert rule("p if x").body == holds(X)
    assert rule("p if { x; y }").body == holds(X, Y)
    assert rule("p if not x").body == (nodes.Literal(nodes.TermExpr(X), True),)
    assert rule("p if every x in y { x }") == rule("p if { every x in y { x } }")
    assert rule("p := 1").body == ()


def test_braces_after_if_are_a_body_unless_they_can_only_be_a_term() -> None:
    assert rule("p if {x}").body == holds(X)
    assert rule("p if {}").body == holds(nodes.ObjectTerm(()))
    assert rule('p if {"a": 1}').body == holds(nodes.ObjectTerm(((lit("a"), lit(1)),)))
    assert rule("p if {x} == y").body == holds(call("equal", nodes.SetTerm((X,)), Y))
    assert rule("p if {x}[y]").body == holds(ref(nodes.SetTerm((X,)), Y))
    assert rule("p if {x | x := y}").body == holds(nodes.SetComprehension(X, (nodes.Literal(nodes.Assign(X, Y)),)))
    assert rule("p if { x == {y | y} ; y }").body[1:] == holds(Y)
    assert rule("p if { {1: x}[y] == x\n y }").body[1:] == holds(Y)


def test_else_chains_keep_head_and_order() -> None:
    first = rule("f(x) := 1 if x else := 2 if { y } else = 3")
    assert first.head.value == lit(1)
    second = first.orelse
    assert second is not None
    assert (second.head.args, second.head.value, second.body) == ((X,), lit(2), holds(Y))
    third = second.orelse
    assert third is not None
    assert (third.head.value, third.body, third.orelse) == (lit(3), (), None)


def test_else_without_a_value_is_true() -> None:
    link = rule("p := 1 if x else if y").orelse
    assert link is not None
    assert (link.head.value, link.body) == (TRUE, holds(Y))
    link = rule("p { x } else { y }", 0).orelse
    assert link is not None
    assert (link.head.value, link.body) == (TRUE, holds(Y))


@pytest.mark.parametrize(
    "source",
    ["else := 1", "p := 1 else := 2", "p contains x if y else := 2", "p[x] := 1 if y else := 2", "p if x else", "p if x else := 1 { y } "],
)
def test_misplaced_else_is_refused(source: str) -> None:
    assert not is_accepted(source)


def test_bodies_in_a_row_are_rules_of_one_head() -> None:
    first, second, third = rules("p := 1 { x } { y }\n{ z }", 0)
    assert first.head == second.head == third.head
    assert second.body == holds(Y)
    assert len(rules("p if { x } { y }")) == 2
    assert not is_accepted("p { x } else { y } { z }", 0)


def test_defaults() -> None:
    default = rule("default p := {1: [x | x := y]}")
    assert default.is_default
    assert default.head.ref == P
    assert rule("default a.b = 1").head.ref == ref("a", "b")
    assert rule("default f(x, _) := 1").head.args == (X, var("$0"))


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("default p := x", "value cannot contain var"),
        ("default p := [x.y]", "value cannot contain ref"),
        ("default p := 1 + 1", "value cannot contain call"),
        ("default p := {1: {count(x)}}", "value cannot contain call"),
        ('default p := $"{x}"', "value cannot contain var"),
        ("default p contains 1", "must have a value"),
        ("default f([x]) := 1", "arguments cannot contain array"),
        ("default f(1) := 1", "arguments cannot contain number"),
        ("default f(x, x) := 1", "arguments cannot be repeated x"),
    ],
)
def test_defaults_are_constant(source: str, why: str) -> None:
    with pytest.raises(CompileError) as caught:
        module(source)
    assert caught.value.message == f"illegal default rule ({why})"


def test_default_functions_of_rego_v0_may_have_constant_arguments() -> None:
    assert rule("default f(10) = 1", 0).head.args == (lit(10),)


def test_packages() -> None:
    for source, path in (("a", ("a",)), ("a.b", ("a", "b")), ('a["b-c"].if', ("a", "b-c", "if")), ("if.in", ("if", "in"))):
        assert parser.parse_module("m", f"package {source}").package == path
    for source in ("", "1", "a[x]", "a[1]", "a(x)", '"a"', "a b"):
        with pytest.raises(CompileError):
            parser.parse_module("m", f"package {source}")


def test_a_module_begins_with_its_package() -> None:
    for source, message in (
        ("", "empty module"),
        ("# c", "empty module"),
        ("p := 1", "package expected"),
        ("package a\npackage b", "unexpected package"),
    ):
        with pytest.raises(CompileError) as caught:
            parser.parse_module("m", source)
        assert caught.value.message == message


def test_imports() -> None:
    found = module('import data.a.b as c\nimport input.x\nimport data["a b"].d\nimport input\nimport data.if as e').imports
    assert [(each.path, each.alias, each.name) for each in found] == [
        (("data", "a", "b"), "c", "c"),
        (("input", "x"), None, "x"),
        (("data", "a b", "d"), None, "d"),
        (("input",), None, "input"),
        (("data", "if"), "e", "e"),
    ]


@pytest.mark.parametrize(
    "source",
    ["import", "import foo.bar", "import data.a[x]", "import data.if", "import data.a as if", "import data.a as b.c", "import 1",
     "import data.a as",
     "import future", "import future.foo", "import future.keywords.foo", "import future.keywords.in as x", "import rego", "import rego.v2",
     "import data.a(x)"],
)  # fmt: skip
def test_malformed_imports_are_refused(source: str) -> None:
    assert not is_accepted(source)


def test_nodes_know_their_places() -> None:
    parsed = parser.parse_module("m.rego", "package a\n\nimport data.x\n\np := y if {\n\tz == 1\n}")
    assert str(parsed.package_location) == "m.rego:1:1"
    assert str(parsed.imports[0].location) == "m.rego:3:1"
    first = parsed.rules[0]
    assert str(first.location) == "m.rego:5:1"
    assert str(first.body[0].location) == "m.rego:6:2"
    expression = first.body[0].expr
    assert isinstance(expression, nodes.TermExpr)
    assert str(expression.term.location) == "m.rego:6:4"
