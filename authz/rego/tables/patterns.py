"""Pattern indexes: which globs, regular expressions and literals of a table match a text.

Path patterns share a trie, others are found by a literal that they cannot do without and then tried; what has neither is tried in
groups. Every answer is the engine's own or provably the same. Knows no rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from authz.rego.builtins import glob
from authz.rego.builtins.regex_syntax import PatternError, rewrite
from authz.rego.tables.grams import GramIndex
from authz.rego.tables.indexes import NOTHING, Component
from authz.rego.tables.pattern_syntax import NotUnderstoodError, Parts, required_text, sequences
from authz.rego.tables.segments import PathPattern, SegmentTrie, Tester, glob_path, path_pattern
from authz.rego.values import Value, without_surrogates

GROUP: Final = 32
"""Patterns without a literal that are tried together before each alone."""

DEFAULT_DELIMITER: Final = "/"
"""Where patterns without delimiters are cut into segments: what they match is mostly paths."""


def source_of(pattern: str, delimiters: str | None) -> str:
    """Return the rewritten regular expression that a pattern is; `delimiters` are those of a glob, None: it is a regular expression."""
    return rewrite(pattern).source if delimiters is None else glob.expression(pattern, delimiters)


class ContainsIndex:
    """The literals that occur in a string."""

    __slots__ = ("_grams", "_size")

    def __init__(self, literals: Iterable[str]) -> None:
        distinct = set(literals)
        self._grams = GramIndex(distinct)
        self._size = len(distinct)

    def select(self, value: Value | None, /) -> Sequence[Component]:
        return self._grams.select(value) if isinstance(value, str) else NOTHING

    def __len__(self) -> int:
        return self._size


class PatternIndex:
    """Patterns of one column with the same delimiters. A component is the pattern's text."""

    __slots__ = ("_grams", "_groups", "_size", "_testers", "_trie")

    def __init__(self, patterns: Iterable[str], delimiters: str | None) -> None:
        delimiter = delimiters[0] if delimiters else DEFAULT_DELIMITER
        paths: list[tuple[PathPattern, Component]] = []
        literals: dict[str, list[str]] = {}
        others: list[str] = []
        distinct = sorted(set(patterns))
        is_cut_once = delimiters is not None and len(delimiters) == 1
        for pattern in distinct:
            plain = glob_path(pattern, delimiter) if is_cut_once else None
            if plain is not None:
                paths.append((plain, pattern))
                continue
            found = _sequences(source_of(pattern, delimiters))
            as_paths = _as_paths(found, delimiter)
            if as_paths:
                paths += [(path, pattern) for path in as_paths]
            elif not _file(pattern, found, literals):
                others.append(pattern)
        self._size = len(distinct)
        self._trie = SegmentTrie(delimiter, paths) if paths else None
        self._grams = GramIndex(literals) if literals else None
        self._testers = {
            literal: tuple((pattern, Tester(source_of(pattern, delimiters))) for pattern in filed) for literal, filed in literals.items()
        }
        self._groups = [
            _Group([(pattern, Tester(source_of(pattern, delimiters))) for pattern in others[start : start + GROUP]])
            for start in range(0, len(others), GROUP)
        ]

    def select(self, value: Value | None, /) -> Sequence[Component]:
        if not isinstance(value, str):
            return NOTHING
        text = without_surrogates(value)
        found = self._trie.select(text) if self._trie is not None else []
        if self._grams is not None:
            for literal in self._grams.select(text):
                found += [pattern for pattern, tester in self._testers[literal] if tester.matches(text)]
        for group in self._groups:
            found += group.select(text)
        return found if len(found) < 2 else list(dict.fromkeys(found))

    def __len__(self) -> int:
        return self._size


class _Group:
    """Patterns that are tried together first."""

    __slots__ = ("_any", "_members")

    def __init__(self, members: list[tuple[str, Tester]]) -> None:
        self._members = members
        self._any = _any_of([tester.source for _, tester in members])

    def select(self, text: str) -> list[str]:
        if self._any is not None and not self._any.matches(text):
            return []
        return [pattern for pattern, tester in self._members if tester.matches(text)]


def _any_of(sources: list[str]) -> Tester | None:
    """Return one expression for all of them; None where they are too large together."""
    if len(sources) < 2:
        return None
    try:
        return Tester("|".join(f"(?:{source})" for source in sources))
    except PatternError:
        return None


def _sequences(source: str) -> list[Parts]:
    """Return the sequences of parts that an expression is; none if only the engine knows."""
    try:
        return sequences(source)
    except NotUnderstoodError:
        return []


def _as_paths(found: list[Parts], delimiter: str) -> list[PathPattern]:
    """Return the path patterns that sequences are; none if one of them is something else."""
    try:
        return [path_pattern(sequence, delimiter) for sequence in found]
    except NotUnderstoodError:
        return []


def _file(pattern: str, found: list[Parts], literals: dict[str, list[str]]) -> bool:
    """File a pattern under literals of which one has to occur; return False if it can do without."""
    texts = {required_text(sequence) for sequence in found}
    if not texts or "" in texts:
        return False
    for text in texts:
        literals.setdefault(text, []).append(pattern)
    return True
