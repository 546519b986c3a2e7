"""Functions that follow paths into documents: `json.filter` and `json.remove`.

A path is `a/b` with JSON Pointer's escapes (RFC 6901, a leading slash is optional), or an
array of keys. How one is read is here for `json.patch` too; what a patch does is in `json_patch`.
"""

from __future__ import annotations

from typing import TypeAlias, Union

from authz.rego.builtins.registry import ARRAY, OBJECT, SET, builtin
from authz.rego.errors import EVAL_TYPE, BuiltinError
from authz.rego.values import Object, Set, Value, type_name

Path: TypeAlias = tuple[Value, ...]
Tree: TypeAlias = dict[Value, Union["Tree", None]]
"""Paths merged by common beginnings; None is where one ends."""


def parse_path(name: str, path: Value) -> Path:
    """Return the steps of a path."""
    if isinstance(path, str):
        parts = path.lstrip("/").split("/") if path else []
        return tuple(part.replace("~1", "/").replace("~0", "~") for part in parts)
    if isinstance(path, tuple):
        return path
    wanted = "one of {set, array} containing string paths or array of path segments"
    raise BuiltinError(f"{name}: operand 2 must be {wanted} but got {type_name(path)}", EVAL_TYPE)


@builtin("json.filter", OBJECT, (SET, ARRAY))
def select(document: Object, paths: tuple[Value, ...] | Set) -> Value:
    """Keep only what lies on one of the paths."""
    return _kept(document, _tree("json.filter", paths))


@builtin("json.remove", OBJECT, (SET, ARRAY))
def remove(document: Object, paths: tuple[Value, ...] | Set) -> Value:
    """Drop what the paths lead to; paths that lead nowhere are ignored."""
    return _without(document, _tree("json.remove", paths))


def _tree(name: str, paths: tuple[Value, ...] | Set) -> Tree:
    root: Tree = {}
    for path in paths.ordered() if isinstance(paths, Set) else paths:
        steps = parse_path(name, path)
        node: Tree | None = root
        for step in steps[:-1]:
            node = node.setdefault(step, {}) if node is not None else None
        if steps and node is not None:
            node[steps[-1]] = None
    return root


def _kept(value: Value, tree: Tree | None) -> Value:
    if tree is None:
        return value
    if isinstance(value, Object):
        return Object((key, _kept(item, tree[key])) for key, item in value.items() if key in tree)
    if isinstance(value, Set):
        return Set(_kept(item, tree[item]) for item in value if item in tree)
    if isinstance(value, tuple):
        # positions are compared as text: ["a", 0] selects nothing of an array
        return tuple(_kept(item, tree[str(place)]) for place, item in enumerate(value) if str(place) in tree)
    return value


def _without(value: Value, tree: Tree) -> Value:
    if isinstance(value, Object):
        return Object((key, _reduced(item, tree, key)) for key, item in value.items() if tree.get(key, tree) is not None)
    if isinstance(value, Set):
        return Set(_reduced(item, tree, item) for item in value if tree.get(item, tree) is not None)
    if isinstance(value, tuple):
        return tuple(_reduced(item, tree, str(place)) for place, item in enumerate(value) if tree.get(str(place), tree) is not None)
    return value


def _reduced(value: Value, tree: Tree, step: Value) -> Value:
    inner = tree.get(step)
    return value if inner is None else _without(value, inner)
