r"""Shell patterns over file names, as Go's `filepath.Match` reads them: `*` and `?` do not cross `/`, `[a-z]`, `[^a-z]`, `\x`.

A pattern that is none matches nothing, as in OPA. Knows no files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from authz.rego.builtins.regex import Regex
from authz.rego.builtins.regex_syntax import PatternError, escaped

_MAX_PATTERN: Final = 1_000


def any_matches(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return the function that says whether a name matches one of the patterns."""
    compiled = [regex for pattern in patterns if (regex := _compiled(pattern)) is not None]
    return lambda name: any(regex.contains(name) for regex in compiled)


@lru_cache(256)
def _compiled(pattern: str) -> Regex | None:
    try:
        return Regex(rf"\A{_translated(pattern)}\z") if len(pattern) <= _MAX_PATTERN else None
    except (PatternError, IndexError, ValueError):
        return None


def _translated(pattern: str) -> str:
    out: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char in "*?":
            out.append("[^/]*" if char == "*" else "[^/]")
        elif char == "[":
            text, at = _range(pattern, at)
            out.append(text)
        else:
            if char == "\\":
                char = pattern[at]
                at += 1
            out.append(escaped(char))
    return "".join(out)


def _range(pattern: str, at: int) -> tuple[str, int]:
    """Read what follows `[`; return the expression and where the pattern goes on. Raises IndexError, ValueError for no range."""
    negated = pattern[at] == "^"
    at += negated
    out: list[str] = []
    while pattern[at] != "]" or not out:
        low, at = _member(pattern, at)
        high = low
        if pattern[at] == "-":
            high, at = _member(pattern, at + 1)
        if high < low:
            raise ValueError("an empty range")
        out.append(f"{escaped(low)}-{escaped(high)}")
    return f"[{'^' * negated}{''.join(out)}]", at + 1


def _member(pattern: str, at: int) -> tuple[str, int]:
    if pattern[at] in "-]":
        raise ValueError("a range without its ends")
    at += pattern[at] == "\\"
    return pattern[at], at + 1
