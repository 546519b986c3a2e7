"""Expressions of a plan and calls: what generated code makes of them, one by one.

What a rule or a body gives is its subclasses' business.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import cast

from authz.rego import plan as p
from authz.rego.builtins import BUILTINS
from authz.rego.nodes import NOWHERE, Location
from authz.rego.observed.events import Op
from authz.rego.observed.frames import Frame, Scope, at
from authz.rego.observed.telling import Teller
from authz.rego.program import Kind, Path
from authz.rego.runtime import Context, get, get_data, lifted, put
from authz.rego.values import Object, Set, Value

Values = Iterator[Value]


class Expressions(Teller, ABC):
    """An evaluation, as far as values go."""

    @abstractmethod
    def complete(self, frame: Frame, scope: Scope, path: Path) -> Values:
        """Yield the value of a complete rule, and evaluate what is left of it when the caller goes on."""

    @abstractmethod
    def call(self, frame: Frame, scope: Scope, path: Path, args: tuple[Value, ...]) -> Values:
        """Yield the value of a function, and evaluate what is left of it when the caller goes on."""

    @abstractmethod
    def collection(self, frame: Frame, scope: Scope, path: Path, keys: tuple[Value, ...]) -> Value | None:
        """Return the set or object that rules make, or what it has at `keys`."""

    @abstractmethod
    def document(self, frame: Frame, scope: Scope, path: Path) -> Value | None:
        """Return the whole document at a path of `data`."""

    @abstractmethod
    def kind(self, path: Path) -> Kind | None:
        """Return what the rules at a path make, None where rules are only below it."""

    @abstractmethod
    def below(self, scope: Scope, path: Path) -> Iterable[Value]:
        """Return the names below a path, of base data and of rules."""

    @abstractmethod
    def base(self, scope: Scope, path: tuple[Value, ...]) -> tuple[bool, Value | None]:
        """Return whether no rule stands at or below a path of `data`, and then what base data (or a `with`) has there."""

    @abstractmethod
    def solve(self, frame: Frame) -> Iterator[None]:
        """Yield for every way in which the frame's body holds."""

    @abstractmethod
    def finish(self, frame: Frame) -> None:
        """Run the steps that make the terms of a head."""

    # Expressions

    def atom(self, frame: Frame, atom: p.Atom) -> Value:
        return atom.value if isinstance(atom, p.Const) else cast(Value, frame.values[atom.name])

    def atoms(self, frame: Frame, atoms: tuple[p.Atom, ...]) -> tuple[Value, ...]:
        return tuple(self.atom(frame, atom) for atom in atoms)

    def value(self, frame: Frame, expr: p.Expr) -> Value | None:
        match expr:
            case p.Const() | p.Local():
                return self.atom(frame, expr)
            case p.Input(ctx, path):
                return at(frame.scopes[ctx].context.input, self.atoms(frame, path))
            case p.BaseData(ctx, path):
                return get_data(frame.scopes[ctx].context.data, self.atoms(frame, path))
            case p.Lookup(base, key):
                return get(self.atom(frame, base), self.atom(frame, key))
            case p.CallBuiltin():
                return self.builtin(frame, expr)
            case p.MakeArray(parts):
                return self.atoms(frame, parts)
            case p.MakeSet(parts):
                return Set(self.atoms(frame, parts))
            case p.MakeObject(pairs):
                return Object([(self.atom(frame, key), self.atom(frame, value)) for key, value in pairs])
            case p.Comprehension():
                return self._comprehension(frame, expr)
        raise AssertionError(expr)

    def _comprehension(self, frame: Frame, expr: p.Comprehension) -> Value:
        inner = self.nested(frame, expr.block)
        self.tell(Op.ENTER, inner, inner.body)
        found: list[tuple[Value, Value]] = []
        members: dict[Value, Value] = {}
        for _ in self.solve(inner):
            self.exited(inner, inner.body)
            self.finish(inner)
            value = self.atom(inner, expr.value)
            if expr.key is not None:
                put(members, self.atom(inner, expr.key), value, expr.location)
            found.append((value, value))
            self.tell(Op.REDO, inner, inner.body)
        if expr.kind == "object":
            return Object(members)
        return tuple(value for value, _ in found) if expr.kind == "array" else Set(value for value, _ in found)

    # Calls

    def builtin(self, frame: Frame, call: p.CallBuiltin) -> Value | None:
        here, args = frame.scopes[call.ctx], self.atoms(frame, call.args)
        if self.is_replaced(here, call.name):
            values = list(self.replaced(frame, here, call.name, args))
            return values[0] if values else None
        if call.name == "trace" and isinstance(args[0], str):
            self.tell(Op.NOTE, frame, None, args[0])
        return apply(here.context, call.name, args, call.location)

    def is_replaced(self, here: Scope, name: str) -> bool:
        return here.context.mocks is not None and name in here.context.mocks

    def called(self, frame: Frame, here: Scope, path: Path, args: tuple[Value, ...]) -> Values:
        name = ".".join(path)
        return self.replaced(frame, here, name, args) if self.is_replaced(here, name) else self.call(frame, here, path, args)

    def replaced(self, frame: Frame, here: Scope, name: str, args: tuple[Value, ...]) -> Values:
        """Yield what a `with` puts in the place of a function's value; inside it no replacement holds."""
        assert here.context.mocks is not None
        kind, replacement = here.context.mocks[name]
        if kind == "value":
            yield replacement
            return
        inner = Scope(here.context.fork())
        inner.context.mocks = None
        if replacement[0] != "data":
            value = apply(inner.context, ".".join(replacement), args, NOWHERE)
        elif kind == "call":
            yield from self.call(frame, inner, replacement, args)
            return
        elif self.kind(replacement) is Kind.COMPLETE:
            yield from self.complete(frame, inner, replacement)
            return
        else:
            value = self.collection(frame, inner, replacement, ())
        if value is not None:
            yield value


def apply(context: Context, name: str, args: tuple[Value, ...], location: Location) -> Value | None:
    """Return the value of a built-in, or None where it is undefined or fails."""
    builtin = BUILTINS[name]
    if builtin.prepare is not None:
        builtin.prepare()
    return lifted(builtin.call, builtin.needs_context, location)(context, *args)
