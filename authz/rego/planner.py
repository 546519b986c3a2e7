"""From modules to plans: drives name resolution, expansion, safety and lowering, rule by rule.

Owns the order of the passes. How one rule becomes a plan is `definitions`'s. Generates no code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import cast

from authz.rego import conflicts, errors, metadata, names, nodes, program, resolve, safety, suggest, types, variables
from authz.rego import plan as p
from authz.rego.builtins import BUILTINS
from authz.rego.definitions import Definer, plan_group
from authz.rego.errors import Stage
from authz.rego.expand import Expander
from authz.rego.lower import Lowerer, Names
from authz.rego.program import Kind, Path, Program


@dataclass(frozen=True, slots=True)
class Planned:
    """Everything that is known of a set of modules before code is generated."""

    program: Program
    plans: dict[Path, p.RulePlan]
    order: tuple[Path, ...]
    arity: safety.Arity
    packages: Mapping[Path, frozenset[str]]
    """The names of the rules of every package, by its path below `data`."""
    typing: types.Typing
    prints: bool = False

    def resolved(self, query: nodes.Body, header: nodes.Module | None = None) -> nodes.Body:
        """Return a query with its names resolved: those of its own package, if a header gives it one, what is imported, and `data`.

        Raises CompileError.
        """
        findings = errors.Findings()
        functions = {path: group.arity for path, group in self.program.groups.items() if group.kind is Kind.FUNCTION}
        scope = names.Globals((), {}, frozenset(), functions)
        if header is not None:
            rules = self.packages.get(header.package, frozenset())
            scope = names.Globals(header.package, names.imported(header, findings), rules, functions)
        body = resolve.Resolver(scope, findings).query(query)
        findings.check()
        return body


def plan_modules(modules: tuple[nodes.Module, ...], *, prints: bool = False, schemas: types.Schemas | None = None) -> Planned:
    """Plan every rule. Schemas only let more be refused. Raises CompileError with what the first check to fail finds wrong."""
    findings = errors.Findings()
    scopes = names.global_names(modules, findings)
    try:
        annotations = metadata.collect(modules)
        expanded = metadata.expand_metadata(modules, scopes, annotations)
        resolved = tuple(_resolve_module(module, scopes[module.file], findings) for module in expanded)
        conflicts.report_conflicts(resolved, findings)
        findings.check()
        packages = {scope.package: scope.rules for scope in scopes.values()}
        checked = None if schemas is None else types.SchemaTypes(schemas, annotations)
        return _planned(program.build(resolved), packages, findings, prints, checked)
    except errors.CompileError as error:
        raise suggest.explained(error, modules, scopes) from None


def _planned(
    tree: Program, packages: dict[Path, frozenset[str]], findings: errors.Findings, prints: bool, schemas: types.SchemaTypes | None
) -> Planned:
    arity = safety.Arity(_arities(tree))
    definer = Definer(tree, arity, findings, prints)
    plans = {path: plan_group(group, definer) for path, group in tree.groups.items()}
    findings.check(Stage.SAFETY)
    uses = {path: sorted(set(used_groups(plan, tree, replaced=True))) for path, plan in plans.items()}
    order = tuple(group.path for group in program.ordered(tree, uses, findings))
    findings.check(Stage.RECURSION)
    typing = types.check_rules(definer.in_order(order), uses, findings, schemas)
    findings.check()
    return Planned(tree, plans, order, arity, packages, typing, prints)


def plan_query(planned: Planned, body: nodes.Body, header: nodes.Module | None = None) -> tuple[p.Block, dict[str, p.Atom]]:
    """Plan a query; return its block and the atoms of its named variables by name. Raises CompileError."""
    flat = tuple(Expander(prints=planned.prints).body(planned.resolved(body, header)))
    ordered = safety.order_body(flat, frozenset(), planned.arity)
    types.check_query(ordered, planned.typing)
    lowerer = Lowerer(planned.program, planned.arity, Names(), {})
    lowerer.body(ordered)
    own = {name for literal in flat for name in variables.own_vars(literal)}
    named = {names.original_name(name): lowerer.env[name] for name in sorted(own) if not name.startswith("$") and name in lowerer.env}
    return tuple(lowerer.steps), named


def _resolve_module(module: nodes.Module, scope: names.Globals, findings: errors.Findings) -> nodes.Module:
    return replace(module, rules=tuple(resolve.Resolver(scope, findings).rule(rule) for rule in module.rules))


def _arities(tree: Program) -> dict[tuple[str, ...], int]:
    arities = {tuple(name.split(".")): len(item.params) for name, item in BUILTINS.items()}
    arities.update((path, group.arity) for path, group in tree.groups.items() if group.kind is Kind.FUNCTION)
    return arities


def used_groups(node: object, tree: Program, *, replaced: bool = False) -> Iterator[Path]:
    """Yield the paths of the groups that a plan refers to; with `replaced`, also of those that its `with` modifiers replace.

    For OPA what is replaced counts as used: a rule cannot replace a document that it is part of.
    """
    for item in walk(node):
        match item:
            case p.RuleValue(_, path) | p.CallRule(_, path):
                yield path
            case p.Document(_, path):
                yield from _groups_at(path, tree)
            case p.Modifier(root, path, _, callable_path):
                if callable_path is not None and callable_path[0] == "data":
                    yield callable_path
                if replaced and (root == "data" or path[:1] == ("data",)):
                    yield from _groups_at(("data", *path) if root == "data" else path, tree)


def _groups_at(path: Path, tree: Program) -> Iterator[Path]:
    place = tree.root.find(path[1:])
    if place is not None:
        yield from (group.path for group in place.groups())


def walk(node: object) -> Iterator[object]:
    """Yield every plan element at or below `node`, each before its parts."""
    stack = [node]
    while stack:
        item = stack.pop()
        if item.__class__ is tuple:
            stack.extend(reversed(cast("tuple[object, ...]", item)))
            continue
        parts = _parts(type(item))  # type: ignore[arg-type]  # mypy takes a class for an unhashable object
        if parts is not None:
            yield item
            stack.extend([getattr(item, name) for name in parts])


@cache
def _parts(kind: type) -> tuple[str, ...] | None:
    """Return the fields of a kind of plan element that can hold others, last first; None for other things."""
    if not is_dataclass(kind) or kind in {p.Const, nodes.Location}:
        return None
    return tuple(
        field.name
        for field in reversed(fields(kind))
        if field.name not in {"location", "ctx", "path", "params", "number", "places", "place"} or kind is p.Input or kind is p.BaseData
    )
