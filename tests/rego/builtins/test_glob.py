"""glob.match: gobwas/glob's pattern language."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rego.builtins.as_json import call, failure


@pytest.mark.parametrize(
    ("pattern", "delimiters", "text", "matches"),
    [
        ("*.github.com", ["."], "api.github.com", True),
        ("*.github.com", ["."], "a.b.github.com", False),
        ("**.github.com", ["."], "a.b.github.com", True),
        ("*", [], "foo.bar", False),
        ("*", None, "foo.bar", True),
        ("/api/*", ["/"], "/api/", True),
        ("/api/*", ["/"], "/api", False),
        ("/api/*", ["/"], "/api/a\nb", True),
        ("?at", [], "at", False),
        ("?", ["."], ".", False),
        ("[!a-c]at", [], "fat", True),
        ("[^a]", [], "^", True),
        ("[!.]", ["."], "x", True),
        ("[a.]", ["."], ".", True),
        ("{cat,bat,[fr]at}", [], "rat", True),
        ("{a,{b,c}d}e", [], "cde", True),
        ("{,a}b", [], "b", True),
        ("{a\\,b,c}", [], "a,b", True),
        ("{a,b", [], "b", True),
        ("a,b}", [], "a,b}", True),
        ("\\*", [], "*", True),
        ("a\\", [], "a", True),
        ("a*c", ["é"], "abéc", False),
        ("A", [], "a", False),
    ],
)
def test_a_glob_matches_as_in_opa(pattern: str, delimiters: list[str] | None, text: str, matches: bool) -> None:
    assert call("glob.match", pattern, delimiters, text) is matches


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("[a", "unexpected end of input"),
        ("[]", "could not parse range"),
        ("[a-cx]", "expected close range character"),
        ("[c-a]", "hi character 'a' should be greater than lo 'c'"),
        ("{" * 101, "pattern nests too deeply"),
        ("a" * 10_000, "pattern has more than 4096 characters"),
        ("a\ufffd", "could not read rune"),
    ],
)
def test_a_bad_glob_is_refused(pattern: str, message: str) -> None:
    assert failure("glob.match", pattern, [], "a") == message


@pytest.mark.parametrize(
    ("delimiters", "message"),
    [
        (["ab"], "operand 2 must be array of runes but got array containing string"),
        ([1], "operand 2 must be array of strings but got array containing number"),
        ("x", "operand 2 must be one of {array, null} but got string"),
        (["."], "operand 3 must be string but got number"),
    ],
)
def test_a_delimiter_is_one_character(delimiters: Any, message: str) -> None:
    assert failure("glob.match", "a", delimiters, 1) == message


@given(st.text())
def test_a_quoted_glob_matches_exactly_its_text(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    pattern = call("glob.quote_meta", text)
    if len(pattern) <= 4096:
        assert call("glob.match", pattern, None, text) is True
        assert call("glob.match", pattern, None, text + "x") is False
