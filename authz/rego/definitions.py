"""From one rule to its plan: its head becomes part of its body, its `else` chain a chain of definitions.

Owns how arguments, keys and values are matched and made. Knows no other rule, and no order of passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from authz.rego import errors, nodes, purity, safety, types, variables
from authz.rego import plan as p
from authz.rego.expand import Expander, FlatBody, FlatLiteral
from authz.rego.lower import TRUE_ATOM, Lowerer, Names
from authz.rego.nodes import Scalar, Term, Var
from authz.rego.program import Group, Kind, Member, Path, Program
from authz.rego.values import FALSE, NULL


def plan_group(group: Group, definer: Definer) -> p.RulePlan:
    """Plan the definitions of one group; those that are faulty are left out, and reported."""
    definitions = [item for member in group.members if (item := definer.definition(group.path, member)) is not None]
    defaults = [item for member in group.defaults if (item := definer.definition(group.path, member)) is not None]
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


class Definer:
    """Plans rules with their `else` chains, and keeps what the type checker looks at: them expanded, before that."""

    def __init__(self, tree: Program, arity: safety.Arity, findings: errors.Findings, prints: bool) -> None:
        self._tree = tree
        self._arity = arity
        self._findings = findings
        self._prints = prints
        self._names = Names()
        self._flat: dict[Path, list[types.Definition]] = {}

    def definition(self, path: Path, member: Member) -> p.Definition | None:
        """Return the plan of a rule and its chain; None, reported, if nothing of it is sound."""
        self._names = Names()
        links: list[p.Definition] = []
        rule: nodes.Rule | None = member.rule
        while rule is not None:
            with self._findings.collect():
                links.append(self._link(path, Member(rule, member.keys)))
            rule = rule.orelse
        chain: p.Definition | None = None
        for link in reversed(links):
            chain = replace(link, orelse=chain)
        return chain

    def in_order(self, order: Iterable[Path]) -> Iterator[types.Definition]:
        """Yield what was planned, expanded, in the order of the groups."""
        for path in order:
            yield from self._flat.get(path, ())

    def _link(self, path: Path, member: Member) -> p.Definition:
        rule = member.rule
        expander = Expander(prints=self._prints)
        flat = expander.body(rule.body)
        heads = tuple(term for term in (*member.keys, rule.head.key, rule.head.value) if term is not None)
        extras, terms = expander.head(heads)
        lowerer, params, args, patterns = self._arguments(rule.head.args or (), expander)
        bound = frozenset(lowerer.env)
        ordered = safety.order_body(tuple(patterns + flat + extras), bound, self._arity)
        safety.check_head(terms, ordered, bound, self._arity)
        self._keep(path, member, args, ordered, terms)
        lowerer.body(ordered)
        atoms = [lowerer.atom(term) for term in terms]
        value = atoms.pop() if rule.head.value is not None else TRUE_ATOM
        key = atoms.pop() if rule.head.key is not None else None
        block = purity.pure_first(tuple(lowerer.steps), params)
        return p.Definition(block, tuple(atoms), key, value, params, rule.location)

    def _keep(self, path: Path, member: Member, args: tuple[Term, ...], body: FlatBody, terms: tuple[Term, ...]) -> None:
        """Keep what the type checker looks at: the patterns of arguments are no part of the body there."""
        head, size = member.rule.head, len(member.keys)
        own = tuple(literal for literal in body if not _is_pattern(literal)) if args else body
        key = terms[size] if head.key is not None else None
        value = terms[-1] if head.value is not None else None
        self._flat.setdefault(path, []).append(types.Definition(path, terms[:size], args, own, key, value, member.rule))

    def _arguments(
        self, args: tuple[Term, ...], expander: Expander
    ) -> tuple[Lowerer, tuple[str, ...], tuple[Term, ...], list[FlatLiteral]]:
        """Return a lowerer in which the arguments are bound, the parameters' names, the expanded arguments and what they demand."""
        lowerer = Lowerer(self._tree, self._arity, self._names, {})
        params = tuple(f"a{index}" for index in range(len(args)))
        patterns: list[Term] = []
        literals: list[FlatLiteral] = []
        if _never_match(args, set()):
            lowerer.env = {var.name: p.Const(NULL) for arg in args for var in variables.term_vars(arg, nested=False)}
            return lowerer, params, tuple(expander.term(arg, []) for arg in args), [FlatLiteral(nodes.TermExpr(Scalar(FALSE)))]
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


def _is_pattern(literal: FlatLiteral) -> bool:
    """Tell whether a literal is what the pattern of an argument demands."""
    return isinstance(literal.expr, nodes.Unify) and isinstance(literal.expr.left, Var) and literal.expr.left.name.startswith("$a")
