"""Random terms and tests for differential tests: the part of the generator below a literal.

Knows no rules. What it writes may be undefined, ill-typed or nonsense, but parses and, mostly, type-checks in OPA.
"""

from __future__ import annotations

import random

CONSTANTS = (
    '"a"', '"b"', '"c"', '"/api/"', '"/api/x"', '"1"', '""', "1", "0", "2", "1.0", "true", "false", "null", "[]", "{}", "set()",
    '["a"]', '["a", "b"]', '{"a"}', '{"a", 1, true}', '{"a": 1}', '{"a": {"b": "c"}}', "[1, 2]", '[["a", 1], ["b", 2]]',
)  # fmt: skip
STRINGS = ('"a"', '"b"', '"/api/"', '"/api/x"', '"/api/x/y"', '"/"', '""')
PATHS = (
    "input.m",
    "input.path",
    "input.n",
    "input.flag",
    "input.user.name",
    "input.user.roles",
    "input.tags.a",
    "input.tags",
    "input.list",
)
INDEXED = ("input.list[0]", 'input.user["roles"][1]', 'input.tags["a"]["b"]', "input.list[0].a", "input.user")
SCALARS = ("a", "b", "c", "/api/", "/api/x", "/api/x/y", "1", "", 1, 0, 2, 1.0, 1.5, True, False, None)
DATA = {
    "base": {"m": "a", "n": 1, "list": ["a", "b", 1], "flag": False, "obj": {"a": "b", "b": "a"}},
    "grants": [{"m": "a", "path": "/api/"}, {"m": "b", "path": "/api/x", "n": 1}, {"m": 1, "path": "a"}],
    "roles": {"a": ["a", "b"], "b": [], "c": ["a", 1]},
}
DATA_REFS = (
    "data.base.m", "data.base.n", "data.base.list", "data.base.flag", "data.base.obj", "data.roles", "data.grants", "data.base.missing",
    "data.roles.a", "data.base.list[0]", "data.grants[0].m",
)  # fmt: skip


COLLECTIONS = (
    "input.user.roles", "input.list", "input.tags", "input.user", "data.base.list", "data.base.obj", "data.roles.a", "data.roles",
)  # fmt: skip


class TermMaker:
    """Writes terms over the input, the data and what a policy has defined so far."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.values: list[str] = []
        self.conditions: list[str] = []
        self.functions: list[tuple[str, int]] = []
        self.scope: list[str] = []
        self.count = 0

    def _name(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def _test(self) -> str:
        rng = self.rng
        if rng.random() < 0.1:
            return f"{self._term(1)} {rng.choice(('==', '!=', 'in', '<'))} {rng.choice(PATHS)}"
        path = rng.choice(PATHS)
        choice = rng.random()
        if choice < 0.3:
            return f"{path} == {self._constant_or_path()}"
        if choice < 0.38:
            return f"{self._constant_or_path()} == {path}"
        if choice < 0.46:
            return f"{path} != {self._constant_or_path()}"
        if choice < 0.55:
            return f"{path} in {self._collection()}"
        if choice < 0.6:
            return f"{self._constant_or_path()} in {path}"
        if choice < 0.7:
            return f"startswith({path}, {rng.choice(STRINGS)})"
        if choice < 0.74:
            return f"{path} {rng.choice(('<', '<=', '>', '>='))} {self._constant_or_path()}"
        if choice < 0.84 and self.conditions:
            return rng.choice(self.conditions)
        if choice < 0.9 and self.functions:
            return self._call()
        if choice < 0.93:
            source, key = rng.choice(("input.user", "input.tags", "input")), rng.choice(("name", "a", "m"))
            return f'object.get({source}, "{key}", "a") == {self._constant_or_path()}'
        return path

    def _call(self) -> str:
        name, size = self.rng.choice(self.functions)
        return f"{name}({', '.join(self._open_term() if self.rng.random() < 0.85 else self._term(1) for _ in range(size))})"

    def _open_term(self) -> str:
        """Return a term of which OPA's type checker knows nothing, so that it cannot refuse a comparison."""
        if self.scope and self.rng.random() < 0.3:
            return self.rng.choice(self.scope)
        return self.rng.choice(PATHS + INDEXED + DATA_REFS)

    def _constant_or_path(self) -> str:
        choice = self.rng.random()
        if choice < 0.75:
            return self.rng.choice(CONSTANTS[:14])
        if choice < 0.9 and self.scope:
            return self.rng.choice(self.scope)
        return self.rng.choice(PATHS)

    def _collection(self) -> str:
        choice = self.rng.random()
        if choice < 0.4:
            items = ", ".join(self.rng.choice(CONSTANTS[:14]) for _ in range(self.rng.randrange(1, 4)))
            return self.rng.choice((f"[{items}]", f"{{{items}}}"))
        return self._ref_collection()

    def _ref_collection(self) -> str:
        made = [name for name in self.values if name[0] in "son"]
        return self.rng.choice((*COLLECTIONS, *made))

    def _term(self, depth: int) -> str:
        rng = self.rng
        choice = rng.random()
        if choice < 0.2:
            return rng.choice(CONSTANTS)
        if choice < 0.45:
            return rng.choice(PATHS + INDEXED)
        if choice < 0.6 and self.scope:
            return rng.choice(self.scope)
        if choice < 0.68:
            return rng.choice(DATA_REFS)
        if choice < 0.76 and self.values:
            return rng.choice(self.values)
        if choice < 0.82 and self.functions and depth:
            return self._call()
        if depth:
            return self._composite(depth - 1)
        return rng.choice(PATHS)

    def _composite(self, depth: int) -> str:
        one = self._term(depth)
        two = self._term(depth)
        name = self._name("y")
        outer = list(self.scope)
        source = self._collection()
        self.scope = [*outer, name]
        test, inner = self._test(), self._term(depth)
        self.scope = outer
        closed = one if name in inner else inner
        return self.rng.choice((
            f"[{one}, {two}]",
            f'{{"a": {one}, "b": {two}}}',
            f"{{{one}, {two}}}",
            f"[{inner} | some {name} in {source}; {test}]",
            f"{{{name} | some {name} in {source}; {test}}}",
            f"{{{name}: {inner} | some {name} in {source}}}",
            f"count({{{name} | some {name} in {source}}})",
            f"type_name({one})",
            f"({one} == {two})",
            f"[{name} | {name} := {closed}; {test}]",
            f"object.get(input.tags, {one}, {two})",
            f"(({one} in [{two}]))",
        ))  # fmt: skip
