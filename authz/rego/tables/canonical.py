"""Code that is the same but for its locals' names and its constants, made the same: thousands of rules share what they have in common.

Owns the form of a piece of code and how code is made of it again. Knows no tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Any, Final

from authz.rego import plan as p
from authz.rego.nodes import Location
from authz.rego.planner import walk
from authz.rego.render import to_text
from authz.rego.values import Boolean, Null, Value

_HOLE: Final = "k"


@dataclass(frozen=True, slots=True)
class Form:
    """Code with locals numbered in the order in which they are bound, and locals `k0`, `k1`, … in place of its constants."""

    definition: p.Definition
    holes: int


def is_shareable(definition: p.Definition) -> bool:
    """Tell whether nobody could tell by an error which of several rules the code belongs to.

    Only what iterates or uses rules can end in one. `with` scopes name contexts, which are not renamed.
    """
    return not any(
        isinstance(item, p.Loop | p.LoopRelation | p.Scope | p.RuleValue | p.CallRule | p.Document | p.Comprehension)
        for item in walk((definition.block, definition.heads))
    )


def form_of(definition: p.Definition) -> tuple[Form, tuple[p.Const, ...]]:
    """Return the form of shareable code and the constants that were in it, in order."""
    renamer = _Renamer()
    block = renamer.renamed(definition.block)
    heads: p.Definition = renamer.renamed(replace(definition, block=()))
    return Form(replace(heads, block=block), len(renamer.constants)), tuple(renamer.constants)


def with_constants(form: Form, uses: Sequence[tuple[p.Const, ...]], first: int) -> tuple[p.Definition, list[int]]:
    """Return the code of a form for all who use it, and which of their constants they have to bring.

    Constants that all of them have in common are part of it; others are bound from the row's values, from place `first` on.
    """
    brought = [hole for hole in range(form.holes) if not all(are_alike(use[hole].value, uses[0][hole].value) for use in uses)]
    filler = _Filler({f"{_HOLE}{hole}": uses[0][hole] for hole in range(form.holes) if hole not in brought})
    definition: p.Definition = filler.filled(form.definition)
    binds = tuple(p.Bind(f"{_HOLE}{hole}", first + place) for place, hole in enumerate(brought))
    return replace(definition, block=binds + definition.block), brought


def are_alike(one: Value, other: Value) -> bool:
    """Tell whether two values are alike in every respect: a number may be equal and spelled otherwise."""
    if one is other:
        return True
    if one.__class__ is not other.__class__ or one != other:
        return False
    return one.__class__ in {str, int, Boolean, Null} or to_text(one) == to_text(other)


class _Filler:
    """Puts constants back."""

    def __init__(self, constants: dict[str, p.Const]) -> None:
        self._constants = constants

    def filled(self, node: Any) -> Any:
        if isinstance(node, p.Local):
            return self._constants.get(node.name, node)
        if isinstance(node, tuple):
            return tuple([self.filled(item) for item in node])
        parts = _parts(type(node))  # type: ignore[arg-type]  # mypy takes a class for an unhashable object
        return replace(node, **{name: self.filled(getattr(node, name)) for name in parts}) if parts else node


class _Renamer:
    """Numbers locals and takes constants out."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.constants: list[p.Const] = []

    def renamed(self, node: Any) -> Any:
        if isinstance(node, p.Local):
            return p.Local(self.names.get(node.name, node.name))
        if isinstance(node, p.Const):
            self.constants.append(node)
            return p.Local(f"{_HOLE}{len(self.constants) - 1}")
        if isinstance(node, tuple):
            return tuple([self.renamed(item) for item in node])
        kind = type(node)
        parts, binders = _parts(kind), _binders(kind)  # type: ignore[arg-type]  # as above
        if not parts and not binders:
            return node
        if kind is p.Every:  # its own locals are there in its block; what a `Let` reads comes before what it binds
            bound = {name: self._bound(getattr(node, name)) for name in binders}
            return replace(node, **{name: self.renamed(getattr(node, name)) for name in parts}, **bound)
        changed = {name: self.renamed(getattr(node, name)) for name in parts}
        return replace(node, **changed, **{name: self._bound(getattr(node, name)) for name in binders})

    def _bound(self, name: str | None) -> str | None:
        return None if name is None else self.names.setdefault(name, f"v{len(self.names) + 1}")


@cache
def _parts(kind: type[Any]) -> tuple[str, ...]:
    """Return the fields that can hold locals."""
    if not is_dataclass(kind) or kind is Location:
        return ()
    left_alone = {"location", "ctx", "name", "params", "orelse", "place", "size", *_binders(kind)}
    return tuple(field.name for field in fields(kind) if field.name not in left_alone)


def _binders(kind: type[Any]) -> tuple[str, ...]:
    """Return the fields that name what a step binds."""
    if kind in {p.Let, p.Bind}:
        return ("name",)
    return ("key", "value") if kind is p.Every else ()


def values_of(constants: Sequence[p.Const], places: Sequence[int]) -> tuple[Value, ...]:
    """Return the values of some constants."""
    return tuple(constants[place].value for place in places)
