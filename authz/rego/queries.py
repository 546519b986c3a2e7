"""Answers to a query as OPA gives them: the value of every expression besides the variables.

Rewrites the query's syntax tree so that each expression's value has a variable; evaluation is the policy's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Protocol

from authz.rego import lexer, nodes
from authz.rego.builtins import BUILTINS
from authz.rego.nodes import Literal, Location, Ref, TermExpr, Unify, Var
from authz.rego.tokens import Kind
from authz.rego.values import TRUE, Value


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression of a query: its text and where in the query it stands."""

    text: str
    location: Location


@dataclass(frozen=True, slots=True)
class Solution:
    """One way in which a query holds: the values of its expressions, in order, and of its variables."""

    values: tuple[Value, ...]
    bindings: dict[str, Value]


class Asked(Protocol):
    """A policy as far as a query's text goes."""

    def parse_query(self, query: str) -> nodes.Body:
        """Parse a query. Raises CompileError."""
        ...

    def arity_of(self, operator: tuple[str, ...]) -> int | None:
        """Return how many arguments a function takes, None if there is no such function."""
        ...


Solve = Callable[[nodes.Body], list[dict[str, Value]]]
"""Gives the values of a query's variables in every solution."""


def answer(policy: Asked, query: str, solve: Solve) -> tuple[tuple[Expression, ...], list[Solution]]:
    """Return a query's expressions and its solutions; none if it is undefined. Raises CompileError, EvalError.

    An expression that is false ends a solution, but a query that is nothing else has the value false (OPA: `opa eval false`).
    """
    body = policy.parse_query(query)
    captured = tuple(_captured(policy, literal, index) for index, literal in enumerate(body))
    must_hold = len(body) > 1 or _iterates(body)
    checks = tuple(
        Literal(TermExpr(Var(_name(index))), location=literal.location)
        for index, literal in enumerate(body)
        if must_hold and captured[index] is not literal
    )
    expressions = tuple(Expression(text, literal.location) for text, literal in zip(_texts(query, body), body, strict=True))
    return expressions, [_solution(solution, len(body)) for solution in solve(captured + checks)]


def _name(index: int) -> str:
    return f"expression {index}"  # with its space it is no variable of an author's


def _captured(policy: Asked, literal: Literal, index: int) -> Literal:
    """Return the literal with its value in a variable of its own, if it has a value."""
    if literal.negated or not isinstance(literal.expr, TermExpr):
        return literal
    term, variable = literal.expr.term, Var(_name(index), literal.location)
    if not isinstance(term, nodes.Call):
        return replace(literal, expr=Unify(term, variable))
    arity = policy.arity_of(term.operator)
    if term.operator == ("print",) or (arity is not None and len(term.args) > arity):
        return literal  # it gives no value, or has a pattern for it: `walk(input, [path, value])`
    return replace(literal, expr=TermExpr(replace(term, args=(*term.args, variable))))


def _iterates(node: object) -> bool:
    """Say whether evaluating this may give several values; comprehensions collect theirs."""
    if isinstance(node, nodes.ArrayComprehension | nodes.SetComprehension | nodes.ObjectComprehension):
        return False
    if isinstance(node, Ref) and any(isinstance(arg, Var) for arg in node.args):
        return True
    if isinstance(node, nodes.Call) and (called := BUILTINS.get(".".join(node.operator))) is not None and called.is_relation:
        return True
    if isinstance(node, tuple):
        return any(_iterates(item) for item in node)
    return is_dataclass(node) and any(_iterates(getattr(node, field.name)) for field in fields(node))


def _solution(found: dict[str, Value], size: int) -> Solution:
    names = [_name(index) for index in range(size)]
    bindings = {name: value for name, value in found.items() if name not in names}
    return Solution(tuple(found.get(name, TRUE) for name in names), bindings)


def _texts(query: str, body: nodes.Body) -> Iterator[str]:
    """Yield the text of each literal: from its first token to the last one before the next literal, comments after it left out."""
    lexed = lexer.read("query", query)
    rows = [0]
    for line in query.split("\n"):
        rows.append(rows[-1] + len(line) + 1)
    tokens = [rows[token.row - 1] + token.col - 1 for token in lexed.tokens if token.kind not in (Kind.SEMICOLON, Kind.EOF)]
    comments = [rows[comment.row - 1] + comment.col - 1 for comment in lexed.comments]
    starts = [rows[literal.location.row - 1] + literal.location.col - 1 for literal in body]
    for start, end in zip(starts, [*starts[1:], len(query)], strict=True):
        last = max(token for token in tokens if token < end)
        yield query[start : min((comment for comment in comments if last < comment < end), default=end)].rstrip(" \t\r\n;")
