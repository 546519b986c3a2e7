"""Cells: single tests of a column against constants, each of a kind that some index can answer.

Owns what a cell means, its negation and what two of them on one column come to. Reads no plans and finds no rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias, Union

from authz.rego import plan as p
from authz.rego.builtins import BUILTINS
from authz.rego.render import to_text
from authz.rego.tables.columns import CallColumn, Column, column_text
from authz.rego.values import FALSE, NULL, TRUE, Boolean, Value, compare

MAX_SHOWN: Final = 8
"""Values of a cell that are printed."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """The column has one of the values or, if `others`, any but those; `absent`: it also holds for an undefined column.

    Covers `==`, `in`, `!=`, presence, truth, and the negation of each.
    """

    column: Column
    values: tuple[Value, ...]
    others: bool
    absent: bool

    def accepts(self, value: Value) -> bool:
        return (value in self.values) is not self.others


@dataclass(frozen=True, slots=True)
class Prefix:
    """The column starts with one of the prefixes; `many`: or, where it is an array or a set of strings, one of its members does."""

    column: Column
    prefixes: tuple[str, ...]
    many: bool = False


@dataclass(frozen=True, slots=True)
class Suffix:
    """As Prefix, for the end."""

    column: Column
    suffixes: tuple[str, ...]
    many: bool = False


@dataclass(frozen=True, slots=True)
class Contains:
    """The column is a string that has `text` in it."""

    column: Column
    text: str


@dataclass(frozen=True, slots=True)
class Matches:
    """The column is a string that the pattern matches; `delimiters` are those of `glob.match`, None for a regular expression."""

    column: Column
    pattern: str
    delimiters: str | None


@dataclass(frozen=True, slots=True)
class Between:
    """The column lies between the bounds in Rego's order; None: no bound. `closed` tells which bound itself is in."""

    column: Column
    low: Value | None
    high: Value | None
    closed: tuple[bool, bool]


@dataclass(frozen=True, slots=True)
class InNetwork:
    """The column is an address or a network within the CIDR."""

    column: Column
    network: str


@dataclass(frozen=True, slots=True)
class HasMember:
    """The column is a collection with one of `members` among its values."""

    column: Column
    members: tuple[Value, ...]


Cell: TypeAlias = Union[OneOf, Prefix, Suffix, Contains, Matches, Between, InNetwork, HasMember]


def equals(column: Column, *values: Value) -> OneOf:
    return OneOf(column, values, others=False, absent=False)


def is_true(column: Column) -> OneOf:
    """Return the cell of a column that must be defined and not false."""
    return OneOf(column, (FALSE,), others=True, absent=False)


def is_defined(column: Column) -> OneOf:
    return OneOf(column, (), others=True, absent=False)


def is_presence(cell: Cell) -> bool:
    return isinstance(cell, OneOf) and cell.others and not cell.values and not cell.absent


def demands_presence(cell: Cell) -> bool:
    """Tell whether the cell fails for an undefined column."""
    return not (isinstance(cell, OneOf) and cell.absent)


def negated(cell: Cell) -> OneOf | None:
    """Return the cell that holds where this one does not, an undefined column included; None if no cell says that."""
    if isinstance(cell, OneOf):
        return replace(cell, others=not cell.others, absent=not cell.absent)
    test = as_test(cell)
    return None if test is None else replace(test, others=True, absent=True)


def as_test(cell: Cell) -> OneOf | None:
    """Return the cell as the truth of a built-in's result, a column of its own; None where one call does not say it."""
    call = _call(cell)
    return None if call is None else equals(call, TRUE)


def _call(cell: Cell) -> CallColumn | None:
    match cell:
        case Prefix(column, (prefix,), False):
            return CallColumn("startswith", (column, p.Const(prefix)))
        case Suffix(column, (suffix,), False):
            return CallColumn("endswith", (column, p.Const(suffix)))
        case Contains(column, text):
            return CallColumn("contains", (column, p.Const(text)))
        case Matches(column, pattern, None):
            return CallColumn("regex.match", (p.Const(pattern), column))
        case Matches(column, pattern, delimiters) if delimiters is not None:
            return CallColumn("glob.match", (p.Const(pattern), p.Const(tuple(delimiters) or NULL), column))
        case InNetwork(column, network):
            return CallColumn("net.cidr_contains", (p.Const(network), column))
        case HasMember(column, (member,)):
            return CallColumn("internal.member_2", (p.Const(member), column))
        case Between(column, low, None, (closed, _)) if low is not None:
            return CallColumn("gte" if closed else "gt", (column, p.Const(low)))
        case Between(column, None, high, (_, closed)) if high is not None:
            return CallColumn("lte" if closed else "lt", (column, p.Const(high)))
    return None


def unfolded(cell: Cell) -> tuple[Cell, bool]:
    """Return a cell on what is simpler to compute, and whether this one holds where that does: else it holds where that does not."""
    match cell:
        case OneOf(CallColumn(name, (column, p.Const(str() as text))), (value,), others, absent) if value is TRUE and others is absent:
            kind = _TESTS_OF_TEXT.get(name)
            if kind is not None and not isinstance(column, p.Const):
                return kind(column, text), not others
    return cell, True


