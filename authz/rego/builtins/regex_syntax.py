"""Rewriting of an author's pattern, in Go's regular-expression syntax, for `re2`.

Go's syntax and RE2's are one family; pyre2 stands in between and reads some escapes
as Python would (`\\Z`, octals, `\\d` by Unicode). What comes out here has none of
those, so that pattern, engine and OPA agree, over text and over UTF-8 bytes. It never runs a pattern.
"""

from __future__ import annotations

import re
from typing import Final

from authz.rego.builtins.octets import without_surrogates

MAX_PATTERN: Final = 32_768
"""Characters that a pattern may have."""

MAX_NESTING: Final = 1_000
"""Groups within groups that Go allows."""

PLAIN: Final = re.compile("[0-9A-Za-z]+")
"""What means itself in every kind of pattern, and is most of them."""

_ASSERTIONS: Final = frozenset("AbBz")
_PERL_CLASSES: Final = {
    "d": "[:digit:]", "D": "[:^digit:]", "w": "[:word:]", "W": "[:^word:]", "s": "\\t\\n\\f\\r ", "S": "[:^space:]\\v",
}  # fmt: skip
_CONTROLS: Final = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_OCTAL: Final = frozenset("01234567")
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_GO_WORDS: Final = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "invalid character class": "invalid character class",
    "invalid character class range": "invalid character class range",
    "invalid escape sequence": "invalid escape sequence",
    "trailing \\": "trailing backslash at end of expression",
}


class PatternError(ValueError):
    """The pattern is not a regular expression; the message is Go's."""


def _error(what: str, part: str) -> PatternError:
    return PatternError(f"error parsing regexp: {what}: `{part}`")


def engine_error(pattern: str, message: str) -> PatternError:
    """Return the error for what RE2 said of a rewritten pattern, in Go's words."""
    kind, _, part = message.partition(": ")
    if kind == "missing )":
        part = pattern
    return _error(_GO_WORDS.get(kind, kind), part)


def rewrite(pattern: str) -> str:
    """Return the pattern as pyre2 must see it. Raises PatternError."""
    if len(pattern) > MAX_PATTERN:
        raise PatternError(f"error parsing regexp: expression has more than {MAX_PATTERN} characters")
    return _Rewriter(without_surrogates(pattern)).run()


