"""Scopes: which declaration of a rule a name means, and how each may be declared.

Owns the stack of scopes and the numbering of locals. Knows names and places, no syntax and no global name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from authz.rego.nodes import Location


@dataclass(slots=True)
class Scope:
    """The names of one body or argument list.

    `declares` is every name that it declares anywhere: outside its locals such a name means nothing. `arguments` may not
    be declared again. `open` are names that were used and mean nothing so far.
    """

    declares: frozenset[str]
    arguments: frozenset[str]
    locals: dict[str, str] = field(default_factory=dict)
    actions: dict[str, str] = field(default_factory=dict)
    unused: dict[str, Location] = field(default_factory=dict)
    open: dict[str, Location] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Misuse:
    """Why a name cannot be declared: OPA's words, and the likely fix."""

    message: str
    help: str


class Scopes:
    """The scopes around a place in a rule, innermost last."""

    def __init__(self) -> None:
        self._stack: list[Scope] = []
        self._counter = 0

    def push(self, declares: Iterable[str] = (), arguments: Iterable[str] = ()) -> None:
        """Enter a scope."""
        self._stack.append(Scope(frozenset(declares), frozenset(arguments)))

    def pop(self, *, shares_uses: bool = False) -> dict[str, Location]:
        """Leave a scope; return what had to be used in it and was not. `shares_uses`: what it used and means nothing counts outside."""
        scope = self._stack.pop()
        if shares_uses:
            for name, location in scope.open.items():
                self._stack[-1].open.setdefault(name, location)
        return scope.unused

    def arguments(self) -> frozenset[str]:
        """Return the names that the innermost scope has declared."""
        return frozenset(self._stack[-1].locals)

    def declare(self, name: str, action: str, location: Location, *, must_use: bool = False) -> Misuse | None:
        """Declare a name in the innermost scope; return why that is wrong, if it is."""
        scope = self._stack[-1]
        misuse = _misuse(scope, name)
        self._counter += 1
        scope.locals[name] = f"{name}#{self._counter}"
        scope.actions[name] = action
        if must_use and misuse is None:
            scope.unused[name] = location
        return misuse

    def use(self, name: str, location: Location) -> str | None:
        """Return the local that a name means here, and note that it is used; None if it means none."""
        for scope in reversed(self._stack):
            if name in scope.locals:
                scope.unused.pop(name, None)
                return scope.locals[name]
        if self._stack:
            self._stack[-1].open.setdefault(name, location)
        return None

    def local(self, name: str) -> str:
        """Return the local of a name that the innermost scope has declared; the name itself if it has not. Not a use of it."""
        return self._stack[-1].locals.get(name, name)

    def hides(self, name: str) -> bool:
        """Tell whether a name cannot mean anything global here, because a scope declares it, before this place or after."""
        return any(name in scope.declares or name in scope.locals for scope in self._stack)


def _misuse(scope: Scope, name: str) -> Misuse | None:
    if name in scope.arguments:
        return Misuse(f"arg {name} redeclared", "choose another name")
    if name in scope.actions:
        return Misuse(f"var {name} {scope.actions[name]} above", "choose another name, or compare with `==`")
    if name in scope.open:
        return Misuse(f"var {name} referenced above", f"it is used at {scope.open[name]}: declare it before, or choose another name")
    return None