_TESTS_OF_TEXT: Final[dict[str, Callable[[Column, str], Cell]]] = {
    "startswith": lambda column, text: Prefix(column, (text,)),
    "endswith": lambda column, text: Suffix(column, (text,)),
    "contains": Contains,
}


# Conjunctions


def conjunction(cells: Iterable[Cell]) -> tuple[Cell, ...] | None:
    """Return cells that hold together where these do, one of a kind a column where two can be one; None if they never do."""
    merged: dict[object, Cell] = {}
    for cell in cells:
        key = conjunct_key(cell)
        known = merged.get(key)
        both = cell if known is None else _both(known, cell)
        if both is None or is_impossible(both):
            return None
        merged[key] = both
    return tuple(cell for cell in merged.values() if not is_certain(cell))


def conjunct_key(cell: Cell) -> object:
    """Return what is equal for cells that become one when they have to hold together."""
    return (type(cell), cell.column) if isinstance(cell, OneOf | Between) else cell


def is_impossible(cell: Cell) -> bool:
    """Tell whether nothing satisfies the cell."""
    match cell:
        case OneOf(_, values, others, absent):
            return not values and not others and not absent
        case Between(_, low, high, closed) if low is not None and high is not None:
            order = compare(low, high)
            return order > 0 or (order == 0 and closed != (True, True))
    return False


def is_certain(cell: Cell) -> bool:
    """Tell whether the cell holds whatever the column is."""
    return isinstance(cell, OneOf) and cell.others and cell.absent and not cell.values


def _both(left: Cell, right: Cell) -> Cell | None:
    if isinstance(left, OneOf) and isinstance(right, OneOf):
        return _both_sets(left, right)
    if isinstance(left, Between) and isinstance(right, Between):
        return _both_ranges(left, right)
    return left


def _both_sets(left: OneOf, right: OneOf) -> OneOf:
    absent = left.absent and right.absent
    if left.others and right.others:
        return OneOf(left.column, tuple(dict.fromkeys(left.values + right.values)), True, absent)
    listed, other = (right, left) if left.others else (left, right)
    return OneOf(left.column, tuple(value for value in listed.values if other.accepts(value)), False, absent)


def _both_ranges(left: Between, right: Between) -> Between:
    low, low_closed = _tighter((left.low, left.closed[0]), (right.low, right.closed[0]), 1)
    high, high_closed = _tighter((left.high, left.closed[1]), (right.high, right.closed[1]), -1)
    return Between(left.column, low, high, (low_closed, high_closed))


def _tighter(one: tuple[Value | None, bool], other: tuple[Value | None, bool], sign: int) -> tuple[Value | None, bool]:
    if one[0] is None or other[0] is None:
        return one if other[0] is None else other
    order = compare(one[0], other[0]) * sign
    return one if order > 0 or (order == 0 and not one[1]) else other


# Text


def cell_text(cell: Cell) -> str:
    """Return how a cell is printed."""
    name = column_text(cell.column)
    match cell:
        case OneOf(CallColumn(function), (Boolean(),), others, absent) if others is absent and BUILTINS[function].returns_bool:
            return f"not {name}" if (cell.values[0] is TRUE) is others else name
        case OneOf(_, values, others, absent):
            return _set_text(name, values, others, absent)
        case Prefix(_, prefixes):
            return f"{name} starts with {_any_of(prefixes)}"
        case Suffix(_, suffixes):
            return f"{name} ends with {_any_of(suffixes)}"
        case Contains(_, text):
            return f"{name} contains {to_text(text)}"
        case Matches(_, pattern, delimiters):
            return f"{name} matches {'regex' if delimiters is None else 'glob'} {to_text(pattern)}"
        case Between(_, low, high, closed):
            return " and ".join(_bounds_text(name, low, high, closed))
        case InNetwork(_, network):
            return f"{name} is in network {network}"
        case HasMember(_, members):
            return f"{name} has member {_any_of(members)}"


def _set_text(name: str, values: tuple[Value, ...], others: bool, absent: bool) -> str:
    if not values:
        return f"{name} is present" if others and not absent else f"{name} is absent"
    test = f"{name} {'!=' if others else '=='} {to_text(values[0])}"
    if len(values) > 1:
        test = f"{name} {'not in' if others else 'in'} {_listed(values)}"
    return test + (" or absent" if absent else "")


def _bounds_text(name: str, low: Value | None, high: Value | None, closed: tuple[bool, bool]) -> Iterable[str]:
    if low is not None:
        yield f"{name} {'>=' if closed[0] else '>'} {to_text(low)}"
    if high is not None:
        yield f"{name} {'<=' if closed[1] else '<'} {to_text(high)}"


def _any_of(values: tuple[Value, ...]) -> str:
    return to_text(values[0]) if len(values) == 1 else f"one of {_listed(values)}"


def _listed(values: tuple[Value, ...]) -> str:
    more = f", … ({len(values)})" if len(values) > MAX_SHOWN else ""
    return "{" + ", ".join(to_text(value) for value in values[:MAX_SHOWN]) + more + "}"
