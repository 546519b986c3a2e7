"""Equality, order and conversion of Rego values."""

from __future__ import annotations

import pickle
from decimal import Decimal

import pytest

from authz.rego.values import (
    FALSE,
    MAX_DEPTH,
    NULL,
    TRUE,
    Object,
    Set,
    Value,
    boolean,
    compare,
    from_json,
    json_key,
    sort_values,
    to_json,
    type_name,
)

IN_ORDER: list[Value] = [
    NULL,
    FALSE,
    TRUE,
    Decimal("-1.5"),
    0,
    Decimal("0.5"),
    1,
    "",
    "1",
    "a",
    "\uff41",
    "\U0001f600",
    (),
    (1,),
    (1, 2),
    (2,),
    Object(),
    Object({"a": 1}),
    Object({"a": 1, "b": 0}),
    Object({"a": 2}),
    Set(),
    Set({1, 2, 3}),
    Set({1, 3}),
    Set({2}),
]


def test_true_one_and_text_one_are_three_values_and_one_point_zero_is_none_more() -> None:
    assert len(Set([TRUE, 1, Decimal("1.0"), "1"])) == 3


def test_values_of_all_types_sort_in_rego_order() -> None:
    assert sort_values(reversed(IN_ORDER)) == IN_ORDER


@pytest.mark.parametrize("place", range(len(IN_ORDER) - 1))
def test_neighbours_in_the_order_compare_as_less_and_greater(place: int) -> None:
    smaller, larger = IN_ORDER[place], IN_ORDER[place + 1]
    assert (compare(smaller, larger), compare(larger, smaller), compare(larger, larger)) == (-1, 1, 0)


def test_equal_objects_hash_alike_whatever_their_order() -> None:
    assert hash(Object({"a": 1, "b": (TRUE,)})) == hash(Object({"b": (TRUE,), "a": Decimal("1.0")}))


def test_type_names_are_regos() -> None:
    values: list[Value] = [NULL, TRUE, 1, Decimal("1.5"), "", (), Object(), Set()]
    assert [type_name(value) for value in values] == ["null", "boolean", "number", "number", "string", "array", "object", "set"]


def test_json_goes_to_values_and_back() -> None:
    document = {"a": [1, 2.5, True, False, None, "x"], "b": {"c": {}}}
    assert to_json(from_json(document)) == document
    assert from_json(True) is TRUE
    assert from_json(None) is NULL


def test_a_double_becomes_the_decimal_it_prints_as() -> None:
    assert from_json(0.1) == Decimal("0.1")


@pytest.mark.parametrize("document", [float("nan"), float("inf"), Decimal("NaN"), object(), {"a": b"x"}])
def test_what_json_cannot_hold_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match="not a JSON"):
        from_json(document)


def test_subclasses_of_json_types_are_converted() -> None:
    class Text(str):
        __slots__ = ()

    class Mapping(dict[str, object]):
        pass

    assert from_json(Mapping(a=Text("b"))) == Object({"a": "b"})


def test_nesting_is_accepted_up_to_the_limit_and_refused_beyond_it() -> None:
    document: object = 1
    for _ in range(MAX_DEPTH):
        document = [document]
    assert to_json(from_json(document)) == document
    with pytest.raises(ValueError, match="deeper"):
        from_json([[document]])


def test_the_deepest_document_can_be_compared_and_hashed() -> None:
    document: object = {"a": 1}
    for _ in range(MAX_DEPTH - 1):
        document = {"a": document}
    value, other = from_json(document), from_json(document)
    assert compare(value, other) == 0
    assert hash(value) == hash(other)


def test_sets_become_sorted_arrays_and_keys_become_text() -> None:
    assert to_json(Set({3, "a", NULL, 1})) == [None, 1, 3, "a"]
    assert to_json(Object({1: "i", ("a", 0): "t", TRUE: "b"})) == {"1": "i", '["a",0]': "t", "true": "b"}


def test_of_two_keys_with_the_same_text_the_later_in_order_wins() -> None:
    assert to_json(Object({1: "i", "1": "s"})) == {"1": "s"}
    assert to_json(Object({("a",): "i", '["a"]': "s", Set({"a"}): "t"})) == {'["a"]': "t"}
    assert json_key(NULL) == "null"
    assert json_key(("<\u2028",)) == r'["\u003c\u2028"]'


def test_what_is_no_text_leaves_as_replacement_characters() -> None:
    assert to_json(("a\udcff", Object({"\ud800": 1}))) == ["a\ufffd", {"\ufffd": 1}]


def test_numbers_leave_exactly() -> None:
    assert to_json(Decimal("3.0")) == 3
    assert to_json(Decimal("0.5")) == 0.5
    assert to_json(Decimal("0.33333333333333333334")) == Decimal("0.33333333333333333334")


@pytest.mark.parametrize("value", [NULL, TRUE, FALSE, Object({"a": Set({1, (TRUE,)})})])
def test_values_survive_pickling_and_singletons_stay_single(value: Value) -> None:
    copy = pickle.loads(pickle.dumps(value))  # noqa: S301 - our own bytes
    assert copy == value
    assert copy is value or isinstance(value, Object)


def test_boolean_wraps_pythons() -> None:
    assert (boolean(True), boolean(False)) == (TRUE, FALSE)
    assert TRUE
    assert not FALSE
