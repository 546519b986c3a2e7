"""Where references and closures stand in a body: a walk over flat literals, in their order."""

from __future__ import annotations

from collections.abc import Iterator

from authz.rego import nodes
from authz.rego.expand import FlatBody, FlatComprehension, FlatLiteral
from authz.rego.nodes import Ref, Term, Var
from authz.rego.types.faults import ANY_KEY
from authz.rego.variables import operands_of, terms_of


def closures_in(body: FlatBody) -> Iterator[FlatComprehension]:
    """Yield the comprehensions of a body, also those in the bodies of its `every`, `and`, `or` and `not`; not those inside others."""
    for literal in body:
        for term in terms_of(literal):
            yield from _closures_of(term)
        for inner in _bodies_of(literal):
            yield from closures_in(inner)


def _bodies_of(literal: FlatLiteral) -> Iterator[FlatBody]:
    if isinstance(literal.expr, nodes.Every):
        yield literal.expr.body  # type: ignore[misc]  # flat since expansion
    yield from (operand.body for operand in operands_of(literal))


def _closures_of(term: object) -> Iterator[FlatComprehension]:
    for part in _parts(term):  # type: ignore[arg-type]  # a comprehension is no node of the parser's
        if isinstance(part, FlatComprehension):
            yield part


def refs_in(body: FlatBody) -> Iterator[Ref]:
    """Yield the references of a body, also those in the bodies of its `every`, `and`, `or` and `not`; one inside another comes first."""
    for literal in body:
        if isinstance(literal.expr, nodes.SomeIn):
            yield from _refs_of_iteration(literal.expr)
            continue
        for term in terms_of(literal):
            yield from (part for part in _parts(term) if isinstance(part, Ref))
        for inner in _bodies_of(literal):
            yield from refs_in(inner)


def _refs_of_iteration(expr: nodes.SomeIn) -> Iterator[Ref]:
    """Yield those of `some key, value in domain`, which is `value = domain[key]` to OPA."""
    key = Var(ANY_KEY) if expr.key is None else expr.key
    steps = (*expr.domain.args, key) if isinstance(expr.domain, Ref) else (key,)
    head = expr.domain.head if isinstance(expr.domain, Ref) else expr.domain
    for term in (expr.value, Ref(head, steps, expr.domain.location)):
        yield from (part for part in _parts(term) if isinstance(part, Ref))


def _parts(term: Term) -> Iterator[Term]:
    """Yield the references and comprehensions of a term, innermost first; nothing of what is inside a comprehension."""
    match term:
        case Ref(head, args):
            for arg in (head, *args):
                yield from _parts(arg)
            yield term
        case nodes.Array(items) | nodes.SetTerm(items):
            for item in items:
                yield from _parts(item)
        case nodes.ObjectTerm(pairs):
            for pair in pairs:
                for part in pair:
                    yield from _parts(part)
        case FlatComprehension():
            yield term
