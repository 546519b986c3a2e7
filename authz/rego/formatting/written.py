"""Where the parts of a module are written: a parser that remembers the tokens of every term, literal and rule.

The tree is the compiler's own. Knows no layout: it tells rows, texts and brackets as they stand.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from authz.rego import nodes
from authz.rego.nodes import Location, Term
from authz.rego.parse_imports import HeaderParser
from authz.rego.tokens import Kind, Token

Noted: TypeAlias = nodes.Term | nodes.Literal | nodes.Operand


class Extent(NamedTuple):
    """The tokens of a part: the index of the first one, and of the one after the last."""

    start: int
    end: int


class WrittenParser(HeaderParser):
    """The grammar, with a note of what stands where.

    A note holds its node: an identity that is noted must not pass to another node.
    """

    def __init__(self, file: str, source: str, rego_version: int) -> None:
        super().__init__(file, source, rego_version)
        self.indexes = {(token.row, token.col): index for index, token in enumerate(self.tokens)}
        self.notes: dict[int, tuple[Noted, Extent]] = {}
        self.template_literals: dict[int, nodes.Literal] = {}
        self.statement_ends: dict[int, int] = {}
        self._last_literal: nodes.Literal | None = None

    def _note(self, node: Noted, start: int) -> None:
        self.notes[id(node)] = (node, Extent(start, self.index))

    def steps_after(self, term: Term, start: Token) -> Term:
        first = self.indexes[start.row, start.col]
        whole = super().steps_after(term, start)
        self._note(whole, first)
        return whole

    def reference(self, head: Term, start: Token, *, is_head_of_rule: bool = False) -> Term:
        first = self.indexes[start.row, start.col]
        self._note(head, first)
        term = super().reference(head, start, is_head_of_rule=is_head_of_rule)
        self._note(term, first)
        return term

    def _plain(self, first: Term | None = None, start: Token | None = None) -> nodes.Literal:
        index = self.index if start is None else self.indexes[start.row, start.col]
        literal = super()._plain(first, start)
        self._note(literal, index)
        return literal

    def _negation(self) -> nodes.Literal:
        start = self.index
        literal = super()._negation()
        self._note(literal, start)
        return literal

    def _operand(self, *, is_first: bool = False) -> nodes.Operand:
        start = self.index
        operand = super()._operand(is_first=is_first)
        self._note(operand, start)
        return operand

    def _explicit_body(self) -> nodes.Operand:
        start = self.index
        operand = super()._explicit_body()
        self._note(operand, start)
        return operand

    def _in_parentheses(self, *, is_first: bool = False) -> nodes.Operand:
        start = self.index
        operand = super()._in_parentheses(is_first=is_first)
        self._note(operand, start)
        return operand

    def literal(self) -> nodes.Literal:
        start = self.index
        literal = super().literal()
        self._note(literal, start)
        self._last_literal = literal
        return literal

    def _template_expression(self) -> Term:
        term = super()._template_expression()
        assert self._last_literal is not None
        self.template_literals[id(term)] = self._last_literal
        return term

    def rules(self) -> list[nodes.Rule]:
        start = self.index
        rules = super().rules()
        self.statement_ends[start] = self.index
        return rules


class Written:
    """A module beside its source text."""

    def __init__(self, parser: WrittenParser, module: nodes.Module) -> None:
        self.module = module
        self.tokens = parser.tokens
        self.comments = parser.comments
        self._parser = parser
        self._line_starts = _line_starts(parser.source)

    def index(self, location: Location) -> int:
        """Return the index of the token at a location."""
        return self._parser.indexes[location.row, location.col]

    def token(self, node: nodes.Term) -> Token:
        """Return the token at a part's location: the first one, parentheses aside, or an infix operator."""
        return self.tokens[self.index(node.location)]

    def extent(self, node: Noted) -> Extent:
        """Return the tokens of a part, its parentheses included."""
        note = self._parser.notes.get(id(node))
        if note is not None:
            return note[1]
        if isinstance(node, nodes.Operand):
            return self.extent(node.body[0])
        if isinstance(node, nodes.Literal):
            assert isinstance(node.expr, nodes.Logical)
            return Extent(self.extent(node.expr.operands[0]).start, self.extent(node.expr.operands[-1]).end)
        if isinstance(node, nodes.Call) and len(node.args) > 1:  # an infix operator without parentheses
            return Extent(self.extent(node.args[0]).start, self.extent(node.args[-1]).end)
        start = self.index(node.location)
        return Extent(start, start + 1)

    def row(self, node: Noted) -> int:
        """Return the row on which a part begins; of a term, behind its parentheses."""
        index = self.extent(node).start
        while not isinstance(node, nodes.Literal | nodes.Operand) and self.tokens[index].kind is Kind.LPAREN:
            index += 1
        return self.tokens[index].row

    def is_parenthesised(self, term: Term) -> bool:
        return self.tokens[self.extent(term).start].kind is Kind.LPAREN

    def is_infix(self, call: nodes.Call) -> bool:
        """Tell `x + 1` from `plus(x, 1)`, which is the same tree."""
        return self.token(call).text != call.operator[0]

    def in_template(self, term: Term) -> nodes.Literal:
        """Return the literal that an expression of a template string was written as."""
        return self._parser.template_literals[id(term)]

    def rule_extent(self, rule: nodes.Rule) -> Extent:
        """Return the tokens of a rule and its `else` chain; of a further body (`p { a } { b }`) from its `{` on."""
        start = self.index(rule.location)
        last = rule
        while last.orelse is not None:
            last = last.orelse
        if last.body:
            end = self.extent(last.body[-1]).end
            return Extent(start, end + (self.tokens[end].kind is Kind.RBRACE))
        if start in self._parser.statement_ends:
            return Extent(start, self._parser.statement_ends[start])
        assert last.head.value is not None  # an `else` without a body
        return Extent(start, self.extent(last.head.value).end)

    def head_extent(self, rule: nodes.Rule) -> Extent:
        """Return the tokens of a rule's head, without `default`; a further body is its own head, as in OPA."""
        whole = self.rule_extent(rule)
        start = whole.start + rule.is_default
        if not rule.body:
            return Extent(start, whole.end)
        if self.tokens[start].kind is Kind.LBRACE:
            return whole
        end = self.extent(rule.body[0]).start
        end -= self.tokens[end - 1].kind is Kind.LBRACE
        end -= self.tokens[end - 1].kind is Kind.IF
        return Extent(start, end)

    def end_row(self, extent: Extent) -> int:
        """Return the row of the last character."""
        last = self.tokens[extent.end - 1]
        return last.row + last.text.count("\n")

    def text(self, extent: Extent) -> str:
        """Return the source text of tokens and of what stands between them."""
        last = self.tokens[extent.end - 1]
        return self._parser.source[self._offset(self.tokens[extent.start]) : self._offset(last) + len(last.text)]

    def _offset(self, token: Token) -> int:
        return self._line_starts[token.row] + token.col - 1


def _line_starts(source: str) -> list[int]:
    """Return the offset of every row's first character, by row."""
    starts = [0, int(source.startswith("\ufeff"))]
    offset = source.find("\n")
    while offset >= 0:
        starts.append(offset + 1)
        offset = source.find("\n", offset + 1)
    return starts
