"""What Go's encoding/json says of text that is not JSON.

A scanner of one value, asked only where a document could not be read: it makes no values.
"""

from __future__ import annotations

import json
import re
from typing import Final

from authz.rego.builtins.octets import units_of
from authz.rego.render import quote
from authz.rego.values import without_surrogates

MAX_NESTING: Final = 10_000
"""Brackets within brackets that Go's scanner allows."""

_SPACE: Final = " \t\r\n"
_DIGITS: Final = frozenset("0123456789")
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]*')
_LITERALS: Final = {"t": "true", "f": "false", "n": "null"}


def syntax_error(text: str) -> str | None:
    """Return Go's words for what is wrong with a text, None if nothing is.

    OPA reads one value, then one token more: a `null` there passes, whatever follows it.
    """
    units = units_of(text)
    try:
        scanner = _Scanner(units)
        scanner.value()
        return _trailing(units, scanner.at)
    except _SyntaxError as error:
        return str(error)


def value_error(text: str) -> str | None:
    """Return Go's words for what is wrong with the first value of a text, None if nothing is; what follows it is not looked at."""
    try:
        _Scanner(units_of(text)).value()
    except _SyntaxError as error:
        return str(error)
    return None


def is_valid(text: str) -> bool:
    """Say whether a text is one JSON value and nothing else."""
    scanner = _Scanner(units_of(text))
    try:
        scanner.value()
    except _SyntaxError:
        return False
    return scanner.next() == ""


def _trailing(units: str, at: int) -> str | None:
    scanner = _Scanner(units, at)
    char = scanner.next()
    if char == "":
        return None
    if char in "[{":
        return f"error: invalid character '{char}' after top-level value"
    begin = scanner.at
    scanner.value()
    found = units[begin : scanner.at]
    if found == "null":
        return None
    if char == '"':
        found = without_surrogates(json.loads(found.encode("latin-1")))
    elif char in "tf":
        found = f"%!s(bool={found})"
    return f"error: invalid character '{found}' after top-level value"


class _SyntaxError(Exception):
    """The text is no JSON; the message is Go's."""


class _Scanner:
    """Scans one value. INVARIANT: `at` is the next character to read."""

    def __init__(self, units: str, at: int = 0) -> None:
        self.units = units
        self.at = at
        self.open: list[str] = []

    def next(self) -> str:
        """Skip white space; return what comes then, "" at the end."""
        while self.units[self.at : self.at + 1] in tuple(_SPACE):
            self.at += 1
        return self.units[self.at : self.at + 1]

    def fail(self, context: str) -> _SyntaxError:
        """Return the error for the next character, or for there being none."""
        char = self.units[self.at : self.at + 1]
        if not char:
            return _SyntaxError("unexpected EOF" if self.units.strip(_SPACE) else "EOF")
        shown = {"'": r"\'", '"': '"'}.get(char) or quote(char)[1:-1]
        return _SyntaxError(f"invalid character '{shown}' {context}")

    def value(self) -> None:
        """Scan a value with all that it holds."""
        is_opened = self.begin()
        while self.open:
            is_opened = self.member(is_first=is_opened)

    def begin(self) -> bool:
        """Scan a scalar, or the bracket that opens a collection; say whether it was one."""
        char = self.next()
        if char in ("[", "{"):
            self.at += 1
            self.open.append(char)
            if len(self.open) > MAX_NESTING:
                raise _SyntaxError("exceeded max depth")
        elif char == '"':
            self.string()
        elif char == "-" or char in _DIGITS:
            self.number()
        elif char in _LITERALS:
            self.literal(_LITERALS[char])
        else:
            raise self.fail("looking for beginning of value")
        return char in ("[", "{")

    def member(self, *, is_first: bool) -> bool:
        """Scan the end of the innermost collection, or the beginning of its next member; say whether that opens another one."""
        in_array = self.open[-1] == "["
        char = self.next()
        if char == ("]" if in_array else "}"):
            self.at += 1
            self.open.pop()
            return False
        if not is_first:
            if char != ",":
                raise self.fail("after array element" if in_array else "after object key:value pair")
            self.at += 1
            self.next()
        if not in_array:
            self.key()
        return self.begin()

    def key(self) -> None:
        if self.next() != '"':
            raise self.fail("looking for beginning of object key string")
        self.string()
        if self.next() != ":":
            raise self.fail("after object key")
        self.at += 1

    def string(self) -> None:
        self.at += 1
        while True:
            plain = _PLAIN.match(self.units, self.at)
            self.at = plain.end() if plain else self.at
            char = self.units[self.at : self.at + 1]
            if char == '"':
                self.at += 1
                return
            if char != "\\":
                raise self.fail("in string literal")
            self.at += 1
            self.escape()

    def escape(self) -> None:
        char = self.units[self.at : self.at + 1]
        if not char or char not in 'bfnrt\\/"u':
            raise self.fail("in string escape code")
        self.at += 1
        for _ in range(4 if char == "u" else 0):
            if self.units[self.at : self.at + 1] not in _HEX:
                raise self.fail("in \\u hexadecimal character escape")
            self.at += 1

    def number(self) -> None:
        self.at += self.units[self.at] == "-"
        if self.units[self.at : self.at + 1] == "0":
            self.at += 1
        else:
            self.digits("in numeric literal")
        if self.units[self.at : self.at + 1] == ".":
            self.at += 1
            self.digits("after decimal point in numeric literal")
        if self.units[self.at : self.at + 1] in ("e", "E"):
            self.at += 1
            self.at += self.units[self.at : self.at + 1] in ("+", "-")
            self.digits("in exponent of numeric literal")

    def digits(self, context: str) -> None:
        if self.units[self.at : self.at + 1] not in _DIGITS:
            raise self.fail(context)
        while self.units[self.at : self.at + 1] in _DIGITS:
            self.at += 1

    def literal(self, word: str) -> None:
        for char in word:
            if self.units[self.at : self.at + 1] != char:
                raise self.fail(f"in literal {word} (expecting '{char}')")
            self.at += 1
