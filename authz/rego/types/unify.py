"""When two types have a value in common, which is what OPA asks before it refuses an equality or an argument.

Types only: what a variable is bound to by that is `match`'s.
"""

from __future__ import annotations

from authz.rego.types.model import ANY, ArrayType, FunctionType, ObjectType, ScalarType, SetType, Type, UnionType, select


class Unifier:
    """Compares types; remembers what it has compared, for types share their parts and are compared again and again."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[tuple[Type, Type], bool] = {}

    def unifies(self, left: Type | None, right: Type | None) -> bool:
        """Tell whether both are known and some value may be of both types."""
        if left is None or right is None:
            return False
        if isinstance(left, ScalarType) and isinstance(right, ScalarType):
            return left is right
        if (left is ANY and not isinstance(right, FunctionType)) or (right is ANY and not isinstance(left, FunctionType)):
            return True
        key = (left, right)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._compared(left, right)
        return known

    def _compared(self, left: Type, right: Type) -> bool:
        if isinstance(left, UnionType) or isinstance(right, UnionType):
            return self._with_union(left, right)
        match left, right:
            case ArrayType(), ArrayType():
                return self._arrays(left, right)
            case ObjectType(), ObjectType():
                return self._objects(left, right)
            case SetType(of=of), SetType(of=other):
                return self.unifies(of, other)
            case FunctionType(params=params), FunctionType(params=others):
                return len(params) == len(others) and all(map(self.unifies, params, others))
        return False

    def _with_union(self, left: Type, right: Type) -> bool:
        if isinstance(left, UnionType) and any(self.unifies(member, right) for member in left.members):
            return True
        return isinstance(right, UnionType) and any(self.unifies(member, left) for member in right.members)

    def _arrays(self, left: ArrayType, right: ArrayType) -> bool:
        size = max(len(left.static), len(right.static))
        if not all(self.unifies(left.at(index), right.at(index)) for index in range(size)):
            return False
        return left.dynamic is None or right.dynamic is None or self.unifies(left.dynamic, right.dynamic)

    def _objects(self, left: ObjectType, right: ObjectType) -> bool:
        """Compare the members; one that only one object has is no contradiction if one of them may have any others."""
        others = [kind.dynamic[1] for kind in (left, right) if kind.dynamic is not None and kind.dynamic[1] is not None]
        for key in (*left.static, *(key for key in right.static if key not in left.static)):
            first, second = select(left, key), select(right, key)
            is_absent = first is None or second is None
            if not (others if is_absent else self.unifies(first, second)):
                return False
        return len(others) < 2 or self.unifies(*others)
