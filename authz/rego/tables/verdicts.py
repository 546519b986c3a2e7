"""Verdicts: what each cell of a row comes to for one input, without any index.

The slow twin of the look-ups, for explanations and tests: every cell is evaluated alone, by the built-in that it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass

from authz.rego.tables.cells import Between, Cell, HasMember, OneOf, Prefix, Suffix, as_test
from authz.rego.tables.columns import CallColumn, Column, InputColumn, sources_of
from authz.rego.tables.expressions import apply, column_value
from authz.rego.values import TRUE, Object, Set, Value


@dataclass(frozen=True, slots=True)
class CellVerdict:
    """One cell, whether it holds, what its column is, and what of the input that is computed from (None: undefined)."""

    cell: Cell
    holds: bool
    actual: Value | None
    sources: tuple[tuple[Column, Value | None], ...]


class Verdicts:
    """The verdicts for one input document; columns are computed once."""

    def __init__(self, document: Value | None) -> None:
        self._values: dict[Column, Value | None] = {InputColumn(()): document}

    def of(self, cell: Cell) -> CellVerdict:
        """Return the verdict on a cell."""
        actual = column_value(cell.column, self._values)
        sources = tuple((column, column_value(column, self._values)) for column in dict.fromkeys(sources_of(cell.column)))
        return CellVerdict(cell, holds(cell, actual), actual, sources)


def holds(cell: Cell, value: Value | None) -> bool:
    """Tell whether a cell holds for a value of its column."""
    if isinstance(cell, OneOf):
        return cell.absent if value is None else cell.accepts(value)
    if value is None:
        return False
    match cell:
        case Prefix(_, prefixes, many):
            return _any_match("strings.any_prefix_match" if many else "startswith", value, prefixes)
        case Suffix(_, suffixes, many):
            return _any_match("strings.any_suffix_match" if many else "endswith", value, suffixes)
        case HasMember(_, members):
            return any(member in members for member in _members(value))
        case Between(_, low, high, (low_closed, high_closed)):
            is_above = low is None or apply("gte" if low_closed else "gt", [value, low]) is TRUE
            return is_above and (high is None or apply("lte" if high_closed else "lt", [value, high]) is TRUE)
    test = as_test(cell)
    assert test is not None
    assert isinstance(test.column, CallColumn)
    operands = [value if arg == cell.column else arg.value for arg in test.column.args]  # type: ignore[union-attr]
    return apply(test.column.name, operands) is TRUE


def _any_match(name: str, value: Value, texts: tuple[str, ...]) -> bool:
    return any(apply(name, [value, text]) is TRUE for text in texts)


def _members(value: Value) -> tuple[Value, ...]:
    if isinstance(value, Object):
        return tuple(value.values())
    return tuple(value) if isinstance(value, tuple | Set) else ()
