"""`and`, `or` and the `not` of `future.keywords`: grammar, scopes, meaning and errors. Each expectation was compared with OPA 1.20."""

from __future__ import annotations

from typing import Any

import pytest

from authz import rego
from authz.rego import nodes
from tests.rego.syntax import lit, refused, rule, var

IMPORTS = "import future.keywords\n"
DOCUMENT = {"t": True, "f": False, "a": 1, "xs": [1, 2, 3]}

in_both_modes = pytest.mark.parametrize("optimize", [True, False], ids=["tables", "plain"])


def package(text: str, *, optimize: bool = True, version: int = 1) -> Any:
    policy = rego.compile({"p.rego": f"package t\n{IMPORTS}{text}"}, optimize=optimize, rego_version=version)
    ((solution,),) = [tuple(found.values()) for found in policy.query("data.t = x", input=DOCUMENT)]
    return solution


def error(text: str, version: int = 1) -> rego.CompileError:
    with pytest.raises(rego.CompileError) as caught:
        rego.compile({"p.rego": f"package t\n{IMPORTS}{text}"}, rego_version=version)
    return caught.value


def condition(source: str) -> nodes.Expr:
    """Return what follows `p if` in a module that imports all keywords."""
    (literal,) = rule(f"{IMPORTS}p if {source}").body
    return literal.expr


def one(term: nodes.Term) -> nodes.Operand:
    return nodes.Operand((nodes.Literal(nodes.TermExpr(term)),))


A, B, C = (one(var(name)) for name in "abc")


def either(*operands: nodes.Operand) -> nodes.Logical:
    return nodes.Logical("or", operands)


def both(*operands: nodes.Operand) -> nodes.Logical:
    return nodes.Logical("and", operands)


def inner(expression: nodes.Expr) -> nodes.Operand:
    return nodes.Operand((nodes.Literal(expression),))


# Grammar


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a or b or c", either(A, B, C)),
        ("a or b and c", either(A, inner(both(B, C)))),
        ("a and b or c", either(inner(both(A, B)), C)),
        ("(a or b) and c", both(inner(either(A, B)), C)),
        ("a or (b or c)", either(A, inner(either(B, C)))),
        ("not a or b", either(inner(nodes.Not(A)), B)),
        ("not (a or b)", nodes.Not(inner(either(A, B)))),
        ("not {a}", nodes.Not(nodes.Operand(A.body, is_explicit=True))),
        ("not ({1})", nodes.Not(one(nodes.SetTerm((lit(1),))))),
        ("{a} or {b; c}", either(nodes.Operand(A.body, is_explicit=True), nodes.Operand(B.body + C.body, is_explicit=True))),
        ("({1}) or a", either(one(nodes.SetTerm((lit(1),))), A)),
        ("((a))", nodes.TermExpr(var("a"))),
        ("or({1}, {2}) or a", either(one(nodes.Call(("or",), (nodes.SetTerm((lit(1),)), nodes.SetTerm((lit(2),))))), A)),
    ],
)
def test_not_binds_tighter_than_and_which_binds_tighter_than_or(source: str, expected: nodes.Expr) -> None:
    assert condition(source) == expected


def test_a_with_belongs_to_the_whole_row_and_in_parentheses_to_one_operand() -> None:
    (literal,) = rule(f"{IMPORTS}p if a or b with input as 1").body
    assert (literal.expr, len(literal.withs)) == (either(A, B), 1)
    (literal,) = rule(f"{IMPORTS}p if a or (b with input as 1)").body
    assert isinstance(literal.expr, nodes.Logical)
    assert [len(operand.body[0].withs) for operand in literal.expr.operands] == [0, 1]


@pytest.mark.parametrize(
    "text",
    [
        "p if { input.f } or { input.t }",
        "p if { input.f\n} or { input.t }",
        "p if { input.f\nor input.t }",
        "p if input.f\nor input.t",
        "p if { input.f or\n\n input.t }",
        "p if input.t and true # c\n\tor false",
        "p if { input.f or false } else if {{ input.f } or { input.t }}",
    ],
)
def test_an_operator_may_stand_on_another_line(text: str) -> None:
    assert package(text) == {"p": True}


