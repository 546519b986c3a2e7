"""Indexes: from a column's value to the components that rows are filed under.

A component is what stands for a cell in the key of a row: the value itself, a prefix, the number of a pattern. `select` gives those
that hold for a value, exactly: it is the test, not a filter. Plain data that travels to the serving process; knows no rows.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol, TypeAlias

from authz.rego.values import Object, Set, Value, order_key

Component: TypeAlias = Any
"""Hashable: a value, a text, a number."""

NOTHING: Final[tuple[Component, ...]] = ()


class Index(Protocol):
    """Gives, for a value, the components that hold; none for an undefined column (None)."""

    def select(self, value: Value | None, /) -> Sequence[Component]: ...

    def __len__(self) -> int: ...


class ClassIndex:
    """Values that cells tell apart, numbered; 0 is any other value, -1 an undefined column. Every value is of one class."""

    __slots__ = ("classes",)

    OTHER: Final = 0
    ABSENT: Final = -1

    def __init__(self, values: Iterable[Value]) -> None:
        self.classes: dict[Value | None, int] = {value: number for number, value in enumerate(values, 1)}
        self.classes[None] = self.ABSENT

    def __len__(self) -> int:
        return len(self.classes)


class PrefixIndex:
    """Prefixes of a string: the one before or at it in sorted order, or else those that this one starts with itself.

    Whatever lies between a prefix of the value and the value in sorted order starts with that prefix too, so no other needs a look.
    `many`: an array or a set of strings has the prefixes of its members, and none if a member is no string.
    """

    __slots__ = ("_keys", "_many", "_within")

    def __init__(self, prefixes: Iterable[str], *, many: bool) -> None:
        self._keys = sorted(set(prefixes))
        self._many = many
        self._within: list[tuple[str, ...]] = []  # by prefix: itself and the ones that it starts with, the longest first
        for place, prefix in enumerate(self._keys):
            before = self._within[place - 1] if place else NOTHING
            self._within.append((prefix, *_shared(prefix, before)))

    def select(self, value: Value | None, /) -> Sequence[Component]:
        if value.__class__ is str:
            place = bisect_right(self._keys, value)
            if not place:
                return NOTHING
            found = self._within[place - 1]
            return found if value.startswith(found[0]) else _shared(value, found)
        return self._of_members(value) if self._many else NOTHING

    def _of_members(self, value: Value | None) -> Sequence[Component]:
        if not (isinstance(value, tuple | Set) and all(member.__class__ is str for member in value)):
            return NOTHING
        return tuple({found for member in value for found in self.select(member)})

    def __len__(self) -> int:
        return len(self._keys)


def _shared(value: str, prefixes: tuple[str, ...]) -> tuple[str, ...]:
    for place, prefix in enumerate(prefixes):
        if value.startswith(prefix):
            return prefixes[place:]  # the shorter ones are prefixes of this one
    return NOTHING


class SuffixIndex:
    """Suffixes: prefixes from behind."""

    __slots__ = ("_many", "_reversed")

    def __init__(self, suffixes: Iterable[str], *, many: bool) -> None:
        self._reversed = PrefixIndex((suffix[::-1] for suffix in suffixes), many=False)
        self._many = many

    @staticmethod
    def component(suffix: str) -> Component:
        """Return the component that a suffix is found under."""
        return suffix[::-1]

    def select(self, value: Value | None, /) -> Sequence[Component]:
        if value.__class__ is str:
            return self._reversed.select(value[::-1])
        if not (self._many and isinstance(value, tuple | Set) and all(member.__class__ is str for member in value)):
            return NOTHING
        return tuple({found for member in value for found in self.select(member)})

    def __len__(self) -> int:
        return len(self._reversed)


class MemberIndex:
    """The members of a collection that some cell names."""

    __slots__ = ("_known",)

    def __init__(self, members: Iterable[Value]) -> None:
        self._known = frozenset(members)

    def select(self, value: Value | None, /) -> Sequence[Component]:
        if isinstance(value, tuple | Set):
            members: Iterable[Value] = value
        elif isinstance(value, Object):
            members = value.values()
        else:
            return NOTHING
        known = self._known
        found = [member for member in members if member in known]
        return found if len(found) < 2 else list(dict.fromkeys(found))

    def __len__(self) -> int:
        return len(self._known)


Bounds: TypeAlias = tuple[Value | None, Value | None, tuple[bool, bool]]


class RangeIndex:
    """Ranges in Rego's order of values, which compares values of all types.

    The bounds cut the order into slots: even ones between two bounds, odd ones the bounds themselves. A range is a run of slots; a tree
    over the slots splits it into at most two nodes a level, which are its components. A value lies in one slot, and in its node of
    every level. So no number of ranges that overlap makes either of them more than logarithmic.
    """

    __slots__ = ("_cuts", "_nodes", "_size")

    def __init__(self, ranges: Iterable[Bounds]) -> None:
        given = list(ranges)
        cuts = {order_key(bound): None for low, high, _ in given for bound in (low, high) if bound is not None}
        self._cuts = sorted(cuts)
        self._size = 1 << (2 * len(self._cuts)).bit_length()
        used = {node for bounds in given for node in self.components(bounds)}
        # By slot: the nodes above it that some range is made of.
        self._nodes = [tuple(node for node in self._path(slot) if node in used) for slot in range(2 * len(self._cuts) + 1)]

    def components(self, bounds: Bounds) -> tuple[Component, ...]:
        """Return the nodes that a range is made of."""
        low, high, (low_closed, high_closed) = bounds
        first = 0 if low is None else self._slot(low) + (not low_closed)
        last = 2 * len(self._cuts) if high is None else self._slot(high) - (not high_closed)
        left, right = first + self._size, last + self._size + 1
        found: list[int] = []
        while left < right:
            if left & 1:
                found.append(left)
                left += 1
            if right & 1:
                right -= 1
                found.append(right)
            left >>= 1
            right >>= 1
        return tuple(found)

    def select(self, value: Value | None, /) -> Sequence[Component]:
        return NOTHING if value is None else self._nodes[self._slot(value)]

    def _slot(self, value: Value) -> int:
        key = order_key(value)
        place = bisect_left(self._cuts, key)
        return 2 * place + (place < len(self._cuts) and self._cuts[place] == key)

    def _path(self, slot: int) -> Iterable[int]:
        node = slot + self._size
        while node:
            yield node
            node >>= 1

    def __len__(self) -> int:
        return len(self._cuts)
