"""Python text for single cells: a condition on the name that holds a column's value.

Must say what `tables/verdicts.py` says of every cell and every value. Knows no rows and writes no statements.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from authz.rego.tables.cells import Between, Cell, Contains, HasMember, Matches, OneOf, Prefix, Suffix
from authz.rego.tables.dimensions import Dimension, filing, kind_of
from authz.rego.values import Boolean, Null, Value

MAX_COMPARED: Final = 3
"""Values that are compared with one by one; more of them are looked up in a set."""

_GLOB_START: Final = re.compile(r"[A-Za-z0-9_/.: @-]+")

Named = Callable[[object], str]


class ConditionWriter:
    """Writes conditions; `constant` names a value, `table` anything else."""

    __slots__ = ("_constant", "_table")

    def __init__(self, constant: Callable[[Value], str], table: Named) -> None:
        self._constant = constant
        self._table = table

    def condition(self, cell: Cell, name: str) -> str:
        """Return what is true where the cell holds for what is in `name`, None if it is undefined."""
        match cell:
            case OneOf(_, values, False, absent):
                return self._one_of(name, values, absent)
            case OneOf(_, values, True, absent):
                return self._none_of(name, values, absent)
            case Prefix(_, texts, many):
                return self._affix(cell, name, "startswith", texts, many)
            case Suffix(_, texts, many):
                return self._affix(cell, name, "endswith", texts, many)
            case Contains(_, text):
                return f"{name}.__class__ is str and {self._constant(text)} in {name}"
            case HasMember(_, members) if len(members) <= MAX_COMPARED:
                either = " or ".join(f"{self._constant(member)} in {name}" for member in members)
                return f"(({either}) if {name}.__class__ is tuple or {name}.__class__ is Set else {self._found(cell, name)})"
            case Between(_, low, high, (low_closed, high_closed)) if _is_plain(low, high):
                bounds = [f"{name} {'>=' if low_closed else '>'} {self._constant(low)}"] if low is not None else []
                bounds += [f"{name} {'<=' if high_closed else '<'} {self._constant(high)}"] if high is not None else []
                return f"({' and '.join(bounds)} if {name}.__class__ is int else {self._found(cell, name)})"
            case Matches() if (start := _start(cell)) is not None:
                return f"{self.starts_with_any([start], name)} and {self._found(cell, name)}"
        return self._found(cell, name)

    def equals_one(self, name: str, values: Iterable[Value | None]) -> str:
        """Return what is true where one of a few values is in `name`; None among them stands for an undefined column."""
        given = list(values)
        return self._one_of(name, tuple(value for value in given if value is not None), None in given)

    def starts_with_any(self, texts: Iterable[str], name: str) -> str:
        """Return what is true where a text that starts with one of some texts is in `name`."""
        return f"{name}.__class__ is str and {name}.startswith({self._any(texts)})"

    def _any(self, texts: Iterable[str]) -> str:
        distinct = tuple(dict.fromkeys(texts))
        return self._constant(distinct[0] if len(distinct) == 1 else distinct)

    def _affix(self, cell: Cell, name: str, method: str, texts: tuple[str, ...], many: bool) -> str:
        text = f"{name}.{method}({self._any(texts)})"
        return f"({text} if {name}.__class__ is str else {self._found(cell, name)})" if many else f"{name}.__class__ is str and {text}"

    def _one_of(self, name: str, values: tuple[Value, ...], absent: bool) -> str:
        if len(values) > MAX_COMPARED:
            return f"{name} in {self._table(dict.fromkeys((*values, None) if absent else values))}"
        tests = [f"{name} is None"] if absent else []
        tests += [f"{name} {'is' if _is_single(value) else '=='} {self._constant(value)}" for value in values]
        return tests[0] if len(tests) == 1 else f"({' or '.join(tests)})"

    def _none_of(self, name: str, values: tuple[Value, ...], absent: bool) -> str:
        if len(values) > MAX_COMPARED:
            return f"{name} not in {self._table(dict.fromkeys(values if absent else (*values, None)))}"
        tests = [] if absent else [f"{name} is not None"]
        tests += [f"{name} {'is not' if _is_single(value) else '!='} {self._constant(value)}" for value in values]
        return " and ".join(tests)

    def _found(self, cell: Cell, name: str) -> str:
        """Return the answer of an index of nothing but the cell: the test itself."""
        index = filing(Dimension(cell.column, kind_of(cell)), [cell]).index
        return f"{self._table(index)}.select({name})"


def starts_of(cells: Iterable[Cell]) -> list[str] | None:
    """Return texts of which one is at the start of whatever one of the cells holds for; None where there are none."""
    starts: list[str] = []
    for cell in cells:
        if isinstance(cell, Prefix) and not cell.many:
            starts += cell.prefixes
        elif isinstance(cell, Matches) and (start := _start(cell)) is not None:
            starts.append(start)
        else:
            return None
    return starts


def _start(cell: Matches) -> str | None:
    """Return what the pattern's text begins with that stands for itself; None of a regular expression, where more may follow from it."""
    found = None if cell.delimiters is None else _GLOB_START.match(cell.pattern)
    return None if found is None else found[0]


def _is_single(value: Value) -> bool:
    """Tell whether nothing else equals the value."""
    return isinstance(value, Boolean | Null)


def _is_plain(low: Value | None, high: Value | None) -> bool:
    return all(bound is None or bound.__class__ is int for bound in (low, high))
