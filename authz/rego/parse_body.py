"""Bodies: literals, `some` and `every`.

Knows where one literal ends and the next begins; knows no rules.
"""

from __future__ import annotations

from authz.rego import nodes
from authz.rego.guesses import CLOSING
from authz.rego.nodes import Term
from authz.rego.parse_expressions import ExpressionParser
from authz.rego.parse_terms import MEMBER_2, MEMBER_3, ROOTS
from authz.rego.rule_checks import missing_import_help
from authz.rego.tokens import NEWLINE, NO_GAP, Kind, Token


class BodyParser(ExpressionParser):
    """The grammar of bodies."""

    def body(self, end: Kind) -> nodes.Body:
        """Parse literals, apart by `;` or newlines, up to `end`, which it steps over."""
        if self.token.kind is end:
            self.fail("found empty body")
        self.enter()
        literals = [self.literal()]
        while self.token.kind is not end:
            if self.token.kind is Kind.SEMICOLON:
                self.advance()
            elif self.token.gap != NEWLINE:
                self.unexpected(rf"expected \n or ; or {end.value}", help=self._separator_help())
            literals.append(self.literal())
        self.depth -= 1
        self.advance()
        return tuple(literals)

    def query(self) -> nodes.Body:
        """Parse literals up to the end of the text; they need nothing between them."""
        if self.at(Kind.EOF):
            self.fail("empty query")
        literals = [self.literal()]
        while not self.at(Kind.EOF):
            if self.at(Kind.SEMICOLON):
                self.advance()
            literals.append(self.literal())
        return tuple(literals)

    def _separator_help(self) -> str | None:
        token = self.token
        if token.kind is Kind.IDENT and token.text == "in":
            return missing_import_help(token.text)
        if token.kind is Kind.UNIFY or token.kind is Kind.ASSIGN:
            return "an expression has one `:=` or `=`; compare with `==`"
        return None if token.kind in CLOSING or self.at(Kind.EOF) else "expressions of a body are separated by `;` or a new line"

    def some(self) -> nodes.Literal:
        start = self.advance()
        names = self._some_names()
        if names is not None:
            return nodes.Literal(nodes.SomeDecl(names), location=self.location(start))
        key, value, domain = self._member(self.infix(), "expected `x in xs` or `x, y in xs` expression")
        return nodes.Literal(nodes.SomeIn(key, value, domain), False, self.withs(), self.location(start))

    def _some_names(self) -> tuple[nodes.Var, ...] | None:
        """Parse `x, y, …`; None, at the first of them, where it is not a plain list of names."""
        mark = self.mark()
        names: list[Token] = []
        while self.token.kind is Kind.IDENT:
            names.append(self.advance())
            following = self.token
            if following.kind is not Kind.COMMA:
                if self.at(Kind.IN) and (len(names) == 2 or (len(names) == 1 and self.is_keyword(Kind.IN))):
                    break
                if following.gap == NO_GAP and following.kind in (Kind.DOT, Kind.LBRACK, Kind.LPAREN):
                    break
                return tuple(self.wildcard(name) if name.text == "_" else nodes.Var(name.text, self.location(name)) for name in names)
            self.advance()
        self.rewind(mark)
        return None

    def every(self) -> nodes.Literal:
        start = self.advance()
        key, value, domain = self._member(self.infix(), "expected `x[, y] in xs { ... }` expression")
        if key is not None and (not isinstance(key, nodes.Var) or key.name in ROOTS):
            self.unexpected("expected key to be a variable")
        if not isinstance(value, nodes.Var) or value.name in ROOTS:
            self.unexpected("expected value to be a variable")
        if self.token.kind is not Kind.LBRACE:
            self.unexpected("missing body")
        self.advance()
        body = self.body(Kind.RBRACE)
        return nodes.Literal(nodes.Every(key, value, domain, body), False, self.withs(), self.location(start))

    def _member(self, term: Term, expected: str) -> tuple[Term | None, Term, Term]:
        """Take `[key,] value in domain` apart, or fail."""
        if not isinstance(term, nodes.Call) or term.operator not in (MEMBER_2, MEMBER_3):
            self.unexpected(expected)
        key = term.args[0] if term.operator == MEMBER_3 else None
        return key, term.args[-2], term.args[-1]
