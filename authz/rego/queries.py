"""Answers to a query as OPA gives them: the value of every expression besides the variables.

Rewrites the query's syntax tree so that each expression's value has a variable; evaluation is the policy's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace

from authz.rego import lexer, nodes
from authz.rego.builtins import BUILTINS
from authz.rego.nodes import Literal, Location, Ref, Term, TermExpr, Unify, Var
from authz.rego.policy import Policy
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


def answer(
    policy: Policy, query: str, document: Value | None, *, strict_builtin_errors: bool = False, now_ns: int | None = None
) -> tuple[tuple[Expression, ...], list[Solution]]:
    """Return a query's expressions and its solutions; none if it is undefined. Raises CompileError, EvalError.

    An expression that is false ends a solution, but a query that is nothing else has the value false (OPA: `opa eval false`).
    """
    body = policy.parse_query(query)
    captured = tuple(_captured(policy, literal, index) for index, literal in enumerate(body))
    must_hold = len(body) > 1 or _iterates(body)
    checks = tuple(Literal(TermExpr(Var(_name(index)))) for index in _indices(captured) if must_hold)
    found = policy.solutions(captured + checks, document, strict_builtin_errors, now_ns)
    expressions = tuple(Expression(text, literal.location) for text, literal in zip(_texts(query, body), body, strict=True))
    return expressions, [_solution(solution, len(body)) for solution in found]


def _name(index: int) -> str:
    return f"expression {index}"  # with its space it is no variable of an author's


def _captured(policy: Policy, literal: Literal, index: int) -> Literal:
    """Return the literal with its value in a variable of its own, if it has a value."""
    if literal.negated or not isinstance(literal.expr, TermExpr) or _gives_result(policy, literal.expr.term):
        return literal
    return replace(literal, expr=Unify(Var(_name(index), literal.location), literal.expr.term))


def _gives_result(policy: Policy, term: Term) -> bool:
    """Say whether a call has a pattern for its result as an argument too many: `walk(input, [path, value])`."""
    if not isinstance(term, nodes.Call):
        return False
    arity = policy.arity_of(term.operator)
    return arity is not None and len(term.args) > arity


def _indices(captured: nodes.Body) -> Iterator[int]:
    for index, literal in enumerate(captured):
        if isinstance(literal.expr, Unify) and literal.expr.left == Var(_name(index)):
            yield index


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
