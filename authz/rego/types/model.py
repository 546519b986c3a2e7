"""The types of Rego values, and what can be asked of one: its members, its keys, what a key selects, the union with another.

A type stands for a set of values. `None` in the place of a type is one that nothing is known of (OPA writes `???`): that of a
variable before its first use. Knows neither terms nor rules.

Equal types are one object, so `is` compares them, in constant time however deep they are. The table that sees to it
holds them weakly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias, cast
from weakref import WeakValueDictionary

from authz.rego import values
from authz.rego.values import Boolean, Null, Object, Value

MAX_MEMBERS: Final = 256
"""Types that a union keeps apart; one of more is `any`. OPA has no bound, and time that grows with the square."""

MAX_HEIGHT: Final = 48
"""Levels of a type; what is nested deeper is `any`. Rules that nest each other's values make types of any depth."""

_INT64: Final = 2**63


class Type:
    """A type; `is_unknown` if something in it is not known; `height` is how deep types are nested in it."""

    __slots__ = ("__weakref__", "height", "is_unknown")

    def __init__(self, parts: Iterable[Type | None] = ()) -> None:
        self.is_unknown = False
        self.height = 0
        for part in parts:
            if part is None:
                self.is_unknown = True
            else:
                self.is_unknown = self.is_unknown or part.is_unknown
                self.height = max(self.height, part.height + 1)


class ScalarType(Type):
    """`null`, `boolean`, `number` or `string`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class ArrayType(Type):
    """An array: the types of its first items, and of those behind them (None: there are none)."""

    __slots__ = ("_item", "dynamic", "static")

    def __init__(self, static: tuple[Type | None, ...], dynamic: Type | None) -> None:
        super().__init__(static if dynamic is None else (*static, dynamic))
        self.static = static
        self.dynamic = dynamic

    def at(self, position: int) -> Type | None:
        """Return the type of the item at a position; None if there is none."""
        return self.static[position] if position < len(self.static) else self.dynamic

    @property
    def item(self) -> Type | None:
        """The union of the items' types."""
        try:
            return self._item
        except AttributeError:
            self._item: Type | None = union((*self.static, self.dynamic))
            return self._item


class ObjectType(Type):
    """An object: the types of its known keys, sorted, and those of any other key and its value (None: there are none)."""

    __slots__ = ("_key", "_value", "dynamic", "static")

    def __init__(self, static: dict[Value, Type | None], dynamic: Pair | None) -> None:
        super().__init__((*static.values(), *(dynamic or ())))
        self.static = static
        self.dynamic = dynamic

    @property
    def key(self) -> Type | None:
        """The union of the keys' types."""
        try:
            return self._key
        except AttributeError:
            self._key: Type | None = union((*map(type_of_value, self.static), *(self.dynamic or ())[:1]))
            return self._key

    @property
    def value(self) -> Type | None:
        """The union of the values' types."""
        try:
            return self._value
        except AttributeError:
            self._value: Type | None = union((*self.static.values(), *(self.dynamic or ())[1:]))
            return self._value


class SetType(Type):
    """A set of members of one type."""

    __slots__ = ("of",)

    def __init__(self, of: Type | None) -> None:
        super().__init__((of,))
        self.of = of


class UnionType(Type):
    """What is of one of its member types; without members, anything. Members are no unions, and never unknown themselves."""

    __slots__ = ("_selected", "members")

    def __init__(self, members: frozenset[Type]) -> None:
        super().__init__(members)
        self.is_unknown = False
        self.members = members
        self._selected: dict[Value, Type | None] = {}

    def has(self, other: Type) -> bool:
        """Tell whether another type is a member, or a subset because everything is."""
        return not isinstance(other, FunctionType) and (not self.members or other in self.members)

    def selected(self, key: Value) -> Type | None:
        """Return the union of what a key selects in the members."""
        if key not in self._selected:
            self._selected[key] = union(select(member, key) for member in self.members)
        return self._selected[key]


class FunctionType(Type):
    """A function: the types of its arguments and of its result."""

    __slots__ = ("params", "result")

    def __init__(self, params: tuple[Type | None, ...], result: Type | None) -> None:
        super().__init__((*params, result))
        self.params = params
        self.result = result


Pair: TypeAlias = tuple[Type | None, Type | None]
"""The types of a key and of its value."""

_KNOWN: Final[WeakValueDictionary[tuple[Any, ...], Type]] = WeakValueDictionary()

NULL: Final = ScalarType("null")
BOOLEAN: Final = ScalarType("boolean")
NUMBER: Final = ScalarType("number")
STRING: Final = ScalarType("string")
ANY: Final = UnionType(frozenset())


def is_unknown(whole: Type | None) -> bool:
    """Tell whether nothing is known of a type, or of a part of it."""
    return whole is None or whole.is_unknown


