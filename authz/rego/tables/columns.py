"""Columns: what a cell tests. A path of the input, an argument, or a cheap pure expression over such.

Owns what a column is made of and how it is named in print. Knows neither tests nor rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeAlias, Union

from authz.rego import plan as p
from authz.rego.render import to_text
from authz.rego.values import Object, Set, Value

_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)

_INFIX: Final = {
    "div": "/", "equal": "==", "gt": ">", "gte": ">=", "internal.member_2": "in", "lt": "<", "lte": "<=", "minus": "-", "mul": "*",
    "neq": "!=", "plus": "+", "rem": "%",
}  # fmt: skip

SHOWN_ENTRIES: Final = 8

_PARTS_KEPT: Final = 4096
"""Columns whose parts are remembered: thousands of rows test the same few."""

SHOWN_CONSTANT: Final = 60
"""Characters of a constant operand that are printed."""


@dataclass(frozen=True, slots=True)
class InputColumn:
    """A path of the input. Its hash is kept: every cell of a table is looked up by its column."""

    path: tuple[Value, ...]
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash(self.path))

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, slots=True)
class ParamColumn:
    """An argument of the function whose table it is."""

    index: int


@dataclass(frozen=True, slots=True)
class StepColumn:
    """`base[key]`; `is_data`: the base is base data, in which a number also finds the string key of the same text."""

    base: Operand
    key: Operand
    is_data: bool = False


@dataclass(frozen=True, slots=True)
class CallColumn:
    """A cheap built-in over columns and constants."""

    name: str
    args: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class SizeColumn:
    """The number of members of an array or of an object (`kind`); absent for anything else."""

    base: Column
    kind: str


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """What a value finds in base data: a whole number finds the key of its text, anything else only itself."""

    base: Column


Column: TypeAlias = Union[InputColumn, ParamColumn, StepColumn, CallColumn, SizeColumn, KeyColumn]
COLUMNS: Final = (InputColumn, ParamColumn, StepColumn, CallColumn, SizeColumn, KeyColumn)
Operand: TypeAlias = Union[Column, p.Const]


def operands_of(column: Column) -> tuple[Column, ...]:
    """Return the columns that a column is computed from."""
    match column:
        case StepColumn(base, key):
            found: tuple[Operand, ...] = (base, key)
        case CallColumn(_, args):
            found = args
        case SizeColumn(base) | KeyColumn(base):
            found = (base,)
        case _:
            found = ()
    return tuple(operand for operand in found if not isinstance(operand, p.Const))


@lru_cache(_PARTS_KEPT)
def parts_of(column: Column) -> tuple[Column, ...]:
    """Return the column and every column that is there if it is: what it is computed from, and the paths on the way."""
    prefixes = (InputColumn(column.path[:size]) for size in range(len(column.path))) if isinstance(column, InputColumn) else ()
    return (column, *prefixes, *(part for operand in operands_of(column) for part in parts_of(operand)))


def sources_of(column: Column) -> Iterator[Column]:
    """Yield the columns that others are computed from, and that are computed from none: paths of the input, arguments."""
    below = operands_of(column)
    if not below:
        yield column
    for operand in below:
        yield from sources_of(operand)


def column_text(column: Operand) -> str:
    """Return how a column is printed: as the Rego that computes it."""
    match column:
        case InputColumn(path):
            return "input" + "".join(map(_step_text, path))
        case ParamColumn(index):
            return f"argument {index + 1}"
        case StepColumn(base, key):
            start = f"{{… {_size(base.value)}}}" if isinstance(base, p.Const) else column_text(base)
            return start + (_step_text(key.value) if isinstance(key, p.Const) else f"[{column_text(key)}]")
        case CallColumn(name, (left, right)) if name in _INFIX:
            return f"{column_text(left)} {_INFIX[name]} {column_text(right)}"
        case CallColumn(name, args):
            return f"{name}({', '.join(column_text(arg) for arg in args)})"
        case SizeColumn(base, kind):
            return f"size of {kind} {column_text(base)}"
        case KeyColumn(base):
            return column_text(base)
    return _constant_text(column.value)


def _size(value: Value) -> str:
    return f"{len(value)} entries" if isinstance(value, Object | Set | tuple) else to_text(value)


def _step_text(step: Value) -> str:
    return f".{step}" if isinstance(step, str) and _NAME.fullmatch(step) else f"[{to_text(step)}]"


def _constant_text(value: Value) -> str:
    """Return a constant operand; a large collection (base data that is looked up) as its size."""
    if isinstance(value, Object | Set | tuple) and len(value) > SHOWN_ENTRIES:
        return f"{{… {_size(value)}}}"
    text = to_text(value)
    return text if len(text) <= SHOWN_CONSTANT else text[:SHOWN_CONSTANT] + "…"
