"""The variables of flat literals and terms, in order of appearance.

Pure walks over syntax; knows neither what is bound nor what may be.
"""

from __future__ import annotations

from collections.abc import Iterator

from authz.rego import nodes
from authz.rego.expand import CallExpr, EqualExpr, FlatComprehension, FlatLiteral, FlatLogical, FlatNot, FlatOperand, is_temporary
from authz.rego.nodes import Ref, Term, Var

ROOTS = frozenset({"input", "data", "builtin", "function"})
"""Heads of references that are no variables."""


def own_vars(literal: FlatLiteral) -> Iterator[str]:
    """Yield the variables that stand in the literal itself, outside nested closures and bodies."""
    for term in terms_of(literal):
        for var in term_vars(term, nested=False):
            yield var.name
    for operand in operands_of(literal):
        if not operand.is_explicit:
            yield from (name for inner in operand.body for name in own_vars(inner) if not is_temporary(name))


def all_vars(literal: FlatLiteral) -> Iterator[Var]:
    for term in terms_of(literal):
        yield from term_vars(term, nested=True)
    if isinstance(literal.expr, nodes.Every):
        yield from body_vars(literal.expr.body)
    for operand in operands_of(literal):
        yield from body_vars(operand.body)


def operands_of(literal: FlatLiteral) -> tuple[FlatOperand, ...]:
    match literal.expr:
        case FlatNot(operand):
            return (operand,)
        case FlatLogical(_, operands):
            return operands
    return ()


def body_vars(body: object) -> Iterator[Var]:
    for literal in body:  # type: ignore[attr-defined]
        yield from all_vars(literal)


def terms_of(literal: FlatLiteral) -> Iterator[Term]:
    """Yield the terms of a literal itself, those of its `with` modifiers first; nothing of bodies inside of it."""
    yield from (item.value for item in literal.withs)
    match literal.expr:
        case nodes.TermExpr(term):
            yield term
        case EqualExpr(left, right) | nodes.Unify(left, right):
            yield left
            yield right
        case CallExpr(_, args, out):
            yield from args
            if out is not None:
                yield out
        case nodes.SomeIn(key, value, domain):
            if key is not None:
                yield key
            yield value
            yield domain
        case nodes.Every(_, _, domain, _):
            yield domain


def term_vars(term: Term, *, nested: bool) -> Iterator[Var]:
    """Yield the variables of a term; with `nested`, those inside its closures too."""
    if isinstance(term, FlatComprehension):
        if nested:
            for head in (term.key, term.value):
                if head is not None:
                    yield from term_vars(head, nested=True)
            yield from body_vars(term.body)
        return
    match term:
        case Var(name):
            if name not in ROOTS:
                yield term
        case Ref(head, args):
            yield from term_vars(head, nested=nested)
            for arg in args:
                yield from term_vars(arg, nested=nested)
        case nodes.Array(items) | nodes.SetTerm(items):
            for item in items:
                yield from term_vars(item, nested=nested)
        case nodes.ObjectTerm(pairs):
            for key, value in pairs:
                yield from term_vars(key, nested=nested)
                yield from term_vars(value, nested=nested)
        case _:
            pass
