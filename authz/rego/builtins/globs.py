"""regex.globs_match: whether some text is matched by two patterns at once, as the library behind OPA's built-in finds it.

The patterns are the library's: characters, `.`, sets like `[a-z0]`, the flags `*` and `+`, and `\\` before anything. They are
no regular expressions. Its search takes short cuts, so that it misses some texts (`[a-z]+` and `a[0-9]*` share `a`) and finds
some that there are not (`b` and `.*.+.+`): an answer that a policy relies on has to be the same here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from authz.rego.builtins.registry import BOOLEAN, STRING, builtin
from authz.rego.errors import BuiltinError

MAX_PATTERN: Final = 400
"""Characters that a pattern may have: the search grows with the product of both lengths."""

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Token:
    """The code points that one place of a text may hold, None for any, and `*`, `+` or "" for how often."""

    ranges: Ranges | None
    flag: str = ""


Tokens = tuple[Token, ...]


class GlobError(ValueError):
    """The text is no such pattern; the message is the library's."""


class _Reader:
    """One pass over a pattern. INVARIANT: `self.at` is the next character to read."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def run(self) -> Tokens:
        tokens: list[Token] = []
        while self.at < len(self.pattern):
            char, is_escaped = self.rune()
            if is_escaped or char not in "*+[].":
                token = Token(((ord(char), ord(char)),))
            elif char == ".":
                token = Token(None)
            elif char == "[":
                token = Token(self.set())
            elif char == "]":
                raise self.failure(self.at, "set-close ']' with no preceding '['")
            else:
                raise self.failure(self.at, f"flag '{char}' must be preceded by a non-flag")
            _add(tokens, replace(token, flag=self.flag()))
        return tuple(tokens)

    def rune(self) -> tuple[str, bool]:
        """Read a character; say whether it was escaped."""
        is_escaped = self.pattern[self.at] == "\\"
        if is_escaped and self.at + 1 == len(self.pattern):
            raise self.failure(self.at, "input ends with a \\ (escape) character")
        self.at += 1 + is_escaped
        return self.pattern[self.at - 1], is_escaped

    def flag(self) -> str:
        flag = self.pattern[self.at : self.at + 1]
        if flag == "\\" and self.at + 1 == len(self.pattern):
            raise self.failure(self.at, "input ends with a \\ (escape) character")
        self.at += flag in ("*", "+")
        return flag if flag in ("*", "+") else ""

    def set(self) -> Ranges:
        ranges: list[tuple[int, int]] = []
        can_start_range = False
        while self.at < len(self.pattern):
            char, is_escaped = self.rune()
            if char == "]" and not is_escaped:
                return _merged(ranges)
            if char == "-" and not is_escaped:
                if not can_start_range:
                    raise self.failure(self.at, "range character '-' must be preceded by a Unicode character")
                ranges[-1] = (ranges[-1][0], self.range_end(ranges[-1][0]))
                can_start_range = False
            else:
                ranges.append((ord(char), ord(char)))
                can_start_range = True
        raise self.failure(self.at, "found [ without matching ]")

    def range_end(self, low: int) -> int:
        if self.at >= len(self.pattern) - 1:
            raise self.failure(self.at, "range character '-' must be followed by a Unicode character")
        high, is_escaped = self.rune()
        if high in "]-" and not is_escaped:
            raise self.failure(self.at, "range character '-' cannot be followed by a special symbol")
        if ord(high) < low:
            raise self.failure(self.at, f"range is out of order: '{high}' comes before '{chr(low)}' in Unicode")
        return ord(high)

    def failure(self, position: int, problem: str) -> GlobError:
        return GlobError(f"input:{self.pattern}, pos:{position}, {problem}: the input provided is invalid")


def _merged(ranges: list[tuple[int, int]]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _add(tokens: list[Token], token: Token) -> None:
    """Append a token; one with a flag joins the like one before it."""
    if tokens and token.flag and tokens[-1].flag and token.ranges == tokens[-1].ranges:
        tokens[-1] = replace(token, flag="+" if "+" in (token.flag, tokens[-1].flag) else "*")
    else:
        tokens.append(token)


@lru_cache(256)
def _tokens(pattern: str) -> Tokens:
    if len(pattern) > MAX_PATTERN:
        raise GlobError(f"pattern has more than {MAX_PATTERN} characters")
    return _Reader(pattern).run()


@lru_cache(4096)
def _meet(left: Ranges | None, right: Ranges | None) -> bool:
    if left is None or right is None:
        return True
    return any(low <= other_high and other_low <= high for low, high in left for other_low, other_high in right)


def intersect(left: Tokens, right: Tokens) -> bool:
    """Tell whether the library finds a text that both sequences take."""
    trimmed = _trimmed(left, right)
    return trimmed is not None and _Search(*trimmed).meets()


def _trimmed(left: Tokens, right: Tokens) -> tuple[Tokens, Tokens] | None:
    """Return both without all but the innermost of their first and last tokens that have no flags; None if two of those do not meet."""
    start = 0
    while start < min(len(left), len(right)) and not left[start].flag and not right[start].flag:
        if not _meet(left[start].ranges, right[start].ranges):
            return None
        start += 1
    start = max(start - 1, 0)
    cut = 0
    while start < min(len(left), len(right)) - cut and not left[-1 - cut].flag and not right[-1 - cut].flag:
        if not _meet(left[-1 - cut].ranges, right[-1 - cut].ranges):
            return None
        cut += 1
    cut = max(cut - 1, 0)
    return left[start : len(left) - cut], right[start : len(right) - cut]


class _Search:
    """The library's search over pairs of positions, from the ends backwards, so that each pair is looked at once.

    It asks three questions of two tails, each with one of them `first`: do they meet (`plain`), do they if the first token of
    `first` is taken any number of times (`star`), or at least once (`plus`).
    """

    def __init__(self, left: Tokens, right: Tokens) -> None:
        self.sides = (left, right)
        self.plain: list[dict[tuple[int, int], bool]] = [{}, {}]
        self.star: list[dict[tuple[int, int], bool]] = [{}, {}]

    def meets(self) -> bool:
        left, right = self.sides
        for one in range(len(left), -1, -1):
            for other in range(len(right), -1, -1):
                pairs = ((0, (one, other)), (1, (other, one)))
                for first, at in pairs:
                    self.star[first][at] = self.find_star(first, *at)
                for first, at in pairs:
                    self.plain[first][at] = self.find_plain(first, *at)
        return self.plain[0][0, 0]

    def find_star(self, first: int, at: int, other: int) -> bool:
        starred, tail = self.sides[first], self.sides[1 - first]
        if at == len(starred):
            return False
        if other == len(tail):
            return at + 1 == len(starred)
        ranges = tail[other].ranges
        if at + 1 < len(starred) and _meet(ranges, starred[at + 1].ranges) and self.plain[first][at + 1, other]:
            return True
        return _meet(ranges, starred[at].ranges) and self.star[first][at, other + 1]

    def find_plain(self, first: int, at: int, other: int) -> bool:
        left, right = self.sides[first], self.sides[1 - first]
        if at == len(left) or other == len(right):
            return at == len(left) and other == len(right)
        if left[at].flag:
            return self.flagged(first, at, other)
        if right[other].flag:
            return self.flagged(1 - first, other, at)
        return _meet(left[at].ranges, right[other].ranges) and self.plain[first][at + 1, other + 1]

    def flagged(self, first: int, at: int, other: int) -> bool:
        token, met = self.sides[first][at], self.sides[1 - first][other]
        if token.flag == "*":
            return self.star[first][at, other]
        if not _meet(token.ranges, met.ranges):
            return False
        return self.star[first][at, other + 1] or (met.flag != "" and self.plain[first][at + 1, other])


@builtin("regex.globs_match", STRING, STRING, result=BOOLEAN)
def regex_globs_match(left: str, right: str) -> bool:
    try:
        return intersect(_tokens(left), _tokens(right))
    except GlobError as error:
        raise BuiltinError(f"regex.globs_match: {error}") from None
