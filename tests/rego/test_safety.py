"""What does not compile, and how it is said: codes, messages and places (OPA 1.20's words, each tried with it)."""

from __future__ import annotations

import pytest

from authz import rego

UNSAFE = "rego_unsafe_var_error"
COMPILE = "rego_compile_error"
TYPE = "rego_type_error"
RECURSION = "rego_recursion_error"


def refused(text: str, version: int = 1) -> rego.CompileError:
    """Return the error of a module in package `t` whose first line is `text`'s."""
    with pytest.raises(rego.CompileError) as caught:
        rego.compile({"p.rego": "package t\n" + text}, rego_version=version)
    return caught.value


def check(text: str, code: str, message: str, place: tuple[int, int] | None = None) -> None:
    error = refused(text)
    assert (error.code, error.message) == (code, message)
    if place is not None:
        assert (error.location.file, error.location.row, error.location.col) == ("p.rego", *place)


@pytest.mark.parametrize(
    ("text", "name", "place"),
    [
        ("p if x", "x", (2, 6)),
        ("p := x", "x", (2, 6)),
        ("p if {\n\ttrue\n\tcount(x) > 0\n}", "x", (4, 8)),
        ("p if not x", "x", (2, 10)),
        ("p := x if not x == 1", "x", None),
        ("p if not input.xs[_] == 1", "_", (2, 19)),
        ("p[x] := 1", "x", (2, 3)),
        ("p contains x if y := 1", "x", (2, 12)),
        ("f(x) := y", "y", (2, 9)),
        ("p if {\n\tx > 1\n\tx = y\n}", "x", None),
        ("p if { some x; x == 1 }", "x", None),
        ("p := [x | y := 1]", "x", (2, 7)),
        ("p if startswith(y, input.a)", "y", (2, 17)),
        ("p if input.x with input.y as x", "x", (2, 30)),
        ("p if input.x with input.y as count", "count", (2, 30)),
        ("p if every x in xs { x }", "xs", (2, 17)),
        ("p if { y := z }", "z", None),
        ('p if { [x, y] = "a"; true }', "x", None),
        ('p if { [x, {"a": y}] := [input.a, "b"]; true }', "y", None),
        ('p if { {"a": x, "b": y} = {"a": 1}; true }', "x", None),
        ("p if _ == 1", "_", (2, 6)),
        ("p if { some y.role, z in input.xs; z }", "y", (2, 13)),
        ("p if { some {w.k: z} in input.xs; z }", "w", None),
        ("p if { true } else := x", "x", None),
    ],
)
def test_a_variable_that_nothing_binds_is_unsafe(text: str, name: str, place: tuple[int, int] | None) -> None:
    error = refused(text)
    assert error.code == UNSAFE
    messages = {diagnostic.message: diagnostic.location for diagnostic in error.diagnostics}
    assert f"var {name} is unsafe" in messages
    if place is not None:
        assert (messages[f"var {name} is unsafe"].row, messages[f"var {name} is unsafe"].col) == place


def test_every_unsafe_variable_of_a_body_is_named() -> None:
    error = refused("p if { x == y; startswith(z, x) }")
    assert {diagnostic.message for diagnostic in error.diagnostics} == {"var x is unsafe", "var y is unsafe", "var z is unsafe"}


def test_the_error_shows_the_line_and_a_way_out() -> None:
    text = str(refused("p if not x > 1"))
    assert "p.rego:2:10: rego_unsafe_var_error: var x is unsafe" in text
    assert "help: a variable of a negated expression must be bound" in text


