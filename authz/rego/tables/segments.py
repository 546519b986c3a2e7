"""Path patterns: sequences of parts cut at a delimiter into segments, and the trie that many of them share.

A segment is a text, anything, or what an expression matches; behind the last one a tail may take the rest. Only sequences that
begin at the beginning of a text, and of which no part but the last can take a delimiter, are path patterns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from authz.rego.builtins.regex import Regex
from authz.rego.tables.indexes import Component, PrefixIndex
from authz.rego.tables.pattern_syntax import NotUnderstoodError, Part, Parts

_SETS_KEPT: Final = 256
"""Character sets of which is remembered whether they have a delimiter: patterns of one policy use few."""


class Tester:
    """A compiled expression that travels to another process as its text."""

    __slots__ = ("matches", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self.matches: Callable[[str], bool] = Regex(source).contains

    def __reduce__(self) -> tuple[Any, ...]:
        return Tester, (self.source,)


@dataclass(frozen=True, slots=True)
class Segment:
    """What one piece between delimiters has to be: `text`, or what `source` matches; neither: anything."""

    text: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Tail:
    """What the rest of a text has to be: start with `text` or, as a whole, be what `source` matches.

    `one_line`: behind the text there is no line break.
    """

    text: str = ""
    source: str | None = None
    one_line: bool = False


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A sequence as segments, the last of them replaced by a tail if there is one."""

    segments: tuple[Segment, ...]
    tail: Tail | None


def path_pattern(sequence: Parts, delimiter: str) -> PathPattern:
    """Return the sequence as a path pattern. Raises NotUnderstoodError if it is none."""
    if not sequence or not sequence[0].is_begin:
        raise NotUnderstoodError
    parts = list(sequence[1:])
    ends = bool(parts) and parts[-1].is_end
    if ends:
        parts.pop()
    anything = parts.pop() if parts and parts[-1].is_anything else None
    pieces: list[list[Part]] = [[]]
    for part in parts:
        if part.literal is not None and delimiter in part.literal:
            first, *others = part.literal.split(delimiter)
            pieces[-1] += _literal(first)
            pieces += [_literal(text) for text in others]
        elif part.is_begin or part.is_end or _takes(part, delimiter):
            raise NotUnderstoodError
        else:
            pieces[-1].append(part)
    last = pieces.pop()
    segments = tuple(_segment(piece, delimiter) for piece in pieces)
    if anything is None and ends:
        return PathPattern((*segments, _segment(last, delimiter)), None)
    return PathPattern(segments, _tail(last, anything, ends=ends))


_PLAIN_GLOB: Final = re.compile(r"[^?\[\]{}\\\ufffd\ud800-\udfff]*")


def glob_path(pattern: str, delimiter: str) -> PathPattern | None:
    """Return what `path_pattern` makes of a glob cut at one delimiter, if it is plain: segments that are texts or `*`, a `**` at the end.

    A shortcut for what most path patterns of base data are: with 100,000 of them, reading the regular expressions that globs stand
    for was a third of an activation (bench `joins`, grants by glob).
    """
    if delimiter == "*" or _PLAIN_GLOB.fullmatch(pattern) is None:
        return None
    *pieces, last = pattern.split(delimiter)
    tail = Tail(last[:-2]) if last.endswith("**") else None
    if tail is None:
        pieces.append(last)
    elif "*" in tail.text:
        return None
    if any("*" in piece and piece != "*" for piece in pieces):
        return None
    return PathPattern(tuple(Segment() if piece == "*" else Segment(piece) for piece in pieces), tail)


def _literal(text: str) -> list[Part]:
    return [Part(text, literal=text)] if text else []


def _takes(part: Part, delimiter: str) -> bool:
    """Tell whether a part can take the delimiter, or more than characters."""
    if part.literal is not None:
        return False
    return part.text == "." or _matches_char(part.text, delimiter)


@lru_cache(_SETS_KEPT)
def _matches_char(source: str, char: str) -> bool:
    return Regex(rf"\A(?:{source})\z").contains(char)


def _segment(parts: list[Part], delimiter: str) -> Segment:
    text = _text(parts)
    if text is not None:
        return Segment(text)
    if len(parts) == 1 and parts[0].quantifier == "*" and parts[0].text in (f"[^{delimiter}]", f"[^\\{delimiter}]"):
        return Segment()
    return Segment(source=rf"\A(?:{''.join(part.source for part in parts)})\z")


