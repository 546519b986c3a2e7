"""Rego v0 and v1: which words are keywords, and what v1 demands."""

from __future__ import annotations

import pytest

from authz.rego import nodes
from tests.rego.syntax import is_accepted, module, refused, rule, rules, var

IF_BODY = "`if` keyword is required before rule body"
IF_FUNCTION = "`if` keyword is required before function body"
CONTAINS = "`contains` keyword is required for partial set rules"
VALUE_OR_BODY = "rule must have value assignment and/or body declaration"


@pytest.mark.parametrize(
    ("source", "messages"),
    [
        ("p { x }", [IF_BODY]),
        ("p := 1 { x }", [IF_BODY]),
        ("f(x) { x }", [IF_FUNCTION]),
        ("p[x] { x }", [IF_BODY, CONTAINS]),
        ("p.a { x }", [IF_BODY, CONTAINS]),
        ("p contains x { x }", [IF_BODY]),
        ("p[1]", [CONTAINS]),
        ("p.a.b", [VALUE_OR_BODY]),
        ("p if { x } else := 1 { y }", [IF_BODY]),
        ("p if { x } else { y }", [IF_BODY]),
        ("p { x }\nq { y }", [IF_BODY, IF_BODY]),
    ],
)
def test_v1_demands_if_and_contains_where_v0_does_not(source: str, messages: list[str]) -> None:
    error = refused(source)
    assert [diagnostic.message for diagnostic in error.diagnostics] == messages
    assert "--v0-compatible" in (error.help or "")
    assert is_accepted(source.replace(" contains x", "[x]").replace(" if ", " "), 0)


def test_importing_rego_v1_makes_a_module_obey_it() -> None:
    assert module("import rego.v1\np if x", 0).rego_version == 1
    assert module("p { x }", 0).rego_version == 0
    assert module("p if x").rego_version == 1
    assert refused("import rego.v1\np { x }", 0).message == IF_BODY
    assert refused("p { x }\nimport rego.v1", 0).message == IF_BODY


def test_rego_v1_and_future_keywords_may_be_imported_together() -> None:
    for source in ("import rego.v1\nimport future.keywords.in\np if 1 in [1]", "import future.keywords\nimport rego.v1\np if 1 in [1]"):
        assert is_accepted(source, 0)
        assert is_accepted(source)


def test_template_strings_are_no_part_of_v0() -> None:
    message = "template strings are not supported by current capabilities"
    assert refused('p = $"{x}"', 0).message == message
    assert refused('import rego.v1\np := $"{x}"', 0).message == message
    assert is_accepted('p := $"{x}"')


@pytest.mark.parametrize("word", ["if", "in", "contains", "every"])
def test_the_words_of_v1_are_names_in_v0(word: str) -> None:
    assert rule(f"{word} = 1", 0).head.ref == nodes.Ref(var(word), ())
    assert rule(f"p {{ {word} := x; {word} }}", 0).body[1].expr == nodes.TermExpr(var(word))
    assert not is_accepted(f"{word} := 1")


@pytest.mark.parametrize(
    ("keyword", "source"),
    [
        ("if", "p if x"),
        ("in", "p { x in y }"),
        ("in", "p { some x in y }"),
        ("contains", "p contains x { x }"),
        ("every", "p { every x in y { x } }"),
        ("every", "p { x in y }"),
    ],
)
def test_an_import_makes_a_word_a_keyword_in_v0(keyword: str, source: str) -> None:
    assert not is_accepted(source, 0)
    assert is_accepted(f"import future.keywords.{keyword}\n{source}", 0)
    assert is_accepted(f"import future.keywords\n{source}", 0)
    assert not is_accepted(f"{source}\nimport future.keywords.{keyword}", 0)


def test_an_imported_keyword_cannot_name_a_rule() -> None:
    assert is_accepted("in = 1\nimport future.keywords.in", 0)
    assert not is_accepted("import future.keywords.in\nin = 1", 0)
    assert is_accepted("import future.keywords.in\nif = 1", 0)


def test_imports_of_keywords_do_nothing_in_v1() -> None:
    assert rules("import future.keywords.if\nimport rego.v1\np if x") == rules("p if x")


@pytest.mark.parametrize("word", ["if", "in", "contains"])
def test_keywords_step_through_references_in_both_versions(word: str) -> None:
    assert rule(f"p := x.{word}.y").head == rule(f"p := x.{word}.y", 0).head
    assert is_accepted(f"p if {{ {word}.x }}")
