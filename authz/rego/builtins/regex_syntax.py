"""Reading of an author's pattern, in Go's regular-expression syntax, and its rewriting for `re2`.

What is wrong with a pattern is found here, from left to right and in Go's words. Go's syntax and RE2's are one
family; pyre2 stands in between and reads some escapes as Python would (`\\Z`, octals, `\\d` by Unicode). What comes
out here has none of those, so that pattern, engine and OPA agree, over text and over UTF-8 bytes. It never runs a pattern.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from authz.rego.builtins.regex_classes import PERL_CLASSES, POSIX_CLASSES, unicode_class
from authz.rego.values import without_surrogates

MAX_PATTERN: Final = 32_768
"""Characters that a pattern may have."""

MAX_NESTING: Final = 1_000
"""Groups within groups that Go allows."""

PLAIN: Final = re.compile("[0-9A-Za-z]+")
"""What means itself in every kind of pattern, and is most of them."""

MAX_REPEAT: Final = 1_000
"""Times that a counted repetition may ask for, those within it included."""

NOTHING: Final = r"[^\x00-\x{10FFFF}]"

_ASSERTIONS: Final = frozenset("AbBz")
_CONTROLS: Final = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_OCTAL: Final = frozenset("01234567")
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_REPEAT: Final = re.compile(r"\{(0|[1-9][0-9]*)(,(0|[1-9][0-9]*)?)?\}")
_NAME: Final = re.compile(r"[A-Za-z0-9_]+")
_FLAGS: Final = re.compile(r"[imsU]*(?:-[imsU]*)?")


class PatternError(ValueError):
    """The pattern is not a regular expression; the message is Go's."""


def error(what: str, part: str) -> PatternError:
    """Return the error that Go gives for a part of a pattern."""
    return PatternError(f"error parsing regexp: {what}: `{part}`")


@dataclass(slots=True)
class Rewritten:
    """A pattern as pyre2 must see it, and the numbers of its named groups."""

    source: str
    groups: dict[str, list[int]]


def rewrite(pattern: str) -> Rewritten:
    """Return the pattern as pyre2 must see it. Raises PatternError."""
    if len(pattern) > MAX_PATTERN:
        raise PatternError(f"error parsing regexp: expression has more than {MAX_PATTERN} characters")
    rewriter = _Rewriter(without_surrogates(pattern))
    rewriter.run()
    return Rewritten("".join(rewriter.out), rewriter.names)


@dataclass(slots=True)
class _Group:
    """A group that is open, or the whole pattern; `begin` is where it begins in the output."""

    begin: int
    item: int | None = None
    """Where the last item begins in the output: what a repetition would repeat."""
    weight: int = 1
    """How often the last item repeats what it repeats most."""
    heaviest: int = 1
    is_repeated: bool = False