def _tail(parts: list[Part], anything: Part | None, *, ends: bool) -> Tail:
    text = _text(parts)
    takes_lines = anything is None or anything.text != "."
    if text is not None and (anything is None or anything.quantifier == "*"):
        return Tail(text, one_line=ends and not takes_lines)
    whole = "".join(part.source for part in parts) + ("" if anything is None else anything.source)
    return Tail(source=rf"\A(?:{whole})" + (r"\z" if ends else ""))


def _text(parts: list[Part]) -> str | None:
    if len(parts) == 1:
        return parts[0].literal
    return "".join(part.literal for part in parts if part.literal is not None) if all(part.literal is not None for part in parts) else None


# The trie


class _Node:
    """A place in the trie; `ends` and tails hold the components of the patterns that end there. Most have one part only."""

    __slots__ = ("anything", "ends", "tails", "tests", "texts")

    def __init__(self) -> None:
        self.texts: dict[str, _Node] | None = None
        self.anything: _Node | None = None
        self.tests: dict[str, tuple[Tester, _Node]] | None = None
        self.ends: tuple[Component, ...] = ()
        self.tails: _TailSet | None = None

    def children(self) -> Iterator[_Node]:
        yield from (self.texts or {}).values()
        yield from (child for _, child in (self.tests or {}).values())
        if self.anything is not None:
            yield self.anything

    def child(self, segment: Segment) -> _Node:
        """Return the node behind a segment, made if it is not there."""
        if segment.text is not None:
            self.texts = self.texts or {}
            return self.texts.setdefault(segment.text, _Node())
        if segment.source is not None:
            self.tests = self.tests or {}
            return self.tests.setdefault(segment.source, (Tester(segment.source), _Node()))[1]
        self.anything = self.anything or _Node()
        return self.anything

    def after(self, segment: str, following: list[_Node]) -> None:
        """Append the nodes behind a piece of a text."""
        if self.texts is not None:
            child = self.texts.get(segment)
            if child is not None:
                following.append(child)
        if self.anything is not None:
            following.append(self.anything)
        if self.tests is not None:
            following += [child for tester, child in self.tests.values() if tester.matches(segment)]


class _TailSet:
    """The tails at one place: texts share an index, expressions are tried one by one."""

    __slots__ = ("_by_text", "_index", "_tests")

    def __init__(self) -> None:
        self._by_text: dict[str, list[tuple[bool, Component]]] = {}
        self._index: PrefixIndex | None = None
        self._tests: dict[str, tuple[Tester, list[Component]]] = {}

    def add(self, tail: Tail, component: Component) -> None:
        if tail.source is None:
            self._by_text.setdefault(tail.text, []).append((tail.one_line, component))
        else:
            self._tests.setdefault(tail.source, (Tester(tail.source), []))[1].append(component)

    def finish(self) -> None:
        self._index = PrefixIndex(self._by_text, many=False)

    def find(self, rest: str, found: list[Component]) -> None:
        assert self._index is not None
        for text in self._index.select(rest):
            found += [component for one_line, component in self._by_text[text] if not one_line or "\n" not in rest[len(text) :]]
        for tester, components in self._tests.values():
            if tester.matches(rest):
                found += components


class SegmentTrie:
    """The path patterns of one delimiter; a look-up goes through the segments of a text once, whatever their number."""

    __slots__ = ("_delimiter", "_root")

    def __init__(self, delimiter: str, patterns: Iterable[tuple[PathPattern, Component]]) -> None:
        self._delimiter = delimiter
        self._root = _Node()
        for pattern, component in patterns:
            self._add(pattern, component)
        self._finish()

    def _add(self, pattern: PathPattern, component: Component) -> None:
        node = self._root
        for segment in pattern.segments:
            node = node.child(segment)
        if pattern.tail is None:
            node.ends += (component,)
            return
        if node.tails is None:
            node.tails = _TailSet()
        node.tails.add(pattern.tail, component)

    def _finish(self) -> None:
        waiting = [self._root]
        while waiting:
            node = waiting.pop()
            if node.tails is not None:
                node.tails.finish()
            waiting += node.children()

    def select(self, value: str) -> list[Component]:
        """Return the components of the patterns that match, some perhaps twice."""
        found: list[Component] = []
        nodes, at = [self._root], 0
        for segment in value.split(self._delimiter):
            following: list[_Node] = []
            for node in nodes:
                if node.tails is not None:
                    node.tails.find(value[at:], found)
                node.after(segment, following)
            if not following:
                return found
            nodes = following
            at += len(segment) + 1
        for node in nodes:
            found += node.ends
        return found
