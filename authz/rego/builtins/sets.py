"""Set algebra: `&`, `|`, `intersection`, `union`, `set_diff` (`-` is with the arithmetic, whose sign it shares)."""

from __future__ import annotations

from typing import cast

from authz.rego.builtins.registry import SET, builtin, operand_error
from authz.rego.values import EMPTY_SET, Set


@builtin("and", SET, SET, result=SET)
def both(left: Set, right: Set) -> Set:
    return Set(left & right)


@builtin("or", SET, SET, result=SET)
def either(left: Set, right: Set) -> Set:
    return Set(left | right)


@builtin("set_diff", SET, SET, result=SET, deprecated=True)
def set_diff(left: Set, right: Set) -> Set:
    return Set(left - right)


@builtin("intersection", SET, result=SET)
def intersection(sets: Set) -> Set:
    first, *rest = _members("intersection", sets) or [EMPTY_SET]
    return Set(first.intersection(*rest))


@builtin("union", SET, result=SET)
def union(sets: Set) -> Set:
    return Set(member for inner in _members("union", sets) for member in inner)


def _members(name: str, sets: Set) -> list[Set]:
    for member in sets.ordered():
        if not isinstance(member, Set):
            raise operand_error(name, 1, SET, member)
    return cast("list[Set]", list(sets))
