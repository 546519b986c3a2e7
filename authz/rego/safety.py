"""Safety: the order in which a body's literals can be evaluated, or why there is none.

A literal may run when every variable that it only reads is bound. Owns the rules of
what a literal reads and binds (OPA docs, policy language: safety); evaluates nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from authz.rego import errors, nodes
from authz.rego.errors import Stage
from authz.rego.expand import (
    CallExpr,
    EqualExpr,
    FlatBody,
    FlatComprehension,
    FlatLiteral,
    FlatLogical,
    FlatNot,
    FlatOperand,
    is_temporary,
)  # fmt: skip
from authz.rego.names import original_name
from authz.rego.nodes import Location, Ref, Scalar, Term, Var
from authz.rego.rule_checks import missing_import_help
from authz.rego.tokens import FUTURE_KEYWORDS
from authz.rego.variables import ROOTS, all_vars, body_vars, own_vars, term_vars


@dataclass(frozen=True, slots=True)
class Arity:
    """The declared number of arguments of built-ins and functions, by operator."""

    functions: dict[tuple[str, ...], int]

    def of(self, operator: tuple[str, ...]) -> int:
        return self.functions[operator]


def order_body(body: FlatBody, bound: frozenset[str], arity: Arity) -> FlatBody:
    """Return the literals, nested bodies included, in an order in which each can run.

    Literals keep their place unless a variable forces them back. Raises
    rego_unsafe_var_error naming the variables that nothing binds.
    """
    visible = bound | frozenset(name for literal in body for name in own_vars(literal))
    known = set(bound)
    remaining, ordered = list(body), list[FlatLiteral]()
    while remaining:
        waiting: list[FlatLiteral] = []
        for literal in remaining:
            binds = outputs(literal, known, visible, arity)
            if binds is None:
                waiting.append(literal)
            else:
                ordered.append(_order_nested(literal, frozenset(known) | binds, visible, arity))
                known |= binds
        if len(waiting) == len(remaining):
            raise _unsafe(waiting, known, visible, arity)
        remaining = waiting
    return tuple(ordered)


def _unsafe(literals: list[FlatLiteral], known: set[str], visible: frozenset[str], arity: Arity) -> errors.CompileError:
    found: dict[str, errors.Diagnostic] = {}
    bindable = {name for literal in literals for name in _bindable(literal, known, visible, arity)}
    for literal in literals:
        for var in all_vars(literal):
            if var.name not in known and var.name in visible and var.name not in bindable and not is_temporary(var.name):
                location = var.location if var.location.row else literal.location
                found.setdefault(original_name(var.name), _unsafe_var(var, location, _unsafe_help(literal)))
    if not found:
        free = {var.name for literal in literals for var in all_vars(literal)} - known
        messages = sorted(f"var {original_name(name)} is unsafe" for name in free if not is_temporary(name)) or ["expression is unsafe"]
        return errors.CompileError(tuple(errors.Diagnostic(errors.UNSAFE, message, literals[0].location) for message in messages))
    return errors.CompileError(tuple(found.values()))


def _unsafe_var(var: Var, location: Location, help: str) -> errors.Diagnostic:
    name = original_name(var.name)
    if name in FUTURE_KEYWORDS:
        help = missing_import_help(name)
    return errors.Diagnostic(errors.UNSAFE, f"var {name} is unsafe", location, help=help, unknown=None if name == "_" else name)


def _unsafe_help(literal: FlatLiteral) -> str:
    if literal.negated or isinstance(literal.expr, FlatNot):
        return "a variable of a negated expression must be bound by another expression of the body"
    if isinstance(literal.expr, FlatLogical):
        return f"an operand of `{literal.expr.operator}` binds nothing: bind it in the body, or within braces `{{ … }}` of its own"
    if isinstance(literal.expr, EqualExpr):
        return "`==` compares and binds nothing: bind it with `:=` or `some … in`"
    return "bind it with `:=`, `some … in`, or a reference that iterates"


def _bindable(literal: FlatLiteral, known: set[str], visible: frozenset[str], arity: Arity) -> frozenset[str]:
    """Return what the literal would bind if everything it reads were bound."""
    everything = known | {var.name for var in all_vars(literal)}
    targets = frozenset(var.name for var in all_vars(literal)) - known
    return frozenset(name for name in targets if name in (outputs(literal, everything - {name}, visible, arity) or ()))


def outputs(literal: FlatLiteral, bound: set[str], visible: frozenset[str], arity: Arity) -> frozenset[str] | None:
    """Return the variables that running the literal now would bind; None if it cannot run yet."""
    if not all(_ready(item.value, bound, visible) for item in literal.withs):
        return None
    if literal.negated:
        names = {var.name for var in all_vars(literal) if var.name in visible}
        return frozenset() if names <= bound and _closures_ready(literal, bound, visible) else None
    match literal.expr:
        case nodes.TermExpr(term):
            return _read_all((term,), bound, visible)
        case EqualExpr(left, right):
            return _read_all((left, right), bound, visible)
        case CallExpr():
            return _call_outputs(literal.expr, bound, visible, arity)
        case nodes.Unify(left, right):
            return _unify_outputs(left, right, bound, visible)
        case nodes.SomeIn(key, value, domain):
            read = _read_all((domain,), bound, visible)
            matches = None if read is None else _steps((value,) if key is None else (key, value), bound | read, visible)
            return None if read is None or matches is None else read | matches
        case FlatNot() | FlatLogical():
            return frozenset() if _closures_ready(literal, bound, visible) else None
        case nodes.Every(_, _, domain, body):
            read = _read_all((domain,), bound, visible)
            inner = {var.name for var in body_vars(body)} & visible
            return read if read is not None and inner <= bound | read else None


def _call_outputs(call: CallExpr, bound: set[str], visible: frozenset[str], arity: Arity) -> frozenset[str] | None:
    count = arity.of(call.operator)
    read = _read_all(call.args[:count], bound, visible)
    if read is None:
        return None
    results = call.args[count:] if call.out is None else (call.out,)
    now = bound | read
    for result in results:
        binds = _match_outputs(result, now, visible)
        if binds is None:
            return None
        read |= binds
    return read


def _read_all(terms: Iterable[Term], bound: set[str], visible: frozenset[str]) -> frozenset[str] | None:
    """Return the variables that reading the terms binds (steps of references), or None if one cannot be read."""
    binds: frozenset[str] = frozenset()
    for term in terms:
        read = _read(term, bound | binds, visible)
        if read is None:
            return None
        binds |= read
    return binds


def _read(term: Term, bound: set[str] | frozenset[str], visible: frozenset[str]) -> frozenset[str] | None:
    match term:
        case Scalar():
            return frozenset()
        case Var(name):
            return frozenset() if name in bound else None
        case Ref(head, args):
            assert isinstance(head, Var)
            if head.name not in ROOTS and head.name not in bound:
                return None
            return _steps(args, bound, visible)
        case nodes.Array(items) | nodes.SetTerm(items):
            return _read_all(items, set(bound), visible)
        case nodes.ObjectTerm(pairs):
            return _read_all((part for pair in pairs for part in pair), set(bound), visible)
        case _:
            return frozenset() if _ready(term, bound, visible) else None


def _steps(args: tuple[Term, ...], bound: set[str] | frozenset[str], visible: frozenset[str]) -> frozenset[str] | None:
    binds: frozenset[str] = frozenset()
    for arg in args:
        result = _match_outputs(arg, bound | binds, visible)
        if result is None:
            return None
        binds |= result
    return binds


def _match_outputs(term: Term, bound: set[str] | frozenset[str], visible: frozenset[str]) -> frozenset[str] | None:
    """Return what matching `term` against a known value binds; None if it cannot be matched."""
    match term:
        case Var(name):
            return frozenset() if name in bound else frozenset((name,))
        case nodes.Array(items):
            return _steps(items, bound, visible)
        case nodes.ObjectTerm(pairs):
            keys = _read_all((key for key, _ in pairs), set(bound), visible)
            values = _steps(tuple(value for _, value in pairs), bound, visible)
            return None if keys is None or values is None else keys | values
        case _:
            return _read(term, bound, visible)


def _unify_outputs(left: Term, right: Term, bound: set[str], visible: frozenset[str]) -> frozenset[str] | None:
    """Return what unifying binds: pairs are solved in any order that lets one side be read."""
    binds: frozenset[str] = frozenset()
    pairs = list(pairs_of(left, right))
    while pairs:
        rest = []
        for first, second in pairs:
            now = bound | binds
            result = _solve(first, second, now, visible)
            if result is None:
                rest.append((first, second))
            else:
                binds |= result
        if len(rest) == len(pairs):
            return None
        pairs = rest
    return binds


def _solve(left: Term, right: Term, bound: set[str] | frozenset[str], visible: frozenset[str]) -> frozenset[str] | None:
    for known, other in ((right, left), (left, right)):
        binds = matched(other, known, bound, visible)
        if binds is not None:
            return binds
    return None


def matched(pattern: Term, known: Term, bound: set[str] | frozenset[str], visible: frozenset[str]) -> frozenset[str] | None:
    """Return what reading `known` and matching `pattern` against it binds; None if that cannot be done (yet)."""
    read = _read(known, bound, visible)
    if read is None or not _can_match(pattern, known, bound):
        return None
    binds = _match_outputs(pattern, bound | read, visible)
    return None if binds is None else read | binds


def _can_match(pattern: Term, known: Term, bound: set[str] | frozenset[str]) -> bool:
    """Tell whether `pattern` may bind variables from `known`: OPA lets an array or object bind only from what can be one."""
    match pattern:
        case nodes.Array():
            kind, same = "array", False  # of equal length: taken apart before, by `_pairs`
        case nodes.ObjectTerm(pairs):
            kind = "object"
            same = isinstance(known, nodes.ObjectTerm) and {key for key, _ in known.pairs} == {key for key, _ in pairs}
        case _:
            return True
    if isinstance(known, FlatComprehension):
        same = known.kind == kind
    return same or isinstance(known, Var | Ref) or all(var.name in bound for var in term_vars(pattern, nested=False))


def pairs_of(left: Term, right: Term) -> Iterator[tuple[Term, Term]]:
    """Yield the element pairs of two array patterns, at any depth; else the pair itself."""
    if isinstance(left, nodes.Array) and isinstance(right, nodes.Array) and len(left.items) == len(right.items):
        for first, second in zip(left.items, right.items, strict=True):
            yield from pairs_of(first, second)
    elif isinstance(left, nodes.ObjectTerm) and isinstance(right, nodes.ObjectTerm) and same_keys(left, right):
        values = dict(right.pairs)
        for key, value in left.pairs:
            yield from pairs_of(value, values[key])
    else:
        yield left, right


def same_keys(left: nodes.ObjectTerm, right: nodes.ObjectTerm) -> bool:
    """Tell whether both have the same scalar keys."""
    keys = [key for key, _ in left.pairs]
    others = [key for key, _ in right.pairs]
    return all(isinstance(key, Scalar) for key in keys + others) and set(keys) == set(others)


def _ready(term: Term, bound: set[str] | frozenset[str], visible: frozenset[str]) -> bool:
    """Tell whether a closure's outer variables (or a plain term) are all bound."""
    return all(var.name in bound for var in term_vars(term, nested=True) if var.name in visible)