@pytest.mark.parametrize(
    "text",
    [
        "p if { not bad[x]; x = input.xs[_] }\nbad := {1}",
        "p if { x = y; y = z; z = 1 }",
        "p if { [x, 1] = [2, y]; x == 2; y == 1 }",
        "p if { y > 1; y = x; x = count(input.xs) }",
        "p if { f(x, y); x = 1; y == 1 }\nf(a) := a",
        'p if { {"a": x, "b": [y]} = input.z; x == y }',
        "p if input[x] == 1",
        "p if { [x, [x]] = input.z }",
        "p if { walk(input, [path, value]); value == path }",
    ],
)
def test_literals_are_ordered_so_that_what_can_be_bound_is(text: str) -> None:
    rego.compile({"p.rego": "package t\n" + text})


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("p if { y := x; x := 1; y == x }", "var x referenced above", (2, 16)),
        ("p if { x > 1; x := 3 }", "var x referenced above", (2, 15)),
        ("p if { x := x }", "var x referenced above", (2, 8)),
        ("p if { [1, x] = [1, 2]; x := 3 }", "var x referenced above", (2, 25)),
        ("p if { x := 1; x := 2 }", "var x assigned above", (2, 16)),
        ("p if { x := 1; some x in [1] }", "var x assigned above", (2, 21)),
        ("p if { some x in [1]; x := 2 }", "var x declared above", (2, 23)),
        ("p if { some x; some x; x = 1 }", "var x declared above", (2, 21)),
        ("p if { [x, x] := [1, 1] }", "var x assigned above", (2, 12)),
        ("f(x) := 1 if x := 2", "arg x redeclared", (2, 14)),
        ("f(x) := 1 if { some x; x = 2 }", "arg x redeclared", (2, 21)),
        ("f(x) := 1 if { true } else := 2 if { x := 3 }", "arg x redeclared", (2, 38)),
        ("p if { some x; true }", "declared var x unused", (2, 13)),
        ("p if { every x in [1] { true } }", "declared var x unused", (2, 14)),
        ("p if { every k, v in [1] { v == 1 } }", "declared var k unused", (2, 14)),
        ("p if { input.x := 1 }", "cannot assign to ref", None),
        ("p if { 1 := 1 }", "cannot assign to number", None),
        ("p if { [1, x] := [1, 2]; x == 2 }", "cannot assign to number", (2, 9)),
        ("p if { input := 1 }", "variables must not shadow input (use a different variable name)", None),
        ("p := [data | data := 1]", "variables must not shadow data (use a different variable name)", None),
        ("f(input) := 1", "args must not shadow input (use a different variable name)", None),
        ("input := 1", "rules must not shadow input (use a different rule name)", (2, 1)),
        ("data.x := 1", "rules must not shadow data (use a different rule name)", (2, 1)),
        ("import data.x\nimport data.y.x\np := x", "import must not shadow import data.x", (3, 1)),
    ],
)
def test_a_name_is_declared_once_before_its_use_and_used(text: str, message: str, place: tuple[int, int] | None) -> None:
    check(text, COMPILE, message, place)


@pytest.mark.parametrize(
    "text",
    [
        "f(x) := [x | x := 2]",
        "p if { x := 1; y := [x | x := 2]; y == [2]; x == 1 }",
        "p if { some x in [1]; true }",
        "x := 5\np := x if { x := 1 }",
    ],
)
def test_an_inner_scope_may_shadow(text: str) -> None:
    rego.compile({"p.rego": "package t\n" + text})


@pytest.mark.parametrize(
    ("text", "cycle"),
    [
        ("p := p", "data.t.p -> data.t.p"),
        ("p if q\nq if not p", "data.t.p -> data.t.q -> data.t.p"),
        ("p if not q\nq if not r\nr if p", "data.t.p -> data.t.q -> data.t.r -> data.t.p"),
        ("f(x) := f(x)", "data.t.f -> data.t.f"),
        ("f(x) if g(x)\ng(x) if f(x)", "data.t.f -> data.t.g -> data.t.f"),
        ('p := data[x] if x := "t"', "data.t.p -> data.t.p"),
        ('p := data.t[x] if x := "q"\nq := 1', "data.t.p -> data.t.p"),
        ("p if data[_]", "data.t.p -> data.t.p"),
        ("p contains x if x := p[_]", "data.t.p -> data.t.p"),
        ("p := {x | data.t.q[x]}\nq := {x | data.t.p[x]}", "data.t.p -> data.t.q -> data.t.p"),
        ("p if every x in [1] { q == x }\nq := 1 if p", "data.t.p -> data.t.q -> data.t.p"),
    ],
)
def test_recursion_is_refused_with_the_whole_cycle(text: str, cycle: str) -> None:
    error = refused(text)
    name = cycle.split(" ", maxsplit=1)[0]
    assert (error.code, error.message) == (RECURSION, f"rule {name} is recursive: {cycle}")
    assert error.location.row == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f(x) := x\np := f(1, 2, 3)", "function data.t.f has arity 1, got 3 arguments"),
        ("f(x) := x\np := f()", "function data.t.f has arity 1, got 0 arguments"),
        ("f(x) := x\np if { x := f(1, 1) }", "function data.t.f has arity 1, got 2 arguments"),
        ("f(x, y) := x\np if count([1]) with count as f", "count: arity mismatch"),
        ("f(x) := x\ng(x, y) := x\np if f(1) with f as g", "data.t.f: arity mismatch"),
        ("p := count()", "count: arity mismatch"),
        ("p := count([1], 1)", "count: arity mismatch"),
        ("p if count([1]) with count as concat", "count: arity mismatch"),
    ],
)
def test_a_call_has_as_many_arguments_as_are_declared(text: str, message: str) -> None:
    error = refused(text)
    assert (error.code, error.message) == (TYPE, message)


def test_a_call_that_stands_alone_may_take_its_result_as_an_argument() -> None:
    text = 'package t\nf(x) := x\np if { f(1, 1); count([1, 2], n); n == 2; contains("a", "b", false) }'
    assert rego.compile({"p.rego": text}).entrypoint("t/p").decide() is True


