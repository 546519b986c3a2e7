"""Aggregates and membership."""

from __future__ import annotations

from decimal import Decimal

import pytest

from authz.rego.values import EMPTY_SET, Set
from tests.rego.builtins.harness import call, failure, value


@pytest.mark.parametrize(("collection", "size"), [([1, 1], 2), ({"a": 1}, 1), ({1, 2, 3}, 3), ("héé", 3), (set(), 0)])
def test_count_counts_members_and_code_points(collection: object, size: int) -> None:
    assert call("count", collection) == size


def test_sums_and_products_are_exact_for_integers() -> None:
    assert call("sum", [28857836529306024611913, 1]) == 28857836529306024611914
    assert call("sum", {1, 2, 3, 4}) == 10
    assert call("product", [28857836529306024611913, 3]) == 86573509587918073835739


def test_sums_of_fractions_have_64_bits_and_products_53() -> None:
    assert call("sum", [0.1, 0.2, 0.3]) == Decimal("0.6")
    assert call("sum", [28857836529306024611913, 1.5]) == 28857836529306024612000
    assert call("product", [1.1, 1.1]) == Decimal("1.2100000000000002")


def test_empty_collections_have_a_sum_and_a_product_but_no_extremes() -> None:
    assert (call("sum", []), call("product", set()), call("max", []), call("min", set())) == (0, 1, None, None)


def test_extremes_follow_regos_order() -> None:
    assert call("max", [1, "a", None]) == "a"
    assert call("min", {3, 1, 2}) == 1
    assert call("max", ["b", "a"]) == "b"
    assert str(call("max", [1, Decimal("1.0")])) == "1.0"


def test_sort_follows_regos_order() -> None:
    assert call("sort", [{"a": 1}, "a", 2, 1, None, True]) == value([None, True, 1, 2, "a", {"a": 1}])
    assert call("sort", {3, 1}) == (1, 3)


def test_all_and_any_look_for_true_alone() -> None:
    assert call("all", [True, True])
    assert call("all", [])
    assert not call("all", [True, 1])
    assert call("any", {False, True})
    assert not call("any", [1, "true"])


@pytest.mark.parametrize(
    ("item", "collection", "found"),
    [
        (1, [2, 1], True),
        (1, {1}, True),
        (1, {"a": 1}, True),
        ("a", {"a": 1}, False),
        (True, [1], False),
        ("f", "foo", False),
        (1, 1, False),
    ],
)
def test_in_looks_at_values(item: object, collection: object, found: bool) -> None:
    assert call("internal.member_2", item, collection) is found


@pytest.mark.parametrize(
    ("key", "item", "collection", "found"),
    [
        ("a", 1, {"a": 1}, True),
        ("a", 2, {"a": 1}, False),
        (1, "b", ["a", "b"], True),
        (Decimal("1.0"), "b", ["a", "b"], True),
        (-1, "b", ["a", "b"], False),
        (2, "b", ["a", "b"], False),
        ("x", "b", ["a", "b"], False),
        ("a", "a", {"a"}, True),
        ("a", "b", {"a", "b"}, False),
        (0, "f", "foo", False),
    ],
)
def test_in_with_a_key_looks_at_both(key: object, item: object, collection: object, found: bool) -> None:
    assert call("internal.member_3", key, item, collection) is found


@pytest.mark.parametrize(
    ("name", "operand", "message"),
    [
        ("count", None, "operand 1 must be one of {array, object, set, string} but got null"),
        ("sum", [1, "a"], "operand 1 must be array of numbers but got array containing string"),
        ("product", {1, None}, "operand 1 must be set of numbers but got set containing null"),
        ("max", "a", "operand 1 must be one of {set, array} but got string"),
        ("any", 1, "operand 1 must be one of {array, set} but got number"),
    ],
)
def test_wrong_operands_are_type_errors(name: str, operand: object, message: str) -> None:
    assert failure(name, operand) == f"eval_type_error: {name}: {message}"


def test_set_algebra() -> None:
    assert call("and", {1, 2}, {2, 3}) == value({2})
    assert call("or", {1, 2}, {2, 3}) == value({1, 2, 3})
    assert call("set_diff", {1, 2}, {2, 3}) == value({1})
    assert failure("and", {1}, [1]) == "eval_type_error: and: operand 2 must be set but got array"


def test_union_and_intersection_take_a_set_of_sets() -> None:
    sets = {frozenset({1, 2}), frozenset({2, 3})}
    assert call("union", sets) == value({1, 2, 3})
    assert call("intersection", sets) == value({2})
    assert call("intersection", set()) == EMPTY_SET
    assert call("union", set()) == EMPTY_SET
    assert type(call("union", sets)) is Set
    assert failure("union", {1}) == "eval_type_error: union: operand 1 must be set but got number"


def test_arrays_are_joined_cut_turned_and_flattened() -> None:
    assert call("array.concat", [1], [2]) == (1, 2)
    assert call("array.reverse", [1, 2]) == (2, 1)
    assert call("array.flatten", [1, [2, [3]]]) == (1, 2, (3,))
    assert failure("array.concat", [1], {}) == "eval_type_error: array.concat: operand 2 must be array but got object"


@pytest.mark.parametrize(("start", "stop", "expected"), [(1, 2, (2,)), (-1, 1, (1,)), (2, 1, ()), (1, 9, (2, 3)), (1, -1, ())])
def test_slices_stay_within_the_array(start: int, stop: int, expected: tuple[int, ...]) -> None:
    assert call("array.slice", [1, 2, 3], start, stop) == expected


def test_one_number_alone_is_summed_as_a_float_too() -> None:
    assert call("sum", [Decimal("100000000000000000000000.5")]) == 10**23
