"""From modules to plans: drives name resolution, expansion, safety and lowering, rule by rule.

Owns the order of the passes and how a head becomes part of its body. Generates no code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import cast

from authz.rego import errors, metadata, names, nodes, program, purity, resolve, safety, types
from authz.rego import plan as p
from authz.rego.builtins import BUILTINS
from authz.rego.expand import Expander, FlatBody, FlatLiteral
from authz.rego.lower import TRUE_ATOM, Lowerer, Names
from authz.rego.nodes import Term, Var
from authz.rego.program import Group, Kind, Member, Path, Program


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

    def scope(self, header: nodes.Module | None = None) -> names.Globals:
        """Return what a query can name: of its own package, if a header gives it one, what is imported, and what begins with `data`."""
        functions = {path: group.arity for path, group in self.program.groups.items() if group.kind is Kind.FUNCTION}
        if header is None:
            return names.Globals((), {}, frozenset(), functions)
        return names.Globals(header.package, names.imported(header), self.packages.get(header.package, frozenset()), functions)


def plan_modules(modules: tuple[nodes.Module, ...], *, prints: bool = False, schemas: types.Schemas | None = None) -> Planned:
    """Plan every rule. Schemas only let more be refused. Raises CompileError with what is wrong with any of them, pass by pass."""
    scopes = names.global_names(modules)
    findings = errors.Findings()
    annotations = metadata.collect(modules)
    expanded = metadata.expand_metadata(modules, scopes, annotations)
    resolved = [_resolve_module(module, scopes[module.file], findings) for module in expanded]
    findings.check()
    tree = program.build(resolved)
    arity = safety.Arity(_arities(tree))
    plans: dict[Path, p.RulePlan] = {}
    definitions: dict[Path, list[types.Definition]] = {}
    for path, group in tree.groups.items():
        with findings.collect():
            plans[path] = plan_group(group, tree, arity, definitions.setdefault(path, []), prints=prints)
    findings.check()
    uses = {path: sorted(set(used_groups(plan, tree, replaced=True))) for path, plan in plans.items()}
    order = tuple(group.path for group in program.check_recursion(tree, uses))
    ordered = [definition for path in order for definition in definitions[path]]
    typing = types.check_rules(ordered, uses, findings, None if schemas is None else types.SchemaTypes(schemas, annotations))
    findings.check()
    packages = {scope.package: scope.rules for scope in scopes.values()}
    return Planned(tree, plans, order, arity, packages, typing, prints)


def plan_query(planned: Planned, body: nodes.Body, header: nodes.Module | None = None) -> tuple[p.Block, dict[str, p.Atom]]:
    """Plan a query; return its block and the atoms of its named variables by name."""
    resolved = resolve.Resolver(planned.scope(header)).query(body)
    flat = tuple(Expander(prints=planned.prints).body(resolved))
    ordered = safety.order_body(flat, frozenset(), planned.arity)
    types.check_query(ordered, planned.typing)
    lowerer = Lowerer(planned.program, planned.arity, Names(), {})
    lowerer.body(ordered)
    own = {name for literal in flat for name in safety.own_vars(literal)}
    named = {names.original_name(name): lowerer.env[name] for name in sorted(own) if not name.startswith("$") and name in lowerer.env}
    return tuple(lowerer.steps), named


def _resolve_module(module: nodes.Module, scope: names.Globals, findings: errors.Findings) -> nodes.Module:
    rules: list[nodes.Rule] = []
    for rule in module.rules:
        with findings.collect():
            rules.append(resolve.Resolver(scope).rule(rule))
    return replace(module, rules=tuple(rules))


def _arities(tree: Program) -> dict[tuple[str, ...], int]:
    arities = {tuple(name.split(".")): len(item.params) for name, item in BUILTINS.items()}
    arities.update((path, group.arity) for path, group in tree.groups.items() if group.kind is Kind.FUNCTION)
    return arities


def plan_group(group: Group, tree: Program, arity: safety.Arity, flat: list[types.Definition], *, prints: bool = False) -> p.RulePlan:
    """Plan the definitions of one group; add them, as they are before that, to `flat`."""
    definitions = tuple(_Definer(tree, arity, flat, prints).definition(group.path, member) for member in group.members)
    default = None
    if group.default is not None:
        default = _Definer(tree, arity, flat, prints).definition(group.path, Member(group.default, ()))
    return p.RulePlan(
        group.path, group.kind, group.number, definitions, default, group.arity, group.location, tuple(dict.fromkeys(group.places()))
    )


class _Definer:
    """Plans one rule with its `else` chain."""

    def __init__(self, tree: Program, arity: safety.Arity, flat: list[types.Definition], prints: bool) -> None:
        self.tree = tree
        self.arity = arity
        self.flat = flat
        self.prints = prints
        self.names = Names()

    def definition(self, path: Path, member: Member) -> p.Definition:
        rule = member.rule
        orelse = None if rule.orelse is None else self.definition(path, Member(rule.orelse, member.keys))
        expander = Expander(prints=self.prints)
        flat = expander.body(rule.body)
        heads = tuple(term for term in (*member.keys, rule.head.key, rule.head.value) if term is not None)
        extras, terms = expander.head(heads)
        lowerer, params, args, patterns = self._arguments(rule.head.args or (), expander)
        bound = frozenset(lowerer.env)
        ordered = safety.order_body(tuple(patterns + flat + extras), bound, self.arity)
        safety.check_head(terms, ordered, bound, self.arity)
        self._keep(path, member, args, ordered, terms)
        lowerer.body(ordered)
        atoms = [lowerer.atom(term) for term in terms]
        value = atoms.pop() if rule.head.value is not None else TRUE_ATOM
        key = atoms.pop() if rule.head.key is not None else None
        block = purity.pure_first(tuple(lowerer.steps), params)
        return p.Definition(block, tuple(atoms), key, value, params, rule.location, orelse)

    def _keep(self, path: Path, member: Member, args: tuple[Term, ...], body: FlatBody, terms: tuple[Term, ...]) -> None:
        """Add what the type checker looks at: the patterns of arguments are no part of the body there."""
        head, size = member.rule.head, len(member.keys)
        own = tuple(literal for literal in body if not _is_pattern(literal)) if args else body
        key = terms[size] if head.key is not None else None
        value = terms[-1] if head.value is not None else None
        self.flat.append(types.Definition(path, terms[:size], args, own, key, value, member.rule))

    def _arguments(
        self, args: tuple[Term, ...], expander: Expander
    ) -> tuple[Lowerer, tuple[str, ...], tuple[Term, ...], list[FlatLiteral]]:
        """Return a lowerer in which the arguments are bound, the parameters' names, the expanded arguments and what they demand."""
        lowerer = Lowerer(self.tree, self.arity, self.names, {})
        params = tuple(f"a{index}" for index in range(len(args)))
        patterns: list[Term] = []
        literals: list[FlatLiteral] = []
        for param, arg in zip(params, args, strict=True):
            if isinstance(arg, Var) and arg.name not in lowerer.env:
                lowerer.env[arg.name] = p.Local(param)
                patterns.append(arg)
            else:
                lowerer.env[f"${param}"] = p.Local(param)
                extras: list[FlatLiteral] = []
                patterns.append(expander.term(arg, extras))
                literals += [FlatLiteral(nodes.Unify(Var(f"${param}", arg.location), patterns[-1]), location=arg.location), *extras]
        return lowerer, params, tuple(patterns), literals


def _is_pattern(literal: FlatLiteral) -> bool:
    """Tell whether a literal is what the pattern of an argument demands."""
    return isinstance(literal.expr, nodes.Unify) and isinstance(literal.expr.left, Var) and literal.expr.left.name.startswith("$a")


def used_groups(node: object, tree: Program, *, replaced: bool = False) -> Iterator[Path]:
    """Yield the paths of the groups that a plan refers to; with `replaced`, also of those that its `with` modifiers replace."""
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
