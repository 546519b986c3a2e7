"""Which locals a plan reads and binds.

Pure walks over plans; writes no code.
"""

from __future__ import annotations

from collections.abc import Iterator

from authz.rego import plan as p
from authz.rego.lower import ROOT_CONTEXT
from authz.rego.planner import walk


def tested_next(name: str, following: p.Step | None) -> bool:
    """Tell whether the next step fails for an undefined `name` anyway, so that no test of its own is needed."""
    if not isinstance(following, p.Check):
        return False
    cond = following.cond
    if isinstance(cond, p.Truthy):
        return cond.atom == p.Local(name)
    if isinstance(cond, p.Equal):
        sides = (cond.left, cond.right)
        return p.Local(name) in sides and any(isinstance(side, p.Const) for side in sides)
    return isinstance(cond, p.IsArray | p.IsObject) and cond.atom == p.Local(name)


def used_names(node: object) -> frozenset[str]:
    """Return every local that a plan reads."""
    return frozenset(item.name for item in walk(node) if isinstance(item, p.Local))


class UsedNames:
    """`used_names`, looked up once for each node. The nodes are kept: the identity of one that is gone may be another's."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, frozenset[str]]] = {}

    def __call__(self, node: object) -> frozenset[str]:
        known = self._known.get(id(node))
        if known is None:
            known = self._known[id(node)] = node, used_names(node)
        return known[1]


def free_names(block: p.Block, heads: tuple[p.Atom, ...]) -> tuple[str, ...]:
    """Return the locals and contexts that a nested body takes from outside, sorted."""
    bound: set[str] = set()
    used: set[str] = {ROOT_CONTEXT}  # every function gets the evaluation's own context: its loops are charged to it
    for item in walk((block, heads)):
        bound.update(_bound_by(item))
        used.update(_used_by(item))
    return tuple(sorted(used - bound))


def _bound_by(item: object) -> Iterator[str]:
    match item:
        case p.Let(name) | p.Scope(name) | p.Bind(name):
            yield name
        case p.Loop(_, key, value) | p.Every(_, _, key, value):
            yield from (name for name in (key, value) if name is not None)
        case p.LoopRelation(_, value):
            yield value


def _used_by(item: object) -> Iterator[str]:
    match item:
        case p.Local(name):
            yield name
        case p.Scope(_, base):
            yield base
        case (
            p.Input(ctx) | p.BaseData(ctx) | p.RuleValue(ctx) | p.Document(ctx) | p.CallBuiltin(ctx)
            | p.CallRule(ctx) | p.Comprehension(ctx) | p.Every(ctx)
        ):  # fmt: skip
            yield ctx
