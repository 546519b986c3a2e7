"""Arrays, objects, sets, comprehensions and template strings as they are laid out.

Line breaks between the items of a list are the author's. Knows neither bodies nor rules.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import assert_never

from authz.rego import nodes
from authz.rego.formatting.flat import quoted, scalar_text
from authz.rego.formatting.places import Item, Place, lines_of
from authz.rego.formatting.write_terms import TermWriter
from authz.rego.formatting.writer import NO_ROW, CommentClashError
from authz.rego.nodes import Term


class CollectionWriter(TermWriter):
    """Writes composite terms."""

    @abstractmethod
    def literal(self, literal: nodes.Literal) -> None:
        """Write one literal of a body."""

    @abstractmethod
    def inner_body(self, body: nodes.Body, row: int, closing_row: int) -> bool:
        """Write a body behind what is on `row`; say whether it is on the same line."""

    def composite(self, term: Term) -> None:
        match term:
            case nodes.Array():
                self._list("[]", term.items, term)
            case nodes.SetTerm():
                self._set(term)
            case nodes.ObjectTerm():
                self._object(term)
            case nodes.ArrayComprehension():
                self._comprehension("[]", term.term, term.body, term)
            case nodes.SetComprehension():
                self._comprehension("{}", term.term, term.body, term)
            case nodes.ObjectComprehension():
                self.move(term.value, self.place(term.value)._replace(row=self.place(term).row))
                self._comprehension("{}", term.value, term.body, term, key=term.key)
            case nodes.TemplateString():
                self._template(term)
            case nodes.Scalar() | nodes.Var() | nodes.Ref() | nodes.Call():
                raise AssertionError(term)
            case _:
                assert_never(term)

    # Lists

    def _list(self, brackets: str, terms: Sequence[Term], whole: Term) -> None:
        place = self.place(whole)
        self.write(brackets[0])
        self.terms(terms, place, place.closing_row(brackets), self._member)
        self.write(brackets[1])

    def _set(self, term: nodes.SetTerm) -> None:
        if term.items:
            self._list("{}", tuple(dict.fromkeys(term.items)), term)  # OPA: an item that is repeated is written once
            return
        self.write("set()")
        self.comments_until(self.place(term).closing_row("()"))

    def _object(self, term: nodes.ObjectTerm) -> None:
        place = self.place(term)
        self.write("{")
        items = [Item(self.place(key), partial(self._pair, key, value)) for key, value in term.pairs]
        self.items(items, place, place.closing_row("{}"), is_one_line=False)
        self.write("}")

    def _pair(self, key: Term, value: Term) -> None:
        self._member(key)
        self.write(": ")
        self._member(value)

    def _member(self, term: Term) -> None:
        """Write a member of a collection: a union in parentheses, lest it look like a comprehension."""
        self.parenthesised(partial(self.operand, term), parens=self.is_union(term))

    def items(self, items: Sequence[Item], place: Place, closing_row: int, *, is_one_line: bool) -> None:
        lines = [list(items)] if is_one_line else lines_of(items, place.row)
        has_comment = bool(place.text) and self.has_comment_between(place.row, closing_row)
        if has_comment and len(lines) == 1 and not self.may_break_lines:
            raise CommentClashError
        if len(lines) > 1 or has_comment or (items and place.breaks_before(items[0].place.text)):
            self._lines(lines, closing_row)
        else:
            self._line(lines[0])

    def _lines(self, lines: list[list[Item]], closing_row: int) -> None:
        # The comment behind the opening bracket goes behind the first line, unless others stand between.
        self.is_delayed = any(lines) and self.next_comment_row >= lines[0][0].place.row
        self.end_line()
        self.level += 1
        for line in filter(None, lines):
            self.start_line()
            self._line(line)
            self.write(",")
            self.end_line()
        self.comments_until(closing_row)
        self.level -= 1
        self.start_line()

    def _line(self, line: list[Item]) -> None:
        for position, item in enumerate(line):
            if position:
                self.write(", ")
            item.write()

    # Comprehensions

    def _comprehension(self, brackets: str, term: Term, body: nodes.Body, whole: Term, key: Term | None = None) -> None:
        place = self.place(whole)
        self.write(brackets[0])
        if key is not None:
            self.operand(key)
            self.write(": ")
        row = self.place(term).row
        if row > place.row:
            self.end_line()
            self.start_line()
        self.operand(term, parens=isinstance(term, nodes.Call) and self.written.is_parenthesised(term))
        self.write(" |")
        self.nested(lambda: self.inner_body(body, row, place.closing_row(brackets)))
        self.write(brackets[1])

    # Template strings

    def _template(self, term: nodes.TemplateString) -> None:
        """Write a template string; a constant in braces becomes part of the text, as OPA's parser reads it."""
        index = self.written.index(term.location)
        opening = self.written.tokens[index]
        quote = opening.text[1]
        literals = [self.written.in_template(part) for part in term.parts if not isinstance(part, str)]
        self.write(opening.text.removesuffix("{") if literals else opening.text)
        self.level += 1
        for position, literal in enumerate(literals):
            end = self.written.extent(literal).end
            brace, text = self.written.tokens[end], self.written.tokens[end + 1].text
            is_last = position + 1 == len(literals)
            is_apart = self.has_comment_before(literal)
            constant = None if is_apart else self._constant(literal, quote)
            if constant is None:
                following = brace.row if len(text) > 1 else NO_ROW if is_last else self.written.row(literals[position + 1])
                self._expression(literal, following)
            else:
                self.write(constant)
            self.write(text if is_last else text[:-1])
        self.level -= 1

    def has_comment_before(self, literal: nodes.Literal) -> bool:
        """Say whether a comment stands between a literal and the token in front of it."""
        start = self.written.extent(literal).start
        before, first = self.written.tokens[start - 1], self.written.tokens[start]
        return self.comment_index(before.row, before.col) != self.comment_index(first.row, first.col)

    def _constant(self, literal: nodes.Literal, quote: str) -> str | None:
        """Return the text that a constant makes in a template between `quote`s, if the template can hold it."""
        expression = literal.expr
        if literal.withs or not isinstance(expression, nodes.TermExpr) or not isinstance(expression.term, nodes.Scalar):
            return None
        scalar = expression.term
        if not isinstance(scalar.value, str):
            return scalar_text(scalar, self.written)
        if quote == "`":
            text = scalar.value
            return None if "`" in text or "\\" in text else text.replace("{", "\\{")
        found = quoted(scalar.value)
        return None if found is None else found[1:-1].replace("{", "\\{")

    def _expression(self, literal: nodes.Literal, following: int) -> None:
        """Write an expression in braces; comments above the row `following` are in front of the closing one."""
        self.write("{")
        if self.waiting is None and self.next_comment_row < self.written.row(literal):
            self.waiting = self.take_comment()
        if self.waiting is not None:
            self.end_line()
            self.start_line()
        self.nested(partial(self.literal, literal))
        if self.next_comment_row < following != NO_ROW:
            comments = self.take_comments(following)
            self.end_line()
            self.write_comments(comments)
            self.start_line()
        self.write("}")