def test_the_operators_stay_names_where_a_name_is_meant() -> None:
    text = """
p := and({1, 2}, {2})
q := input.or
r if input.t and(input.t)
s if or({1}, {1}) == {1} or false
"""
    assert package(text) == {"p": [2], "r": True, "s": True}
    assert package("or.x := data.t.and\nq if data.t.or.x") == {"or": {}}
    assert package("and := 1\np := data.t.and") == {"and": 1, "p": 1}


@pytest.mark.parametrize("imports", ["", "import rego.v1\n"])
def test_without_their_import_they_are_plain_names(imports: str) -> None:
    policy = rego.compile({"p.rego": f"package t\n{imports}and := 1\nor(x) := x\np if {{ x := and; x == or(1) }}"})
    assert policy.query("data.t.p = x") == [{"x": True}]


@pytest.mark.parametrize("word", ["and", "or", "not"])
def test_each_keyword_has_an_import_of_its_own(word: str) -> None:
    body = {"and": "true and true", "or": "false or true", "not": "not {false; true}"}[word]
    policy = rego.compile({"p.rego": f"package t\nimport future.keywords.{word}\np if {body}"})
    assert policy.query("data.t.p = x") == [{"x": True}]


def test_rego_v0_has_them_as_well() -> None:
    assert package("p { input.f or input.t }\nq[x] { some x in input.xs; x > 2 or x < 2 }\nr { not { input.f } }", version=0) == {
        "p": True, "q": [1, 3], "r": True,
    }  # fmt: skip


# What holds


@in_both_modes
@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("input.f or input.f or input.t", True),
        ("input.f or input.none", False),
        ("input.f and input.t or input.t", True),
        ("input.t or input.f and input.f", True),
        ("(input.t or input.f) and input.f", False),
        ("input.none and input.t or input.t and input.t", True),
        ("not input.t or input.t", True),
        ("not (input.f or input.none)", True),
        ("not (input.t and input.f)", True),
        ("not (not {input.f})", False),
        ("1 / 0 == 1 or input.t", True),
        ("count(input.none) == 0 or not count(input.none) == 0", True),
        ("input.a == 1 or 2", True),
        ("input.t in [true] or input.f", True),
        ("0, 1 in [1] and input.t", True),
        ("(input.a + 1) * 2 == 4 or input.f", True),
        ("({}) and ({1}) and [] and null and 0", True),
        ("{input.a == 1; input.t} and {input.a > 0}", True),
        ("{input.t} or {input.t} and {input.f}", True),
        ("({input.t} or {input.t}) and {input.f}", False),
        ("input.f or input.f with input.f as true", True),
        ("{input.t} and {input.t} with input.t as false", False),
        ("input.f or (input.f with input.f as true)", True),
        ("((input.f or input.t) and input.t with input.t as false) or input.f", False),
        ("(not input.t with input.t as false) and input.t", True),
        ("not (input.t and input.t) with input.t as false", True),
        ("not {input.t with input.t as false}", True),
        ("not {not {input.t}}", True),
        ("not {1}", False),
        ("not {x := input.a; x > 1}", True),
        ("not {some x in input.xs; x > 5}", True),
        ("not {every x in input.xs { x > 0 }}", False),
        ("{every x in input.xs { x > 5 or x > 0 }} and {some x in input.xs; x == 3}", True),
        ("every x in input.xs { {x > 5} or {x > 0} }", True),
        ("count([x | some x in input.xs; {x == 1} or {x == 2}]) == 2", True),
        ("walk(input.xs) or input.f", True),
    ],
)
def test_what_a_condition_comes_to(optimize: bool, condition: str, holds: bool) -> None:
    assert package(f"p if {condition}", optimize=optimize) == ({"p": True} if holds else {})