class _Rewriter:
    """One pass over a pattern. INVARIANT: `self.at` is the next character to read."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.depth = 0
        self.out: list[str] = []

    def run(self) -> str:
        while self.at < len(self.pattern):
            plain = PLAIN.match(self.pattern, self.at)
            if plain is not None:
                self.out.append(plain.group())
                self.at = plain.end()
                continue
            char = self.pattern[self.at]
            if char == "\\":
                self.escape()
            elif char == "[":
                self.character_class()
            elif char == "(":
                self.group()
            else:
                self.depth -= char == ")"
                if self.depth < 0:
                    raise _error("unexpected )", self.pattern)
                self.out.append(char)
                self.at += 1
        return "".join(self.out)

    def group(self) -> None:
        """Copy `(`; `(?<name>` becomes `(?P<name>`, the form that every RE2 knows."""
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise _error("expression nests too deeply", self.pattern)
        rest = self.pattern[self.at : self.at + 4]
        start = 4 if rest == "(?P<" else 3 if rest.startswith("(?<") and rest[3:] not in ("=", "!") else 0
        if not start:
            self.out.append("(")
            self.at += 1
            return
        end = self.pattern.find(">", self.at)
        name = self.pattern[self.at + start : end]
        if end < 0 or not name.isascii() or not name.replace("_", "a").isalnum():
            raise _error("invalid named capture", self.pattern[self.at :] if end < 0 else self.pattern[self.at : end + 1])
        self.out.append(f"(?P<{name}>")
        self.at = end + 1

    def escape(self) -> None:
        """Copy an escape outside a class."""
        letter = self.pattern[self.at + 1 : self.at + 2]
        if letter in _ASSERTIONS:
            self.out.append("\\" + letter)
            self.at += 2
        elif letter in _PERL_CLASSES:
            self.out.append(f"[{_PERL_CLASSES[letter]}]")
            self.at += 2
        elif letter == "Q":
            end = self.pattern.find("\\E", self.at + 2)
            text = self.pattern[self.at + 2 : end if end >= 0 else None]
            self.out += [escaped(char) for char in text]
            self.at = end + 2 if end >= 0 else len(self.pattern)
        elif letter in ("p", "P"):
            self.unicode_class()
        else:
            self.out.append(escaped(self.character()))

    def unicode_class(self) -> None:
        """Copy `\\pN`, `\\p{Greek}` and their negations as they are."""
        start = self.at
        self.at += 3
        if self.pattern[start + 2 : start + 3] == "{":
            end = self.pattern.find("}", self.at)
            if end < 0:
                raise _error("invalid character class range", self.pattern[start:])
            self.at = end + 1
        self.out.append(self.pattern[start : self.at])

    def character_class(self) -> None:
        """Copy `[...]`, every literal in it escaped so that nobody can take it for syntax."""
        start = self.at
        self.at += 1
        self.out.append("[")
        if self.pattern.startswith("^", self.at):
            self.out.append("^")
            self.at += 1
        first = True
        while first or not self.pattern.startswith("]", self.at):
            if self.at >= len(self.pattern):
                raise _error("missing closing ]", self.pattern[start:])
            self.class_item(first)
            first = False
        self.out.append("]")
        self.at += 1

    def class_item(self, first: bool) -> None:
        char = self.pattern[self.at]
        if char == "[" and self.pattern.startswith("[:", self.at) and (end := self.pattern.find(":]", self.at + 2)) >= 0:
            self.out.append(self.pattern[self.at : end + 2])
            self.at = end + 2
        elif char == "\\":
            letter = self.pattern[self.at + 1 : self.at + 2]
            if letter in _PERL_CLASSES:
                self.out.append(_PERL_CLASSES[letter])
                self.at += 2
            elif letter in ("p", "P"):
                self.unicode_class()
            else:
                self.out.append(escaped(self.character()))
        else:
            self.out.append("-" if char == "-" and not first else escaped(char))
            self.at += 1

    def character(self) -> str:
        """Read an escape that stands for one character (Go's parseEscape)."""
        pattern, start = self.pattern, self.at
        letter = pattern[start + 1 : start + 2]
        if not letter:
            raise PatternError("error parsing regexp: trailing backslash at end of expression: ``")
        self.at += 2
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if letter == "x":
            return self.hexadecimal(start)
        if letter == "0" or (letter in _OCTAL and pattern[self.at : self.at + 1] in _OCTAL and self.at < len(pattern)):
            while self.at < start + 4 and pattern[self.at : self.at + 1] in _OCTAL:
                self.at += 1
            return chr(int(pattern[start + 1 : self.at], 8))
        if letter.isascii() and not letter.isalnum():
            return letter
        raise _error("invalid escape sequence", pattern[start : self.at])

    def hexadecimal(self, start: int) -> str:
        """Read `\\x7F` or `\\x{10FFFF}`."""
        if self.pattern.startswith("{", self.at):
            end = self.pattern.find("}", self.at)
            digits = self.pattern[self.at + 1 : max(end, self.at + 1)]
            self.at = end + 1
        else:
            end = self.at + 2
            digits = self.pattern[self.at : end]
            digits = digits if len(digits) == 2 else ""
            self.at = end
        if not digits or not _HEX.issuperset(digits) or int(digits, 16) > 0x10FFFF:
            raise _error("invalid escape sequence", self.pattern[start : max(self.at, start + 2)])
        return chr(int(digits, 16))


def escaped(char: str) -> str:
    """Return the character as a literal, inside or outside a class; never an escape that pyre2 would read."""
    return "\\" + char if char.isascii() and char.isprintable() and not char.isalnum() and char not in ("", " ") else char