def _one(kind: type[Type], key: tuple[Any, ...], *parts: Any) -> Type:
    """Return the one type of a kind with these parts; `any` for one that is nested too deeply."""
    found = _KNOWN.get(key)
    if found is None:
        found = kind(*parts)
        if found.height > MAX_HEIGHT:
            return ANY
        _KNOWN[key] = found
    return found


def array(static: tuple[Type | None, ...], dynamic: Type | None = None) -> Type:
    return _one(ArrayType, (ArrayType, static, dynamic), static, dynamic)


def object_(static: Mapping[Value, Type | None], dynamic: Pair | None = None) -> Type:
    """Return an object type; its known keys in any order."""
    ordered = {key: static[key] for key in values.sort_values(static)}
    return _one(ObjectType, (ObjectType, *ordered.items(), dynamic), ordered, dynamic)


def set_(of: Type | None) -> Type:
    return _one(SetType, (SetType, of), of)


def function(params: tuple[Type | None, ...], result: Type | None) -> Type:
    return _one(FunctionType, (FunctionType, params, result), params, result)


def union_type(members: Iterable[Type]) -> Type:
    """Return a union of exactly these members; without any, or with too many, that of everything."""
    found = frozenset(members)
    return _one(UnionType, (UnionType, found), found) if 0 < len(found) <= MAX_MEMBERS else ANY


def either(left: Type | None, right: Type | None) -> Type | None:
    """Return the union of two types; what is not known adds nothing. Functions make a union only with each other."""
    if left is right or right is None:
        return left
    if left is None:
        return right
    if isinstance(left, FunctionType) or isinstance(right, FunctionType):
        return _either_function(left, right)
    if left is ANY or right is ANY:
        return ANY
    first = left.members if isinstance(left, UnionType) else frozenset((left,))
    second = right.members if isinstance(right, UnionType) else frozenset((right,))
    if second <= first:
        return left
    return right if first <= second else union_type(first | second)


def _either_function(left: Type, right: Type) -> Type | None:
    if isinstance(left, FunctionType) and isinstance(right, FunctionType) and len(left.params) == len(right.params):
        return function(tuple(map(either, left.params, right.params)), either(left.result, right.result))
    return None


def union(types: Iterable[Type | None]) -> Type | None:
    """Return the union of types, in order; None of none."""
    found: Type | None = None
    for each in types:
        found = either(found, each)
    return found


def select(whole: Type | None, key: Value) -> Type | None:
    """Return the type of what a constant key selects; None if it selects nothing."""
    if whole is ANY:
        return ANY
    if isinstance(whole, ObjectType):
        return _property(whole, key)
    if isinstance(whole, UnionType):
        return whole.selected(key)
    if isinstance(whole, ArrayType):
        return whole.at(key) if type(key) is int and 0 <= key < _INT64 else None
    if isinstance(whole, SetType):
        kind = type_of_value(key)
        return kind if whole.of is kind or (isinstance(whole.of, UnionType) and whole.of.has(kind)) else None
    return None


def _property(whole: ObjectType, key: Value) -> Type | None:
    if key in whole.static:
        return whole.static[key]
    if whole.dynamic is None:
        return None
    wanted, kind = whole.dynamic[0], type_of_value(key)
    return whole.dynamic[1] if wanted is kind or (isinstance(wanted, UnionType) and wanted.has(kind)) else None


def keys(whole: Type | None) -> Type | None:
    """Return the type of the keys that a type is iterated by (of a set, its members); None if it is no collection."""
    if isinstance(whole, ObjectType):
        return whole.key
    if isinstance(whole, ArrayType):
        return NUMBER
    if isinstance(whole, SetType):
        return whole.of
    if isinstance(whole, UnionType):
        return union(map(keys, whole.members)) if whole.members else ANY
    return None


def items(whole: Type | None) -> Type | None:
    """Return the type of the values that a type is iterated by; None if it is no collection or they are unknown."""
    if isinstance(whole, ObjectType):
        return whole.value
    if isinstance(whole, ArrayType):
        return whole.item
    if isinstance(whole, SetType):
        return whole.of
    if isinstance(whole, UnionType):
        return union(map(items, whole.members)) if whole.members else ANY
    return None


def type_of_value(value: Value) -> Type:
    """Return the type of a JSON value: every key and item of it known. (A set is no JSON value.)"""
    kind = type(value)
    if kind is str:
        return STRING
    if kind is Boolean:
        return BOOLEAN
    if kind is Null:
        return NULL
    if kind is tuple:
        return array(tuple(map(type_of_value, cast("tuple[Value, ...]", value))))
    if kind is Object:
        return object_({key: type_of_value(item) for key, item in cast(Object, value).items()})
    return NUMBER
