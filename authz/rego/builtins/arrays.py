"""Arrays: concat, slice, reverse, flatten. Positions outside an array are moved to its ends."""

from __future__ import annotations

from authz.rego.builtins.registry import ARRAY, NUMBER, builtin, index
from authz.rego.values import Number, Value

Array = tuple[Value, ...]


@builtin("array.concat", ARRAY, ARRAY, result=ARRAY)
def concat(left: Array, right: Array) -> Array:
    return left + right


@builtin("array.slice", ARRAY, NUMBER, NUMBER, result=ARRAY)
def slice_of(items: Array, start: Number, stop: Number) -> Array:
    first, last = index("array.slice", 2, start), index("array.slice", 3, stop)
    return items[max(first, 0) : max(last, 0)]


@builtin("array.reverse", ARRAY, result=ARRAY)
def reverse(items: Array) -> Array:
    return items[::-1]


@builtin("array.flatten", ARRAY, result=ARRAY)
def flatten(items: Array) -> Array:
    """Join the members that are arrays; one level only."""
    return tuple(inner for item in items for inner in (item if isinstance(item, tuple) else (item,)))