@in_both_modes
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p := [x | some x in input.xs; x > 0 or x > 1]", {"p": [1, 2, 3]}),
        ("p := [1 | walk(input.xs) or input.f]", {"p": [1]}),
        ("p := [1 | walk(input.xs) and input.t]", {"p": [1]}),
        ("p := [1 | {input.xs[_]} and {input.xs[_]}]", {"p": [1]}),
        ("p := [1 | input.xs[_]; input.t or input.t]", {"p": [1, 1, 1]}),
        ("p := {x | some x in input.xs; {y := x; y > 1; some z in [3]; z == y} or x == 1}", {"p": [1, 3]}),
        ("p contains x if { some x in input.xs; not {x > 1; x < 3} }", {"p": [1, 3]}),
        ("p[x] := 1 if { some x in input.xs; x == 1 or x == 2 }", {"p": {"1": 1, "2": 1}}),
        ("f(x) := x if x == 1 or x == 2\np := f(2)", {"p": 2}),
        ("p := 1 if input.f or input.f else := 3 if input.f or input.t", {"p": 3}),
        ("default p := false\np if input.f or input.none", {"p": False}),
        ("p if f(input.none) or input.t\nf(x) if x == 1", {"p": True}),
    ],
)
def test_operands_multiply_no_solutions(optimize: bool, text: str, expected: Any) -> None:
    assert package(text, optimize=optimize) == expected


@in_both_modes
def test_an_operand_that_fails_is_an_error_also_where_another_one_holds(optimize: bool) -> None:
    with pytest.raises(rego.EvalError, match="complete rules must not produce multiple outputs"):
        package("p if false or q == 1\nq := 1 if input.t\nq := 2 if input.t", optimize=optimize)


@in_both_modes
@pytest.mark.parametrize("count", [2, 40, 400])
@pytest.mark.parametrize("shape", ["not {%s}", "not (%s)", "%s"])
@pytest.mark.parametrize("operator", ["and", "or"])
def test_long_rows_are_no_deep_nesting(optimize: bool, count: int, shape: str, operator: str) -> None:
    row = f" {operator} ".join(f"input.xs[{index}] == {index + 1}" for index in range(count))
    if shape == "not {%s}":
        row = "; ".join(f"input.xs[{index}] == {index + 1}" for index in range(count))
        operator = "and"
    row_holds = operator == "or" or count == 2
    assert package(f"p if {shape % row}", optimize=optimize) == ({"p": True} if row_holds != shape.startswith("not") else {})


def test_a_query_does_not_have_the_keywords_of_the_policy() -> None:
    policy = rego.compile({"p.rego": f"package t\n{IMPORTS}p if input.f or input.t"})
    assert policy.query("data.t.p", input=DOCUMENT)
    with pytest.raises(rego.CompileError):
        policy.query("input.f or input.t", input=DOCUMENT)


# Scopes


@in_both_modes
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p if { x := 2; {x := 1} or input.f }", {"p": True}),
        ("p if { x = 2; {x = 1} or input.f }", {}),
        ("p if { {x = 1} or input.t; x = 2 }", {"p": True}),
        ("p if { some x; {x = 1} or input.f }", {"p": True}),
        ("p if { not { i := 1; i == 2 }; i = 1 }", {"p": True}),
        ("p if { i = 1; not { input.xs[i] == 9 } }", {"p": True}),
        ("p if { input.xs[i] == 2 or input.f; i = 1 }", {"p": True}),
        ("p if { not input.xs[i] == 9; i = 1 }", {"p": True}),
        ("p if { not { input.xs[i] == 9 }; i = 1 }", {"p": True}),
        ("p if { x := true; {x; x := false} or x }", {"p": True}),
        ("p if {f(input.a, y)} or input.f\nf(x) := x", {"p": True}),
    ],
)
def test_braces_have_variables_of_their_own(optimize: bool, text: str, expected: Any) -> None:
    assert package(text, optimize=optimize) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("p if input.t or input.xs[_] == 9", "var _ is unsafe"),
        ("p if input.xs[i] == 2 or input.f", "var i is unsafe"),
        ("p if not input.xs[_] == 1", "var _ is unsafe"),
        ("p if { some i; not input.xs[i] > 5 }", "var i is unsafe"),
        ("p if x = 1 or input.t", "var x is unsafe"),
        ("p if {x := 1} and x == 1", "var x is unsafe"),
        ("p := x if { {x := 1} or input.t }", "var x is unsafe"),
        ("p if { not {x}; x := true }", "var x is unsafe"),
        ("p if f(input.a, y) or input.f\nf(x) := x", "var y is unsafe"),
        ("p if x := 1 or input.t", "cannot assign vars inside implicit or operand"),
        ("p if input.t and x := 1", "cannot assign vars inside implicit and operand"),
        ("p if not x := 1", "cannot assign vars inside negated expression"),
        ("p if { x or true; x := true }", "var x referenced above"),
        ("p if { {x} or true; x := true }", "var x referenced above"),
        ("p if not {some x; true}", "declared var x unused"),
        ('p := $"{input.t or input.f}"', "unexpected template-string expression type: or"),
        ('p := $"a{not input.t}"', "unexpected template-string expression type: not"),
    ],
)
def test_an_operand_binds_nothing_and_must_be_bound(text: str, message: str) -> None:
    assert error(text).message == message


