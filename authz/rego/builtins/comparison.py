"""Equality and order: `==`, `!=`, `<`, `<=`, `>`, `>=` on any two values.

The order itself is `values.order_key`; only the common cases are decided here.
"""

from __future__ import annotations

from authz.rego.builtins.registry import ANY, BOOLEAN, builtin
from authz.rego.values import Value, order_key


@builtin("equal", ANY, ANY, result=BOOLEAN)
def equal(left: Value, right: Value) -> bool:
    return left == right


@builtin("neq", ANY, ANY, result=BOOLEAN)
def neq(left: Value, right: Value) -> bool:
    return left != right


@builtin("lt", ANY, ANY, result=BOOLEAN)
def lt(left: Value, right: Value) -> bool:
    kind = type(left)
    if kind is type(right) and (kind is int or kind is str):
        return left < right  # type: ignore[operator]
    return order_key(left) < order_key(right)


@builtin("lte", ANY, ANY, result=BOOLEAN)
def lte(left: Value, right: Value) -> bool:
    return not lt(right, left)


@builtin("gt", ANY, ANY, result=BOOLEAN)
def gt(left: Value, right: Value) -> bool:
    return lt(right, left)


@builtin("gte", ANY, ANY, result=BOOLEAN)
def gte(left: Value, right: Value) -> bool:
    return not lt(left, right)
