"""How high a syntax tree is, measured without recursion.

The passes behind the parser recurse over the tree; this bounds what they meet.
Knows the shape of nodes only as dataclasses and tuples.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from authz.rego import nodes

_NOT_BELOW = frozenset(("location", "annotations", "operator", "orelse"))
"""Fields that hold no nodes, and `else`: a chain of them has its own limit and is walked along."""


def is_higher(root: Any, limit: int) -> bool:
    """Return whether more than `limit` nodes lie on a way from `root`, a node or a tuple of them, to a leaf."""
    waiting: list[tuple[Any, int]] = [(root, 0)]
    while waiting:
        node, height = waiting.pop()
        if isinstance(node, tuple):
            waiting.extend((item, height) for item in node)
        elif hasattr(node, "__dataclass_fields__"):
            if height == limit:
                return True
            waiting.extend((getattr(node, field.name), height + 1) for field in fields(node) if field.name not in _NOT_BELOW)
            if isinstance(node, nodes.Rule):
                waiting.append((node.orelse, height))
    return False
