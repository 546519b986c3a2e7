"""Bodies as they are laid out: literals, `some`, `every`, `not` and `with`.

Knows no rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import assert_never

from authz.rego import nodes
from authz.rego.formatting.places import Place
from authz.rego.formatting.write_collections import CollectionWriter
from authz.rego.formatting.writer import INDENT
from authz.rego.formatting.written import Extent
from authz.rego.nodes import Var


class BodyWriter(CollectionWriter):
    """Writes bodies."""

    def body(self, body: nodes.Body) -> None:
        """Write literals on lines of their own, apart as they were."""
        may_keep = self.may_keep
        self.may_keep = True
        written = self.written
        self.comments_until(written.row(body[0]))
        end_row = written.row(body[0])
        for literal in body:
            if written.row(literal) > end_row + 1:
                self.blank_line()
            self.start_line()
            self.literal(literal)
            self.end_line()
            end_row = written.end_row(written.extent(literal))
        self.may_keep = may_keep

    def inner_body(self, body: nodes.Body, row: int, closing_row: int) -> bool:
        rows = [self.written.row(literal) for literal in body]
        if rows[0] <= row and (rows == sorted(rows, reverse=True) or self.is_generated(body)):
            self._line_of_literals(body)
            self.comments_until(closing_row)
            return True
        self.end_line()
        self.level += 1
        self.body(body)
        self.comments_until(closing_row)
        self.level -= 1
        self.start_line()
        return False

    def _line_of_literals(self, body: nodes.Body) -> None:
        for position, literal in enumerate(body):
            self.write("; " if position else " ")
            self.literal(literal)

    def literal(self, literal: nodes.Literal) -> None:
        write = partial(self._literal, literal)
        if self.may_keep:
            self.attempt(write)
        else:
            write()

    def _literal(self, literal: nodes.Literal) -> None:
        self.comments_until(self.written.row(literal))
        if not self.is_inline:
            self.start_line()
        if literal.negated:
            self.write("not ")
        if isinstance(literal.expr, nodes.Every):
            self._every(literal.expr, Place(literal.location.row, self.written.text(self.written.extent(literal))))
        else:
            self._expr(literal.expr, literal.location.row)
        if literal.withs:
            level = self.level
            self._withs(literal.withs)
            self.level = level

    def _expr(self, expr: nodes.Expr, row: int) -> None:
        match expr:
            case nodes.TermExpr():
                self._term_expr(expr.term)
            case nodes.Unify():
                self.term(expr.left)
                self.write(" = ")
                self.term(expr.right)
            case nodes.Assign():
                self.term(expr.left)
                self.write(" := ")
                self.term(expr.right)
            case nodes.SomeDecl():
                self._some(expr.names, row)
            case nodes.SomeIn():
                self.write("some ")
                self.membership((expr.value, expr.domain) if expr.key is None else (expr.key, expr.value, expr.domain))
            case nodes.Not():
                self.write("not ")
                self._operand(expr.operand, parens=self._needs_parens(expr.operand, None))
            case nodes.Logical():
                self._logical(expr)
            case nodes.Every():
                raise AssertionError(expr)
            case _:
                assert_never(expr)

    def _term_expr(self, term: nodes.Term) -> None:
        if not isinstance(term, nodes.Call):
            self.term(term)
        elif self.is_infix(term):
            self.parenthesised(partial(self.outer_infix, term), parens=term is self.leading and self.is_union(term))
        elif self.is_membership(term):
            self.membership(term.args)
        else:
            self.plain_call(term, self.term)

    # `and`, `or`, `not`

    def _logical(self, expr: nodes.Logical) -> None:
        """Write operands; from the first one that begins a line, those that do are indented by one more."""
        level = self.level
        end_row = 0
        for position, operand in enumerate(expr.operands):
            if position:
                self.write(f" {expr.operator}")
                if self.written.row(operand) > end_row:
                    self.level = level + 1
                    self.end_line()
                    self.start_line()
                else:
                    self.write(" ")
            self._operand(operand, parens=self._needs_parens(operand, expr.operator, is_first=not position))
            end_row = self.written.end_row(self.written.extent(operand))
        self.level = level

    def _needs_parens(self, operand: nodes.Operand, operator: str | None, *, is_first: bool = False) -> bool:
        """Say whether an operand of `and`, `or` or, without an `operator`, of `not` has to stand in parentheses."""
        if operand.is_explicit:
            return False
        literal = operand.body[0]
        if literal.withs:
            return True
        if operator is None:
            return literal.negated or isinstance(literal.expr, nodes.Not | nodes.Logical)
        if not isinstance(literal.expr, nodes.Logical):
            return False
        return (literal.expr.operator == operator and not is_first) or (literal.expr.operator, operator) == ("or", "and")

    def _operand(self, operand: nodes.Operand, *, parens: bool) -> None:
        """Write an operand; one that begins with a brace but is no body in braces gets parentheses, too."""
        if operand.is_explicit:
            self._explicit(operand)
            return
        mark = self.mark()
        self.parenthesised(partial(self._literal, operand.body[0]), parens=parens)
        if not parens and "".join(self.parts[mark.size :]).startswith("{"):
            self.rewind(mark)
            self.parenthesised(partial(self._literal, operand.body[0]), parens=True)

    def _explicit(self, operand: nodes.Operand) -> None:
        place = Place(self.written.row(operand), self.written.text(self.written.extent(operand)))
        self.write("{")
        self.leading = self.leading_term(operand.body[0])
        is_one_line = self.inner_body(operand.body, place.row, place.closing_row("{}"))
        self.write(" }" if is_one_line else "}")

    def leading_term(self, literal: nodes.Literal) -> nodes.Term | None:
        """Return the term that a literal begins with, operators between terms taken apart."""
        if literal.negated:
            return None
        match literal.expr:
            case nodes.Unify(left, _) | nodes.Assign(left, _):
                return left
            case nodes.Logical(_, (nodes.Operand((first,), False), *_)):
                return self.leading_term(first)
            case nodes.TermExpr(nodes.Call() as call) if self.is_infix(call) and not self.is_union(call):
                return call.args[0]
            case nodes.TermExpr(term):
                return term
        return None

    # Modifiers and declarations

    def _withs(self, withs: Sequence[nodes.With]) -> None:
        """Write modifiers; from the first one that begins a line, those that do are indented by one more."""
        index = self.written.index(withs[0].location)
        row = self.written.end_row(Extent(index - 1, index))
        is_indented = False
        for with_ in withs:
            if with_.location.row == row:
                self.comments_until(with_.location.row)
                self.write(" ")
            else:
                self.level += not is_indented
                is_indented = True
                self.end_line()
                self.start_line()
                self.comments_until(with_.location.row)
            row = with_.location.row
            self.write("with ")
            self.term(with_.target)
            self.write(" as ")
            self.term(with_.value)

    def _some(self, names: Sequence[Var], row: int) -> None:
        self.write("some ")
        for position, name in enumerate(names):
            if name.location.row > row:
                self.end_line()
                self.start_line()
                self.write(INDENT)
                row = name.location.row
            elif position:
                self.write(" ")
            self.term(name)
            if position + 1 < len(names):
                self.write(",")

    def _every(self, every: nodes.Every, place: Place) -> None:
        self.write("every ")
        if every.key is not None:
            self.term(every.key)
            self.write(", ")
        self.term(every.value)
        self.write(" in ")
        self.term(every.domain, parens=self.is_membership(every.domain))
        self.write(" {")
        self.inner_body(every.body, place.row, place.closing_row("{}"))
        if len(every.body) == 1 and self.written.row(every.body[0]) == place.row:
            self.write(" ")
        self.write("}")
