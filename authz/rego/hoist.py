"""What OPA moves in front of a `not`: the references and comprehensions in its operands.

Owns which parts of a negated expression those are. Does not know how they are computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from authz.rego import nodes
from authz.rego.expand import CallExpr, EqualExpr, FlatComprehension, FlatExpr
from authz.rego.nodes import Ref, Scalar, Term, Var

Hold = Callable[[Term], Var]
"""Computes a term in front of the negation and returns a variable for it."""


def hoisted(expr: FlatExpr, hold: Hold) -> FlatExpr:
    """Return a negated expression with its operands held.

    Only the terms of `=`/`==` and a plain reference keep theirs inside, so `not input.x == 1` holds for a missing
    `input.x` and `not f(input.x)` does not.
    """
    match expr:
        case nodes.TermExpr(term):
            return nodes.TermExpr(_steps(term, hold))
        case EqualExpr(left, right):
            return EqualExpr(_steps(left, hold), _steps(right, hold))
        case nodes.Unify(left, right):
            return nodes.Unify(_steps(left, hold), _steps(right, hold))
        case CallExpr():
            return replace(expr, args=tuple(_term(arg, hold) for arg in expr.args))
    return expr


def _steps(term: Term, hold: Hold) -> Term:
    if isinstance(term, Ref):
        return Ref(term.head, tuple(_term(arg, hold) for arg in term.args), term.location)
    return term if isinstance(term, FlatComprehension) else _term(term, hold)


def _term(term: Term, hold: Hold) -> Term:
    match term:
        case Scalar() | Var():
            return term
        case nodes.Array(items) | nodes.SetTerm(items):
            return replace(term, items=tuple(_term(item, hold) for item in items))
        case nodes.ObjectTerm(pairs):
            return replace(term, pairs=tuple((_term(key, hold), _term(value, hold)) for key, value in pairs))
    return hold(term)
