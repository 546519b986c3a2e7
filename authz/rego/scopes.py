"""Scopes: which declaration of a rule a name means, and how each may be declared.

Owns the stack of scopes and the numbering of locals. Knows names and places, no syntax and no global name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from authz.rego.nodes import Location


@dataclass(frozen=True, slots=True)
class Use:
    """A call of a built-in: the name that its own begins with, which a variable may take from it, and whether it is an operand."""

    head: str
    function: str
    location: Location
    is_operand: bool


@dataclass(slots=True)
class Scope:
    """The names of one body or argument list.

    `declares` is every name that it declares anywhere: outside its locals such a name means nothing. `arguments` may not
    be declared again. `open` are names that were used and mean nothing so far, `variables` those of them that are variables.
    `unused` is what has to be used and was not, `shadowed` the built-ins that are called where a variable has their name.
    """

    declares: frozenset[str]
    arguments: frozenset[str]
    locals: dict[str, str] = field(default_factory=dict)
    actions: dict[str, str] = field(default_factory=dict)
    unused: dict[str, Location] = field(default_factory=dict)
    open: dict[str, Location] = field(default_factory=dict)
    variables: set[str] = field(default_factory=set)
    calls: list[Use] = field(default_factory=list)
    shadowed: list[Use] = field(default_factory=list)


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

    def pop(self, *, shares_uses: bool = False) -> Scope:
        """Leave a scope and return it. `shares_uses`: names that were used in it and mean nothing count as used outside."""
        scope = self._stack.pop()
        scope.shadowed += (call for call in scope.calls if call.head in scope.variables)
        if self._stack:
            outer = self._stack[-1]
            outer.calls += (call for call in scope.calls if call.head not in scope.variables)
            if shares_uses:
                outer.variables |= scope.variables
                for name, location in scope.open.items():
                    outer.open.setdefault(name, location)
        return scope

    def arguments(self) -> frozenset[str]:
        """Return the names that the innermost scope has declared."""
        return frozenset(self._stack[-1].locals)

    def declare(self, name: str, action: str, location: Location, *, must_use: bool = False) -> Misuse | None:
        """Declare a name in the innermost scope; return why that is wrong, if it is."""
        scope = self._stack[-1]
        misuse = _misuse(scope, name)
        if misuse is not None:
            return misuse
        self._counter += 1
        scope.locals[name] = f"{name}#{self._counter}"
        scope.actions[name] = action
        if must_use:
            scope.unused[name] = location
        return None

    def use(self, name: str) -> str | None:
        """Return the local that a name means here, and note that it is used; None if it means none."""
        for scope in reversed(self._stack):
            if name in scope.locals:
                scope.unused.pop(name, None)
                return scope.locals[name]
        return None

    def use_variable(self, name: str, location: Location) -> None:
        """Note the use of a variable that nothing declares. One that is used in an outer scope is of that scope."""
        if not any(name in scope.variables for scope in self._stack):
            self._stack[-1].open.setdefault(name, location)
            self._stack[-1].variables.add(name)

    def use_name(self, name: str, location: Location) -> str | None:
        """Return the local that the first name of a function means here, if it means one, and note that it is used."""
        local = self.use(name)
        if local is None:
            self._stack[-1].open.setdefault(name, location)
        return local

    def use_function(self, use: Use) -> None:
        """Note the call of a built-in. Variables that nothing declares hide only names without a dot, as in OPA."""
        if self.use_name(use.head, use.location) is not None:
            self._stack[-1].shadowed.append(use)
        elif use.function == use.head:
            self._stack[-1].calls.append(use)

    def local(self, name: str) -> str:
        """Return the local of a name that the innermost scope has declared, or tried to. Not a use of it."""
        return self._stack[-1].locals.get(name, name)

    def knows(self, name: str) -> bool:
        """Tell whether a name is that of a variable here, declared or used before."""
        return self.hides(name) or any(name in scope.variables for scope in self._stack)

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
