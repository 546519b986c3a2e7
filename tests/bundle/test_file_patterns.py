from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.bundle.file_patterns import any_matches


@pytest.mark.parametrize(
    ("pattern", "name", "does_match"),
    [
        ("*.rego", "a.rego", True),
        ("*.rego", "a/b.rego", False),
        ("a/*", "a/b", True),
        ("a/*", "a/b/c", False),
        ("?.rego", "a.rego", True),
        ("?.rego", "/.rego", False),
        ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False),
        ("[^a-c]x", "dx", True),
        (r"a\*b", "a*b", True),
        (r"a\*b", "axb", False),
        (r"[\]a]", "]", True),
        ("a.b", "axb", False),
        ("", "", True),
        ("", "a", False),
        ("é?", "éü", True),
        ("[", "[", False),
        ("[]", "]", False),
        ("[a", "a", False),
        ("a\\", "a", False),
        ("[b-a]", "a", False),
        ("[-]", "-", False),
        ("*" * 2000, "a", False),
    ],
)
def test_patterns_match_as_those_of_go(pattern: str, name: str, does_match: bool) -> None:
    assert any_matches([pattern])(name) is does_match


def test_one_pattern_that_matches_is_enough() -> None:
    assert any_matches(["x", "[", "a*"])("ab")
    assert not any_matches([])("ab")


@given(st.text(alphabet="a*?[]^-\\/é", max_size=12), st.text(alphabet="a*-/é", max_size=6))
def test_any_text_is_a_pattern_or_matches_nothing(pattern: str, name: str) -> None:
    assert any_matches([pattern])(name) in (True, False)
