"""The last look before a file is overwritten."""

from __future__ import annotations

import pytest

from authz.rego import nodes, parser
from authz.rego.errors import CompileError
from authz.rego.formatting import Target, format_source
from authz.rego.formatting.verify import verify, verify_version
from authz.rego.lexer import read
from authz.rego.tokens import Comment


def parsed(source: str) -> tuple[nodes.Module, list[Comment]]:
    text = f"package a\n{source}\n"
    return parser.parse_module("a.rego", text), read("a.rego", text).comments


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("p if true", "p := true"),
        ("p := {1, 1, 2}", "p := {2, 1}"),
        ('p := {"a": 1, "b": 2}', 'p := {"b": 2, "a": 1}'),
        ('p := $"{1}a{"b"}{x}"', 'p := $"1ab{x}"'),
        ("p := 1 # a\n# b", "# b\np = 1 #a"),
        ("import data.b\nimport data.c", "import data.c\nimport data.b"),
        ("f(_, _) := [_ | _]", "f(_, _) := [_ | _]"),
    ],
)
def test_what_means_the_same_is_let_through(source: str, written: str) -> None:
    verify(*parsed(source), *parsed(written))


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("p := 1", "p := 2"),
        ("p := a - (b - c)", "p := a - b - c"),
        ("p if { x; y }", "p if x"),
        ("p if true else := 2", "p := true"),
        ("import data.b", "import data.b as c"),
        ("p := [1, 2]", "p := [2, 1]"),
    ],
)
def test_another_meaning_is_refused(source: str, written: str) -> None:
    with pytest.raises(CompileError, match="formatting would change the meaning"):
        verify(*parsed(source), *parsed(written))


def test_a_lost_comment_is_refused() -> None:
    with pytest.raises(CompileError, match="formatting would lose a comment"):
        verify(*parsed("p := 1 # a\n# a"), *parsed("p := 1 # a"))


def test_a_version_that_does_not_parse_is_refused() -> None:
    verify_version("a.rego", "package a\n\np { x }\n", 0)
    with pytest.raises(CompileError, match=r"not Rego v1: `if` keyword is required before rule body \(line 3 of it\)"):
        verify_version("a.rego", "package a\n\np { x }\n", 1)


def test_a_name_that_is_a_keyword_in_v1_is_refused_unless_the_result_is_not_looked_at() -> None:
    source = "package a\n\np { if := 1; if }\n"
    with pytest.raises(CompileError, match="the formatted text is not Rego v0"):
        format_source("a.rego", source, 0, Target.BOTH)
    assert "if := 1" in format_source("a.rego", source, 0, Target.BOTH, check_result=False)
