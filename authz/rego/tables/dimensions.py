"""Dimensions: the kinds of test on a column that one index answers, and the components that a cell has in it.

Owns which index serves which kind of cell. Knows no rows but by their cells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from authz.rego.tables.cells import Between, Cell, Contains, HasMember, InNetwork, Matches, OneOf, Prefix, Suffix
from authz.rego.tables.columns import Column
from authz.rego.tables.indexes import ClassIndex, Component, Index, MemberIndex, PrefixIndex, RangeIndex, SuffixIndex
from authz.rego.tables.networks import NetworkIndex
from authz.rego.tables.patterns import ContainsIndex, PatternIndex
from authz.rego.values import Value

MAX_CLASSES: Final = 14
"""Values that `!=` and its like tell apart in one column; rows that differ from others run their code."""

Kind: TypeAlias = tuple[str, str]
"""The kind of test and, of globs, their delimiters."""

EQUAL: Final[Kind] = "equal", ""
CLASS: Final[Kind] = "class", ""


@dataclass(frozen=True, slots=True)
class Dimension:
    """A column and a kind of test; `turn` tells apart the tests of one kind that all have to hold in one row."""

    column: Column
    kind: Kind
    turn: int = 0

    @property
    def is_single(self) -> bool:
        """Tell whether every value has exactly one component."""
        return self.kind in (EQUAL, CLASS)


def kind_of(cell: Cell) -> Kind:
    """Return the kind of test that a cell is."""
    match cell:
        case OneOf(_, _, others, _):
            return CLASS if others else EQUAL
        case Prefix(_, _, many):
            return "prefix", "many" if many else ""
        case Suffix(_, _, many):
            return "suffix", "many" if many else ""
        case Contains():
            return "contains", ""
        case Matches(_, _, delimiters):
            return ("regex", "") if delimiters is None else ("glob", delimiters)
        case Between():
            return "between", ""
        case InNetwork():
            return "network", ""
        case HasMember():
            return "member", ""


class Naming:
    """Numbers the dimensions of a table in the order in which rows bring them."""

    __slots__ = ("_numbers", "names")

    def __init__(self) -> None:
        self.names: list[Dimension] = []
        self._numbers: dict[tuple[Column, Kind, int], int] = {}

    def of(self, cells: Iterable[Cell]) -> dict[int, Cell]:
        """Return the cells of one row by the numbers of their dimensions."""
        found: dict[int, Cell] = {}
        for cell in cells:
            kind, turn = kind_of(cell), 0
            while (number := self._number(cell.column, kind, turn)) in found:
                turn += 1
            found[number] = cell
        return found

    def _number(self, column: Column, kind: Kind, turn: int) -> int:
        number = self._numbers.setdefault((column, kind, turn), len(self.names))
        if number == len(self.names):
            self.names.append(Dimension(column, kind, turn))
        return number


@dataclass(slots=True)
class Filing:
    """One dimension of a table: its index, and the components that cells are filed under."""

    dimension: Dimension
    index: Index | ClassIndex | None
    _known: dict[Cell, tuple[tuple[Component, ...], bool]] = field(default_factory=dict)

    def components(self, cell: Cell) -> tuple[tuple[Component, ...], bool]:
        """Return what a cell is filed under, and whether that is all it says: else code has to look again."""
        known = self._known.get(cell)
        if known is None:
            known = self._known[cell] = self._components(cell)
        return known

    def _components(self, cell: Cell) -> tuple[tuple[Component, ...], bool]:
        match cell:
            case OneOf(_, values, False, absent):
                return (*values, *((None,) if absent else ())), True
            case OneOf():
                return self._classes(cell)
            case Prefix(_, texts):
                return texts, True
            case Suffix(_, texts):
                return tuple(map(SuffixIndex.component, texts)), True
            case Contains(_, text):
                return (text,), True
            case Matches(_, pattern):
                return (pattern,), True
            case Between(_, low, high, closed):
                assert isinstance(self.index, RangeIndex)
                return self.index.components((low, high, closed)), True
            case InNetwork(_, network):
                return (NetworkIndex.component(network),), True
            case HasMember(_, members):
                return members, True

    def _classes(self, cell: OneOf) -> tuple[tuple[Component, ...], bool]:
        assert isinstance(self.index, ClassIndex)
        classes = self.index.classes
        accepted = [number for value, number in classes.items() if value is not None and cell.accepts(value)]
        accepted += [ClassIndex.OTHER, *((ClassIndex.ABSENT,) if cell.absent else ())]
        return tuple(accepted), all(value in classes for value in cell.values)


def filing(dimension: Dimension, cells: Iterable[Cell]) -> Filing:
    """Return a dimension with the index for its cells."""
    return Filing(dimension, _index(dimension.kind, list(dict.fromkeys(cells))))


def _index(kind: Kind, cells: list[Cell]) -> Index | ClassIndex | None:
    name, option = kind
    match name:
        case "equal":
            return None
        case "class":
            return ClassIndex(_most_mentioned(cells))
        case "prefix":
            return PrefixIndex((text for cell in cells if isinstance(cell, Prefix) for text in cell.prefixes), many=bool(option))
        case "suffix":
            return SuffixIndex((text for cell in cells if isinstance(cell, Suffix) for text in cell.suffixes), many=bool(option))
        case "contains":
            return ContainsIndex(cell.text for cell in cells if isinstance(cell, Contains))
        case "between":
            return RangeIndex((cell.low, cell.high, cell.closed) for cell in cells if isinstance(cell, Between))
        case "network":
            return NetworkIndex(cell.network for cell in cells if isinstance(cell, InNetwork))
        case "member":
            return MemberIndex(member for cell in cells if isinstance(cell, HasMember) for member in cell.members)
    return PatternIndex((cell.pattern for cell in cells if isinstance(cell, Matches)), option if name == "glob" else None)


def _most_mentioned(cells: list[Cell]) -> list[Value]:
    count: Counter[Value] = Counter(value for cell in cells if isinstance(cell, OneOf) for value in cell.values)
    return [value for value, _ in count.most_common(MAX_CLASSES)]
