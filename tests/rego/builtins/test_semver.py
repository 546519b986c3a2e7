"""Semantic versions."""

from __future__ import annotations

import pytest

from tests.rego.builtins.harness import call, failure

# semver.org, item 11
ASCENDING = [
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.10.0",
    "2.0.0",
]


@pytest.mark.parametrize("place", range(len(ASCENDING) - 1))
def test_versions_are_ordered_by_precedence(place: int) -> None:
    lower, higher = ASCENDING[place], ASCENDING[place + 1]
    assert (call("semver.compare", lower, higher), call("semver.compare", higher, lower)) == (-1, 1)


@pytest.mark.parametrize(("left", "right"), [("v1.0.0", "1.0.0+x"), ("1.0.0", "01.0.0"), ("1.0.0-1", "1.0.0-01"), ("1.0.0-", "1.0.0")])
def test_prefix_zeros_and_build_metadata_do_not_count(left: str, right: str) -> None:
    assert call("semver.compare", left, right) == 0


@pytest.mark.parametrize("text", ["1.0.0", "v1.0.0", "1.0.0-a+b.c", "1.0.0+", "9223372036854775807.0.0"])
def test_valid_versions(text: str) -> None:
    assert call("semver.is_valid", text)


@pytest.mark.parametrize(
    "text", ["1", "1.0", "vv1.0.0", "1.0.x", "1.0.0-a..b", "1.0.0+a_b", "9223372036854775808.0.0", "1.0.0\n", "1.0.0-" + "a" * 2000, 1]
)
def test_invalid_versions(text: object) -> None:
    assert not call("semver.is_valid", text)


def test_comparing_an_invalid_version_names_it() -> None:
    assert failure("semver.compare", "1", "1.0.0") == 'eval_builtin_error: semver.compare: operand 1: string "1" is not a valid SemVer'
    assert failure("semver.compare", "1.0.0", "x") == 'eval_builtin_error: semver.compare: operand 2: string "x" is not a valid SemVer'
