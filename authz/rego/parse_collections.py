"""Arrays, objects, sets and comprehensions.

Knows how OPA tells `[a | b]`, a comprehension, from `[a | b, c]`, an array whose
first item is a union; leaves their items and bodies to the other parts.
"""

from __future__ import annotations

from typing import Final

from authz.rego import nodes
from authz.rego.cursor import Failure
from authz.rego.nodes import Term
from authz.rego.parse_terms import TermParser
from authz.rego.tokens import Kind, Token

_NEAR: Final = 16
"""Tokens that are looked back at for a `|` behind which a body may have been meant."""


class CollectionParser(TermParser):
    """The grammar of composite terms."""

    def __init__(self, file: str, source: str, rego_version: int) -> None:
        super().__init__(file, source, rego_version)
        # Where `a | b, …` turned out not to be a comprehension; an enclosing attempt that fails too comes by here again.
        self._not_comprehensions: set[int] = set()

    def array(self) -> Term:
        start = self.advance()
        if self.token.kind is Kind.RBRACK:
            self.advance()
            return nodes.Array((), self.location(start))
        may_be_comprehension = not self._skip_comma()
        first = self.term()
        if self.token.kind is Kind.OR and may_be_comprehension:
            body = self._comprehension_body(Kind.RBRACK)
            if body is not None:
                return nodes.ArrayComprehension(first, body, self.location(start))
        return nodes.Array(self._rest(self.continue_infix(first), Kind.RBRACK), self.location(start))

    def braces(self) -> Term:
        start = self.advance()
        if self.token.kind is Kind.RBRACE:
            self.advance()
            return nodes.ObjectTerm((), self.location(start))
        may_be_comprehension = not self._skip_comma()
        first = self.term()
        if self.token.kind is Kind.OR and may_be_comprehension:
            body = self._comprehension_body(Kind.RBRACE)
            if body is not None:
                return nodes.SetComprehension(first, body, self.location(start))
        first = self.continue_infix(first)
        if self.token.kind is Kind.COLON:
            return self._object(first, start, may_be_comprehension)
        if self.token.kind not in (Kind.COMMA, Kind.RBRACE):
            self.unexpected("non-terminated set")
        return nodes.SetTerm(self._rest(first, Kind.RBRACE), self.location(start))

    def _skip_comma(self) -> bool:
        """Step over a comma before the first item, which OPA still allows: `[, 1]`."""
        if self.token.kind is not Kind.COMMA:
            return False
        self.advance()
        return True

    def _rest(self, first: Term, end: Kind) -> tuple[Term, ...]:
        """Parse the items after the first one and step over `end`."""
        if self.token.kind is Kind.COMMA:
            self.advance()
        elif self.token.kind is not end:
            self.unexpected(f'expected "," or "{end.value}"', help=self._body_after_operator_help())
        return self.terms(end, (first,))

    def _body_after_operator_help(self) -> str | None:
        """Guess at a `:=` or `=` in a collection: a comprehension that begins with an operator, or with what its body is for."""
        if self.token.kind not in (Kind.ASSIGN, Kind.UNIFY):
            return None
        if any(token.kind is Kind.OR for token in self.tokens[max(self.index - _NEAR, 0) : self.index]):
            return "the term of a comprehension that has operators goes in parentheses: `[(a + b) | …]`"
        return "a comprehension declares variables in its body: `[x | x := 1]`"

    def _comprehension_body(self, end: Kind) -> nodes.Body | None:
        """Parse `| body end`; None where a comma shows that the `|` is an operator."""
        mark = self.mark()
        if self.index in self._not_comprehensions:
            return None
        self.advance()
        try:
            return self.body(end)
        except Failure:
            if self.token.kind is not Kind.COMMA:
                raise
        self.rewind(mark)
        self._not_comprehensions.add(self.index)
        return None

    def _object(self, key: Term, start: Token, may_be_comprehension: bool) -> Term:
        self.advance()
        value = self.term()
        if self.token.kind is Kind.OR and may_be_comprehension:
            body = self._comprehension_body(Kind.RBRACE)
            if body is not None:
                return nodes.ObjectComprehension(key, value, body, self.location(start))
        pairs = [(key, self.continue_infix(value))]
        while self.at(Kind.COMMA):
            self.advance()
            if self.token.kind is Kind.RBRACE:
                break
            key = self.infix_in_list()
            self.expect(Kind.COLON, 'expected ":"')
            pairs.append((key, self.infix_in_list()))
        if not self.at(Kind.RBRACE):
            self.unexpected("non-terminated object", help=self._body_after_operator_help())
        self.advance()
        return nodes.ObjectTerm(tuple(dict(pairs).items()), self.location(start))  # of a key that is written twice the last one counts