def _closures_ready(literal: FlatLiteral, bound: set[str], visible: frozenset[str]) -> bool:
    return all(var.name in bound for var in all_vars(literal) if var.name in visible)


def _order_nested(literal: FlatLiteral, bound: frozenset[str], visible: frozenset[str], arity: Arity) -> FlatLiteral:
    """Return the literal with the bodies of its closures ordered."""
    order = _NestedOrder(bound & visible, arity)
    withs = tuple(replace(item, value=order.term(item.value)) for item in literal.withs)
    match literal.expr:
        case nodes.TermExpr(term):
            expr: object = nodes.TermExpr(order.term(term))
        case EqualExpr(left, right):
            expr = EqualExpr(order.term(left), order.term(right))
        case CallExpr(_, args, out):
            args = tuple(order.term(arg) for arg in args)
            expr = replace(literal.expr, args=args, out=None if out is None else order.term(out))
        case nodes.Unify(left, right):
            expr = nodes.Unify(order.term(left), order.term(right))
        case nodes.SomeIn(key, value, domain):
            expr = nodes.SomeIn(key, value, order.term(domain))
        case nodes.Every(key, value, domain, body):
            names = {var.name for var in (key, value) if var is not None}
            inner = order_body(body, order.bound | names, arity)  # type: ignore[arg-type]
            expr = nodes.Every(key, value, order.term(domain), inner)  # type: ignore[arg-type]
        case FlatNot(operand):
            expr = FlatNot(order.operand(operand))
        case FlatLogical(operator, operands):
            expr = FlatLogical(operator, tuple(map(order.operand, operands)))
    return replace(literal, expr=expr, withs=withs)  # type: ignore[arg-type]


