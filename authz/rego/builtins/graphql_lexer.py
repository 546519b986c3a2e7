"""GraphQL text to tokens, as gqlparser makes them.

Owns what a token is and where it stands. gqlparser counts a string's column from behind
its quotes, and a block string's on its last line; errors are compared by place, so that is
kept. Knows no grammar: what cannot be a token is an `Invalid` one, and the last.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, NamedTuple

MAX_TOKENS: Final = 100_000
"""Tokens that a text may have: a large schema's."""


class Kind(StrEnum):
    """Kinds of tokens by the names that error messages give them."""

    INVALID = "<Invalid>"
    EOF = "<EOF>"
    BANG = "!"
    DOLLAR = "$"
    AMP = "&"
    PAREN_L = "("
    PAREN_R = ")"
    SPREAD = "..."
    COLON = ":"
    EQUALS = "="
    AT = "@"
    BRACKET_L = "["
    BRACKET_R = "]"
    BRACE_L = "{"
    BRACE_R = "}"
    PIPE = "|"
    NAME = "Name"
    INT = "Int"
    FLOAT = "Float"
    STRING = "String"
    BLOCK_STRING = "BlockString"


Place = tuple[int, int]
"""Line and column, both from 1."""


class Token(NamedTuple):
    """`comments` are those between the previous token and this one."""

    kind: Kind
    value: str
    place: Place
    comments: tuple[str, ...]


_TOKEN: Final = re.compile(
    r"""(?P<space>[\t ,\ufeff]+) | (?P<newline>\n|\r\n?) | (?P<comment>\#[^\x00-\x08\x0a-\x1f]*)
      | (?P<punctuator>\.\.\.|[!$&():=@\[\]{}|]) | (?P<name>[_A-Za-z][_0-9A-Za-z]*)
      | (?P<number>[-0-9]) | (?P<block>\"\"\") | (?P<string>\")""",
    re.VERBOSE,
)
_INTEGER: Final = re.compile(r"-?(?:0(?![0-9])|[1-9][0-9]*)")
_FRACTION: Final = re.compile(r"\.[0-9]+")
_EXPONENT: Final = re.compile(r"[eE][+-]?[0-9]+")
_UNFINISHED: Final = re.compile(r"\.|[eE][+-]?|-?0?")
_STRING: Final = re.compile(r'(?:[^"\\\x00-\x08\x0a-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*')
_BLOCK: Final = re.compile(r'(?:[^"\\\x00-\x08\x0b\x0c\x0e-\x1f]|\\"""|\\|"(?!""))*')
_NEWLINE: Final = re.compile(r"\r\n|\r|\n")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_ESCAPED: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class TooManyTokensError(ValueError):
    """The text has more tokens than anybody should have to wait for."""


def tokenize(text: str, limit: int = MAX_TOKENS) -> list[Token]:
    """Return the tokens of `text` up to the first that is invalid, or to its end. Raises TooManyTokensError."""
    return _Lexer(text, limit).run()


class _Lexer:
    """Where the lexer is in a text: one instance reads it once."""

    def __init__(self, text: str, limit: int) -> None:
        self.text = text
        self.limit = limit
        self.position = 0
        self.line = 1
        self.line_start = 0
        self.comments: list[str] = []
        self.tokens: list[Token] = []

    def run(self) -> list[Token]:
        """Read all of the text."""
        while self.position < len(self.text):
            if len(self.tokens) > self.limit:
                raise TooManyTokensError(f"document has more than {self.limit} tokens")
            match = _TOKEN.match(self.text, self.position)
            if match is None:
                return self._invalid(self.position)
            if not self._read(match):
                return self.tokens
        self._add(Kind.EOF, "", self.position)
        return self.tokens

    def _read(self, match: re.Match[str]) -> bool:
        """Take one token; False after an invalid one."""
        start, end = match.span()
        match match.lastgroup:
            case "space":
                self.position = end
            case "newline":
                # After a CR LF, columns count from the CR, as gqlparser has it.
                self.line, self.line_start, self.position = self.line + 1, start + 1, end
            case "comment":
                self.comments.append(match.group())
                self.position = end
            case "punctuator":
                self._add(Kind(match.group()), "", start)
                self.position = end
            case "name":
                self._add(Kind.NAME, match.group(), start)
                self.position = end
            case "number":
                return self._number(start)
            case "block":
                return self._block_string(end)
            case _:
                return self._string(end)
        return True

    def _add(self, kind: Kind, value: str, start: int) -> None:
        self.tokens.append(Token(kind, value, (self.line, start - self.line_start + 1), tuple(self.comments)))
        self.comments.clear()

    def _invalid(self, where: int) -> list[Token]:
        self._add(Kind.INVALID, "", where)
        return self.tokens

    def _number(self, start: int) -> bool:
        kind = Kind.INT
        end = start
        for pattern, first in ((_INTEGER, "-0123456789"), (_FRACTION, "."), (_EXPONENT, "eE")):
            if end < len(self.text) and self.text[end] in first:
                match = pattern.match(self.text, end)
                if match is None:
                    unfinished = _UNFINISHED.match(self.text, end)
                    self._invalid(unfinished.end() if unfinished else end)
                    return False
                kind = kind if pattern is _INTEGER else Kind.FLOAT
                end = match.end()
        self._add(kind, self.text[start:end], start)
        self.position = end
        return True

    def _string(self, start: int) -> bool:
        match = _STRING.match(self.text, start)
        end = match.end() if match else start
        found = self.text[end : end + 1]
        if found != '"':
            self._invalid(end + 1 if found == "\\" else end)
            return False
        self._add(Kind.STRING, _ESCAPE.sub(_unescaped, self.text[start:end]), start)
        self.position = end + 1
        return True

    def _block_string(self, start: int) -> bool:
        match = _BLOCK.match(self.text, start)
        end = match.end() if match else start
        for newline in _NEWLINE.finditer(self.text, start, end):
            self.line, self.line_start = self.line + 1, newline.end()
        if self.text[end : end + 3] != '"""':
            self._invalid(end)
            return False
        raw = self.text[start:end].replace('\\"""', '"""')
        self._add(Kind.BLOCK_STRING, _block_value(_NEWLINE.split(raw)), start)
        self.position = end + 3
        return True


def _unescaped(match: re.Match[str]) -> str:
    code, char = match.groups()
    if code is None:
        return _ESCAPED.get(char, char)
    point = int(code, 16)
    return "\ufffd" if 0xD800 <= point <= 0xDFFF else chr(point)


def _block_value(lines: list[str]) -> str:
    """Take the common indentation and the blank lines around it from a block string; its first line counts, but keeps its own."""
    common = min((_indent(line) for line in lines if _indent(line) < len(line)), default=0)
    lines = [lines[0], *(line[common:] for line in lines[1:])]
    while lines and _indent(lines[0]) == len(lines[0]):
        del lines[0]
    while lines and _indent(lines[-1]) == len(lines[-1]):
        del lines[-1]
    return "\n".join(lines)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))