# Errors of the grammar


@pytest.mark.parametrize(
    ("source", "place", "message"),
    [
        ("p if not not input.t", "3:10", "unexpected not keyword"),
        ("p if not {}", "3:11", "found empty body"),
        ("p if () or true", "3:6", "empty parenthesized group"),
        ("p if true or ()", "3:14", "empty parenthesized group"),
        ("p if (true or false", "3:20", "expected ) to close parenthesized group"),
        ("p if true or", "3:13", "unexpected eof token"),
        ("p if or true", "3:6", "unexpected or keyword"),
        ("p if true or or true", "3:14", "unexpected or keyword"),
        ("p if { true or some x in input.xs }", "3:16", "unexpected some keyword"),
        ("p if { true or every x in input.xs { x } }", "3:16", "unexpected every keyword"),
        ("p if { some x in input.xs or input.t }", "3:27", r"unexpected or keyword: expected \n or ; or }"),
        ("p if f(input.t or input.f)", "3:16", 'unexpected or keyword: expected "," or ")"'),
        ("f(or) := 1", "3:3", "unexpected or keyword"),
        ("import data.foo as or", "3:20", "unexpected or keyword: expected var"),
        ("p if some or in input.xs", "3:11", "unexpected or keyword"),
        ('p if {"a": 1} or true', "3:10", r"unexpected : token: expected \n or ; or }"),
        ("p if {1, 2} or true", "3:8", r"unexpected , token: expected \n or ; or }"),
        ("p if not {1, 2}", "3:12", r"unexpected , token: expected \n or ; or }"),
        ('p if true or {"a": 1}', "3:18", r"unexpected : token: expected \n or ; or }"),
        ('p if {"a": 1} == {} or true', "3:10", r"unexpected : token: expected \n or ; or }"),
        ("p if {1 | 2} or true", "3:6", "ambiguous `{ ... | ... }` operand: read as a body holding a set-union expression, "
         "not as a comprehension"),
        ("p if true with input as 1 or true", "3:11", "`with` modifier is not allowed on operand of `or`"),
        ('p if print("x") or true', "3:6", "operand of `or` cannot consist only of calls to `print`"),
        ("p if ({true; true}) and true", "3:12", "unexpected ; token: non-terminated set"),
        ("p if { false } else if { false } or { true }", "3:34", "unexpected or keyword"),
        ("p if not ({true; true})", "3:16", "unexpected ; token: non-terminated set"),
    ],
)  # fmt: skip
def test_errors_name_the_operand(source: str, place: str, message: str) -> None:
    found = refused(IMPORTS + source)
    assert (str(found.location), found.message) == (f"a.rego:{place}", message)


@pytest.mark.parametrize(
    ("source", "help"),
    [
        ("p if input.a or input.b", "`or` needs `import future.keywords.or`"),
        ("p if { input.a and input.b }", "`and` needs `import future.keywords.and`"),
        ("import future.keywords.or\np if input.a or input.b and input.c", "`and` needs `import future.keywords.and`"),
    ],
)
def test_a_missing_import_is_named(source: str, help: str) -> None:
    assert help in (refused(source).help or "")
