"""Objects: lookup by path, keys, selection, merge and subset. Paths of JSON documents are in `json_paths`."""

from __future__ import annotations

from collections.abc import Collection
from functools import reduce

from authz.rego.builtins.registry import ANY, ARRAY, OBJECT, SET, builtin, element_error, operand_error
from authz.rego.errors import EVAL_TYPE, BuiltinError
from authz.rego.numbers import NUMBERS, as_index
from authz.rego.values import EMPTY_OBJECT, Object, Set, Value, boolean

_KEYS = (OBJECT, SET, ARRAY)


@builtin("object.get", OBJECT, ANY, ANY, checks_itself=True)
def get(target: Object, key: Value, default: Value) -> Value:
    """Return the member at `key`, or at the path that an array key is, or `default`. Null is a found value."""
    if type(target) is not Object:
        raise operand_error("object.get", 1, OBJECT, target)
    if type(key) is not tuple:
        return target.get(key, default)
    found: Value = target
    for step in key:
        inner = child(found, step)
        if inner is None:
            return default
        found = inner
    return found


def child(value: Value, step: Value) -> Value | None:
    """Return what `value[step]` is, or None: a member of an object or array, or of a set, which is its own key."""
    if isinstance(value, Object):
        return value.get(step)
    if isinstance(value, tuple):
        position = as_index(step) if isinstance(step, NUMBERS) else None
        return value[position] if position is not None and 0 <= position < len(value) else None
    return step if isinstance(value, Set) and step in value else None


@builtin("object.keys", OBJECT, result=SET)
def keys(target: Object) -> Set:
    return Set(target)


@builtin("object.remove", OBJECT, _KEYS)
def remove(target: Object, unwanted: Collection[Value]) -> Object:
    dropped = _key_set(unwanted)
    return Object((key, value) for key, value in target.items() if key not in dropped)


@builtin("object.filter", OBJECT, _KEYS)
def select(target: Object, wanted: Collection[Value]) -> Object:
    kept = _key_set(wanted)
    return Object((key, value) for key, value in target.items() if key in kept)


def _key_set(keys_of: Collection[Value]) -> Collection[Value]:
    return frozenset(keys_of) if isinstance(keys_of, tuple) else keys_of


@builtin("object.union", OBJECT, OBJECT)
def union(left: Object, right: Object) -> Object:
    """Merge deeply; where the two disagree and either is no object, the right one wins."""
    merged = Object(left)
    for key, value in right.items():
        previous = merged.get(key)
        merged[key] = union(previous, value) if isinstance(previous, Object) and isinstance(value, Object) else value
    return merged


@builtin("object.union_n", ARRAY)
def union_n(objects: tuple[Value, ...]) -> Object:
    checked: list[Object] = []
    for item in objects:
        if not isinstance(item, Object):
            raise element_error("object.union_n", 1, OBJECT, objects, item)
        checked.append(item)
    return reduce(union, checked, EMPTY_OBJECT)


_SUBSET = (OBJECT, SET, ARRAY)


@builtin("object.subset", _SUBSET, _SUBSET, checks_itself=True)
def subset(larger: Value, smaller: Value) -> Value:
    """Return whether `smaller` is part of `larger`: deeply for objects, as a run for arrays.

    A deviation: OPA takes `[1, 1]` to hold `{1, 2}`, because it counts members twice. Here
    every member of the set has to be in the array.
    """
    result = _part(larger, smaller)
    if result is None and isinstance(larger, tuple) and isinstance(smaller, Set):
        result = bool(larger) and smaller <= frozenset(larger)
    if result is None:
        raise BuiltinError("object.subset: both arguments object.subset must be of the same type or array and set", EVAL_TYPE)
    return boolean(result)


def _part(larger: Value, smaller: Value) -> bool | None:
    """Return whether `smaller` is part of `larger`, or None where the two are no collections of one type."""
    if isinstance(larger, Object) and isinstance(smaller, Object):
        return all(key in larger and _holds(larger[key], value) for key, value in smaller.items())
    if isinstance(larger, Set) and isinstance(smaller, Set):
        return smaller <= larger
    if isinstance(larger, tuple) and isinstance(smaller, tuple):
        return _has_run(larger, smaller)
    return None


def _holds(larger: Value, smaller: Value) -> bool:
    return larger == smaller or bool(_part(larger, smaller))


def _has_run(items: tuple[Value, ...], run: tuple[Value, ...]) -> bool:
    """Return whether `run` stands in `items` without gaps (Knuth, Morris and Pratt: linear in both)."""
    if not run:
        return True
    borders = _borders(run)
    matched = 0
    for item in items:
        while matched and run[matched] != item:
            matched = borders[matched - 1]
        matched += run[matched] == item
        if matched == len(run):
            return True
    return False


def _borders(run: tuple[Value, ...]) -> list[int]:
    borders, matched = [0], 0
    for item in run[1:]:
        while matched and run[matched] != item:
            matched = borders[matched - 1]
        matched += run[matched] == item
        borders.append(matched)
    return borders
