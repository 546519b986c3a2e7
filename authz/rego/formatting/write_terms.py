"""Scalars, references, calls and infix operators as they are laid out.

Collections, comprehensions and template strings are in `write_collections`. Knows neither
bodies nor rules.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeGuard

from authz.rego import nodes
from authz.rego.formatting.flat import is_name, quoted, scalar_text
from authz.rego.formatting.places import NOT_FOUND, Item, Place
from authz.rego.formatting.style import Style
from authz.rego.formatting.writer import CommentClashError, Writer, comment_text
from authz.rego.formatting.written import Extent, Written
from authz.rego.nodes import Term
from authz.rego.parse_terms import LEVELS, MEMBER_2, MEMBER_3
from authz.rego.planner import walk
from authz.rego.tokens import SYMBOLS, Kind, Token

_SIGNS: Final[dict[tuple[str, ...], str]] = {(kind.value,): sign for sign, kind in SYMBOLS.items() if kind in LEVELS}
_LEVELS: Final[dict[tuple[str, ...], int]] = {(kind.value,): level for kind, level in LEVELS.items()}
_GENERATED: Final = "__local"
_UNION: Final = ("or",)
_MEMBERSHIPS: Final[dict[tuple[str, ...], int]] = {MEMBER_2: 2, MEMBER_3: 3}


class TermWriter(Writer):
    """Writes terms.

    A term whose comments have no place in the layout (`CommentClashError`) is written as it stands in the source.
    """

    def __init__(self, written: Written, style: Style) -> None:
        super().__init__(written.comments)
        self.written = written
        self.style = style
        self.kept = 0
        """How many parts were written as they stand."""
        self._may_be_generated = any(token.text.startswith(_GENERATED) for token in written.tokens)
        self._moved: dict[int, Place] = {}
        self.leading: Term | None = None
        """What stands directly behind the brace of a body: a union there has parentheses, lest it look like a comprehension."""

    @abstractmethod
    def composite(self, term: Term) -> None:
        """Write a collection, a comprehension or a template string."""

    @abstractmethod
    def items(self, items: Sequence[Item], place: Place, closing_row: int, *, is_one_line: bool) -> None:
        """Write the items of a list that stands at `place` and is closed on `closing_row`."""

    def term(self, term: Term, *, parens: bool = False) -> None:
        """Write a term, as it stands in the source if need be; an operator in parentheses if `parens`."""
        parens = parens or (term is self.leading and self.is_union(term))
        extent = self.written.extent(term)
        if self.or_as_written(partial(self.operand, term, parens=parens), extent):
            self.comments_until(self.written.end_row(extent))

    def or_as_written(self, write: Callable[[], None], extent: Extent) -> bool:
        """Write a part, as it stands in the source where comments clash in it; say whether it does."""
        mark = self.mark()
        try:
            write()
        except CommentClashError:
            if not mark.may_keep:
                raise
            self.rewind(mark)
            self.as_written(extent)
            return True
        return False

    def as_written(self, extent: Extent) -> None:
        """Write a part as it stands in the source, with the comments in it.

        Raises CommentClashError if a comment above it is not written yet, or one in it already is.
        """
        tokens = self.written.tokens
        first, end = (self.comment_index(token.row, token.col) for token in (tokens[extent.start], tokens[extent.end - 1]))
        if self.waiting is not None and self.written_comments == first + 1:
            self.waiting = None
        elif self.written_comments != first:
            raise CommentClashError
        self.written_comments = max(first, end)
        self.kept += 1
        self.write(self.written.text(extent))
        self.is_inline = True

    def operand(self, term: Term, *, parens: bool = False) -> None:
        """Write a term. Raises CommentClashError."""
        self.comments_until(self.place(term).row)
        if not self.is_inline:
            self.start_line()
        match term:
            case nodes.Scalar() | nodes.Var():
                self.bare(term)
            case nodes.Ref():
                self.operand(term.head, parens=self.written.is_parenthesised(term.head))
                self.steps(term.args)
            case nodes.Call():
                self._call(term, parens=parens)
            case _:
                self.composite(term)
        if not self.is_inline:
            self.start_line()

    def bare(self, term: nodes.Scalar | nodes.Var) -> None:
        """Write a scalar or variable without a look at comments."""
        if isinstance(term, nodes.Scalar):
            self.write(scalar_text(term, self.written))
        else:
            self.write("_" if term.is_wildcard else term.name)

    def place(self, term: Term) -> Place:
        """Return where a term stands, as far as the layout goes by it."""
        moved = self._moved.get(id(term))
        if moved is not None:
            return moved
        extent = self.written.extent(term)
        first = self.written.tokens[extent.start]
        if isinstance(term, nodes.Scalar) and first.kind is Kind.MINUS:
            return Place(first.row, first.text)
        if isinstance(term, nodes.Ref) and self.written.is_parenthesised(term.head):
            extent = Extent(self.written.extent(term.head).end - 1, extent.end)  # OPA: from the `)` on
        return Place(self.written.row(term), self.written.text(extent))

    def move(self, term: Term, place: Place) -> None:
        """Lay a term out as if it stood elsewhere."""
        self._moved[id(term)] = place

    # References

    def steps(self, steps: Sequence[Term]) -> None:
        """Write the steps of a reference behind its head."""
        for step in steps:
            if isinstance(step, nodes.Scalar) and isinstance(step.value, str):
                self.name_step(step.value, self.written.token(step))
            elif isinstance(step, nodes.Var):
                self.write("[")
                self.bare(step)
                self.write("]")
            else:
                self.key_step(step)

    def key_step(self, step: Term) -> None:
        """Write a step in brackets; as it stands in the source, with the comment behind it."""
        self.write("[")
        extent = self.written.extent(step)
        if self.or_as_written(partial(self.operand, step), extent):
            if self.next_comment_row == self.written.end_row(extent):
                self.write(f" {comment_text(self.take_comment())}")
            self.write("\n")
        self.write("]")

    def name_step(self, name: str, token: Token) -> None:
        """Write a step that is a string, without brackets where that can be."""
        if not is_name(name) or (name in self.style.keywords and token.text.startswith('"')):
            self.write(f"[{quoted(name) or token.text}]")
        else:
            self.write(f".{name}")

    def path(self, names: Sequence[str], index: int) -> None:
        """Write a dotted name whose first token is at `index`."""
        tokens = self.written.tokens
        self.write(names[0])
        for name in names[1:]:
            self.name_step(name, tokens[index + 2])
            index += 2 if tokens[index + 1].kind is Kind.DOT else 3

    # Calls

    def _call(self, call: nodes.Call, *, parens: bool) -> None:
        if self.is_infix(call):
            self.parenthesised(partial(self.infix, call), parens=parens)
        elif self.is_membership(call):
            self.parenthesised(partial(self.membership, call.args), parens=parens or call.operator == MEMBER_3)
        else:
            self.plain_call(call, self.operand)

    def parenthesised(self, write: Callable[[], None], *, parens: bool) -> None:
        if parens:
            self.write("(")
        write()
        if parens:
            self.write(")")

    def is_infix(self, call: nodes.Call) -> bool:
        """Say whether a call is written as an operator between two operands; `plus(1, 2)` is one, too."""
        return call.operator in _SIGNS and len(call.args) == 2

    def is_membership(self, term: Term) -> TypeGuard[nodes.Call]:
        """Say whether a term is written as `x in xs` or `k, v in xs`."""
        if not isinstance(term, nodes.Call) or len(term.args) != _MEMBERSHIPS.get(term.operator):
            return False
        return self.style.has_in or self.written.token(term).kind is Kind.IN

    def infix(self, call: nodes.Call) -> None:
        """Write an infix operator; operators in its operands have parentheses."""
        self.operand(call.args[0], parens=True)
        self.write(f" {_SIGNS[call.operator]} ")
        self.operand(call.args[1], parens=True)

    def outer_infix(self, call: nodes.Call) -> None:
        """Write the infix operator of a whole expression; operators in its operands have parentheses where they need them."""
        left, right = call.args
        level = _LEVELS[call.operator]
        self.term(left, parens=self._binds_below(left, level))
        self.write(f" {_SIGNS[call.operator]} ")
        self.term(right, parens=self._binds_below(right, level + 1))

    def _binds_below(self, term: Term, level: int) -> bool:
        """Say whether a term is an operator that binds less than one of a level."""
        return self.is_membership(term) or (isinstance(term, nodes.Call) and self.is_infix(term) and _LEVELS[term.operator] < level)

    def membership(self, args: Sequence[Term]) -> None:
        """Write `[key,] value in domain`. Only the first of two operands may be another `in` without parentheses."""
        *keys, value, domain = args
        for key in keys:
            self.operand(key, parens=True)
            self.write(", ")
        self.operand(value, parens=bool(keys) or not self.is_membership(value))
        self.write(" in ")
        self.operand(domain, parens=True)

    def plain_call(self, call: nodes.Call, write: Callable[[Term], None]) -> None:
        """Write `name(args…)`, each argument by `write`."""
        index = self.written.index(call.location)
        row = self.written.tokens[index].row
        self.comments_until(row)
        self.path(call.operator, index)
        self.write("(")
        self.terms(call.args, Place(row, ""), NOT_FOUND, partial(self.argument, write=write))
        self.write(")")

    # Lists

    def terms(self, terms: Sequence[Term], place: Place, closing_row: int, write: Callable[[Term], None]) -> None:
        """Write the terms of a list that stands at `place`, each by `write`."""
        items = [Item(self.place(term), partial(write, term)) for term in terms]
        self.items(items, place, closing_row, is_one_line=self.is_generated(terms))

    def argument(self, term: Term, write: Callable[[Term], None]) -> None:
        """Write an argument by `write`; a union keeps its parentheses."""
        self.parenthesised(partial(write, term), parens=self.is_union(term) and self.written.is_parenthesised(term))

    def is_generated(self, part: Sequence[Term] | nodes.Body) -> bool:
        """Say whether a part has a variable in it that is named as OPA's compiler names them."""
        return self._may_be_generated and any(
            isinstance(node, nodes.Var) and node.name.startswith(_GENERATED) for node in walk(tuple(part))
        )

    def is_union(self, term: Term) -> TypeGuard[nodes.Call]:
        return isinstance(term, nodes.Call) and term.operator == _UNION and self.is_infix(term)
