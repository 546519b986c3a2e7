"""From modules to plans: drives name resolution, expansion, safety and lowering, rule by rule.

Owns the order of the passes and how a head becomes part of its body. Generates no code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import cast

from authz.rego import conflicts, errors, metadata, names, nodes, program, purity, resolve, safety, suggest, variables
from authz.rego import plan as p
from authz.rego.builtins import BUILTINS
from authz.rego.errors import Stage
from authz.rego.expand import Expander, FlatLiteral
from authz.rego.lower import TRUE_ATOM, Lowerer, Names
from authz.rego.nodes import Scalar, Term, Var
from authz.rego.program import Group, Kind, Member, Path, Program
from authz.rego.values import FALSE, NULL


@dataclass(frozen=True, slots=True)
class Planned:
    """Everything that is known of a set of modules before code is generated."""

    program: Program
    plans: dict[Path, p.RulePlan]
    order: tuple[Path, ...]
    arity: safety.Arity


def plan_modules(modules: tuple[nodes.Module, ...]) -> Planned:
    """Plan every rule. Raises CompileError with what the first check to fail finds wrong with any of them."""
    findings = errors.Findings()
    scopes = names.global_names(modules, findings)
    try:
        return _planned(modules, scopes, findings)
    except errors.CompileError as error:
        raise suggest.explained(error, modules, scopes) from None


def _planned(modules: tuple[nodes.Module, ...], scopes: dict[str, names.Globals], findings: errors.Findings) -> Planned:
    expanded = metadata.expand_metadata(modules, scopes)
    resolved = tuple(_resolve_module(module, scopes[module.file], findings) for module in expanded)
    conflicts.report_conflicts(resolved, findings)
    findings.check()
    tree = program.build(resolved)
    arity = safety.Arity(_arities(tree))
    plans: dict[Path, p.RulePlan] = {}
    for path, group in tree.groups.items():
        plans[path] = plan_group(group, _Definer(tree, arity, findings))
    findings.check(Stage.SAFETY)
    uses = {path: sorted(set(used_groups(plan, tree))) for path, plan in plans.items()}
    order = program.ordered(tree, uses, findings)
    for path, plan in plans.items():
        if any(tree.groups[used].kind is Kind.FUNCTION for used in uses[path]):
            _refuse_function_values(plan, tree, findings)
    findings.check()
    return Planned(tree, plans, tuple(group.path for group in order), arity)


def plan_query(planned: Planned, body: nodes.Body) -> tuple[p.Block, dict[str, p.Atom]]:
    """Plan a query; return its block and the atoms of its named variables by name."""
    functions = {path: group.arity for path, group in planned.program.groups.items() if group.kind is Kind.FUNCTION}
    scope = names.Globals((), {}, frozenset(), functions)
    findings = errors.Findings()
    flat = tuple(Expander().body(resolve.Resolver(scope, findings).query(body)))
    findings.check()
    ordered = safety.order_body(flat, frozenset(), planned.arity)
    lowerer = Lowerer(planned.program, planned.arity, Names(), {})
    lowerer.body(ordered)
    _refuse_function_values(tuple(lowerer.steps), planned.program, findings)
    findings.check()
    own = {name for literal in flat for name in variables.own_vars(literal)}
    named = {names.original_name(name): lowerer.env[name] for name in sorted(own) if not name.startswith("$") and name in lowerer.env}
    return tuple(lowerer.steps), named


def _refuse_function_values(node: object, tree: Program, findings: errors.Findings) -> None:
    """Report every function that is read like a document."""
    for item in walk(node):
        match item:
            case p.Let(_, p.RuleValue(_, path), location) if tree.groups[path].kind is Kind.FUNCTION:
                help = f"call it: `{path[-1]}({', '.join('…' for _ in range(tree.groups[path].arity))})`"
                findings.report(errors.TYPE, f"function {'.'.join(path)} used as reference, not called", location, help=help)


def _resolve_module(module: nodes.Module, scope: names.Globals, findings: errors.Findings) -> nodes.Module:
    return replace(module, rules=tuple(resolve.Resolver(scope, findings).rule(rule) for rule in module.rules))


def _arities(tree: Program) -> dict[tuple[str, ...], int]:
    arities = {tuple(name.split(".")): len(item.params) for name, item in BUILTINS.items()}
    arities.update((path, group.arity) for path, group in tree.groups.items() if group.kind is Kind.FUNCTION)
    return arities


def plan_group(group: Group, definer: _Definer) -> p.RulePlan:
    """Plan the definitions of one group; those that are faulty are left out, and reported."""
    definitions = [item for member in group.members if (item := definer.definition(member)) is not None]
    defaults = [item for member in group.defaults if (item := definer.definition(member)) is not None]
    default = defaults[0] if defaults and group.kind is not Kind.OBJECT else None
    if group.kind is Kind.OBJECT and group.is_constant:
        definitions += [_otherwise(item, definitions) for item in defaults]
    elif group.kind is Kind.OBJECT:
        # As in OPA: the keys of an object are found all at once then, by bodies alone.
        definitions = [replace(item, orelse=None) for item in definitions]
    return p.RulePlan(
        group.path, group.kind, group.number, tuple(definitions), default, group.arity, group.location, tuple(dict.fromkeys(group.places()))
    )


def _otherwise(default: p.Definition, others: list[p.Definition]) -> p.Definition:
    """Return the default of one key of an object as a definition, which holds where no other one of the key does."""
    rivals = (item for other in others if other.keys == default.keys for item in other.chain())
    return replace(default, block=(*(p.Check(p.NoSolution(item.block), item.location) for item in rivals), *default.block))


class _Definer:
    """Plans rules with their `else` chains."""

    def __init__(self, tree: Program, arity: safety.Arity, findings: errors.Findings) -> None:
        self.tree = tree
        self.arity = arity
        self.findings = findings
        self.names = Names()

    def definition(self, member: Member) -> p.Definition | None:
        """Return the plan of a rule and its chain; None, reported, if nothing of it is sound."""
        self.names = Names()
        links: list[p.Definition] = []
        rule: nodes.Rule | None = member.rule
        while rule is not None:
            with self.findings.collect():
                links.append(self._link(rule, member.keys))
            rule = rule.orelse
        chain: p.Definition | None = None
        for link in reversed(links):
            chain = replace(link, orelse=chain)
        return chain

    def _link(self, rule: nodes.Rule, keys: tuple[Term, ...]) -> p.Definition:
        expander = Expander()
        flat = expander.body(rule.body)
        heads = tuple(term for term in (*keys, rule.head.key, rule.head.value) if term is not None)
        extras, terms = expander.head(heads)
        lowerer, params, patterns = self._arguments(rule.head.args or (), expander)
        bound = frozenset(lowerer.env)
        ordered = safety.order_body(tuple(patterns + flat + extras), bound, self.arity)
        safety.check_head(terms, ordered, bound, self.arity)
        lowerer.body(ordered)
        atoms = [lowerer.atom(term) for term in terms]
        value = atoms.pop() if rule.head.value is not None else TRUE_ATOM
        key = atoms.pop() if rule.head.key is not None else None
        block = purity.pure_first(tuple(lowerer.steps), params)
        return p.Definition(block, tuple(atoms), key, value, params, rule.location)

    def _arguments(self, args: tuple[Term, ...], expander: Expander) -> tuple[Lowerer, tuple[str, ...], list[FlatLiteral]]:
        """Return a lowerer in which the arguments are bound, the parameters' names, and what their patterns demand."""
        lowerer = Lowerer(self.tree, self.arity, self.names, {})
        params = tuple(f"a{index}" for index in range(len(args)))
        literals: list[FlatLiteral] = []
        if _never_match(args, set()):
            lowerer.env = {var.name: p.Const(NULL) for arg in args for var in variables.term_vars(arg, nested=False)}
            return lowerer, params, [FlatLiteral(nodes.TermExpr(Scalar(FALSE)))]
        for param, arg in zip(params, args, strict=True):
            if isinstance(arg, Var) and arg.name not in lowerer.env:
                lowerer.env[arg.name] = p.Local(param)
            else:
                lowerer.env[f"${param}"] = p.Local(param)
                extras: list[FlatLiteral] = []
                pattern = expander.term(arg, extras)
                literals += [FlatLiteral(nodes.Unify(Var(f"${param}", arg.location), pattern), location=arg.location), *extras]
        return lowerer, params, literals


