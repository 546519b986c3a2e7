"""Indexes: from a column's value to the bitset of rows that it leaves possible.

A bitset is an `int` whose bit `n` stands for row `n`. Every index also lets through the rows that do
not constrain its column. Plain data with one operation, `select`; knows nothing of plans.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from authz.rego.values import Object, Set, Value


@dataclass(frozen=True, slots=True)
class HashIndex:
    """Equality, membership, presence and their negations: one look-up of the value.

    `masks` holds every value that a cell mentions, and None for an absent column.
    """

    masks: dict[Value | None, int]
    other: int

    def select(self, value: Value | None) -> int:
        return self.masks.get(value, self.other)


class PrefixIndex:
    """Prefixes: the longest known one of the value, by hash, longest first.

    A prefix's mask includes those of the shorter prefixes that it starts with.
    """

    __slots__ = ("free", "lengths", "masks")

    def __init__(self, rows: Iterable[tuple[str, int]], free: int) -> None:
        own: dict[str, int] = {}
        for prefix, mask in rows:
            own[prefix] = own.get(prefix, 0) | mask
        self.free = free
        self.masks: dict[str, int] = {}
        self.lengths = tuple(sorted({len(prefix) for prefix in own}, reverse=True))
        for prefix in sorted(own, key=len):
            self.masks[prefix] = own[prefix] | self._longest(prefix, self.lengths)

    def select(self, value: Value | None) -> int:
        return self._longest(value, self.lengths) if value.__class__ is str else self.free

    def _longest(self, value: str, lengths: Iterable[int]) -> int:
        size = len(value)
        for length in lengths:
            if length <= size:
                mask = self.masks.get(value[:length])
                if mask is not None:
                    return mask
        return self.free


class MemberIndex:
    """Members: the rows of every value of the collection."""

    __slots__ = ("free", "masks")

    def __init__(self, rows: Iterable[tuple[Value, int]], free: int) -> None:
        self.free = free
        self.masks: dict[Value, int] = {}
        for member, mask in rows:
            self.masks[member] = self.masks.get(member, 0) | mask

    def select(self, value: Value | None) -> int:
        kind = value.__class__
        if kind is Object:
            members: Iterable[Value] = value.values()  # type: ignore[union-attr]
        elif kind is tuple or kind is Set:
            members = value  # type: ignore[assignment]
        else:
            return self.free
        mask, masks = self.free, self.masks
        for member in members:
            mask |= masks.get(member, 0)
        return mask


Index = HashIndex | PrefixIndex | MemberIndex
