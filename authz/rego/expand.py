"""Expansion of nested calls: afterwards a call is a literal of its own, never an operand.

`f(g(x)) > 1` becomes `t1 = g(x); t2 = f(t1); t2 > 1`, as OPA's compiler does; the literals
that are split off are never negated and keep the `with` modifiers of their origin.
Knows neither safety nor evaluation order.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias, Union

from authz.rego import nodes
from authz.rego.nodes import NOWHERE, Location, Ref, Scalar, Term, Var

_TEMPORARY: Final = "$t"


def is_temporary(name: str) -> bool:
    """Tell whether a variable was made here for the value of a part."""
    return name.startswith(_TEMPORARY)


@dataclass(frozen=True, slots=True)
class CallExpr:
    """A call; its result is unified with `out`, or must hold where `out` is None."""

    operator: tuple[str, ...]
    args: tuple[Term, ...]
    out: Term | None
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class EqualExpr:
    """`left == right` as a literal: compares, never binds, and keeps its references inside a negation."""

    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class FlatOperand:
    """An operand of `and`, `or` or `not` with a flat body."""

    body: FlatBody
    is_explicit: bool


@dataclass(frozen=True, slots=True)
class FlatNot:
    """`not` over all that its operand takes; unlike a negated literal, nothing of it stands in front of the `not`."""

    operand: FlatOperand


@dataclass(frozen=True, slots=True)
class FlatLogical:
    """Operands joined by `and` or `or`."""

    operator: str
    operands: tuple[FlatOperand, ...]


FlatExpr: TypeAlias = Union[
    nodes.TermExpr, nodes.Unify, nodes.SomeIn, nodes.Every, CallExpr, EqualExpr, FlatNot, FlatLogical
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class FlatLiteral:
    """A literal without nested calls."""

    expr: FlatExpr
    negated: bool = False
    withs: tuple[nodes.With, ...] = ()
    location: Location = field(default=NOWHERE, compare=False)


FlatBody: TypeAlias = tuple[FlatLiteral, ...]


@dataclass(frozen=True, slots=True)
class FlatComprehension:
    """A comprehension with a flat body; `kind` is array, set or object; `key` only for objects.

    One that stands for a part of a template string may have no variables of its own: `is_template`.
    """

    kind: str
    key: Term | None
    value: Term
    body: FlatBody
    location: Location = field(default=NOWHERE, compare=False)
    is_template: bool = False


class Expander:
    """Expands the bodies of one rule. `prints`: somebody listens to `print`; if not, it is erased, as in OPA."""

    def __init__(self, *, prints: bool = False) -> None:
        self.counter = 0
        self.prints = prints

    def fresh(self, location: Location) -> Var:
        """Return a variable that no author can write."""
        self.counter += 1
        return Var(f"{_TEMPORARY}{self.counter}", location)

    def body(self, body: nodes.Body) -> list[FlatLiteral]:
        """Return the flat literals of a body, in order."""
        flat: list[FlatLiteral] = []
        for literal in body:
            flat.extend(self._literal(literal))
        return flat

    def head(self, terms: tuple[Term, ...]) -> tuple[list[FlatLiteral], tuple[Term, ...]]:
        """Return what must be evaluated after a body for these terms of its head, and the terms then."""
        extras: list[FlatLiteral] = []
        return extras, tuple(self._lifted(self.term(term, extras), extras) for term in terms)

    def _lifted(self, term: Term, extras: list[FlatLiteral]) -> Term:
        """Return the term of a head with its references and closures moved into the body, where they may iterate."""
        match term:
            case Scalar() | Var():
                return term
            case nodes.Array(items) | nodes.SetTerm(items):
                return replace(term, items=tuple(self._lifted(item, extras) for item in items))
            case nodes.ObjectTerm(pairs):
                return replace(term, pairs=tuple((self._lifted(key, extras), self._lifted(value, extras)) for key, value in pairs))
        return self._named(term, extras)

    def _literal(self, literal: nodes.Literal) -> list[FlatLiteral]:
        match literal.expr:
            case nodes.SomeDecl():
                return []
            case nodes.TermExpr(nodes.Call(("print",), args)):
                return self._literal(self._printing(args, literal.location)) if self.prints else []
        before: list[FlatLiteral] = []
        withs = tuple(replace(item, value=self.term(item.value, before)) for item in literal.withs)
        extras: list[FlatLiteral] = []
        expr = self._expr(literal, extras)
        scoped = [replace(extra, withs=withs + extra.withs) if withs else extra for extra in extras]
        return [*before, *scoped, FlatLiteral(expr, literal.negated, withs, literal.location)]

    def _expr(self, literal: nodes.Literal, extras: list[FlatLiteral]) -> FlatExpr:
        match literal.expr:
            case nodes.TermExpr(nodes.Call(("equal",), (left, right))):
                return EqualExpr(self.term(left, extras), self.term(right, extras))
            case nodes.TermExpr(nodes.Call() as call):
                return self._call(call, extras)
            case nodes.TermExpr(term):
                return nodes.TermExpr(self.term(term, extras))
            case nodes.Unify(left, nodes.Call() as call) if not literal.negated:
                return self._call_into(call, left, extras)
            case nodes.Unify(left, right):
                return nodes.Unify(self.term(left, extras), self.term(right, extras))
            case nodes.SomeIn(key, value, domain):
                flat_domain = self.term(domain, extras)
                flat_key = None if key is None else self.term(key, extras)
                return nodes.SomeIn(flat_key, self.term(value, extras), flat_domain)
            case nodes.Every(key, value, domain, body):
                return nodes.Every(key, value, self.term(domain, extras), tuple(self.body(body)))  # type: ignore[arg-type]
            case nodes.Not(operand):
                return FlatNot(self._operand(operand))
            case nodes.Logical(operator, operands):
                return FlatLogical(operator, tuple(map(self._operand, operands)))
        raise AssertionError(literal.expr)

    def _operand(self, operand: nodes.Operand) -> FlatOperand:
        return FlatOperand(tuple(self.body(operand.body)), operand.is_explicit)

    def _call(self, call: nodes.Call, extras: list[FlatLiteral]) -> CallExpr:
        args = tuple(self.term(arg, extras) for arg in call.args)
        return CallExpr(call.operator, args, None, call.location)

    def _call_into(self, call: nodes.Call, out: Term, extras: list[FlatLiteral]) -> FlatExpr:
        result = self.term(out, extras)
        return replace(self._call(call, extras), out=result)

    def term(self, term: Term, extras: list[FlatLiteral]) -> Term:
        """Return the term without calls; what was split off is appended to `extras`."""
        match term:
            case Scalar() | Var():
                return term
            case Ref(head, args):
                base = head if isinstance(head, Var) else self._named(self.term(head, extras), extras)
                return Ref(base, tuple(self.term(arg, extras) for arg in args), term.location)
            case nodes.Call():
                out = self.fresh(term.location)
                extras.append(FlatLiteral(replace(self._call(term, extras), out=out), location=term.location))
                return out
            case nodes.Array(items) | nodes.SetTerm(items):
                return replace(term, items=tuple(self.term(item, extras) for item in items))
            case nodes.ObjectTerm(pairs):
                return replace(term, pairs=tuple((self.term(key, extras), self.term(value, extras)) for key, value in pairs))
            case nodes.TemplateString(parts):
                return self.term(self._template(term, parts), extras)
            case nodes.ArrayComprehension(inner, body, location):
                return self._comprehension("array", None, inner, body, location)
            case nodes.SetComprehension(inner, body, location):
                return self._comprehension("set", None, inner, body, location)
            case nodes.ObjectComprehension(key, value, body, location):
                return self._comprehension("object", key, value, body, location)
        return term

    def _named(self, term: Term, extras: list[FlatLiteral]) -> Var:
        if isinstance(term, Var):
            return term
        name = self.fresh(term.location)
        extras.append(FlatLiteral(nodes.Unify(name, term), location=term.location))
        return name

    def _comprehension(self, kind: str, key: Term | None, value: Term, body: nodes.Body, location: Location) -> Term:
        flat = self.body(body)
        terms = (value,) if key is None else (key, value)
        extras, heads = self.head(terms)
        return FlatComprehension(kind, heads[0] if key is not None else None, heads[-1], tuple(flat + extras), location)  # type: ignore[return-value]

    def _template(self, term: nodes.TemplateString, parts: tuple[str | Term, ...]) -> Term:
        """Rewrite to `internal.template_string([part, {value}, …])`; an undefined part is an empty set."""
        items = tuple(Scalar(part) if isinstance(part, str) else self._singleton(part) for part in parts)
        return nodes.Call(("internal", "template_string"), (nodes.Array(items),), term.location)

    def _printing(self, args: tuple[Term, ...], location: Location) -> nodes.Literal:
        """Return `internal.print([{operand}, …])`, which always holds; an undefined operand is an empty set. As in OPA no `not` is left."""
        call = nodes.Call(("internal", "print"), (nodes.Array(tuple(map(self._values, args)), location),), location)
        return nodes.Literal(nodes.TermExpr(call), location=location)

    def _singleton(self, part: Term) -> Term:
        return part if isinstance(part, Scalar) else self._values(part, is_template=True)

    def _values(self, part: Term, *, is_template: bool = False) -> Term:
        """Return the set of a term's values: empty where it is undefined. It is flat already, which `term` leaves as it is."""
        result = self.fresh(part.location)
        literal = nodes.Literal(nodes.Unify(result, part), location=part.location)
        body = tuple(self.body((literal,)))
        return FlatComprehension("set", None, result, body, part.location, is_template=is_template)  # type: ignore[return-value]
