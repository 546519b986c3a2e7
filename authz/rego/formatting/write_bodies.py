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

    def inner_body(self, body: nodes.Body, row: int, closing_row: int) -> None:
        rows = [self.written.row(literal) for literal in body]
        if rows[0] <= row and (rows == sorted(rows, reverse=True) or self.is_generated(body)):
            self._line_of_literals(body)
            self.comments_until(closing_row)
            return
        self.end_line()
        self.level += 1
        self.body(body)
        self.comments_until(closing_row)
        self.level -= 1
        self.start_line()

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
