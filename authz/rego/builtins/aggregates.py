"""Aggregates over collections, and `in`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from typing import cast

from authz.rego import numbers
from authz.rego.builtins.registry import ANY, ARRAY, BOOLEAN, NUMBER, OBJECT, SET, STRING, builtin, element_error, operand_error
from authz.rego.values import TRUE, Number, Object, Set, Value, compare, sort_values

Collection = tuple[Value, ...] | Set

_COUNTABLE = (ARRAY, OBJECT, SET, STRING)

_PRODUCT_BITS = 53
"""OPA multiplies from a double on, so a product that is not exact has a double's mantissa."""


@builtin("count", _COUNTABLE, result=NUMBER, checks_itself=True)
def count(collection: Value) -> int:
    """Return the number of members, or of a string's code points."""
    kind = type(collection)
    if kind is tuple or kind is Object or kind is Set or kind is str:
        return len(collection)  # type: ignore[arg-type]
    raise operand_error("count", 1, _COUNTABLE, collection)


@builtin("sum", (SET, ARRAY), result=NUMBER)
def total(collection: Collection) -> Number:
    items = _numbers("sum", collection)
    exact = _exact(items)
    if exact is not None:
        return sum(exact)
    zero: Number = 0
    return reduce(numbers.add_float, items, zero)


@builtin("product", (SET, ARRAY), result=NUMBER)
def product(collection: Collection) -> Number:
    items = _numbers("product", collection)
    exact = _exact(items)
    if exact is not None:
        return reduce(lambda left, right: numbers.checked_size(left * right), exact, 1)
    result = reduce(lambda left, right: numbers.multiply(left, numbers.to_float(right), _PRODUCT_BITS), items, (1, 0))
    return numbers.from_float(result, _PRODUCT_BITS)


@builtin("max", (SET, ARRAY))
def largest(collection: Collection) -> Value | None:
    """Return the last of the largest members; undefined if there is none."""
    return _extreme(collection, max, lambda left, right: compare(left, right) <= 0)


@builtin("min", (SET, ARRAY))
def smallest(collection: Collection) -> Value | None:
    """Return the last of the smallest members; undefined if there is none."""
    return _extreme(collection, min, lambda left, right: compare(left, right) >= 0)


@builtin("sort", (SET, ARRAY), result=ARRAY)
def ordered(collection: Collection) -> Value:
    return collection.ordered() if isinstance(collection, Set) else tuple(sort_values(collection))


@builtin("all", (ARRAY, SET), result=BOOLEAN, deprecated=True)
def every_true(collection: Collection) -> bool:
    return all(item is TRUE for item in collection)


@builtin("any", (ARRAY, SET), result=BOOLEAN, deprecated=True)
def some_true(collection: Collection) -> bool:
    return TRUE in collection


@builtin("internal.member_2", ANY, ANY, result=BOOLEAN)
def member(item: Value, collection: Value) -> bool:
    """Return whether `item in collection`; nothing is in what is no collection."""
    kind = type(collection)
    if kind is tuple or kind is Set:
        return item in collection  # type: ignore[operator]
    return kind is Object and item in cast(Object, collection).values()


@builtin("internal.member_3", ANY, ANY, ANY, result=BOOLEAN)
def member_at(key: Value, item: Value, collection: Value) -> bool:
    """Return whether `key, item in collection`: a set's member is its own key."""
    if isinstance(collection, Object):
        return collection.get(key) == item
    if isinstance(collection, Set):
        return key == item and key in collection
    if isinstance(collection, tuple):
        position = numbers.as_index(key) if isinstance(key, numbers.NUMBERS) else None
        return position is not None and 0 <= position < len(collection) and collection[position] == item
    return False


def _numbers(name: str, collection: Collection) -> list[Number]:
    items = collection.ordered() if isinstance(collection, Set) else collection
    for item in items:
        if not isinstance(item, numbers.NUMBERS):
            raise element_error(name, 1, NUMBER, collection, item)
    return cast("list[Number]", list(items))


def _exact(items: Iterable[Number]) -> list[int] | None:
    """Return the numbers as integers if every one is whole."""
    exact: list[int] = []
    for item in items:
        integer = numbers.as_int(item)
        if integer is None:
            return None
        exact.append(integer)
    return exact


def _extreme(collection: Collection, builtin_choice: Callable[..., Value], prefers: Callable[[Value, Value], bool]) -> Value | None:
    if not collection:
        return None
    if all(type(item) is int for item in collection) or all(type(item) is str for item in collection):
        return builtin_choice(collection)
    return reduce(lambda best, item: item if prefers(best, item) else best, collection)