@pytest.mark.parametrize(
    ("text", "name", "suggestion"),
    [
        ('p if startwith("a", "b")', "startwith", "startswith"),
        ("helper(x) := x\np if helpr(1)", "helpr", "helper"),
        ("helper(x) := x\np if data.t.helpr(1)", "data.t.helpr", "data.t.helper"),
        ("p if io.jwt.decod(1)", "io.jwt.decod", "io.jwt.decode"),
    ],
)
def test_an_undefined_function_is_named_with_the_likely_one(text: str, name: str, suggestion: str | None) -> None:
    error = refused(text)
    assert (error.code, error.message) == (TYPE, f"undefined function {name}")
    if suggestion is not None:
        assert error.help == f"did you mean `{suggestion}`?"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("p := 1\np contains 2", "conflicting rules data.t.p found"),
        ("p := 1\np[x] := 2 if x := input.x", "conflicting rules data.t.p[x] found"),
        ("f(x) := 1\nf := 2", "conflicting rules data.t.f found"),
        ("f(x) := 1\nf(x, y) := 2", "conflicting rules data.t.f found"),
        ("p[x] contains 1 if x := input.x\np[x] := 3 if x := input.y", "conflicting rules data.t.p[x] found"),
        ("p[x] := 1 if x := input.x\np.a := 2\np.a[y] := 3 if y := input.y", "conflicting rules data.t.p.a[y] found"),
        ("p[0] := 1\np[0] contains 3", "conflicting rules data.t.p[0] found"),
        ("default p := 1\ndefault p := 2", "multiple default rules data.t.p found at p.rego:2, p.rego:3"),
        ("default p := 1\np contains 1", "conflicting rules data.t.p found"),
        ("p := 1\np.a := 3", "rule data.t.p conflicts with:\n  rule data.t.p.a at p.rego:3"),
        ("p.a contains 1\np.a.b := 3", "rule data.t.p.a conflicts with:\n  rule data.t.p.a.b at p.rego:3"),
        ("p[x] := 1 if x := input.x\np.a := 2\np.a.b := 3", "rule data.t.p.a conflicts with:\n  rule data.t.p.a.b at p.rego:4"),
        ("p[true] := 1\np[true][1] := 3", "rule data.t.p[true] conflicts with:\n  rule data.t.p[true][1] at p.rego:3"),
        ("f(x) := 1\nf.a(x) := 2", "rule data.t.f conflicts with:\n  rule data.t.f.a at p.rego:3"),
    ],
)
def test_rules_that_contradict_each_other_are_refused(text: str, message: str) -> None:
    error = refused(text)
    assert (error.code, error.message) == (TYPE, message)


def test_rules_of_one_document_may_differ_below_a_variable_step() -> None:
    text = 'package t\np[x].b := 1 if x := "q"\np.a contains 3\np.c.d contains 4'
    assert rego.compile({"p.rego": text}).entrypoint("t/p").decide() == {"a": [3], "c": {"d": [4]}, "q": {"b": 1}}


def test_a_rule_where_another_module_has_its_package_is_refused() -> None:
    with pytest.raises(rego.CompileError) as caught:
        rego.compile({"a.rego": "package a\nb := 1", "b.rego": "package a.b\n"})
    assert caught.value.code == TYPE
    assert caught.value.message == "package a.b conflicts with rule b defined at a.rego:2"
    assert caught.value.location.file == "b.rego"


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("p if input.x with foo as 1", TYPE, "with keyword target must reference existing input, data, or a function"),
        ("q := {}\np if q with data.t.q.z as 1", COMPILE, "with keyword cannot partially replace virtual document(s)"),
        ("p if walk(1, x) with walk as 7", COMPILE, "with keyword replacing built-in function: target must not be a relation"),
        ("f(x) := x\np := f", TYPE, "function data.t.f used as reference, not called"),
        ("p if any([true])", TYPE, "deprecated built-in function calls in expression: any"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, code: str, message: str) -> None:
    check(text, code, message)


def test_v0_modules_may_shadow_and_call_deprecated_built_ins() -> None:
    policy = rego.compile({"p.rego": "package t\np { input := [true]; any(input) }"}, rego_version=0)
    assert policy.entrypoint("t/p").decide({}) is True


def test_more_iterations_than_python_can_nest_are_refused_with_a_way_out() -> None:
    body = "; ".join(f"some x{number} in input.xs" for number in range(17))
    error = refused(f"p if {{ {body} }}")
    assert (error.code, error.message) == (COMPILE, "more than 16 nested iterations in one body")
    assert error.help == "move a part of the body into a rule of its own"


def test_every_rule_that_is_wrong_is_reported_at_once() -> None:
    with pytest.raises(rego.CompileError) as caught:
        rego.compile({"a.rego": "package a\np if { x == 1 }\nq if input.ok\nr if { y > 2 }\n", "b.rego": "package b\ns if { z < 3 }\n"})
    found = [(str(item.location), item.message) for item in caught.value.diagnostics]
    assert found == [("a.rego:2:8", "var x is unsafe"), ("a.rego:4:8", "var y is unsafe"), ("b.rego:2:8", "var z is unsafe")]
