"""Arrays: concat, slice, reverse, flatten. Positions outside an array are moved to its ends."""

from __future__ import annotations

from authz.rego.builtins.registry import ARRAY, INDEX, builtin
from authz.rego.values import Value

Array = tuple[Value, ...]


@builtin("array.concat", ARRAY, ARRAY, result=ARRAY)
def concat(left: Array, right: Array) -> Array:
    return left + right


@builtin("array.slice", ARRAY, INDEX, INDEX, result=ARRAY)
def slice_of(items: Array, start: int, stop: int) -> Array:
    return items[max(start, 0) : max(stop, 0)]


@builtin("array.reverse", ARRAY, result=ARRAY)
def reverse(items: Array) -> Array:
    return items[::-1]


@builtin("array.flatten", ARRAY, result=ARRAY)
def flatten(items: Array) -> Array:
    """Join the members that are arrays; one level only."""
    return tuple(inner for item in items for inner in (item if isinstance(item, tuple) else (item,)))