class _Rewriter:
    """One pass over a pattern. INVARIANT: `self.at` is the next character to read."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.group = _Group(0)
        self.enclosing: list[_Group] = []
        self.count = 0
        self.names: dict[str, list[int]] = {}
        self.repeated_at: int | None = None  # where a repetition begins that ends right here
        self.out: list[str] = []

    def run(self) -> None:
        while self.at < len(self.pattern):
            repeated_at, self.repeated_at = self.repeated_at, None
            plain = PLAIN.match(self.pattern, self.at)
            if plain is not None:
                self.word(plain.group())
                continue
            char = self.pattern[self.at]
            if char in "*+?":
                self.repeat(1, 1, repeated_at)
            elif char == "{" and (counted := _REPEAT.match(self.pattern, self.at)):
                self.counted(counted, repeated_at)
            else:
                self.other(char)
        if self.enclosing:
            raise error("missing closing )", self.pattern)

    def other(self, char: str) -> None:
        """Read anything but a repetition."""
        if char == "\\":
            self.escape()
        elif char == "[":
            self.character_class()
        elif char == "(":
            self.open()
        elif char == ")":
            self.close()
        elif char == "|":
            self.out.append("|")
            self.at += 1
            self.group.item = None
        else:
            self.push(char if char in "^$." else escaped(char))
            self.at += 1

    def word(self, word: str) -> None:
        """Copy characters that mean themselves; a repetition would repeat the last."""
        self.out.append(word[:-1])
        self.push(word[-1])
        self.at += len(word)

    def push(self, item: str) -> None:
        self.group.item, self.group.weight, self.group.is_repeated = len(self.out), 1, False
        self.out.append(item)

    def counted(self, found: re.Match[str], repeated_at: int | None) -> None:
        """Read `{n}`, `{n,}` or `{n,m}`; what looks otherwise is no repetition."""
        least = int(found[1]) if len(found[1]) < 9 else MAX_REPEAT + 1
        most = least if found[2] is None else -1 if found[3] is None else int(found[3]) if len(found[3]) < 9 else MAX_REPEAT + 1
        if least > MAX_REPEAT or most > MAX_REPEAT or 0 <= most < least:
            raise error("invalid repeat count", found[0])
        self.repeat(len(found[0]), 1 if most == 0 else max(most, least, 1), repeated_at, resets=most == 0, counts=max(least, most) >= 2)

    def repeat(self, size: int, times: int, repeated_at: int | None, *, resets: bool = False, counts: bool = False) -> None:
        """Read a repetition of `size` characters, and the `?` of a lazy one."""
        start, group = self.at, self.group
        self.at += size
        self.at += self.pattern.startswith("?", self.at)
        operator = self.pattern[start : self.at]
        if repeated_at is not None:
            raise error("invalid nested repetition operator", self.pattern[repeated_at : self.at])
        if group.item is None:
            raise error("missing argument to repetition operator", operator)
        group.weight = 1 if resets else group.weight * times
        if counts and group.weight > MAX_REPEAT:
            raise error("invalid repeat count", operator)
        group.heaviest = max(group.heaviest, group.weight)
        if group.is_repeated:  # a flag or an empty quotation stands between, as in `a*(?i)*`, which RE2 takes otherwise
            self.out.insert(group.item, "(?:")
            self.out.append(")")
        self.out.append(operator)
        self.repeated_at, group.is_repeated = start, True

    def open(self) -> None:
        """Read `(`, `(?:`, `(?i)`, `(?P<name>` ..."""
        if self.pattern.startswith("(?", self.at):
            self.perl_group()
        else:
            self.enter("(", 1)

    def enter(self, opening: str, size: int) -> None:
        """Enter a group; only those that capture are numbered."""
        self.count += opening == "("
        if len(self.enclosing) >= MAX_NESTING:
            raise error("expression nests too deeply", self.pattern)
        self.enclosing.append(self.group)
        self.group = _Group(len(self.out))
        self.out.append(opening)
        self.at += size

    def perl_group(self) -> None:
        rest = self.pattern[self.at : self.at + 5]
        start = 4 if len(rest) > 4 and rest.startswith("(?P<") else 3 if len(rest) > 3 and rest[2] == "<" else 0
        if start:
            self.named_group(start)
            return
        flags = _FLAGS.match(self.pattern, self.at + 2)
        end = flags.end() if flags else self.at + 2
        ending = self.pattern[end : end + 1]
        if ending not in (":", ")") or self.pattern[end - 1] == "-":
            raise error("invalid or unsupported Perl syntax", self.pattern[self.at : end + 1])
        opening = self.pattern[self.at : end + 1]
        if ending == ":":
            self.enter(opening, len(opening))
        else:
            self.out.append(opening if len(opening) > 3 else "")
            self.at = end + 1

    def named_group(self, start: int) -> None:
        end = self.pattern.find(">", self.at)
        name = self.pattern[self.at + start : end]
        if end < 0 or not _NAME.fullmatch(name):
            raise error("invalid named capture", self.pattern[self.at : end + 1 if end >= 0 else None])
        self.names.setdefault(name, []).append(self.count + 1)
        self.enter("(", end + 1 - self.at)

    def close(self) -> None:
        if not self.enclosing:
            raise error("unexpected )", self.pattern)
        closed, self.group = self.group, self.enclosing.pop()
        self.out.append(")")
        self.at += 1
        self.group.item, self.group.weight, self.group.is_repeated = closed.begin, closed.heaviest, False
        self.group.heaviest = max(self.group.heaviest, closed.heaviest)

    def escape(self) -> None:
        """Read an escape outside a class."""
        letter = self.pattern[self.at + 1 : self.at + 2]
        if letter and letter in _ASSERTIONS:
            self.push("\\" + letter)
            self.at += 2
        elif letter in PERL_CLASSES:
            self.push(f"[{PERL_CLASSES[letter]}]")
            self.at += 2
        elif letter == "Q":
            end = self.pattern.find("\\E", self.at + 2)
            for char in self.pattern[self.at + 2 : end if end >= 0 else None]:
                self.push(escaped(char))
            self.at = end + 2 if end >= 0 else len(self.pattern)
        elif letter in ("p", "P"):
            self.push(f"[{self.unicode_class()}]")
        else:
            char = self.character()
            self.push(escaped(char) if char else NOTHING)

    def unicode_class(self) -> str:
        """Read `\\pN`, `\\p{Greek}` or a negation."""
        start = self.at
        self.at += 3
        name = self.pattern[start + 2 : self.at]
        if name == "{":
            end = self.pattern.find("}", self.at)
            if end < 0:
                raise error("invalid character class range", self.pattern[start:])
            name, self.at = self.pattern[self.at : end], end + 1
        members = unicode_class(name, negated=self.pattern[start + 1] == "P")
        if members is None:
            raise error("invalid character class range", self.pattern[start : self.at])
        return members

    def character_class(self) -> None:
        """Read `[...]`; every literal in it is escaped so that nobody can take it for syntax."""
        start = self.at
        self.at += 1
        self.push("[")
        if self.pattern.startswith("^", self.at):
            self.out.append("^")
            self.at += 1
        empty = len(self.out)
        while len(self.out) == empty or not self.pattern.startswith("]", self.at):
            self.out.append(self.named_class() or self.range(start))
        self.out.append("]")
        self.at += 1

    def named_class(self) -> str | None:
        """Read `[:alpha:]`, `\\pL` or `\\d` within a class, if one of them is next."""
        two = self.pattern[self.at : self.at + 2]
        if two == "[:" and (end := self.pattern.find(":]", self.at + 2)) >= 0:
            name = self.pattern[self.at : end + 2]
            if name not in POSIX_CLASSES:
                raise error("invalid character class range", name)
            self.at = end + 2
            return name
        if two in ("\\p", "\\P"):
            return self.unicode_class()
        if two[:1] == "\\" and two[1:] in PERL_CLASSES:
            self.at += 2
            return PERL_CLASSES[two[1:]]
        return None

    def range(self, class_start: int) -> str:
        """Read a character of a class, or two with a `-` between."""
        start = self.at
        low = high = self.class_character(class_start)
        if self.pattern.startswith("-", self.at) and self.pattern[self.at + 1 : self.at + 2] not in ("", "]"):
            self.at += 1
            high = self.class_character(class_start)
            if high < low:
                raise error("invalid character class range", self.pattern[start : self.at])
        return _range(low, high)

    def class_character(self, class_start: int) -> int:
        if self.at >= len(self.pattern):
            raise error("missing closing ]", self.pattern[class_start:])
        if self.pattern[self.at] == "\\":
            return self.code_point()
        self.at += 1
        return ord(self.pattern[self.at - 1])

    def character(self) -> str:
        """Read an escape that stands for one character; "" for one that no text has."""
        code = self.code_point()
        return "" if 0xD800 <= code < 0xE000 else chr(code)

    def code_point(self) -> int:
        """Read an escape that stands for one code point (Go's parseEscape)."""
        pattern, start = self.pattern, self.at
        letter = pattern[start + 1 : start + 2]
        if not letter:
            raise PatternError("error parsing regexp: trailing backslash at end of expression: ``")
        self.at += 2
        if letter in _CONTROLS:
            return ord(_CONTROLS[letter])
        if letter == "x":
            return self.hexadecimal(start)
        if letter == "0" or (letter in _OCTAL and pattern[self.at : self.at + 1] in _OCTAL and self.at < len(pattern)):
            while self.at < start + 4 and pattern[self.at : self.at + 1] in _OCTAL and self.at < len(pattern):
                self.at += 1
            return int(pattern[start + 1 : self.at], 8)
        if letter.isascii() and not letter.isalnum():
            return ord(letter)
        raise error("invalid escape sequence", pattern[start : self.at])

    def hexadecimal(self, start: int) -> int:
        """Read `\\x7F` or `\\x{10FFFF}`; the part that an error shows ends with the character that is wrong."""
        pattern = self.pattern
        if pattern.startswith("{", self.at):
            self.at += 1
            digits = ""
            while (digit := pattern[self.at : self.at + 1]) and digit in _HEX and int(digits + digit, 16) <= 0x10FFFF:
                digits += digit
                self.at += 1
            self.at += bool(digit)
            if digits and digit == "}":
                return int(digits, 16)
        else:
            digits = pattern[self.at : self.at + 2]
            self.at += len(digits)
            if len(digits) == 2 and _HEX.issuperset(digits):
                return int(digits, 16)
        raise error("invalid escape sequence", pattern[start : self.at])


def _range(low: int, high: int) -> str:
    """Return a range of a class, without the surrogates, which no text has."""
    parts = [(low, min(high, 0xD7FF)), (max(low, 0xE000), high)]
    return "".join(escaped(chr(first)) + ("" if first == last else f"-{escaped(chr(last))}") for first, last in parts if first <= last)


def escaped(char: str) -> str:
    """Return the character as a literal, inside or outside a class; never an escape that pyre2 would read."""
    return "\\" + char if char.isascii() and char.isprintable() and not char.isalnum() and char not in ("", " ") else char
