"""How modules are laid out: cases whose texts are what `opa fmt` 1.20.2 writes, and those in which ours differ on purpose."""

from __future__ import annotations

import pytest

from authz.rego.errors import CompileError
from authz.rego.formatting import Target, format_source
from tests.rego.formatting.cases import Case, cases

AS_OPA = [*cases("terms", "collections", "bodies", "rules", "comments", "imports", "logical")]
KEPT = [*cases("kept")]
"""OPA's text of these means something else, does not parse, or lacks a comment."""

STEADY = [*cases("steady")]
"""OPA writes these differently when it formats its own text once more, and then as they are here."""


def name(case: Case) -> str:
    return f"{case.topic}: {case.name}"


@pytest.mark.parametrize("case", [*AS_OPA, *KEPT, *STEADY], ids=name)
def test_a_module_is_laid_out(case: Case) -> None:
    assert format_source("a.rego", case.source) == case.formatted


@pytest.mark.parametrize("case", [*cases("v0", "kept_v0")], ids=name)
def test_a_module_of_rego_v0_stays_one(case: Case) -> None:
    assert format_source("a.rego", case.source, 0) == case.formatted


@pytest.mark.parametrize("case", [*cases("both")], ids=name)
def test_a_module_of_rego_v0_becomes_one_for_both_versions(case: Case) -> None:
    assert format_source("a.rego", case.source, 0, Target.BOTH) == case.formatted


@pytest.mark.parametrize("case", [*AS_OPA, *KEPT, *STEADY], ids=name)
def test_what_is_laid_out_stays_as_it_is(case: Case) -> None:
    assert format_source("a.rego", case.formatted) == case.formatted


def test_a_module_of_rego_v1_becomes_one_for_both_versions() -> None:
    source = "package a\n\nimport future.keywords.in\n\np contains x if some x in [1]\n"
    assert format_source("a.rego", source, 1, Target.BOTH) == "package a\n\nimport rego.v1\n\np contains x if some x in [1]\n"


def test_imports_that_v1_does_not_need_can_be_left_out() -> None:
    source = "package a\n\nimport data.b\nimport future.keywords.in # why\nimport rego.v1\n\np := b\n"
    assert format_source("a.rego", source, drop_v0_imports=True) == "package a\n\nimport data.b\n\n# why\n\np := b\n"
    assert "import rego.v1" in format_source("a.rego", source.replace("import future.keywords.in # why\n", ""), 0, drop_v0_imports=True)


@pytest.mark.parametrize("source", ["package a\r\n\r\np := [1,\r\n2] # c\r\n", "\ufeffpackage a\np := [1,\n2] # c"])
def test_line_ends_and_byte_order_marks_are_made_alike(source: str) -> None:
    assert format_source("a.rego", source) == "package a\n\np := [\n\t1,\n\t2, # c\n]\n"


def test_what_does_not_parse_is_an_error() -> None:
    with pytest.raises(CompileError, match="unexpected eof token") as raised:
        format_source("a.rego", "package a\n\np :=\n")
    assert str(raised.value.location) == "a.rego:4:1"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import data.b\nimport data.c as b", "import must not shadow import data.b"),
        ("input := 1", "rules must not shadow input (use a different rule name)"),
        ("f(data) := 1", "args must not shadow data (use a different variable name)"),
        ("p if { input := 1; input }", "variables must not shadow input (use a different variable name)"),
        ("p := any([true])", "deprecated built-in function calls in expression: any"),
    ],
)
def test_what_v1_refuses_is_an_error_unless_it_is_written_as_v0(source: str, message: str) -> None:
    with pytest.raises(CompileError) as raised:
        format_source("a.rego", f"package a\n\n{source}\n")
    assert raised.value.message == message
    with pytest.raises(CompileError, match=r"must not|deprecated"):
        format_source("a.rego", f"package a\n\n{source.replace(' if ', ' ')}\n", 0, Target.BOTH)
    assert format_source("a.rego", f"package a\n\n{source.replace(' if ', ' ')}\n", 0)


@pytest.mark.parametrize(
    "source",
    [
        "x := " + " + ".join(["1"] * 95),
        "x := " + "(" * 95 + "1" + ")" * 95,
        "x := " + "[" * 95 + "1" + "]" * 95,
        "x := " + '{\n"a": ' * 95 + "1" + "\n}" * 95,
        "x := " + "f(" * 95 + "1" + ")" * 95,
        "x := " + "[x | x := " * 45 + "1" + "]" * 45,
        "x := " + '$"{' * 90 + "y" + '}"' * 90,
        "x := 1 if { a }" + " else := 2 if {\nb\nc }" * 190,
    ],
    ids=["operators", "parentheses", "arrays", "objects", "calls", "comprehensions", "templates", "else"],
)
def test_what_is_nested_as_deep_as_it_parses_is_laid_out(source: str) -> None:
    formatted = format_source("a.rego", f"package a\n\n{source}\n")
    assert format_source("a.rego", formatted) == formatted


def test_parentheses_that_would_nest_too_deep_are_an_error() -> None:
    with pytest.raises(CompileError, match="the formatted text is not Rego v1: nesting is deeper"):
        format_source("a.rego", "package a\n\nx := " + " + ".join(["1"] * 150))
