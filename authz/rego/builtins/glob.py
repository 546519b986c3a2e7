"""glob.match and glob.quote_meta: gobwas/glob patterns, compiled to RE2.

Owns the pattern language (`*`, `**`, `?`, `[abc]`, `[!a-c]`, `{a,b}`, `\\`) and its
errors. A matcher is a regular expression, so it takes linear time whatever the pattern.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from authz.rego.builtins.regex import CACHED_PATTERNS, Regex, contains
from authz.rego.builtins.regex_syntax import MAX_PATTERN, PLAIN, PatternError, escaped
from authz.rego.builtins.registry import ANY, ARRAY, BOOLEAN, NULL_T, STRING, builtin, element_error, operand_error
from authz.rego.errors import EVAL_TYPE, BuiltinError
from authz.rego.values import Null, Value

DEFAULT_DELIMITERS: Final = "."
MAX_NESTING: Final = 100
"""Alternatives within alternatives that a pattern may have."""

_NOT_UTF8: Final = re.compile("[\ufffd\ud800-\udfff]")
"""What gobwas takes for text that is not UTF-8."""
_FALLIBLE: Final = re.compile("[\\[{\ufffd\ud800-\udfff]")
_SPECIAL: Final = frozenset("*?\\[]{}")
_ANY: Final = "(?s:.)"


class _Translator:
    """One pass over a pattern. INVARIANT: `self.at` is the next character to read."""

    def __init__(self, pattern: str, delimiters: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.depth = 0
        self.one = f"[^{''.join(map(escaped, delimiters))}]" if delimiters else _ANY

    def run(self) -> str:
        out: list[str] = []
        while self.at < len(self.pattern):
            plain = PLAIN.match(self.pattern, self.at)
            if plain is not None:
                out.append(plain.group())
                self.at = plain.end()
            else:
                out.append(self.item())
        # An alternative left open ends with the pattern, as in gobwas.
        return "".join(out) + ")" * self.depth

    def item(self) -> str:
        char = self.pattern[self.at]
        self.at += 1
        if char == "*":
            if self.pattern.startswith("*", self.at):
                self.at += 1
                return _ANY + "*"
            return self.one + "*"
        if char == "?":
            return self.one
        if char == "[":
            return self.range()
        if char == "{":
            return self.open()
        if self.depth and char in ",}":
            self.depth -= char == "}"
            return "|" if char == "," else ")"
        return escaped(self.unescaped(char))

    def open(self) -> str:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise PatternError("pattern nests too deeply")
        return "(?:"

    def unescaped(self, char: str) -> str:
        """Return the character that `char` starts; a backslash at the very end is nothing."""
        if char != "\\":
            return char
        self.at += 1
        return self.pattern[self.at - 1 : self.at]

    def range(self) -> str:
        """Read `[abc]`, `[a-c]` or their negations: either one range or a list of characters."""
        negated = self.pattern.startswith("!", self.at)
        self.at += negated
        if self.pattern.startswith("-", self.at + 1):
            members = self.bounds()
        else:
            members = self.members()
            if not members:
                raise PatternError("could not parse range")
        return f"[{'^' * negated}{members}]"

    def bounds(self) -> str:
        low, high, close = (self.pattern[self.at + offset : self.at + offset + 1] for offset in (0, 2, 3))
        self.at += 4
        if close != "]":
            raise PatternError("expected close range character" if close else "unexpected end of input")
        if high < low:
            raise PatternError(f"hi character '{high}' should be greater than lo '{low}'")
        return f"{escaped(low)}-{escaped(high)}"

    def members(self) -> str:
        members: list[str] = []
        while not self.pattern.startswith("]", self.at):
            if self.at >= len(self.pattern):
                raise PatternError("unexpected end of input")
            self.at += 1
            members.append(escaped(self.unescaped(self.pattern[self.at - 1])))
        self.at += 1
        return "".join(members)


def is_valid(pattern: str, delimiters: str) -> bool:
    """Tell whether it is a pattern. Beside text that is not UTF-8 only ranges and alternatives can be wrong, and most have none."""
    if len(pattern) <= MAX_PATTERN // 8 and not _FALLIBLE.search(pattern):
        return True
    try:
        expression(pattern, delimiters)
    except PatternError:
        return False
    return True


def expression(pattern: str, delimiters: str) -> str:
    """Return the regular expression that a pattern is; `*` and `?` do not match a character of `delimiters`. Raises PatternError."""
    if len(pattern) > MAX_PATTERN // 8:
        raise PatternError(f"pattern has more than {MAX_PATTERN // 8} characters")
    if _NOT_UTF8.search(pattern):
        raise PatternError("could not read rune")
    return rf"\A(?:{_Translator(pattern, delimiters).run()})\z"


@lru_cache(CACHED_PATTERNS)
def compiled(pattern: str, delimiters: str) -> Regex:
    """Return the matcher of a pattern. Raises PatternError."""
    return Regex(expression(pattern, delimiters))


def delimiters_of(value: Value) -> str:
    """Return the delimiters that glob.match's second operand names: null is none, `[]` the default."""
    if isinstance(value, Null):
        return ""
    if not value:
        return DEFAULT_DELIMITERS
    members = value if type(value) is tuple else ()
    for member in members:
        if type(member) is not str:
            raise element_error("glob.match", 2, "string", value, member)
        if len(member) != 1:
            raise BuiltinError("glob.match: operand 2 must be array of runes but got array containing string", EVAL_TYPE)
    return "".join(map(str, members))


@builtin("glob.match", STRING, (ARRAY, NULL_T), ANY, result=BOOLEAN)
def glob_match(pattern: str, delimiters: Value, text: Value) -> bool:
    used = delimiters_of(delimiters)
    if type(text) is not str:
        raise operand_error("glob.match", 3, STRING, text)
    try:
        return contains(compiled(pattern, used), text)
    except PatternError as error:
        raise BuiltinError(f"glob.match: {error}") from None


@builtin("glob.quote_meta", STRING, result=STRING)
def glob_quote_meta(pattern: str) -> Value:
    return "".join("\\" + char if char in _SPECIAL else char for char in pattern)
