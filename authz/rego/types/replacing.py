"""What `with` does to types: the document it replaces may be of the value's type as well, and what depends on it may be anything.

Owns who depends on what. Knows the paths of rules, not their bodies.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from authz.rego.nodes import Scalar
from authz.rego.types.documents import DocumentTypes
from authz.rego.types.model import ANY, FunctionType, Type, either

Path = tuple[str, ...]
Uses = Mapping[Path, Iterable[Path]]
"""The paths of the rules that each rule refers to; all start with `data`."""


class Replacements:
    """Makes the types that hold where documents are replaced."""

    def __init__(self, uses: Uses) -> None:
        self.uses = uses
        self._overlays: dict[tuple[DocumentTypes, tuple[Path, ...]], DocumentTypes] = {}
        self._dependents: dict[Path, frozenset[Path]] = {}

    def over(self, documents: DocumentTypes, replaced: Mapping[Path, Type | None]) -> DocumentTypes:
        """Return the types of documents where those at these paths are replaced by values of these types.

        It is good until it is asked for again: replacing the same documents by other values changes it.
        """
        key = (documents, tuple(replaced))
        overlay = self._overlays.get(key)
        if overlay is None:
            overlay = self._overlays[key] = DocumentTypes(documents)
            for dependent in frozenset[Path]().union(*map(self._all_dependents, replaced)):
                overlay.put(dependent, ANY)
        for path, kind in replaced.items():
            known = documents.at(path[0], tuple(map(Scalar, path[1:])))
            if not isinstance(known, FunctionType):
                overlay.put(path, ANY if kind is None or known is None else either(known, kind) or ANY)
        return overlay

    def _all_dependents(self, target: Path) -> frozenset[Path]:
        """Return the paths of the rules that use what is at a path, or use those, and so on."""
        if target not in self._dependents:
            waiting = list(self._rules_at(target))
            found: set[Path] = set()
            while waiting:
                new = [user for user in self._users.get(waiting.pop(), ()) if user not in found]
                found.update(new)
                waiting += new
            self._dependents[target] = frozenset(found)
        return self._dependents[target]

    def _rules_at(self, target: Path) -> Iterator[Path]:
        """Yield the paths of the rules that make something at, above or below a path."""
        yield from (target[:size] for size in range(2, len(target)) if target[:size] in self.uses)
        for index in range(bisect_left(self._sorted, target), len(self._sorted)):
            if self._sorted[index][: len(target)] != target:
                break
            yield self._sorted[index]

    @cached_property
    def _sorted(self) -> list[Path]:
        return sorted(self.uses)

    @cached_property
    def _users(self) -> dict[Path, list[Path]]:
        users: dict[Path, list[Path]] = {}
        for user, used in self.uses.items():
            for path in used:
                users.setdefault(path, []).append(user)
        return users
