"""What OPA refuses to write as Rego v1 although it parses: shadowed names, deprecated built-ins.

Looks at one module and resolves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from authz.rego import errors, nodes
from authz.rego.builtins import BUILTINS
from authz.rego.errors import MAX_DIAGNOSTICS, CompileError, Diagnostic
from authz.rego.nodes import Var
from authz.rego.planner import walk

_ROOTS: Final = ("input", "data")


def refuse_v0(module: nodes.Module) -> None:
    """Raise CompileError with what is in the way of Rego v1, by place."""
    found = [*_imports(module), *_shadows(module), *_deprecated(module)]
    if found:
        found.sort(key=lambda item: (item.location.row, item.location.col))
        raise CompileError(tuple(found[:MAX_DIAGNOSTICS]))


def _imports(module: nodes.Module) -> Iterator[Diagnostic]:
    known: dict[str, nodes.Import] = {}
    for each in module.imports:
        first = known.setdefault(each.name, each)
        if first is not each and each.path[0] in _ROOTS:
            text = ".".join(first.path) + (f" as {first.alias}" if first.alias else "")
            yield Diagnostic(errors.COMPILE, f"import must not shadow import {text}", each.location, help="remove it, or use an alias")


def _shadows(module: nodes.Module) -> Iterator[Diagnostic]:
    for node in walk(module.rules):
        if isinstance(node, nodes.Rule):
            yield from _shadow("rules", "rule", node.head.ref.head, node.location)
            for arg in node.head.args or ():
                yield from _shadow("args", "variable", arg, arg.location)
        elif isinstance(node, nodes.Assign):
            yield from _shadow("variables", "variable", node.left, node.left.location)


def _shadow(what: str, kind: str, term: nodes.Term, location: nodes.Location) -> Iterator[Diagnostic]:
    if isinstance(term, Var) and term.name in _ROOTS:
        yield Diagnostic(errors.COMPILE, f"{what} must not shadow {term.name} (use a different {kind} name)", location)


def _deprecated(module: nodes.Module) -> Iterator[Diagnostic]:
    for node in walk(module.rules):
        if isinstance(node, nodes.Call):
            builtin = BUILTINS.get(".".join(node.operator))
            if builtin is not None and builtin.deprecated:
                yield Diagnostic(errors.TYPE, f"deprecated built-in function calls in expression: {builtin.name}", node.location)
