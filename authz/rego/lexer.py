"""Rego source text to tokens: one regular expression, one pass, linear time.

Decodes literals and tracks rows and columns (in code points). Knows no grammar
beyond the one thing a lexer must: which `}` ends an expression in a template string.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from authz.rego.errors import PARSE, CompileError, Diagnostic
from authz.rego.nodes import Location
from authz.rego.tokens import KEYWORDS, NEWLINE, NO_GAP, SPACE, SYMBOLS, Comment, Kind, Token
from authz.rego.values import Number, spelled

MAX_SOURCE_BYTES: Final = 16 * 1024 * 1024
"""Larger sources are refused: nobody writes them, and compiling them would take minutes."""

MAX_EXPONENT: Final = 30103
"""Decimal exponent beyond which OPA refuses a number (its bound is 2^±100000)."""

# Python refuses to convert longer texts to int (PEP 0xCA, CVE-2020-10735): they become exact Decimals, equal and with equal hash.
_MAX_INT_DIGITS: Final = 4000

_MASTER: Final = re.compile(
    r"""(?P<space>[ \t\r]+)
    |(?P<newline>\n[ \t\r\n]*)
    |(?P<name>[A-Za-z_][A-Za-z_\d]*)
    |(?P<symbol>:=|==|!=|<=|>=|[\[\]{}(),:;+\-*/%&|<>=]|\.(?![0-9]))
    |(?P<string>"[^"\\\n]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\n]*+)*+")
    |(?P<number>(?>(?:[0-9]+(?:\.[0-9]+|(?!\.))|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![A-Za-z_]))
    |(?P<comment>\#[^\n]*)
    |(?P<raw>`[^`]*`)
    |(?P<template>\$["`])
    """,
    re.VERBOSE,
)
_TEMPLATE_TEXT: Final = re.compile(r'(?:[^"\\\n{]|\\(?:["\\/bfnrt{]|u[0-9a-fA-F]{4}))*+')
_RAW_TEMPLATE_TEXT: Final = re.compile(r"(?:[^`\\{]|\\\{|\\)*+")
_ILLEGAL_CHARACTER: Final = re.compile("[\x00\ufeff\ud800-\udfff]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NUMBER_LIKE: Final = re.compile(r"[0-9A-Za-z_.]+")
_STRING_PREFIX: Final = re.compile(r'"(?:[^"\\\n]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')

_ILLEGAL_NAMES: Final = {
    "\x00": "illegal null character",
    "\ufeff": "illegal byte-order mark",
}


@dataclass(frozen=True, slots=True)
class Lexed:
    """The outcome of reading a source: its tokens, the last of which is EOF, and its comments."""

    tokens: list[Token]
    comments: list[Comment]


def tokenize(file: str, source: str) -> list[Token]:
    """Return the tokens of `source`, ending in EOF; comments are left out.

    Words that are keywords in Rego v1 are keywords here. Raises CompileError.
    """
    return read(file, source).tokens


def read(file: str, source: str) -> Lexed:
    """Return the tokens and the comments of `source`. Raises CompileError."""
    return _Lexer(file, source).run()


class _Lexer:
    """The state of one pass. INVARIANT: `line_start` is where row `row` begins."""

    def __init__(self, file: str, source: str) -> None:
        self.file = file
        self.source = source
        self.row = 1
        self.line_start = 0
        self.gap = NO_GAP
        self.tokens: list[Token] = []
        self.comments: list[Comment] = []
        # One entry a `{` that is open: its template's quote where it opened an expression, else "".
        self.braces: list[str] = []

    def run(self) -> Lexed:
        self._check_characters()
        source, position, end = self.source, 0, len(self.source)
        if source.startswith("\ufeff"):
            position = self.line_start = 1
        match = _MASTER.match
        while position < end:
            found = match(source, position)
            if found is None:
                raise self._illegal(position)
            position = self._token(found.lastgroup or "", found.group(), position)
        self.tokens.append(Token(Kind.EOF, "", self.row, position - self.line_start + 1, self.gap))
        return Lexed(self.tokens, self.comments)

    def _token(self, group: str, text: str, start: int) -> int:
        """Add the token that `group` and `text` make; return where the next one starts."""
        end = start + len(text)
        if group == "space":
            self.gap = self.gap or SPACE
            return end
        if group == "newline":
            self.gap = NEWLINE
            self._newlines(text, start)
            return end
        if group == "name":
            self._add(KEYWORDS.get(text, Kind.IDENT), text, start)
        elif group == "symbol":
            if text == "{":
                self.braces.append("")
            elif text == "}" and self.braces and (quote := self.braces.pop()):
                self._add(Kind.RBRACE, text, start)
                return self._template(quote, end)
            self._add(SYMBOLS[text], text, start)
        elif group == "template":
            return self._template(text[1], end, start)
        else:
            self._literal(group, text, start)
        return end

    def _literal(self, group: str, text: str, start: int) -> None:
        if group == "string":
            self._add(Kind.STRING, text, start, self._unescape(text, start))
        elif group == "raw":
            self._add(Kind.STRING, text, start, text[1:-1])
            self._newlines(text, start)
        elif group == "number":
            self._add(Kind.NUMBER, text, start, self._number(text, start))
        else:
            self.comments.append(Comment(self.row, start - self.line_start + 1, text[1:].removesuffix("\r")))

    def _template(self, quote: str, start: int, token_start: int | None = None) -> int:
        """Read template text from `start` up to its end or the next expression."""
        pattern = _TEMPLATE_TEXT if quote == '"' else _RAW_TEMPLATE_TEXT
        text = _matched(pattern, self.source, start)
        end = start + len(text)
        closing = self.source[end : end + 1]
        where = start if token_start is None else token_start
        if closing not in (quote, "{") or not closing:
            raise self._illegal_text(end, where)
        value = text.replace("\\{", "{") if quote == "`" else self._unescape(f'"{_plain_braces(text)}"', where)
        self._add(Kind.TEMPLATE_PART if closing == "{" else Kind.TEMPLATE_END, self.source[where : end + 1], where, value)
        if closing == "{":
            self.braces.append(quote)
        self._newlines(text, start)
        return end + 1

    def _add(self, kind: Kind, text: str, start: int, value: str | Number | None = None) -> None:
        self.tokens.append(Token(kind, text, self.row, start - self.line_start + 1, self.gap, value))
        self.gap = NO_GAP

    def _newlines(self, text: str, start: int) -> None:
        count = text.count("\n")
        if count:
            self.row += count
            self.line_start = start + text.rfind("\n") + 1

    def _unescape(self, text: str, start: int) -> str:
        if "\\" not in text:
            return text[1:-1]
        try:
            value: str = json.loads(text)
        except ValueError as error:
            raise self._error(
                start, "illegal string literal", len(text), help="write control characters as `\\n`, `\\t` or `\\u0000`"
            ) from error
        return _SURROGATE.sub("\ufffd", value)  # as Go's encoding/json, and so OPA

    def _number(self, text: str, start: int) -> Number:
        if len(text) > 1 and text[0] == "0" and text[1] not in ".eE":
            help = f'write `{text.lstrip("0") or "0"}`, or `"{text}"` if it is a text'
            raise self._error(start, "unexpected number token: expected number without leading zero", len(text), help=help)
        if text.isdecimal() and len(text) <= _MAX_INT_DIGITS:
            return int(text)
        try:
            number = Decimal(text)
        except InvalidOperation as error:
            raise self._error(start, "number too big", len(text)) from error
        if number and abs(number.adjusted()) > MAX_EXPONENT:
            raise self._error(start, "number too big", len(text))
        return number if text[0] == "." else spelled(number, text)

    def _check_characters(self) -> None:
        if len(self.source) > MAX_SOURCE_BYTES or (
            not self.source.isascii() and len(self.source.encode("utf-8", "surrogatepass")) > MAX_SOURCE_BYTES
        ):
            raise self._error(0, f"source is larger than {MAX_SOURCE_BYTES} bytes")
        found = _ILLEGAL_CHARACTER.search(self.source, 1 if self.source.startswith("\ufeff") else 0)
        if found is not None:
            self._newlines(self.source[: found.start()], 0)
            raise self._error(found.start(), _ILLEGAL_NAMES.get(found.group(), "illegal utf-8 character"))

    def _illegal(self, start: int) -> CompileError:
        """Return the error for text at `start` that no token begins with."""
        char = self.source[start]
        if char == '"':
            return self._illegal_text(start + len(_matched(_STRING_PREFIX, self.source, start)), start)
        if char == "`":
            return self._error(start, "non-terminated string", help="a raw string ends at the next backtick")
        if char in "0123456789.":
            return self._illegal_number(start)
        return self._error(start, f"illegal token: unexpected character {char!r}", help=_CHARACTER_HELP.get(char))

    def _illegal_text(self, end: int, start: int) -> CompileError:
        """Return the error for a string or template that begins at `start` and breaks off at `end`."""
        if self.source[end : end + 1] == "\\":
            self._newlines(self.source[start:end], start)
            shown = self.source[end : end + 2]
            hint = "escapes are those of JSON; in a raw string (in backticks) backslashes stand for themselves"
            return self._error(end, f"illegal escape sequence: {shown!r}", len(shown), help=hint)
        return self._error(start, "non-terminated string", help='a string ends on its line, at the next `"`; one in backticks may go on')

    def _illegal_number(self, start: int) -> CompileError:
        text = _matched(_NUMBER_LIKE, self.source, start)
        if re.fullmatch(r"[0-9]+\.(?:[^0-9].*)?", text):
            return self._error(start, "expected fraction", len(text), help="digits follow the point: `1.0`")
        if re.fullmatch(r"[0-9.]+[eE]", text):
            return self._error(start, "expected exponent", len(text), help="digits follow the `e`: `1e9`")
        return self._error(start, f"illegal number format: {text}", len(text), help="numbers are decimal and without `_`, as in JSON")

    def _error(self, start: int, message: str, length: int = 1, *, help: str | None = None) -> CompileError:
        location = Location(self.file, self.row, start - self.line_start + 1, length)
        newline = self.source.find("\n", self.line_start)
        line = self.source[self.line_start : newline if newline >= 0 else len(self.source)].removesuffix("\r")
        return CompileError((Diagnostic(PARSE, message, location, source_line=line, help=help),))


_CHARACTER_HELP: Final = {
    "!": "negation is written `not`, inequality `!=`",
    "'": "strings are written in double quotes or backticks",
    "$": 'a template string is written $"…" or $`…`',
    "?": "there is no conditional operator: alternatives are rules of the same name, or `else`",
    "@": "annotations are comments: `# METADATA`",
    "~": "a pattern is matched by `regex.match(pattern, value)`",
    "\u00a0": "this is a no-break space: replace it by a plain one",
    **dict.fromkeys("\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb", 'quotes are straight: `"`'),
}


def _matched(pattern: re.Pattern[str], source: str, start: int) -> str:
    """Return the text that `pattern` matches at `start`, empty where it does not."""
    found = pattern.match(source, start)
    return found.group() if found else ""


def _plain_braces(text: str) -> str:
    """Return template text with `\\{` as `{`, other escapes left as they are."""
    return re.sub(r"\\(.)", lambda found: "{" if found[1] == "{" else found[0], text) if "\\{" in text else text
