"""Comparison of any two values."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.rego.builtins.harness import call

PAIRS = [
    (1, "a"),
    (None, False),
    ([1, 2], [1, 2, 3]),
    ({"a": 1}, {"a": 2}),
    ({"a": 1, "b": 0}, {"a": 2}),
    ({1, 2}, {1, 3}),
    ([9], {}),
    ("a", "b"),
    (1, 1.5),
]


@pytest.mark.parametrize(("smaller", "larger"), PAIRS)
def test_values_of_any_types_have_an_order(smaller: object, larger: object) -> None:
    assert call("lt", smaller, larger)
    assert call("lte", smaller, larger)
    assert call("gt", larger, smaller)
    assert call("gte", larger, smaller)
    assert call("neq", smaller, larger)
    assert not call("lt", larger, smaller)
    assert not call("lte", larger, smaller)
    assert not call("equal", smaller, larger)


def test_one_equals_one_point_zero_but_not_true() -> None:
    assert call("equal", 1, Decimal("1.0"))
    assert call("lte", 1, Decimal("1.0"))
    assert call("gte", 1, Decimal("1.0"))
    assert not call("equal", 1, True)
    assert not call("neq", 1, Decimal("1.0"))
