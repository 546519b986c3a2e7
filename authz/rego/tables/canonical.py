"""Code that is the same but for the names of its locals, made the same: thousands of rules share what they have in common.

Pure renaming; knows no tables.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any

from authz.rego import plan as p
from authz.rego.nodes import Location
from authz.rego.planner import walk


def is_shareable(definition: p.Definition) -> bool:
    """Tell whether nobody could tell by an error which of several rules the code belongs to.

    Only what iterates or uses rules can end in one. `with` scopes name contexts, which are not renamed.
    """
    return not any(
        isinstance(item, p.Loop | p.LoopRelation | p.Scope | p.RuleValue | p.CallRule | p.Document | p.Comprehension)
        for item in walk((definition.block, definition.heads))
    )


def canonical(definition: p.Definition) -> p.Definition:
    """Return the definition with its locals numbered in the order in which they are bound."""
    names: dict[str, str] = {}
    block = _renamed(definition.block, names)
    heads: p.Definition = _renamed(replace(definition, block=()), names)
    return replace(heads, block=block)


def _renamed(node: Any, names: dict[str, str]) -> Any:
    if isinstance(node, p.Local):
        return p.Local(names.get(node.name, node.name))
    if isinstance(node, tuple):
        return tuple([_renamed(item, names) for item in node])
    kind = type(node)
    parts = _parts(kind)  # type: ignore[arg-type]  # mypy takes a class for an unhashable object
    if not parts and not _binders(kind):
        return node
    if kind is p.Every:  # its own locals are there in its block; what a `Let` reads comes before what it binds
        bound = {name: _bound(getattr(node, name), names) for name in _binders(kind)}
        return replace(node, **{name: _renamed(getattr(node, name), names) for name in parts}, **bound)
    changed = {name: _renamed(getattr(node, name), names) for name in parts}
    return replace(node, **changed, **{name: _bound(getattr(node, name), names) for name in _binders(kind)})


def _bound(name: str | None, names: dict[str, str]) -> str | None:
    return None if name is None else names.setdefault(name, f"v{len(names) + 1}")


@cache
def _parts(kind: type[Any]) -> tuple[str, ...]:
    """Return the fields that can hold locals."""
    if not is_dataclass(kind) or kind in {p.Const, Location}:
        return ()
    left_alone = {"location", "ctx", "name", "params", "orelse", "place", *_binders(kind)}
    return tuple(field.name for field in fields(kind) if field.name not in left_alone)


def _binders(kind: type[Any]) -> tuple[str, ...]:
    """Return the fields that name what a step binds."""
    if kind in {p.Let, p.Bind}:
        return ("name",)
    return ("key", "value") if kind is p.Every else ()
