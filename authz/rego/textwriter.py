"""Python text for names, look-ups and calls: the parts of a function's statements.

Owns indentation, temporaries and the input paths already walked. Does not know steps, conditions or rules.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from authz.rego import plan as p
from authz.rego.builtins import BUILTINS
from authz.rego.nodes import Location
from authz.rego.pool import Pool
from authz.rego.program import Path
from authz.rego.values import Value


class Unit(Protocol):
    """The module under generation, as far as a block needs it."""

    pool: Pool
    mocked: frozenset[str]

    def closure(self, prefix: str, params: tuple[str, ...], write: Callable[[Any], None]) -> str:
        """Add a function written by `write`; return its name."""
        ...

    def function_name(self, path: Path) -> str:
        """Return the name of a rule's function."""
        ...

    def sequence(self, items: list[str | None]) -> str:
        """Add a module-level tuple of the given expressions; return its name."""
        ...


class TextWriter:
    """The text of one function under construction. `fail` is the statement that gives up the current path."""

    def __init__(self, unit: Unit, fail: str = "return None") -> None:
        self.unit = unit
        self.lines: list[tuple[str, Location | None]] = []
        self.depth = 1
        self.loops = 0
        self.fail = fail
        self.location: Location | None = None
        self.prefixes: dict[tuple[str, p.Atom | None], str] = {}
        self.temporaries = 0

    def line(self, text: str) -> None:
        self.lines.append(("    " * self.depth + text, self.location))

    def failing(self, condition: str) -> None:
        self.line(f"if {condition}: {self.fail}")

    def join(self, kind: str, location: str) -> None:
        """Write statements that make `w`, if it is defined, the joint value `v`, or end in a conflict of that kind."""
        self.line("if w is not None:")
        self.line("    if v is None: v = w")
        self.line(f'    elif v != w: raise conflict("{kind}", {location})')

    def temporary(self) -> str:
        self.temporaries += 1
        return f"x{self.temporaries}"

    def atom(self, atom: p.Atom) -> str:
        return atom.name if isinstance(atom, p.Local) else self.constant(atom.value)

    def constant(self, value: Value) -> str:
        return self.unit.pool.constant(value)

    def lifted(self, name: str) -> str:
        """Return the expression for a built-in as a function of a context and values."""
        return f"{self.unit.pool.builtin(name)}_lifted"

    def input_path(self, ctx: str, path: tuple[p.Atom, ...]) -> str:
        """Write the steps to a path of the input that were not taken yet; return its name."""
        name = self._prefix((ctx, None), lambda: f"{ctx}.input")
        for key in path:
            name = self._prefix((name, key), partial(self.lookup, name, key))
        return name

    def _prefix(self, place: tuple[str, p.Atom | None], expression: Callable[[], str]) -> str:
        known = self.prefixes.get(place)
        if known is None:
            known = self.prefixes[place] = self.temporary()
            self.line(f"{known} = {expression()}")
        return known

    def lookup(self, base: str, key: p.Atom) -> str:
        """Return the expression for `base[key]`."""
        text = self.atom(key)
        if isinstance(key, p.Const) and isinstance(key.value, str):
            return f"{base}.get({text}) if {base}.__class__ is Object else get({base}, {text})"
        return f"get({base}, {text})"

    def call_builtin(self, name: str, call: p.CallBuiltin) -> None:
        builtin = BUILTINS[call.name]
        args = "".join(self.atom(arg) + ", " for arg in call.args)
        if call.name in self.unit.mocked:
            self.line(f"{name} = replaced({call.ctx}, {self.constant(call.name)}, {self.lifted(call.name)}, ({args}))")
            return
        context = f"{call.ctx}, " if builtin.needs_context else ""
        location = self.unit.pool.location(call.location)
        self.line("try:")
        self.line(f"    {name} = {self.unit.pool.builtin(call.name)}({(context + args).removesuffix(', ')})")
        self.line("except BuiltinError as error:")
        self.line(f"    {name} = {call.ctx}.failed(error, {location})")

    def call_rule(self, name: str, call: p.CallRule) -> None:
        function = self.unit.function_name(call.path)
        dotted = ".".join(call.path)
        args = "".join(", " + self.atom(arg) for arg in call.args)
        if dotted in self.unit.mocked:
            self.line(f"{name} = replaced({call.ctx}, {self.constant(dotted)}, {function}, ({args[2:]}{',' if args else ''}))")
        else:
            self.line(f"{name} = {function}({call.ctx}{args})")
