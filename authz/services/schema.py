"""What may be written at a place of the settings, for the help lines of what cannot be. Knows the shapes, not what they mean."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Final

from msgspec import inspect

MAX_LISTED: Final = 8
"""Names of fields that are listed where none is like the one that is not known."""

_STEP: Final = re.compile(r"\[[^\]]*\]|[^.\[]+")


def help_for_value(kind: type, field: str) -> str | None:
    """Return what to write at a field that takes one of some names; `field` is a path like `services[...].type`."""
    names = dict.fromkeys(str(name) for each in _at(kind, field) for name in _names(each) if name)
    return f"write {_listed(list(names))}" if names else None


def help_for_name(kind: type, field: str, unknown: str) -> str | None:
    """Return which field somebody meant who wrote one that is not known below this one."""
    known = sorted({name for each in _at(kind, field) for name in _fields(each)})
    similar = difflib.get_close_matches(unknown, known, 1)
    if similar:
        return f"did you mean `{similar[0]}`?"
    return f"its fields are {_listed(known, 'and')}" if field and 0 < len(known) <= MAX_LISTED else None


def _listed(names: list[str], word: str = "or") -> str:
    *others, last = [f"`{name}`" for name in names]
    return f"{', '.join(others)} {word} {last}" if others else last


def _at(kind: type, field: str) -> list[inspect.Type]:
    found: list[inspect.Type] = [inspect.type_info(kind)]
    for step in _STEP.findall(field):
        found = [inner for each in found for inner in _inside(each, step)]
    return found


def _inside(type: inspect.Type, step: str) -> Iterator[inspect.Type]:
    """Yield what a step of a path leads to: a field's name, or a member in brackets."""
    match type:
        case inspect.StructType():
            yield from (field.type for field in type.fields if field.encode_name == step)
        case inspect.DictType() if step.startswith("["):
            yield type.value_type
        case inspect.VarTupleType() if step.startswith("["):
            yield type.item_type
        case inspect.UnionType():
            yield from (inner for each in type.types for inner in _inside(each, step))


def _names(type: inspect.Type) -> Iterator[object]:
    match type:
        case inspect.LiteralType():
            yield from type.values
        case inspect.EnumType():
            yield from (member.value for member in type.cls)
        case inspect.UnionType():
            yield from (name for each in type.types for name in _names(each))


def _fields(type: inspect.Type) -> Iterator[str]:
    match type:
        case inspect.StructType():
            yield from (field.encode_name for field in type.fields)
        case inspect.UnionType():
            yield from (name for each in type.types for name in _fields(each))
