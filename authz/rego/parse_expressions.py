"""Expressions of a body: `=`, `:=`, `not`, `and`, `or` and the `with` behind them.

Knows where braces hold a body and where parentheses hold more than a term; knows neither
`some` and `every` nor what ends an expression.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Final

from authz.rego import nodes
from authz.rego.cursor import Failure
from authz.rego.nodes import Literal, Operand, Term
from authz.rego.parse_collections import CollectionParser
from authz.rego.tokens import LOGICAL_KINDS, Kind, Token

_NODES_PER_OPERATOR: Final = 6
"""By how much `not`, `and` and `or` in one pair of parentheses make a tree higher."""


_BRACES_HELP: Final = "braces hold a body here; an object or a set goes in parentheses, `({…})`"


class ExpressionParser(CollectionParser):
    """The grammar of expressions."""

    @abstractmethod
    def some(self) -> Literal:
        """Parse a literal that begins with `some`."""

    @abstractmethod
    def every(self) -> Literal:
        """Parse a literal that begins with `every`."""

    def literal(self) -> Literal:
        start = self.token
        if self.is_keyword_as_name():
            start.kind = Kind.IDENT
        if start.kind is Kind.SOME:
            return self.some()
        if start.kind is Kind.EVERY:
            return self.every()
        # Not in `_operand` alone: what is usual takes two frames less of the stack for each level of nesting.
        operand = Operand((self._plain(),)) if self._is_plain(is_first=True) else self._operand(is_first=True)
        if self.token.kind not in LOGICAL_KINDS:
            return self._modified(operand.body[0])
        if start.kind is Kind.LBRACE and not operand.is_explicit:
            self.fail(f"operand of `{self.token.text}` cannot begin with `{{` unless the braces hold a body", start, help=_BRACES_HELP)
        joined = self._disjunction(operand, start)
        return replace(joined, withs=self.withs())

    def _modified(self, literal: Literal) -> Literal:
        """Parse the modifiers of an expression that no `and` or `or` follows."""
        start = self.token
        withs = self.withs()
        if not withs:
            return literal
        if literal.withs:
            self.fail("`with` behind parentheses that end in a `with`", start, help="write all modifiers of an expression in one place")
        if self.token.kind in LOGICAL_KINDS:
            word = self.token.text
            help = f"put the operand and its `with` in parentheses, or the `with` behind the whole `{word}` expression"
            self.fail(f"`with` modifier is not allowed on operand of `{word}`", start, help=help)
        return replace(literal, withs=withs)

    # `and` and `or`

    def _disjunction(self, first: Operand, start: Token) -> Literal:
        """Parse what follows the first operand. `and` binds tighter than `or`; both group to the left."""
        operands = [self._conjunction(first, start)]
        while self.at(Kind.LOGICAL_OR):
            self.advance()
            start_of_next = self.token
            operands.append(self._conjunction(self._operand(), start_of_next))
        return operands[0].body[0] if len(operands) == 1 else self._joined("or", operands, start)

    def _conjunction(self, first: Operand, start: Token) -> Operand:
        operands = [first]
        while self.at(Kind.LOGICAL_AND):
            self.advance()
            operands.append(self._operand())
        return first if len(operands) == 1 else Operand((self._joined("and", operands, start),))

    def _joined(self, operator: str, operands: list[Operand], start: Token) -> Literal:
        self.infix_count += _NODES_PER_OPERATOR
        if any(all(map(_is_print, operand.body)) for operand in operands):
            help = "it always succeeds: move it out of the operand, or add an expression that can fail"
            self.fail(f"operand of `{operator}` cannot consist only of calls to `print`", start, help=help)
        match operands[0]:
            case Operand((Literal(nodes.Logical(same, inner), withs=()),), False) if same == operator:
                operands[:1] = inner  # `(a or b) or c` is `a or b or c`
        return Literal(nodes.Logical(operator, tuple(operands)), location=self.location(start))

    def _is_plain(self, *, is_first: bool) -> bool:
        """Tell whether an operand is an expression without a logical operator of its own."""
        kind = self.token.kind
        if kind is Kind.LBRACE:
            return not self.logical or (is_first and self.after_brackets().kind not in LOGICAL_KINDS)
        if kind is Kind.LPAREN:
            return not self.logical
        return kind is not Kind.NOT or "not" not in self.imported

    def _operand(self, *, is_first: bool = False) -> Operand:
        """Parse one operand. The first one may turn out to be the whole expression, and is not explicit then."""
        if self._is_plain(is_first=is_first):
            return Operand((self._plain(),))
        self.enter()
        if self.at(Kind.LBRACE):
            operand = self._explicit_body()
        elif self.at(Kind.LPAREN):
            operand = self._in_parentheses(is_first=is_first)
        else:
            operand = Operand((self._negation(),))
        self.depth -= 1
        return operand

    def _plain(self, first: Term | None = None, start: Token | None = None) -> Literal:
        """Parse an expression, negated or not; `first` is its first operand, if that has been parsed from `start` on."""
        start = start or self.token
        negated = first is None and start.kind is Kind.NOT
        if negated:
            self._step_over_not()
        left = self.infix(first)
        expr: nodes.Expr = nodes.TermExpr(left)
        if self.token.kind is Kind.ASSIGN:
            self.advance()
            expr = nodes.Assign(left, self.infix())
        elif self.token.kind is Kind.UNIFY:
            self.advance()
            expr = nodes.Unify(left, self.infix())
        return Literal(expr, negated, (), self.location(start))

    def _step_over_not(self) -> Token:
        start = self.advance()
        if self.token.kind in (Kind.SOME, Kind.EVERY):
            self.unexpected(f"illegal negation of '{self.token.text}'", help="put the expression into a rule and negate that")
        if self.token.kind is Kind.NOT:
            self.unexpected(help="put the negated expression into a rule and negate that")
        return start

    def _negation(self) -> Literal:
        """Parse the `not` of `future.keywords.not`."""
        start = self._step_over_not()
        self.infix_count += _NODES_PER_OPERATOR
        if self.at(Kind.LBRACE):
            operand = self._explicit_body()
        elif self.at(Kind.LPAREN):
            operand = self._in_parentheses()
        else:
            operand = Operand((self._plain(),))
        return Literal(nodes.Not(operand), location=self.location(start))

    # Braces and parentheses

    def _explicit_body(self) -> Operand:
        opening = self.index
        start = self.advance()
        try:
            body = self.body(Kind.RBRACE)
        except Failure as failure:
            failure.help = failure.help or _BRACES_HELP
            raise
        if self._begins_with_union(body, opening):
            message = "ambiguous `{ ... | ... }` operand: read as a body holding a set-union expression, not as a comprehension"
            self.fail(message, start, help="write `({… | …})` for a comprehension, or `{(… | …)}` for a union")
        return Operand(body, is_explicit=True)

    def _begins_with_union(self, body: nodes.Body, opening: int) -> bool:
        """Tell whether a body that was just parsed begins like a comprehension, with an `a | b` that is not in parentheses."""
        match body[0].expr:
            case nodes.TermExpr(nodes.Call(("or",), location=place)) if self.tokens[opening + 1].kind is not Kind.LPAREN:
                inside = self.tokens[opening : self.index]
                return any(token.kind is Kind.OR and (token.row, token.col) == (place.row, place.col) for token in inside)
        return False

    def _in_parentheses(self, *, is_first: bool = False) -> Operand:
        """Parse `( … )`: a term, or a group if it holds `and`, `or`, `not` or, as an operand, a `with`."""
        mark = self.mark()
        start = self.advance()
        begins_with_brace = self.at(Kind.LBRACE)
        if self.at(Kind.RPAREN):
            self.fail("empty parenthesized group", start)
        self.enter()
        inner = self.literal()
        self.depth -= 1
        if self.at(Kind.RPAREN):
            self.advance()
            is_lone = is_first and self.token.kind not in LOGICAL_KINDS
            if _is_group(inner, may_end_in_with=not is_lone and not begins_with_brace):
                return Operand((inner,))
            if isinstance(inner.expr, nodes.TermExpr) and not inner.withs:
                return Operand((self._plain(self.steps_after(inner.expr.term, start), start),))
        elif isinstance(inner.expr, nodes.Logical | nodes.Not):
            self.fail("expected ) to close parenthesized group", help=f"the group begins at {self.location(start)}")
        self.rewind(mark)
        return Operand((self._plain(),))  # fails, and says in what way this is no term

    # `with`

    def withs(self) -> tuple[nodes.With, ...]:
        """Parse the modifiers that stand here, if any."""
        if self.token.kind is not Kind.WITH:
            return ()
        withs = []
        while self.is_keyword(Kind.WITH):
            withs.append(self._with())
        return tuple(withs)

    def _with(self) -> nodes.With:
        start = self.advance()
        if self.token.kind is not Kind.IDENT:
            self.unexpected("expected identifier")
        target = self.term()
        if not isinstance(target, nodes.Ref | nodes.Var):
            self.unexpected("expected with target path")
        self.expect(Kind.AS, "expected as keyword")
        return nodes.With(target, self.infix(), self.location(start))


def _is_group(inner: Literal, *, may_end_in_with: bool) -> bool:
    """Tell whether an expression in parentheses is more than a term. OPA refuses a `with` where the parentheses are no operand."""
    if isinstance(inner.expr, nodes.Logical):
        return True
    if inner.withs:
        return may_end_in_with
    return inner.negated or isinstance(inner.expr, nodes.Not)


def _is_print(literal: Literal) -> bool:
    match literal:
        case Literal(nodes.TermExpr(nodes.Call(("print",))), False):
            return True
    return False
