"""Probes: rules made from the beginning of a test's body, which tell the cases of a test and where a body stops.

A rule that does not hold leaves nothing behind. A probe of its first literals does: a set with a member for every way in which they
hold, `[keys of the case, variables]`. Makes syntax trees; evaluates nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from authz.rego import nodes
from authz.rego.nodes import Array, ObjectTerm, Ref, Scalar, Var
from authz.rego.planner import walk
from authz.testing.discovery import Path, RegoTest


def probe_path(test: RegoTest, size: int) -> Path:
    """Return the path of the probe of a test's first `size` literals; no author can write such a name."""
    return (*test.package, f"{test.name} after {size}")


def probe(test: RegoTest, size: int) -> nodes.Rule:
    """Return the rule for the first `size` literals of a test's body."""
    used = set(variables(test.keys))
    body = tuple(_trimmed(test.rule.body[:size], used))
    shown = ObjectTerm(tuple((Scalar(name), Var(name)) for name in sorted(declared(body))))
    key = Array((Array(test.keys), shown))
    ref = Ref(Var(probe_path(test, size)[-1]), ())
    return nodes.Rule(nodes.Head(ref, None, key, None, test.location), body, location=test.location)


def first_size(test: RegoTest) -> int:
    """Return how many literals it takes to know the case: the fewest that mention every variable of its keys."""
    missing = set(variables(test.keys))
    for index, literal in enumerate(test.rule.body):
        if not missing:
            return index
        if not isinstance(literal.expr, nodes.SomeDecl) and not literal.negated:
            missing -= set(variables(literal))
    return len(test.rule.body)


def declared(body: nodes.Body) -> set[str]:
    """Return the names that a body's own literals declare."""
    names: set[str] = set()
    for literal in body:
        match literal.expr:
            case nodes.Assign(left, _):
                names.update(variables(left))
            case nodes.SomeIn(key, value, _):
                names.update(variables((key, value)))
            case nodes.SomeDecl(declarations):
                names.update(var.name for var in declarations)
    return names


def _trimmed(body: nodes.Body, used: Iterable[str]) -> Iterator[nodes.Literal]:
    """Yield the literals, `some x` only for what is used: to declare more is an error."""
    mentioned = set(used).union(*(variables(literal) for literal in body if not isinstance(literal.expr, nodes.SomeDecl)))
    for literal in body:
        if not isinstance(literal.expr, nodes.SomeDecl):
            yield literal
            continue
        names = tuple(var for var in literal.expr.names if var.name in mentioned)
        if names:
            yield nodes.Literal(nodes.SomeDecl(names), location=literal.location)


def variables(node: object) -> Iterator[str]:
    """Yield the names of the variables in a syntax tree, wildcards left out."""
    return (item.name for item in walk(node) if isinstance(item, Var) and not item.is_wildcard)
