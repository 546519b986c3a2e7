"""Linking: generated text becomes functions, with its constants, built-ins and places supplied.

Owns the namespace that generated code runs in and its registration with `linecache`, so
that a traceback shows the generated line. Knows nothing of plans.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable
from functools import partial
from types import CodeType
from typing import Any

from authz.rego.artifact import Artifact
from authz.rego.builtins import BUILTINS
from authz.rego.nodes import NOWHERE
from authz.rego.program import Path
from authz.rego.runtime import EXPORTED, Context, Place, document, lifted
from authz.rego.values import Value

RuleFunction = Callable[[Context], Value | None]


def compiled(artifact: Artifact) -> CodeType:
    """Compile the generated text. For a large policy this takes longer than anything else here, so it is done once."""
    return compile(artifact.text, _filename(artifact), "exec")


def _filename(artifact: Artifact) -> str:
    return f"<rego {artifact.name}>"


def link(artifact: Artifact, base: dict[str, Any] | None = None, code: CodeType | None = None) -> dict[str, Any]:
    """Run the generated module (`code`, if it is compiled already); return its namespace. `base` supplies what it refers to elsewhere."""
    namespace: dict[str, Any] = dict(EXPORTED if base is None else base)
    namespace.update({f"K{index}": value for index, value in enumerate(artifact.constants)})
    namespace.update({f"L{index}": location for index, location in enumerate(artifact.locations)})
    namespace.update({f"T{index}": table for index, table in enumerate(artifact.tables)})
    for index, name in enumerate(artifact.builtins):
        builtin = BUILTINS[name]
        if builtin.prepare is not None:
            builtin.prepare()
        namespace[f"B{index}"] = builtin.call
        namespace[f"B{index}_lifted"] = lifted(builtin.call, builtin.needs_context, NOWHERE)
    filename = _filename(artifact)
    lines = artifact.text.splitlines(keepends=True)
    linecache.cache[filename] = (len(artifact.text), None, lines, filename)
    exec(compiled(artifact) if code is None else code, namespace)  # noqa: S102 - the text is ours: see codegen
    _link_places(artifact, namespace)
    return namespace


def document_at(artifact: Artifact, namespace: dict[str, Any], path: Path) -> RuleFunction:
    """Return a function that makes the document at a path of `data` with everything below it."""
    return partial(_document, place=_find(_tree(artifact, namespace), path))


def _document(c: Context, place: Place) -> Value | None:
    return document(c, place)


def _link_places(artifact: Artifact, namespace: dict[str, Any]) -> None:
    if artifact.places:
        root = _tree(artifact, namespace)
        for index, path in enumerate(artifact.places):
            namespace[f"P{index}"] = _find(root, path)


def _tree(artifact: Artifact, namespace: dict[str, Any]) -> Place:
    root = Place(("data",), {})
    functions = frozenset(artifact.function_paths)
    for package in artifact.packages:
        _place(root, package)
    for path, function in sorted(artifact.functions.items()):
        _hang(root, path, None if path in functions else namespace[function])
    return root


def _hang(root: Place, path: Path, rule: RuleFunction | None) -> None:
    place = _place(root, path[:-1])
    if rule is not None:
        place.children[path[-1]] = Place(path, {}, rule)


def _place(root: Place, path: Path) -> Place:
    """Return the place at a path, made with those on the way if it is not there."""
    place = root
    for depth, name in enumerate(path[1:], start=2):
        place = place.children.setdefault(name, Place(path[:depth], {}))
    return place


def _find(root: Place, path: Path) -> Place:
    place = root
    for depth, name in enumerate(path[1:], start=2):
        place = place.children.get(name) or Place(path[:depth], {})
    return place
