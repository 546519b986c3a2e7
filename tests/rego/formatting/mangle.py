"""Other layouts of a module: line breaks, spaces and comments at random, wherever the tokens allow.

A layout may come out as another module, or as none: callers compare the trees. Knows tokens, no grammar.
"""

from __future__ import annotations

import random
from typing import Final

from authz.rego.lexer import read
from authz.rego.tokens import NO_GAP, SYMBOLS, Kind, Token

_OPENERS: Final = frozenset({Kind.LPAREN, Kind.LBRACK, Kind.LBRACE})
_CLOSERS: Final = frozenset({Kind.RPAREN, Kind.RBRACK, Kind.RBRACE})
_JOINERS: Final = frozenset(SYMBOLS.values()) - _OPENERS - _CLOSERS - {Kind.DOT, Kind.MINUS}
_TEMPLATES: Final = frozenset({Kind.TEMPLATE_PART, Kind.TEMPLATE_END})


def mangled(source: str, rng: random.Random, rate: float, *, comments: bool) -> str:
    """Return the tokens of `source` with other gaps, about `rate` of them changed."""
    return _Mangler(source, rng, rate, comments).text()


class _Mangler:
    def __init__(self, source: str, rng: random.Random, rate: float, comments: bool) -> None:
        self.tokens = read("a.rego", source).tokens
        self.lines = source.split("\n")
        self.rng = rng
        self.rate = rate
        self.comments = comments
        self.count = 0
        self.open: list[Kind] = []

    def text(self) -> str:
        parts = [self.tokens[0].text]
        for before, token in zip(self.tokens, self.tokens[1:], strict=False):
            self._track(before)
            parts += [self._gap(before, token), token.text]
        return "".join(parts)

    def _track(self, token: Token) -> None:
        if token.kind in _OPENERS or token.kind is Kind.TEMPLATE_PART:
            self.open.append(token.kind)
        elif token.kind in _CLOSERS and self.open:
            self.open.pop()

    def _gap(self, before: Token, token: Token) -> str:
        gap = self._written(before, token)
        if token.kind is Kind.EOF or not self._may_change(before, token) or self.rng.random() >= self.rate:
            return gap
        if "\n" in gap and (not self.open or self.open[-1] is Kind.LBRACE):
            return self._between_statements(gap)
        return self.rng.choice([self._space, self._line, self._comment])()

    def _written(self, before: Token, token: Token) -> str:
        """Return the white space between two tokens, without comments."""
        if before.row + before.text.count("\n") == token.row:
            return "" if token.gap == NO_GAP else " "
        return "\n" * min(2, token.row - before.row) + "\t" * bool(self.open)

    def _may_change(self, before: Token, token: Token) -> bool:
        if Kind.DOT in (before.kind, token.kind) or (token.kind in _TEMPLATES and before.kind is Kind.RBRACE):
            return False
        return token.gap != NO_GAP or before.kind in _OPENERS | _JOINERS or token.kind in _CLOSERS | _JOINERS

    def _between_statements(self, gap: str) -> str:
        choice = self.rng.randrange(3)
        if choice == 0:
            return gap + "\n" * self.rng.randrange(3)
        if choice == 1 and self.open:
            return "; "
        return self._comment()

    def _space(self) -> str:
        return self.rng.choice([" ", "  ", "\t"])

    def _line(self) -> str:
        return "\n" * self.rng.choice([1, 1, 2, 3]) + self.rng.choice(["", "\t", "  "])

    def _comment(self) -> str:
        if not self.comments:
            return self._line()
        lines = [self.rng.choice([" ", "\n"])]
        for _ in range(self.rng.choice([1, 1, 1, 2, 3])):
            self.count += 1
            lines.append(self.rng.choice(["", "\t", "\n"]) + f"# c{self.count}\n")
        return "".join(lines)
