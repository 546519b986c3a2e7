"""regex.globs_match: whether some non-empty text is matched by two patterns at once.

The patterns are those of the library behind OPA's built-in: characters, `.`, sets like
`[a-z0]`, the flags `*` and `+`, and `\\` before anything. They are no regular expressions.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from authz.rego.builtins.registry import BOOLEAN, STRING, builtin
from authz.rego.errors import BuiltinError

MAX_PATTERN: Final = 400
"""Characters that a pattern may have: the search grows with the product of both lengths."""

_LAST: Final = 0x10FFFF

Ranges = tuple[tuple[int, int], ...]
Step = tuple[Ranges, bool]
"""The code points that a step takes, and whether it may be taken any number of times, or not at all."""


class GlobError(ValueError):
    """The text is no such pattern; the message is the library's."""


class _Reader:
    """One pass over a pattern. INVARIANT: `self.at` is the next character to read."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.steps: list[Step] = []

    def run(self) -> tuple[Step, ...]:
        while self.at < len(self.pattern):
            char = self.take()
            if char in "*+":
                raise self.failure(self.at, f"flag '{char}' must be preceded by a non-flag")
            if char == "]":
                raise self.failure(self.at, "set-close ']' with no preceding '['")
            if char == "[":
                self.step(self.set())
            elif char == ".":
                self.step(((0, _LAST),))
            else:
                code = ord(self.unescaped(char))
                self.step(((code, code),))
        return tuple(self.steps)

    def take(self) -> str:
        self.at += 1
        return self.pattern[self.at - 1]

    def unescaped(self, char: str) -> str:
        if char != "\\":
            return char
        if self.at >= len(self.pattern):
            raise self.failure(0, "input ends with a \\ (escape) character")
        return self.take()

    def step(self, ranges: Ranges) -> None:
        """Add a step with the flag that follows it: `x+` is `x` and `x*`."""
        flag = self.pattern[self.at : self.at + 1]
        if flag not in ("*", "+"):
            self.steps.append((ranges, False))
            return
        self.at += 1
        if flag == "+":
            self.steps.append((ranges, False))
        self.steps.append((ranges, True))

    def set(self) -> Ranges:
        ranges: list[tuple[int, int]] = []
        can_start_range = False
        while self.at < len(self.pattern):
            char = self.take()
            if char == "]":
                return tuple(ranges)
            if char == "-":
                if not can_start_range:
                    raise self.failure(self.at, "range character '-' must be preceded by a Unicode character")
                ranges[-1] = (ranges[-1][0], self.range_end(chr(ranges[-1][0])))
                can_start_range = False
            else:
                code = ord(self.unescaped(char))
                ranges.append((code, code))
                can_start_range = True
        raise self.failure(self.at, "found [ without matching ]")

    def range_end(self, low: str) -> int:
        at = self.at
        char = self.take() if at < len(self.pattern) else "]"
        if char in "]-":
            raise self.failure(at, "range character '-' must be followed by a Unicode character")
        high = self.unescaped(char)
        if high < low:
            raise self.failure(self.at, f"range is out of order: '{high}' comes before '{low}' in Unicode")
        return ord(high)

    def failure(self, position: int, problem: str) -> GlobError:
        return GlobError(f"input:{self.pattern}, pos:{position}, {problem}: the input provided is invalid")


@lru_cache(256)
def _steps(pattern: str) -> tuple[Step, ...]:
    if len(pattern) > MAX_PATTERN:
        raise GlobError(f"pattern has more than {MAX_PATTERN} characters")
    return _Reader(pattern).run()


def _meet(left: Ranges, right: Ranges) -> bool:
    return any(low <= other_high and other_low <= high for low, high in left for other_low, other_high in right)


def intersect(left: tuple[Step, ...], right: tuple[Step, ...]) -> bool:
    """Tell whether both sequences of steps take some text alike: a walk over pairs of positions."""
    if not left or not right:
        return not left and not right  # the library lets "" meet nothing but ""
    seen = {(0, 0)}
    pending = [(0, 0)]
    while pending:
        one, other = pending.pop()
        if one == len(left) and other == len(right):
            return True
        for pair in _moves(left, right, one, other):
            if pair not in seen:
                seen.add(pair)
                pending.append(pair)
    return False


def _moves(left: tuple[Step, ...], right: tuple[Step, ...], one: int, other: int) -> list[tuple[int, int]]:
    moves: list[tuple[int, int]] = []
    if one < len(left) and left[one][1]:
        moves.append((one + 1, other))
    if other < len(right) and right[other][1]:
        moves.append((one, other + 1))
    if one < len(left) and other < len(right) and _meet(left[one][0], right[other][0]):
        moves.append((one + (not left[one][1]), other + (not right[other][1])))
    return moves


@builtin("regex.globs_match", STRING, STRING, result=BOOLEAN)
def regex_globs_match(left: str, right: str) -> bool:
    try:
        return intersect(_steps(left), _steps(right))
    except GlobError as error:
        raise BuiltinError(f"regex.globs_match: {error}") from None
