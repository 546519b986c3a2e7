"""A cursor over the tokens of one source: looking, advancing, and saying what is wrong.

Everything that every part of the grammar needs and nothing of the grammar itself.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final, NoReturn

from authz.rego import nodes
from authz.rego.errors import MAX_DIAGNOSTICS, PARSE, CompileError, Diagnostic, Findings
from authz.rego.guesses import CLOSERS, CLOSING, Place, likely_mistake, possible_mistake
from authz.rego.height import is_higher
from authz.rego.lexer import read
from authz.rego.nodes import Location
from authz.rego.tokens import FUTURE_KEYWORDS, KEYWORD_KINDS, LOGICAL_KEYWORDS, NO_GAP, V1_KEYWORDS, Kind, Token

MAX_NESTING: Final = 100
"""Levels of brackets and bodies; at most seven Python frames each, so that the stack of 1,000 holds."""

MAX_HEIGHT: Final = 200
"""Levels of the tree of a statement, so also operators in a row (`a + b + …`), and links of an `else` chain."""

_MAX_NODES_PER_LEVEL: Final = 4  # literal, expression, comprehension, reference


class Failure(Exception):  # noqa: N818  # an attempt that failed, not yet an error
    """What is wrong at a token. Cheap to raise where an attempt may be undone; `Cursor.error` makes it presentable.

    `index` is where the cursor stood if an open bracket may be the cause.
    """

    def __init__(self, message: str, token: Token, help: str | None = None, index: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.token = token
        self.help = help
        self.index = index


class Cursor:
    """A place in the tokens. INVARIANT: `token` is `tokens[index]`, and EOF is never passed."""

    def __init__(self, file: str, source: str, rego_version: int) -> None:
        lexed = read(file, source)
        self.file = file
        self.source = source
        self.rego_version = rego_version
        self.tokens = lexed.tokens
        self.comments = lexed.comments
        self.index = 0
        self.token = self.tokens[0]
        self.depth = 0
        # Both since `begin_statement`, to know when the height of a tree needs a look.
        self.deepest = 0
        self.infix_count = 0
        self.wildcards = 0
        self.faults = Findings()  # what parses and cannot mean anything
        self.imported: frozenset[str] = frozenset()
        self.logical = False  # whether `and` or `or` is a keyword here
        self._closings: dict[int, int] | None = None  # where each bracket is closed
        if rego_version == 0:
            self._demote_keywords()

    def _demote_keywords(self) -> None:
        for token in self.tokens:
            if token.text in V1_KEYWORDS and token.kind in KEYWORD_KINDS:
                token.kind = Kind.IDENT

    def import_keywords(self, words: frozenset[str]) -> None:
        """Make `words` keywords from here on."""
        new = words - self.imported
        self.imported |= new
        self.logical = not LOGICAL_KEYWORDS.keys().isdisjoint(self.imported)
        for token in self.tokens[self.index :] if new else ():
            if token.kind is Kind.IDENT and token.text in new:
                token.kind = FUTURE_KEYWORDS[token.text]

    def advance(self) -> Token:
        """Step over the current token and return it."""
        token = self.token
        if token.kind is not Kind.EOF:
            self.index += 1
            self.token = self.tokens[self.index]
        return token

    def mark(self) -> tuple[int, int]:
        return self.index, self.depth

    def rewind(self, mark: tuple[int, int]) -> None:
        self.index, self.depth = mark
        self.token = self.tokens[self.index]

    def next_token(self) -> Token:
        """Return the token after the current one (EOF after EOF)."""
        return self.tokens[min(self.index + 1, len(self.tokens) - 1)]

    def after_brackets(self) -> Token:
        """Return the token after the bracket that closes the current one; EOF if nothing closes it."""
        if self._closings is None:
            self._closings = _closings(self.tokens)
        end = self._closings.get(self.index)
        return self.tokens[-1 if end is None else end + 1]

    def is_keyword_as_name(self) -> bool:
        """Return whether a keyword begins a reference here (`in.foo`, `not["x"]`), where it is a name."""
        if self.token.kind not in KEYWORD_KINDS:
            return False
        following = self.next_token()
        return following.gap == NO_GAP and (following.kind is Kind.DOT or following.kind is Kind.LBRACK)

    def at(self, kind: Kind) -> bool:
        """Return whether the current token is of `kind`; unlike a comparison, this claims nothing about the next one."""
        return self.token.kind is kind

    def is_keyword(self, kind: Kind) -> bool:
        """Return whether the keyword `kind` stands here and does not begin a reference."""
        return self.token.kind is kind and not self.is_keyword_as_name()

    def enter(self) -> None:
        """Go one level deeper. The caller subtracts it again from `depth`; after a failure `rewind` does."""
        self.depth += 1
        if self.depth > self.deepest:
            if self.depth > MAX_NESTING:
                self.give_up(f"nesting is deeper than {MAX_NESTING} levels", "give the inner parts rules of their own")
            self.deepest = self.depth

    def begin_statement(self) -> Token:
        """Forget how deep the last statement was; return the token that the next one begins with."""
        self.deepest = self.infix_count = 0
        return self.token

    def check_height(self, tree: object, start: Token) -> None:
        """Fail at `start` if the tree of its statement is too high. Most cannot be, so most are not walked."""
        if _MAX_NODES_PER_LEVEL * self.deepest + self.infix_count > MAX_HEIGHT and is_higher(tree, MAX_HEIGHT):
            self.fail(f"expressions are nested deeper than {MAX_HEIGHT} levels", start, help="give the inner parts rules of their own")

    def text_from(self, start: Token) -> str:
        """Return the tokens from `start` up to the current one, as text on one line."""
        first = next(index for index in range(self.index, -1, -1) if self.tokens[index] is start)
        return "".join(f"{' ' if token.gap and index else ''}{token.text}" for index, token in enumerate(self.tokens[first : self.index]))

    def location(self, token: Token) -> Location:
        return Location(self.file, token.row, token.col, len(token.text) or 1)

    def span(self, start: Token) -> Location:
        """Return the location of the tokens from `start` up to the current one; only its first line is underlined."""
        last = self.tokens[self.index - 1]
        length = last.col + len(last.text) - start.col if last.row == start.row else len(start.text)
        return Location(self.file, start.row, start.col, length)

    def wildcard(self, token: Token) -> nodes.Var:
        name = f"${self.wildcards}"
        self.wildcards += 1
        return nodes.Var(name, self.location(token))

    def expect(self, kind: Kind, note: str) -> Token:
        """Step over a token of `kind`, or fail with `unexpected … token: note`."""
        if self.token.kind is not kind:
            self.unexpected(note)
        return self.advance()

    def unexpected(self, note: str = "", *, help: str | None = None) -> NoReturn:
        """Fail at the current token in OPA's words."""
        token = self.token
        is_keyword = token.kind in KEYWORD_KINDS or token.text in V1_KEYWORDS
        shown, what = (token.text, "keyword") if is_keyword else (token.kind.value, "token")
        message = f"unexpected {shown} {what}" + (f": {note}" if note else "")
        raise Failure(message, token, help, self.index)

    def fail(self, message: str, token: Token | None = None, *, help: str | None = None) -> NoReturn:
        """Fail at `token`, which is the current one by default."""
        raise Failure(message, token or self.token, help)

    def give_up(self, message: str, help: str) -> NoReturn:
        """Fail for good: a limit is reached, so that nothing else is to be tried."""
        raise self.error([Failure(message, self.token, help)])

    def error(self, failures: Iterable[Failure]) -> CompileError:
        """Return the error that shows `failures`, at most MAX_DIAGNOSTICS of them."""
        lines = self.source.split("\n")
        return CompileError(tuple(self._diagnostic(failure, lines) for failure in itertools.islice(failures, MAX_DIAGNOSTICS)))

    def _diagnostic(self, failure: Failure, lines: list[str]) -> Diagnostic:
        token = failure.token
        line = lines[token.row - 1].removesuffix("\r")
        place = Place(self.tokens, self._index(token), failure.message)
        help = likely_mistake(place) or failure.help or possible_mistake(place)
        if help is None and failure.index is not None:
            help = self._bracket_help(Place(self.tokens, failure.index, failure.message))
        return Diagnostic(
            PARSE,
            failure.message,
            self.location(token),
            source_line=line.removeprefix("\ufeff") if token.row == 1 else line,
            help=help,
        )

    def _index(self, token: Token) -> int:
        """Return where a token stands; one that lines may have made of several is found by its place."""
        return bisect_left(self.tokens, (token.row, token.col), key=lambda other: (other.row, other.col))

    def _bracket_help(self, place: Place) -> str | None:
        """Name the innermost open bracket, where the token is an end that does not close it."""
        end = place.token
        if end.kind is not Kind.EOF and end.kind not in CLOSING:
            return None
        innermost = place.innermost()
        if innermost is None:
            return None if end.kind is Kind.EOF else "no bracket is open here"
        if CLOSERS[innermost.kind] is end.kind:
            return None
        return f"the innermost bracket that needs to be closed is `{innermost.text[-1]}` at {self.location(innermost)}"


def _closings(tokens: list[Token]) -> dict[int, int]:
    """Return the index of the closing bracket for each opening one that has any."""
    found: dict[int, int] = {}
    opened: list[int] = []
    for index, token in enumerate(tokens):
        if token.kind in CLOSERS:
            opened.append(index)
        elif token.kind in CLOSING and opened:
            found[opened.pop()] = index
    return found
