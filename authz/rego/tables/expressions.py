"""Expressions as known values: what of a plan's expressions is a constant, a column or a composite of such.

Pure: forks no reading and looks into no rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeGuard

from authz.rego import plan as p
from authz.rego.builtins import BUILTINS
from authz.rego.errors import BuiltinError
from authz.rego.lower import ROOT_CONTEXT
from authz.rego.program import Path
from authz.rego.purity import CHEAP
from authz.rego.runtime import BOOL, get, get_data
from authz.rego.tables.columns import COLUMNS, CallColumn, Column, InputColumn, KeyColumn, Operand, SizeColumn, StepColumn
from authz.rego.tables.reading import Items, Known, Reading
from authz.rego.values import Object, Set, Value

DEAD: Final[Any] = object()
"""What an expression is that can never be defined."""


@dataclass(slots=True)
class World:
    """What a reading may rely on besides the block: base data, and what some `with` replaces."""

    data: Value
    mocked: frozenset[str]
    overridden: frozenset[Path]
    _found: dict[tuple[Value, ...], p.Const | None] = field(default_factory=dict)

    def base_data(self, path: tuple[Value, ...]) -> p.Const | None:
        """Return the base data at a path below `data`; None where there is none."""
        if path not in self._found:
            found = get_data(self.data, path)
            self._found[path] = None if found is None else p.Const(found)
        return self._found[path]

    def is_fixed(self, path: tuple[Value, ...]) -> bool:
        """Tell whether nothing replaces base data at, above or below a path."""
        return not any(path[: len(other) - 1] == other[1:] or other[1 : len(path) + 1] == path for other in self.overridden)


def is_operand(known: Known | None) -> TypeGuard[Operand]:
    """Tell whether a column can be computed from it."""
    return isinstance(known, (p.Const, *COLUMNS))


def are_operands(known: Sequence[Known | None]) -> TypeGuard[Sequence[Operand]]:
    return all(is_operand(item) for item in known)


def constants(known: Sequence[Known | None]) -> list[Value] | None:
    """Return the values of constants; None if something is none."""
    values: list[Value] = []
    for item in known:
        if not isinstance(item, p.Const):
            return None
        values.append(item.value)
    return values


def known_expr(expr: p.Expr, reading: Reading, world: World) -> Known | None:
    """Return what an expression is; None for anything at all, DEAD where it is undefined in every input."""
    match expr:
        case p.Const() | p.Local():
            return reading.atom(expr)
        case p.Input(ctx, path):
            return _walked(InputColumn(()), path, reading) if ctx == ROOT_CONTEXT else None
        case p.BaseData(ctx, path):
            return _base_data(path, reading, world) if ctx == ROOT_CONTEXT else None
        case p.Lookup(base, key):
            return step(reading.atom(base), reading.atom(key))
        case p.CallBuiltin(ctx, name, args):
            return called(name, [reading.atom(arg) for arg in args], world) if ctx == ROOT_CONTEXT else None
        case p.MakeArray(items):
            return _array([reading.atom(item) for item in items])
        case p.MakeSet(items):
            members = constants([reading.atom(item) for item in items])
            return None if members is None else p.Const(Set(members))
        case p.MakeObject(pairs):
            keys, values = (constants([reading.atom(pair[side]) for pair in pairs]) for side in (0, 1))
            return None if keys is None or values is None else p.Const(Object(zip(keys, values, strict=True)))
    return None


def _walked(start: Operand, path: tuple[p.Atom, ...], reading: Reading, *, is_data: bool = False) -> Known | None:
    current: Known | None = start
    for atom in path:
        key = reading.atom(atom)
        if current.__class__ is InputColumn and isinstance(key, p.Const):
            current = InputColumn((*current.path, key.value))
        else:
            current = step(current, key, is_data=is_data)
        if current is None or current is DEAD:
            return current
    return current


def _base_data(path: tuple[p.Atom, ...], reading: Reading, world: World) -> Known | None:
    start, steps = data_prefix(path, reading)
    if not world.is_fixed(start):
        return None
    found = world.base_data(start)
    return DEAD if found is None else _walked(found, steps, reading, is_data=True)


def data_prefix(path: tuple[p.Atom, ...], reading: Reading) -> tuple[tuple[Value, ...], tuple[p.Atom, ...]]:
    """Return the leading steps that are known to be constants, and the atoms of those behind them."""
    values: list[Value] = []
    for atom in path:
        known = reading.atom(atom)
        if not isinstance(known, p.Const):
            break
        values.append(known.value)
    return tuple(values), path[len(values) :]


def step(base: Known | None, key: Known | None, *, is_data: bool = False) -> Known | None:
    """Return what stands at a key of something known."""
    if isinstance(base, p.Const) and isinstance(key, p.Const):
        whole, name = base.value, key.value
        found = get_data(whole, (name,)) if is_data else get(whole, name)
        return DEAD if found is None else p.Const(found)
    if isinstance(base, Items) and isinstance(key, p.Const):
        index = key.value
        return base.items[index] if index.__class__ is int and 0 <= index < len(base.items) else DEAD
    if is_operand(base) and is_operand(key):
        return StepColumn(base, key, is_data)
    return None


def called(name: str, args: list[Known | None], world: World) -> Known | None:
    """Return what a built-in gives: a constant for constants, a column if it is cheap."""
    if name not in CHEAP or name in world.mocked or not are_operands(args):
        return None
    values = constants(args)
    if values is None:
        return CallColumn(name, tuple(args))
    result = apply(name, values)
    return DEAD if result is None else p.Const(result)


def apply(name: str, operands: list[Value]) -> Value | None:
    """Return the result of a cheap built-in, None where it is undefined."""
    try:
        result = BUILTINS[name].call(*operands)
    except BuiltinError:
        return None
    return BOOL[result] if result.__class__ is bool else result


def _array(items: list[Known | None]) -> Known | None:
    values = constants(items)
    if values is not None:
        return p.Const(tuple(values))
    known = [item for item in items if item is not None]
    return Items(tuple(known)) if len(known) == len(items) else None


def column_value(column: Column, values: dict[Column, Value | None]) -> Value | None:
    """Return a column's value for an input whose columns of origin have `values`; the slow twin of the generated look-up."""
    if column in values:
        return values[column]
    match column:
        case InputColumn(path):
            found = get_path(values[InputColumn(())], path)
        case StepColumn(base, key, is_data):
            whole, name = _operand_value(base, values), _operand_value(key, values)
            found = None if name is None else get_data(whole, (name,)) if is_data else get(whole, name)
        case CallColumn(name, args):
            operands = [value for arg in args if (value := _operand_value(arg, values)) is not None]
            found = apply(name, operands) if len(operands) == len(args) else None
        case SizeColumn(base, kind):
            found = size_of(column_value(base, values), kind)
        case KeyColumn(base):
            number = column_value(base, values)
            found = str(number) if number.__class__ is int else number
        case _:
            found = None
    values[column] = found
    return found


def _operand_value(operand: Operand, values: dict[Column, Value | None]) -> Value | None:
    return operand.value if isinstance(operand, p.Const) else column_value(operand, values)


def get_path(base: Value | None, path: tuple[Value, ...]) -> Value | None:
    for key in path:
        base = get(base, key)
    return base


def size_of(value: Value | None, kind: str) -> int | None:
    """Return the number of members of an array or an object; None for what is neither."""
    wanted = tuple if kind == "array" else Object
    return len(value) if value.__class__ is wanted else None
