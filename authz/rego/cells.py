"""Cells and columns: single tests of the input that an index can answer.

A column is a path of the input or a cheap pure expression over such; a cell tests one against
constants. Owns the reading of steps as cells. Knows neither rows nor indexes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias, Union

from authz.rego import plan as p
from authz.rego.lower import ROOT_CONTEXT
from authz.rego.purity import CHEAP
from authz.rego.values import FALSE, Object, Set, Value


@dataclass(frozen=True, slots=True)
class InputColumn:
    """A path of the input."""

    path: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class StepColumn:
    """One step into another column's value."""

    base: Column
    key: Value


@dataclass(frozen=True, slots=True)
class CallColumn:
    """A cheap built-in over columns and constants."""

    name: str
    args: tuple[Column | p.Const, ...]


Column: TypeAlias = Union[InputColumn, StepColumn, CallColumn]
Columns: TypeAlias = dict[str, Column]


@dataclass(frozen=True, slots=True)
class OneOf:
    """The cell's truth by the column's value: among `values`, any other, or absent.

    Covers `==`, `in`, `!=`, presence, truth, and the negation of each.
    """

    column: Column
    values: tuple[Value, ...]
    within: bool
    other: bool
    absent: bool

    def negated(self) -> OneOf:
        return replace(self, within=not self.within, other=not self.other, absent=not self.absent)


@dataclass(frozen=True, slots=True)
class Prefix:
    """The column is a string that starts with `prefix`."""

    column: Column
    prefix: str


@dataclass(frozen=True, slots=True)
class HasMember:
    """The column is a collection with `member` among its values."""

    column: Column
    member: Value


Cell: TypeAlias = Union[OneOf, Prefix, HasMember]


def parts_of(column: Column) -> Iterator[Column]:
    """Yield the column and every column that is there if it is: its operands, and the paths on the way."""
    yield column
    match column:
        case InputColumn(path):
            yield from (InputColumn(path[:size]) for size in range(len(path)))
        case StepColumn(base):
            yield from parts_of(base)
        case CallColumn(_, args):
            for arg in args:
                if not isinstance(arg, p.Const):
                    yield from parts_of(arg)


def equals(column: Column, *values: Value) -> OneOf:
    return OneOf(column, values, within=True, other=False, absent=False)


def is_true(column: Column) -> OneOf:
    """Return the cell of a column that must be defined and not false."""
    return OneOf(column, (FALSE,), within=False, other=True, absent=False)


def is_defined(column: Column) -> OneOf:
    return OneOf(column, (), within=False, other=True, absent=False)


def is_presence(cell: Cell) -> bool:
    return isinstance(cell, OneOf) and not cell.values and not cell.absent


def column_of(expr: p.Expr, columns: Columns, mocked: frozenset[str]) -> Column | None:
    """Return the column that an expression is, or None."""
    match expr:
        case p.Input(ctx, path) if ctx == ROOT_CONTEXT and all(isinstance(step, p.Const) for step in path):
            return InputColumn(tuple(step.value for step in path if isinstance(step, p.Const)))
        case p.Lookup(p.Local(name), p.Const(key)) if name in columns:
            return StepColumn(columns[name], key)
        case p.CallBuiltin(ctx, name, args) if ctx == ROOT_CONTEXT and name in CHEAP and name not in mocked:
            operands = [arg if isinstance(arg, p.Const) else columns.get(arg.name) for arg in args]
            found = tuple(operand for operand in operands if operand is not None)
            return CallColumn(name, found) if len(found) == len(args) and not all(isinstance(arg, p.Const) for arg in args) else None
    return None


def cell_of(cond: p.Cond, columns: Columns, mocked: frozenset[str]) -> Cell | None:
    """Return the cell that a condition is, or None."""
    match cond:
        case p.Truthy(p.Local(name)) if name in columns:
            return is_true(columns[name])
        case p.Equal(p.Local(name), p.Const(value)) | p.Equal(p.Const(value), p.Local(name)) if name in columns:
            return equals(columns[name], value)
        case p.Holds(call) if call.ctx == ROOT_CONTEXT and call.name not in mocked:
            return _call_cell(call.name, call.args, columns)
        case p.NoSolution(block):
            return _negated_cell(block, columns, mocked)
    return None


def _call_cell(name: str, args: tuple[p.Atom, ...], columns: Columns) -> Cell | None:
    match name, args:
        case "internal.member_2", (p.Local(local), p.Const(collection)) if local in columns:
            return equals(columns[local], *members(collection))
        case "internal.member_2", (p.Const(member), p.Local(local)) if local in columns:
            return HasMember(columns[local], member)
        case "startswith", (p.Local(local), p.Const(str() as prefix)) if local in columns:
            return Prefix(columns[local], prefix)
        case "equal", ((p.Local(local), p.Const(value)) | (p.Const(value), p.Local(local))) if local in columns:
            return equals(columns[local], value)
        case "neq", ((p.Local(local), p.Const(value)) | (p.Const(value), p.Local(local))) if local in columns:
            return replace(is_defined(columns[local]), values=(value,))
    return None


def members(collection: Value) -> tuple[Value, ...]:
    """Return the values among which `in` looks; none for a scalar."""
    if isinstance(collection, Object):
        return tuple(collection.values())
    if isinstance(collection, Set):
        return collection.ordered()
    return collection if isinstance(collection, tuple) else ()


def _negated_cell(block: p.Block, columns: Columns, mocked: frozenset[str]) -> OneOf | None:
    """Return the cell of `not` over one test of one column; absent columns make it true."""
    inner = dict(columns)
    for step in block[:-1]:
        column = column_of(step.expr, inner, mocked) if isinstance(step, p.Let) else None
        if column is None or not isinstance(step, p.Let):
            return None
        inner[step.name] = column
    last = block[-1] if block else None
    if not isinstance(last, p.Check):
        return None
    cell = cell_of(last.cond, inner, mocked)
    if not isinstance(cell, OneOf) or not all(inner[step.name] == cell.column for step in block[:-1] if isinstance(step, p.Let)):
        return None
    return cell.negated()
