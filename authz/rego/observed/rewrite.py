"""Literals in the form that OPA's compiler gives them, one for every expression that OPA evaluates by itself.

Owns what OPA moves out of an expression into one of its own: calls, references and comprehensions in operands, the
replacing values of `with`, the terms of heads, the domains of `some … in` and `every`. Knows neither safety nor evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from authz.rego import nodes
from authz.rego.expand import (
    CallExpr,
    EqualExpr,
    Expander,
    FlatBody,
    FlatComprehension,
    FlatExpr,
    FlatLiteral,
    FlatLogical,
    FlatNot,
    FlatOperand,
)  # fmt: skip
from authz.rego.nodes import NOWHERE, Ref, Scalar, Term, Var
from authz.rego.observed.text import in_order
from authz.rego.program import Group, Kind, Path
from authz.rego.values import TRUE


def needs_evaluation(term: Term) -> bool:
    """Tell whether a flat term has a reference or a comprehension in it."""
    match term:
        case Ref() | FlatComprehension():
            return True
        case nodes.Array(items) | nodes.SetTerm(items):
            return any(map(needs_evaluation, items))
        case nodes.ObjectTerm(pairs):
            return any(needs_evaluation(part) for pair in pairs for part in pair)
    return False


def is_true(literals: list[FlatLiteral]) -> bool:
    """Tell whether a body is nothing but `true`."""
    return literals == [FlatLiteral(nodes.TermExpr(Scalar(TRUE)))]


class Rewriter(Expander):
    """The expander, with OPA's way to split a literal. `groups` are the policy's rules."""

    def __init__(self, groups: Mapping[Path, Group]) -> None:
        super().__init__(prints=True)
        self.groups = groups

    # What is one literal in the source

    def head(self, terms: tuple[Term, ...]) -> tuple[list[FlatLiteral], tuple[Term, ...]]:
        extras: list[FlatLiteral] = []
        flat = [self.term(term, extras) for term in terms]
        return extras, tuple(self._named(term, extras) if needs_evaluation(term) else term for term in flat)

    def keys(self, terms: tuple[Term, ...]) -> tuple[list[FlatLiteral], tuple[Term, ...]]:
        """As `head`, for the steps of a head's reference: whatever is not simple is evaluated."""
        extras: list[FlatLiteral] = []
        return extras, tuple(term if isinstance(term, Scalar | Var) else self._named(self.term(term, extras), extras) for term in terms)

    def _literal(self, literal: nodes.Literal) -> list[FlatLiteral]:
        before: list[FlatLiteral] = []
        withs = tuple(replace(item, value=self._replacing(item, before)) for item in literal.withs)
        match literal.expr:
            case nodes.SomeIn(key, value, domain):
                expr: nodes.Expr = nodes.Unify(value, _member(domain, key or self.fresh(literal.location)))
            case nodes.Every(key, value, domain, body):
                name = self.fresh(domain.location)
                before += super()._literal(nodes.Literal(nodes.Unify(name, domain), False, withs, domain.location))
                expr = nodes.Every(key, value, name, body)
            case _:
                expr = literal.expr
        return [*before, *super()._literal(replace(literal, expr=expr, withs=withs))]

    def _replacing(self, item: nodes.With, before: list[FlatLiteral]) -> Term:
        value, target = item.value, item.target
        if isinstance(value, Ref) and isinstance(value.head, Var) and self._is_unevaluated(value, value.head.name, target):
            return value
        flat = self.term(value, before)
        return self._named(flat, before) if needs_evaluation(flat) else flat

    def _is_unevaluated(self, value: Ref, root: str, target: Term) -> bool:
        """Tell whether a replacing value is a function or a rule that is asked where what it replaces is called."""
        group = self.groups.get(_path(value))
        if group is None or group.kind is Kind.FUNCTION:
            return group is not None or root in {"builtin", "function"}
        replaced = self.groups.get(_path(target))
        return _path(target)[0] == "builtin" or (replaced is not None and replaced.kind is Kind.FUNCTION)

    def _expr(self, literal: nodes.Literal, extras: list[FlatLiteral]) -> FlatExpr:
        if isinstance(literal.expr, nodes.Unify):
            return nodes.Unify(self.term(literal.expr.left, extras), self.term(literal.expr.right, extras))
        return super()._expr(literal, extras)

    def term(self, term: Term, extras: list[FlatLiteral]) -> Term:
        if isinstance(term, nodes.ObjectTerm):
            term = replace(term, pairs=tuple(in_order(term.pairs)))
        return super().term(term, extras)

    def _template(self, term: nodes.TemplateString, parts: tuple[str | Term, ...]) -> Term:
        placed = tuple(replace(part, location=NOWHERE) if isinstance(part, nodes.Call) else part for part in parts)
        return super()._template(term, placed or ("",))

    def _singleton(self, part: Term) -> Term:
        if isinstance(part, Var) or (isinstance(part, Ref) and self._is_always_defined(part)):
            return nodes.SetTerm((part,), part.location)
        return super()._singleton(part)

    def _is_always_defined(self, ref: Ref) -> bool:
        """Tell whether a reference is to a rule with a default, a set, an object, or a constant without a body."""
        group = self.groups.get(_path(ref)) if all(isinstance(step, Scalar) for step in ref.args) else None
        if group is None:
            return False
        rules = [member.rule for member in group.members]
        return bool(group.defaults) or group.kind in {Kind.SET, Kind.OBJECT} or any(map(_is_constant, rules))

    # What is one literal after expansion

    def compiled(self, body: FlatBody) -> FlatBody:
        """Return an ordered body with the references and comprehensions of operands in literals of their own."""
        return tuple(part for literal in body for part in self._split(literal))

    def _split(self, literal: FlatLiteral) -> Iterator[FlatLiteral]:
        moved: list[FlatLiteral] = []
        match literal.expr:
            case nodes.TermExpr(term):
                expr: FlatExpr = nodes.TermExpr(self._kept(term, moved))
            case EqualExpr(left, right):
                expr = EqualExpr(self._kept(left, moved), self._kept(right, moved))
            case nodes.Unify(left, right):
                expr = nodes.Unify(self._kept(left, moved), self._kept(right, moved))
            case CallExpr(_, args):
                expr = replace(literal.expr, args=tuple(self._moved(arg, moved) for arg in args))
            case nodes.Every(body=body):
                expr = replace(literal.expr, body=self.compiled(body))  # type: ignore[arg-type]  # flat since expansion
            case FlatNot(operand):
                expr = FlatNot(self._compiled_operand(operand))
            case FlatLogical(operator, operands):
                expr = FlatLogical(operator, tuple(map(self._compiled_operand, operands)))
            case _:
                expr = literal.expr
        yield from (replace(part, withs=literal.withs) for part in moved)
        yield replace(literal, expr=expr)

    def _compiled_operand(self, operand: FlatOperand) -> FlatOperand:
        return replace(operand, body=self.compiled(operand.body))

    def _kept(self, term: Term, moved: list[FlatLiteral]) -> Term:
        """Return a term that may be a reference or a comprehension itself; what is in it is moved."""
        if isinstance(term, Ref):
            return replace(term, args=tuple(self._moved(arg, moved) for arg in term.args))
        if isinstance(term, FlatComprehension):
            return replace(term, body=self.compiled(term.body))
        return self._moved(term, moved)

    def _moved(self, term: Term, moved: list[FlatLiteral]) -> Term:
        match term:
            case Ref() | FlatComprehension():
                return self._named(self._kept(term, moved), moved)
            case nodes.Array(items) | nodes.SetTerm(items):
                return replace(term, items=tuple(self._moved(item, moved) for item in items))
            case nodes.ObjectTerm(pairs):
                return replace(term, pairs=tuple((self._moved(key, moved), self._moved(value, moved)) for key, value in pairs))
        return term


def _member(domain: Term, key: Term) -> Ref:
    if isinstance(domain, Ref):
        return Ref(domain.head, (*domain.args, key), domain.location)
    return Ref(domain, (key,), domain.location)


def _path(term: Term) -> Path:
    """Return the names of a reference."""
    if not isinstance(term, Ref) or not isinstance(term.head, Var):
        return ("",)
    return (term.head.name, *(step.value for step in term.args if isinstance(step, Scalar) and isinstance(step.value, str)))


def _is_constant(rule: nodes.Rule) -> bool:
    has_body = rule.body != (nodes.Literal(nodes.TermExpr(Scalar(TRUE))),)
    return not has_body and isinstance(rule.head.value, Scalar)
