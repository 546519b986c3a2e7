"""Parsing that keeps extents: every location says where the text of its construct ends, as OPA's coverage shows it.

Owns what OPA takes for the text of an infix call, of parentheses, of the links of an `else` chain and of the body
that a rule without one has. The grammar is the parser's; knows no evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from itertools import accumulate
from typing import Any, TypeVar, cast

from authz.rego import nodes
from authz.rego.nodes import NOWHERE, Location, Rule, Term
from authz.rego.parse_imports import HeaderParser
from authz.rego.parse_rules import _Heading
from authz.rego.tokens import Kind, Token
from authz.rego.values import TRUE

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Span(Location):
    """A location with the extent of its text: offsets in the source, and the place behind its end.

    `has_if`, of a head: `if` is written before the body.
    """

    begin: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)
    end_row: int = field(default=0, compare=False)
    end_col: int = field(default=0, compare=False)
    has_if: bool = field(default=False, compare=False)


class SpanParser(HeaderParser):
    """The parser, with a `Span` for every location and a body for every rule."""

    def __init__(self, file: str, source: str, rego_version: int) -> None:
        super().__init__(file, source, rego_version)
        self._lines = list(accumulate((len(line) + 1 for line in source.split("\n")), initial=0))
        if source.startswith("\ufeff"):
            self._lines[0] = 1
        self._unbraced: list[nodes.Body] = []
        self._bare: list[nodes.Head] = []

    def location(self, token: Token) -> Location:
        """Return the span from `token` to the last token that was read."""
        last = self.tokens[self.index - 1] if self.index else token
        if (last.row, last.col) < (token.row, token.col):
            last = token
        return self._span(token, self._offset(token), self._offset(last) + len(last.text))

    def span(self, start: Token) -> Location:
        return self.location(start)

    def _span(self, start: Token | Location, begin: int, end: int) -> Span:
        """Return a span whose text is counted from `start`, though it begins elsewhere: at the `(` before it, for OPA."""
        text = self.source[begin:end]
        rows = text.count("\n")
        col = len(text) - text.rfind("\n") if rows else start.col + len(text)
        length = start.length if isinstance(start, Location) else len(start.text) or 1
        return Span(self.file, start.row, start.col, length, begin, end, start.row + rows, col)

    def _offset(self, token: Token) -> int:
        return self._lines[token.row - 1] + token.col - 1

    # Terms

    def term(self) -> Term:
        start = self.token
        term = super().term()
        closing = self.tokens[self.index - 1]
        if start.kind is Kind.LPAREN and closing.kind is Kind.RPAREN:
            return replace(term, location=self._span(term.location, self._offset(start), self._offset(closing) + 1))
        return term

    def _apply(self, operands: list[Term], operator: Token) -> None:
        left = operands[-2]
        super()._apply(operands, operator)
        operands[-1] = self._from(left, operands[-1])

    def membership(self, left: Term) -> Term:
        return self._from(left, super().membership(left))

    def _member_with_key(self, key: Term) -> Term:
        return self._from(key, super()._member_with_key(key))

    def _from(self, left: Term, call: Term) -> Term:
        """Return an infix call (`left` itself, if there is none) that begins where its left operand does."""
        if call is left or not isinstance(call, nodes.Call):
            return call
        first = call.args[0] if call.args[0] is left else self._from(left, call.args[0])
        start, end = cast(Span, first.location), cast(Span, call.location).end
        return replace(call, args=(first, *call.args[1:]), location=self._span(start, start.begin, end))

    # Rules

    def rules(self) -> list[Rule]:
        start = self.token
        first = self._span(start, self._offset(start), self._offset(start) + len(start.text))
        return [rule if rule.body else self._with_true(rule, first) for rule in super().rules()]

    def _bare_head(self, heading: _Heading) -> nodes.Head:
        self._bare.append(super()._bare_head(heading))
        return self._bare[-1]

    def _with_true(self, rule: Rule, first: Span) -> Rule:
        """Return a rule without a body with the one that OPA gives it: `true`, at its value or its first token, or nowhere (`p[1]`)."""
        value = rule.head.value
        location = first if rule.is_default or value is None else value.location
        if any(rule.head is head for head in self._bare):
            location = NOWHERE
        return replace(rule, body=(nodes.Literal(nodes.TermExpr(nodes.Scalar(TRUE, location)), location=location),))

    def _with_bodies(self, heading: _Heading, start: Token, *, has_if: bool) -> list[Rule]:
        rules = super()._with_bodies(heading, start, has_if=has_if)
        return [self._marked(rule, has_if) for rule in rules]

    def _marked(self, rule: Rule, has_if: bool) -> Rule:
        head = replace(rule.head, location=replace(cast(Span, rule.head.location), has_if=has_if))
        return replace(rule, head=head, orelse=None if rule.orelse is None else self._marked(rule.orelse, has_if))

    def _further_bodies(self, first: Rule) -> list[Rule]:
        return [replace(rule, head=relocated(rule.head, rule.location)) for rule in super()._further_bodies(first)]

    def _else_body(self, start: Token, heading: _Heading) -> nodes.Body:
        opening = self.next_token() if self.token.kind is Kind.IF else self.token
        body = super()._else_body(start, heading)
        if opening.kind is not Kind.LBRACE:
            self._unbraced.append(body)
        return body

    def _else_chain(self, head: nodes.Head, heading: _Heading) -> Rule | None:
        chain = super()._else_chain(head, heading)
        return None if chain is None else self._placed(chain)

    def _placed(self, rule: Rule) -> Rule:
        """Return the link of an `else` chain as OPA places it: the head ends with the value, a body without braces is the whole link."""
        start, value = cast(Span, rule.location), cast(Span, cast(Term, rule.head.value).location)
        head = replace(rule.head, location=self._span(start, start.begin, value.end))
        body = rule.body
        if not body:
            body = (nodes.Literal(nodes.TermExpr(nodes.Scalar(TRUE, start)), location=start),)
        elif any(body is other for other in self._unbraced):
            body = relocated(body, start)
        orelse = None if rule.orelse is None else self._placed(rule.orelse)
        return replace(rule, head=head, body=body, orelse=orelse)


def relocated(node: T, location: Location) -> T:
    """Return a syntax tree all of which stands at one place."""
    if isinstance(node, tuple):
        return cast(T, tuple(relocated(item, location) for item in node))
    if isinstance(node, Location):
        return cast(T, location)
    if not is_dataclass(node) or isinstance(node, type):
        return node
    changes: dict[str, Any] = {item.name: relocated(getattr(node, item.name), location) for item in fields(node)}
    return cast(T, replace(node, **changes))
