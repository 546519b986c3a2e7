"""Strict mode: what compiles but is probably a mistake (OPA docs, `opa check --strict`).

Unused imports, arguments and local assignments; in v0 also what v1 always refuses. Looks at names as they were resolved;
knows neither plans nor values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from authz.rego import errors, nodes
from authz.rego.errors import CompileError, Diagnostic
from authz.rego.names import global_names, original_name
from authz.rego.nodes import Location, Var
from authz.rego.planner import walk
from authz.rego.resolve import Resolver


def refuse_unused(modules: Iterable[nodes.Module]) -> None:
    """Raise CompileError with every finding. The modules must compile."""
    strict = tuple(replace(module, rego_version=1) for module in modules)
    findings = errors.Findings()
    scopes = global_names(strict, findings)
    found: list[Diagnostic] = []
    for module in strict:
        found += _unused_imports(module)
        for rule in module.rules:
            found += _unused_variables(rule, Resolver(scopes[module.file], findings).rule(rule))
    findings.check()
    if found:
        raise CompileError(tuple(sorted(found, key=lambda item: (item.location.file, item.location.row, item.location.col))))


def _unused_imports(module: nodes.Module) -> Iterator[Diagnostic]:
    used = {item.name for item in walk(module.rules) if isinstance(item, Var)}
    used |= {item.operator[0] for item in walk(module.rules) if isinstance(item, nodes.Call)}
    for item in module.imports:
        if item.path[0] in ("data", "input") and item.name not in used:
            text = ".".join(item.path) + (f" as {item.alias}" if item.alias else "")
            yield Diagnostic(errors.COMPILE, f"import {text} unused", item.location, help="remove the import")


def _unused_variables(written: nodes.Rule, resolved: nodes.Rule) -> Iterator[Diagnostic]:
    """Yield what stands in a single place: its declaration. Resolution gave each variable a name of its own."""
    places: dict[str, set[Location]] = {}
    for item in walk(resolved):
        if isinstance(item, Var) and "#" in item.name:
            places.setdefault(item.name, set()).add(item.location)
    arguments = set() if written.is_default else _locations(written.head.args)
    assigned = {place for item in walk(written) if isinstance(item, nodes.Assign) for place in _locations(item.left)}
    for name, found in places.items():
        (place, *others) = found
        if others:
            continue
        if place in arguments:
            message = f"unused argument {original_name(name)}. (hint: use _ (wildcard variable) instead)"
            yield Diagnostic(errors.COMPILE, message, place)
        elif place in assigned:
            yield Diagnostic(errors.COMPILE, f"assigned var {original_name(name)} unused", place, help="remove the assignment")


def _locations(node: object) -> set[Location]:
    return {item.location for item in walk(node) if isinstance(item, Var)}
