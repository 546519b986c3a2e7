"""Texts within texts: which of many literals occur in a value, by one pass over its short substrings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

SIZES: Final = (6, 3, 1)
"""Lengths of the substrings that literals are filed under: each under its rarest one of the longest length that it has."""

Gram = tuple[str, ...]


class GramIndex:
    """Literals by a substring of theirs; a look-up costs as much as the value is long, whatever the number of literals."""

    __slots__ = ("_empty", "_tables")

    def __init__(self, literals: Iterable[str]) -> None:
        distinct = sorted(set(literals))
        self._empty = ("",) if "" in distinct else ()
        self._tables: list[tuple[int, dict[Gram, tuple[str, ...]]]] = []
        for size, above in zip(SIZES, (None, *SIZES), strict=False):
            chosen = [text for text in distinct if len(text) >= size and (above is None or len(text) < above)]
            if chosen:
                self._tables.append((size, _filed(chosen, size)))

    def select(self, value: str) -> list[str]:
        """Return the literals that occur in a value, each once."""
        found = dict.fromkeys(self._empty)
        for size, table in self._tables:
            get = table.get
            for gram in zip(*(value[start:] for start in range(size)), strict=False):
                hits = get(gram)
                if hits is not None:
                    found.update((text, None) for text in hits if text in value)
        return list(found)


def _filed(texts: list[str], size: int) -> dict[Gram, tuple[str, ...]]:
    count: Counter[Gram] = Counter()
    for text in texts:
        count.update(_grams(text, size))
    table: dict[Gram, list[str]] = {}
    for text in texts:
        table.setdefault(min(_grams(text, size), key=lambda gram: (count[gram], gram)), []).append(text)
    return {gram: tuple(filed) for gram, filed in table.items()}


def _grams(text: str, size: int) -> set[Gram]:
    return set(zip(*(text[start:] for start in range(size)), strict=False))