class _NestedOrder:
    """Orders the bodies of the comprehensions in a term."""

    def __init__(self, bound: frozenset[str], arity: Arity) -> None:
        self.bound = bound
        self.arity = arity

    def operand(self, operand: FlatOperand) -> FlatOperand:
        return replace(operand, body=order_body(operand.body, self.bound, self.arity))

    def term(self, term: Term) -> Term:
        if isinstance(term, FlatComprehension):
            _check_template(term, self.bound)
            body = order_body(term.body, self.bound, self.arity)
            check_bound(term, body, self.bound, self.arity)
            return replace(term, body=body)
        match term:
            case Ref(head, args):
                return Ref(head, tuple(self.term(arg) for arg in args), term.location)
            case nodes.Array(items) | nodes.SetTerm(items):
                return replace(term, items=tuple(self.term(item) for item in items))
            case nodes.ObjectTerm(pairs):
                return replace(term, pairs=tuple((self.term(key), self.term(value)) for key, value in pairs))
        return term


def _check_template(term: FlatComprehension, bound: frozenset[str]) -> None:
    """Raise if a part of a template string has variables of its own, other than being one."""
    match term.body:
        case (*_, FlatLiteral(nodes.Unify(_, Var()))):
            return
    for literal in term.body if term.is_template else ():
        for var in all_vars(literal):
            if not is_temporary(var.name) and var.name in own_vars(literal) and var.name not in bound:
                name = original_name(var.name)
                help = f"bind it in the body: a template string does not iterate, `{name}` would have no value to begin with"
                raise errors.compile_error(errors.COMPILE, f"var {name} is undeclared", var.location, help=help, check=Stage.SAFETY)


def check_bound(compr: FlatComprehension, body: FlatBody, bound: frozenset[str], arity: Arity) -> None:
    """Raise if the head of a comprehension uses a variable that its body does not bind."""
    heads = (compr.value,) if compr.key is None else (compr.key, compr.value)
    check_head(heads, body, bound, arity)


def check_head(heads: Iterable[Term], body: FlatBody, bound: frozenset[str], arity: Arity) -> None:
    """Raise if a head uses a variable that its (ordered) body does not bind."""
    visible = bound | frozenset(name for literal in body for name in own_vars(literal))
    known = set(bound)
    for literal in body:
        known |= outputs(literal, known, visible, arity) or set()
    free = {var.name: var for head in heads for var in term_vars(head, nested=False) if var.name not in known}
    if free:
        raise errors.CompileError(
            tuple(
                _unsafe_var(var, var.location, "bind it in the body, by `:=`, `some … in`, or a reference that iterates")
                for var in free.values()
            )
        )
