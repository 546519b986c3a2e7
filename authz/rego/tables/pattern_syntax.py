"""Patterns taken apart: from a regular expression to sequences of literals and character sets.

Works on what `regex_syntax.rewrite` and `glob.expression` write, in which every literal is a character or an escaped punctuation mark.
What is not understood here is left to the engine; nothing is ever matched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import Final

from authz.rego.builtins.regex_syntax import escaped

MAX_ALTERNATIVES: Final = 64
"""Sequences that the alternatives of one pattern may multiply to."""

_QUANTIFIER: Final = re.compile(r"[*+?]|\{[0-9]+(?:,[0-9]*)?\}")
_LITERALS: Final = re.compile(r"(?:(?:[^\\\[\](){}.*+?^$|]|\\[^0-9A-Za-z])(?![*+?{]))+", re.DOTALL)
"""Characters that mean themselves and are not repeated."""

_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_ANY: Final = ".", "(?s:.)"


class NotUnderstoodError(ValueError):
    """The pattern has a part that only the engine knows."""


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a sequence, as the text of an expression; `literal`: the characters that it is, if it is nothing else."""

    text: str
    quantifier: str = ""
    literal: str | None = None

    @property
    def is_begin(self) -> bool:
        return self.literal is None and self.text in ("^", "\\A")

    @property
    def is_end(self) -> bool:
        return self.literal is None and self.text in ("$", "\\z")

    @property
    def is_anything(self) -> bool:
        """Tell whether it takes any characters (line breaks excepted if the text is a lone dot)."""
        return self.literal is None and self.text in _ANY and self.quantifier in ("*", "+")

    @property
    def source(self) -> str:
        """Return it as a part of an expression."""
        return self.text + self.quantifier if self.literal is None else "".join(map(escaped, self.literal))


Parts = tuple[Part, ...]


def sequences(rewritten: str) -> list[Parts]:
    """Return the sequences of parts of which one has to match. Raises NotUnderstoodError."""
    reader = _Reader(rewritten)
    found = reader.alternatives()
    if not reader.at_end():
        raise NotUnderstoodError
    return found


class _Reader:
    """One pass over a rewritten pattern. INVARIANT: `self.at` is the next character to read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def at_end(self) -> bool:
        return self.at >= len(self.text)

    def alternatives(self) -> list[Parts]:
        found = self.concatenation()
        while self.text.startswith("|", self.at):
            self.at += 1
            found += self.concatenation()
        return _bounded(found)

    def concatenation(self) -> list[Parts]:
        found: list[Parts] = [()]
        while not self.at_end() and self.text[self.at] not in "|)":
            run = _LITERALS.match(self.text, self.at)
            if run is not None:
                self.at = run.end()
                text = run.group()
                text = _ESCAPED.sub(r"\1", text) if "\\" in text else text
                part = Part(text, literal=text)
                found = [(*sequence, part) for sequence in found]
            else:
                found = _bounded([left + right for left, right in product(found, self.item())])
        return found

    def item(self) -> list[Parts]:
        """Return the ways in which the next item can match."""
        if self.text.startswith("(?s:.)", self.at):
            self.at += len("(?s:.)")
            return [(Part("(?s:.)", self.quantifier()),)]
        if self.text.startswith("(", self.at):
            return self.group()
        part = self.single()
        quantifier = self.quantifier()
        if not quantifier:
            return [(part,)]
        if part.literal is not None and quantifier == "?":
            return [(), (part,)]
        return [(Part(part.source, quantifier),)]

    def group(self) -> list[Parts]:
        """Read a group. Its alternatives are the pattern's, unless it is repeated: then only the engine knows."""
        self.at += 1
        if self.text.startswith("?P<", self.at):
            self.at = self.text.index(">", self.at) + 1
        elif self.text.startswith("?:", self.at):
            self.at += 2
        elif self.text.startswith("?", self.at):
            raise NotUnderstoodError
        found = self.alternatives()
        self.at += 1  # the closing parenthesis: the engine has accepted the pattern
        quantifier = self.quantifier()
        if quantifier == "?":
            return _bounded([(), *found])
        if quantifier:
            raise NotUnderstoodError
        return found

    def single(self) -> Part:
        char = self.text[self.at]
        start = self.at
        if char == "[":
            self.at = self.class_end()
            return Part(self.text[start : self.at])
        if char == "\\":
            self.at += 2
            letter = self.text[start + 1]
            if letter.isalnum() and letter not in "Az":
                raise NotUnderstoodError
            return Part(f"\\{letter}") if letter in "Az" else Part(letter, literal=letter)
        if char in "{*+?":
            raise NotUnderstoodError
        self.at += 1
        return Part(char, literal=None if char in "^$." else char)

    def class_end(self) -> int:
        """Return the place behind a character class; within it `]` stands escaped or ends a named class."""
        at = self.at + 1
        while self.text[at] != "]":
            if self.text.startswith("[:", at):
                at = self.text.index(":]", at) + 2
            else:
                at += 2 if self.text[at] == "\\" else 1
        return at + 1

    def quantifier(self) -> str:
        """Read how often the item is taken; whether greedily is the same to a test."""
        found = _QUANTIFIER.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end() + self.text.startswith("?", found.end())
        if _QUANTIFIER.match(self.text, self.at):
            raise NotUnderstoodError
        return found.group()


def _bounded(found: list[Parts]) -> list[Parts]:
    if len(found) > MAX_ALTERNATIVES:
        raise NotUnderstoodError
    return found


def required_text(sequence: Parts) -> str:
    """Return the longest text that has to be there for a sequence to match; empty if none is certain."""
    best = run = ""
    for part in sequence:
        run = run + part.literal if part.literal is not None else ""
        best = max(best, run, key=len)
    return best
