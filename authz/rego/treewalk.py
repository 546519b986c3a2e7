"""Walks over syntax trees, without recursion.

Knows the shape of nodes only as dataclasses and tuples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import Any, Final

from authz.rego import nodes

_NOT_BELOW: Final = frozenset({"location", "annotations", "operator", "orelse"})
"""Fields that hold no nodes, and `else`, which callers walk along."""


def walk(root: Any) -> Iterator[Any]:
    """Yield every node at or below one, or below each of a tuple, in no order. An `else` chain is part of its rule."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.__class__ is tuple:
            waiting.extend(node)
            continue
        yield node
        if node.__class__ is nodes.Rule and node.orelse is not None:
            waiting.append(node.orelse)
        waiting.extend([getattr(node, name) for name in parts(node.__class__)])


@cache
def parts(kind: type) -> tuple[str, ...]:
    """Return the fields of a kind of node that hold nodes."""
    if kind.__module__ != nodes.__name__ or kind in {nodes.Location, nodes.Annotation, nodes.Var, nodes.Scalar}:
        return ()
    return tuple(each.name for each in fields(kind) if each.name not in _NOT_BELOW)
