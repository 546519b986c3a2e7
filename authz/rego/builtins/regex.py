"""Built-ins on regular expressions: RE2 only, so that no pattern can take more than linear time.

Owns the cache of compiled patterns and Go's rules of what a search, a split and a
replacement yield. Knows Go's syntax only through `regex_syntax`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final

import re2  # type: ignore[import-not-found]  # pyre2 ships no types

from authz.rego.builtins.octets import bytes_of, text_of
from authz.rego.builtins.regex_syntax import PatternError, error, rewrite
from authz.rego.builtins.registry import ANY, ARRAY, BOOLEAN, INDEX, STRING, builtin
from authz.rego.errors import BuiltinError
from authz.rego.render import quote
from authz.rego.values import Value, without_surrogates

CACHED_PATTERNS: Final = 1_024
"""Compiled patterns kept; a pattern made from input must not fill memory."""

# Without this pyre2 would quietly hand what RE2 refuses to the backtracking `re`.
re2.set_fallback_notification(re2.FALLBACK_EXCEPTION)

Span = tuple[int, int]


class Regex:
    """A compiled pattern. `contains` tells whether it matches anywhere in a text (the hot path, 0.3 µs)."""

    __slots__ = ("_bytes", "contains", "groups", "pattern", "source")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        rewritten = rewrite(pattern)
        self.source, self.groups = rewritten.source, rewritten.groups
        try:
            self.contains: Callable[[str], bool] = re2.compile(self.source, re2.ASCII).contains
        except re2.error:  # what else may be wrong `rewrite` has found
            raise error("expression too large", pattern) from None
        self._bytes: Any = None

    @property
    def on_bytes(self) -> Any:
        """The same pattern over UTF-8, where positions are byte positions and need no counting."""
        if self._bytes is None:
            self._bytes = re2.compile(self.source.encode(), re2.UNICODE)
        return self._bytes

    def search(self, data: bytes, at: int) -> Any:
        """Return the first match from `at` on, or None. RE2 finds `\\B` inside a rune too, which Go does not."""
        match = self.on_bytes.search(data, at)
        while match is not None and _is_inside_rune(data, match.regs[0][0]):
            match = self.on_bytes.search(data, _next_rune(data, match.regs[0][0]))
        return match

    def matches(self, data: bytes, limit: int) -> Iterator[tuple[Span, ...]]:
        """Yield the spans of up to `limit` matches (all if negative) and their groups, as Go's FindAll.

        An empty match just behind another match does not count.
        """
        at, previous_end, found = 0, -1, 0
        while at <= len(data) and found != limit:
            match = self.search(data, at)
            if match is None:
                return
            start, end = match.regs[0]
            empty_behind = end == at and start == previous_end
            at = _next_rune(data, at) if end == at else end
            previous_end = end
            if not empty_behind:
                found += 1
                yield match.regs


def _is_inside_rune(data: bytes, at: int) -> bool:
    return at < len(data) and data[at] & 0xC0 == 0x80


def _next_rune(data: bytes, at: int) -> int:
    at += 1
    while _is_inside_rune(data, at):
        at += 1
    return at


@lru_cache(CACHED_PATTERNS)
def compiled(pattern: str) -> Regex:
    """Return the compiled pattern. Raises PatternError."""
    return Regex(pattern)


def _regex(name: str, pattern: str) -> Regex:
    try:
        return compiled(pattern)
    except PatternError as error:
        raise BuiltinError(f"{name}: {error}") from None


def contains(regex: Regex, text: str) -> bool:
    """Tell whether the pattern matches anywhere; a lone surrogate, which RE2 cannot be given, counts as U+FFFD."""
    try:
        return regex.contains(text)
    except UnicodeEncodeError:
        return regex.contains(without_surrogates(text))


@builtin("regex.match", STRING, STRING, result=BOOLEAN)
def regex_match(pattern: str, text: str) -> bool:
    return contains(_regex("regex.match", pattern), text)


@builtin("re_match", STRING, STRING, result=BOOLEAN, deprecated=True)
def re_match(pattern: str, text: str) -> bool:
    return contains(_regex("re_match", pattern), text)


@builtin("regex.is_valid", ANY, result=BOOLEAN)
def regex_is_valid(pattern: Value) -> bool:
    if type(pattern) is not str:
        return False
    try:
        compiled(pattern)
    except PatternError:
        return False
    return True


@builtin("regex.find_n", STRING, STRING, INDEX, result=ARRAY)
def regex_find_n(pattern: str, text: str, limit: int) -> Value:
    regex, data = _regex("regex.find_n", pattern), _valid_bytes(text)
    return tuple(text_of(data[start:end]) for (start, end), *_ in regex.matches(data, limit))


@builtin("regex.find_all_string_submatch_n", STRING, STRING, INDEX, result=ARRAY)
def regex_find_all_string_submatch_n(pattern: str, text: str, limit: int) -> Value:
    regex, data = _regex("regex.find_all_string_submatch_n", pattern), _valid_bytes(text)
    return tuple(tuple(_slice(data, span) for span in spans) for spans in regex.matches(data, limit))


def _valid_bytes(text: str) -> bytes:
    """Return the text's bytes; those that are no UTF-8 are U+FFFD to Go's expressions."""
    return bytes_of(without_surrogates(text))


def _slice(data: bytes, span: Span) -> str:
    """Return what a group matched; "" for a group that took no part."""
    start, end = span
    return "" if start < 0 else text_of(data[start:end])


@builtin("regex.split", STRING, STRING, result=ARRAY)
def regex_split(pattern: str, text: str) -> Value:
    regex, data = _regex("regex.split", pattern), _valid_bytes(text)
    if not data:
        return ("",) if pattern else ()
    parts: list[str] = []
    begin = end = 0
    for (start, stop), *_ in regex.matches(data, -1):
        end = start
        if stop:
            parts.append(text_of(data[begin:end]))
        begin = stop
    if end != len(data):
        parts.append(text_of(data[begin:]))
    return tuple(parts)


@builtin("regex.replace", STRING, STRING, STRING, result=STRING)
def regex_replace(text: str, pattern: str, replacement: str) -> Value:
    regex, data = _regex("regex.replace", pattern), _valid_bytes(text)
    template = _template(regex, replacement)
    result = bytearray()
    copied = at = 0
    while at <= len(data) and (match := regex.search(data, at)) is not None:
        start, end = match.regs[0]
        result += data[copied:start]
        if end > copied or start == 0:
            for part in template:
                result += part if isinstance(part, bytes) else next((found for at in part if (found := match.group(at)) is not None), b"")
        copied = end
        at = max(end, _next_rune(data, at))
    return text_of(bytes(result + data[copied:]))


def _template(regex: Regex, replacement: str) -> list[bytes | tuple[int, ...]]:
    """Split a replacement into literal text and group numbers (Go's Expand: `$1`, `${name}`, `$$`)."""
    first, *parts = replacement.split("$")
    result: list[bytes | tuple[int, ...]] = [bytes_of(first)]
    parts.reverse()
    while parts:
        part = parts.pop()
        if not part and parts:
            result.append(bytes_of("$" + parts.pop()))
            continue
        name, rest = _reference(part)
        if name:
            result.append(_groups(regex, name))
        result.append(bytes_of(rest if name else "$" + part))
    return result


def _groups(regex: Regex, name: str) -> tuple[int, ...]:
    """Return the groups of a number or a name; of several, the first that took part counts."""
    if name.isascii() and name.isdecimal() and (name == "0" or name[0] != "0") and len(name) < 9:
        return (int(name),) if int(name) <= regex.on_bytes.groups else ()
    return tuple(regex.groups.get(name, ()))


def _reference(part: str) -> tuple[str, str]:
    """Return the group named behind a `$`, "" if none is, and what follows it."""
    braced = part.startswith("{")
    end = start = int(braced)
    while end < len(part) and (part[end] == "_" or part[end].isalpha() or part[end].isdecimal()):
        end += 1
    if end == start or (braced and part[end : end + 1] != "}"):
        return "", part
    return part[start:end], part[end + braced :]


@builtin("regex.template_match", STRING, STRING, STRING, STRING, result=BOOLEAN)
def regex_template_match(template: str, text: str, start: str, end: str) -> bool:
    size = len(bytes_of(start))
    for side, delimiter in (("start", start), ("end", end)):
        if len(bytes_of(delimiter)) != 1:  # OPA gives the first one's size for both
            raise BuiltinError(f"regex.template_match: {side} delimiter has to be exactly one character long but is {size} long")
    try:
        return contains(_template_regex(template, start, end), text)
    except PatternError as error:
        raise BuiltinError(f"regex.template_match: {error}") from None


@lru_cache(CACHED_PATTERNS)
def _template_regex(template: str, start: str, end: str) -> Regex:
    """Compile a template whose patterns stand between delimiters. Raises PatternError."""
    parts: list[str] = []
    closed = 0
    for opened, end_of in _braces(template, start, end):
        inner = template[opened + 1 : end_of - 1]
        compiled(f"^{inner}$")  # alone it must be a pattern too, so that `a)(b` cannot pass
        parts.append(f"{quote_meta(template[closed:opened])}({inner})")
        closed = end_of
    return compiled(f"^{''.join(parts)}{quote_meta(template[closed:])}$")


def _braces(template: str, start: str, end: str) -> list[tuple[int, int]]:
    """Return where each outermost pair of delimiters begins and ends. Raises PatternError if they are not balanced."""
    found: list[tuple[int, int]] = []
    level = opened = 0
    for at, char in enumerate(template):
        if char == start:
            level += 1
            opened = at if level == 1 else opened
        elif char == end:
            level -= 1
            if level == 0:
                found.append((opened, at + 1))
        if level < 0:
            break
    if level:
        raise PatternError(f"unbalanced braces in {quote(template)}")
    return found


def quote_meta(text: str) -> str:
    """Escape what has a meaning in a pattern (Go's regexp.QuoteMeta)."""
    return "".join("\\" + char if char in r"\.+*?()|[]{}^$" else char for char in text)