def _never_match(patterns: Iterable[Term], bound: set[str]) -> bool:
    """Tell whether a variable stands first in a set or as a key, where matching cannot bind it: OPA's functions are undefined then."""
    for pattern in patterns:
        match pattern:
            case Var(name):
                bound.add(name)
            case nodes.Array(items) if _never_match(items, bound):
                return True
            case nodes.SetTerm() if not bound.issuperset(var.name for var in variables.term_vars(pattern, nested=False)):
                return True
            case nodes.ObjectTerm(pairs):
                keys = {var.name for key, _ in pairs for var in variables.term_vars(key, nested=False)}
                if not keys <= bound or _never_match((value for _, value in pairs), bound):
                    return True
    return False


def used_groups(node: object, tree: Program) -> Iterator[Path]:
    """Yield the paths of the groups that a plan refers to."""
    for item in walk(node):
        match item:
            case p.RuleValue(_, path) | p.CallRule(_, path):
                yield path
            case p.Document(_, path):
                place = tree.root.find(path[1:])
                if place is not None:
                    yield from (group.path for group in place.groups())
            case p.Modifier("data", path):
                # What is replaced counts as used, as in OPA, where a rule cannot replace a document that it is part of.
                place = tree.root.find(path)
                yield from (group.path for group in place.groups()) if place is not None else ()
            case p.Modifier(callable_path=path) if path is not None and path[0] == "data":
                yield path


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
