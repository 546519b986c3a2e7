"""Random policies that lean on what tables are made of, with inputs near their edges.

Every kind of cell, helpers, functions, sets and comprehensions that are looked into, joins with base data, `else` chains, conflicts,
defaults, undefined and mixed types. A seed gives the same policy in every process. Knows the language's surface only.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TEXTS = (
    "",
    "a",
    "b",
    "ab",
    "/a",
    "/a/",
    "/a/b",
    "/a/b/c",
    "/b",
    "/a/1",
    "x.a.b",
    "10.0.0.1",
    "10.0.1.0/24",
    "fd00::1",
    "A",
    "é",
    "a\n",
    "/a/b\n",
)
NUMBERS = (0, 1, 2, 5, 10, 1.0, 1.5, -3)
SCALARS: tuple[Any, ...] = (*TEXTS, *NUMBERS, True, False, None)
GLOBS = ("/a/*", "/a/**", "/**", "*", "/a/*/c", "/*/b", "/a/b*", "/a/?", "/{a,b}/*", "/[ab]", "x.*.b", "**b", "", "a*b", "/a/**/c")
REGEXES = (
    "^/a/[a-z]+$", "^/a/", "/b$", "^/a/b$", "a", "^/a/.*$", "^/a/.*", "^/(a|b)(/.*)?$", "[0-9]+", "^/a/[^/]*/c$", "^$",
    "(?i)^A$", "^/a/b/?$",
    "x\\\\.a", "^[^/]+$", "^/a/.+", "b|/c$",
)  # fmt: skip
DELIMITERS = ('["/"]', '["/"]', "null", "[]", '["/", "."]')
NETWORKS = ("10.0.0.0/8", "10.0.0.0/24", "10.0.1.0/24", "0.0.0.0/0", "fd00::/8", "10.0.0.1/32", "not a network")
DATA: dict[str, Any] = {
    "grants": [
        {"role": "a", "path": "/a/*", "method": "a"},
        {"role": "b", "path": "/a/b", "method": "b"},
        {"role": "a", "path": "**", "level": 2},
        {"path": "/a/1", "method": 1},
        {"role": True, "path": "/b", "method": "a"},
        "no object",
        {"role": "ab", "path": 5, "method": "b"},
    ],
    "roles": {"a": ["a", "b"], "b": [], "ab": ["b", 1], "1": ["one"], "/a": "no list"},
    "acl": {"a": [{"path": "/a/b", "method": "a"}, {"path": "/b"}], "b": [{"path": "/a/1", "method": "b"}], "1": [{"path": "1"}], "ab": []},
    "levels": {"a": 1, "b": 2, "ab": 5, "1": 10},
    "names": ["a", "b", "/a", 1, True],
    "nets": list(NETWORKS[:5]),
}


@dataclass(frozen=True)
class Case:
    """A policy, the names of its rules, and inputs to ask it about."""

    source: str
    rules: tuple[str, ...]
    inputs: tuple[Any, ...]


def make_case(seed: int, inputs: int = 8) -> Case:
    """Return the policy of a seed."""
    rng = random.Random(seed)  # noqa: S311
    maker = _Maker(rng)
    source = maker.policy()
    return Case(source, tuple(maker.rules), tuple(make_input(rng) for _ in range(inputs)))


def make_input(rng: random.Random) -> dict[str, Any]:
    """Return an input document in which anything may be missing or of an unexpected type."""
    document: dict[str, Any] = {}
    for name in ("path", "m", "user", "ip", "n"):
        if rng.random() < 0.9:
            document[name] = rng.choice(NUMBERS if name == "n" and rng.random() < 0.8 else TEXTS if rng.random() < 0.85 else SCALARS)
    if rng.random() < 0.9:
        members = [rng.choice(SCALARS) for _ in range(rng.randrange(4))]
        document["roles"] = members if rng.random() < 0.9 else {str(place): item for place, item in enumerate(members)}
    if rng.random() < 0.8:
        document["h"] = {key: rng.choice(SCALARS) for key in ("a", "b", "1") if rng.random() < 0.7}
    if rng.random() < 0.8:
        document["pair"] = [rng.choice(SCALARS) for _ in range(rng.choice((1, 2, 2, 2, 3)))]
    return document


def text_of(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


class _Maker:
    """Writes one policy. Rules use only rules that were written before them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.lines = ["package t", ""]
        self.rules: list[str] = []
        self.conditions: list[str] = []
        self.values: list[str] = []
        self.sets: list[str] = []
        self.functions: list[str] = []
        self.count = 0

    def policy(self) -> str:
        makers: tuple[Callable[[], None], ...] = (
            self._condition, self._condition, self._value, self._alias, self._set, self._function, self._value_function, self._object,
            self._chain, self._wide,
        )  # fmt: skip
        for _ in range(self.rng.randrange(2, 6)):
            self.rng.choice(makers)()
        self._allow()
        return "\n".join(self.lines) + "\n"

    def _new(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def _rule(self, head: str, body: list[str]) -> None:
        self.lines.append(f"{head} if {{\n" + "".join(f"\t{line}\n" for line in body) + "}\n")

    # Rules

    def _allow(self) -> None:
        if self.rng.random() < 0.4:
            self.lines.append(f"default allow := {self.rng.choice(('false', 'true'))}\n")
        for _ in range(self.rng.randrange(2, 7)):
            self._rule("allow", self._body())
        self.rules.append("allow")

    def _condition(self) -> None:
        name = self._new("c")
        if self.rng.random() < 0.3:
            self.lines.append(f"default {name} := false\n")
        for _ in range(self.rng.randrange(1, 4)):
            self._rule(name, self._body())
        self.rules.append(name)
        self.conditions.append(name)

    def _value(self) -> None:
        name = self._new("v")
        if self.rng.random() < 0.4:
            self.lines.append(f"default {name} := {text_of(self.rng.choice(SCALARS))}\n")
        for _ in range(self.rng.randrange(1, 4)):
            value = text_of(self.rng.choice(("a", "b", 1, True))) if self.rng.random() < 0.8 else self._column()
            self._rule(f"{name} := {value}", self._body())
        self.rules.append(name)
        self.values.append(name)

    def _alias(self) -> None:
        name = self._new("v")
        self.lines.append(f"{name} := {self._column()}\n")
        self.rules.append(name)
        self.values.append(name)

    def _set(self) -> None:
        name = self._new("s")
        for _ in range(self.rng.randrange(1, 4)):
            body = self._body()
            member = text_of(self.rng.choice(SCALARS))
            if self.rng.random() < 0.5:
                variable = self._new("x")
                body.insert(0, f"some {variable} in {self._collection()}")
                member = variable
            elif self.rng.random() < 0.3:
                member = self._column()
            self._rule(f"{name} contains {member}", body)
        self.rules.append(name)
        self.sets.append(name)

    def _function(self) -> None:
        name = self._new("f")
        for _ in range(self.rng.choice((1, 1, 2))):
            self._rule(f"{name}(x)", [self._test("x"), *self._body()[:1]])
        self.functions.append(name)

    def _value_function(self) -> None:
        name = self._new("g")
        for place in range(self.rng.randrange(1, 4)):
            argument = text_of(self.rng.choice(TEXTS)) if self.rng.random() < 0.6 else "x"
            self._rule(f"{name}({argument}) := {self.rng.choice(('1', '2', 'true', 'input.n', str(place)))}", self._body())
        variable = self._new("v")
        self.lines.append(f"{variable} := {name}({self._column()})\n")
        self.rules.append(variable)
        self.values.append(variable)

    def _object(self) -> None:
        name = self._new("o")
        for _ in range(self.rng.randrange(1, 4)):
            key = text_of(self.rng.choice(("a", "b", "/a"))) if self.rng.random() < 0.7 else self._column()
            self._rule(f"{name}[{key}] := {text_of(self.rng.choice(SCALARS))}", self._body())
        self.rules.append(name)

    def _chain(self) -> None:
        name = self._new("e")
        for _ in range(self.rng.choice((1, 1, 2))):
            text = f"{name} := {text_of(self.rng.choice(('a', 1)))} if {{ {'; '.join(self._body(plain=True))} }}"
            for _ in range(self.rng.randrange(1, 4)):
                text += f" else := {text_of(self.rng.choice(('a', 'b', 2)))} if {{ {'; '.join(self._body(plain=True))} }}"
            self.lines.append(text + "\n")
        self.rules.append(name)
        self.values.append(name)

    def _wide(self) -> None:
        """Write rules of few tests on few columns: as many as a tree has room for, or more."""
        name = self._new("w")
        value = self.rng.choice(("true", "true", '"a"', None))
        columns = [self._column() for _ in range(self.rng.randrange(1, 4))]
        for number in range(self.rng.choice((6, 12, 12, 24, 24, 80))):
            body = [self._test(self.rng.choice(columns)) for _ in range(self.rng.choice((1, 2, 2, 3)))]
            if self.rng.random() < 0.5:
                body[0] = f"{columns[0]} == {text_of(self.rng.choice(TEXTS))}"
            self._rule(f"{name} := {str(number % 2) if value is None else value}", body)
        self.rules.append(name)
        self.values.append(name)

    # Bodies

    def _body(self, *, plain: bool = False) -> list[str]:
        lines: list[str] = []
        for _ in range(self.rng.choice((1, 1, 2, 2, 3))):
            if plain or self.rng.random() < 0.7:
                lines.append(self._literal())
            else:
                lines += self._iteration()
        return lines

    def _literal(self) -> str:
        roll = self.rng.random()
        if self.conditions and roll < 0.15:
            return self.rng.choice(("", "", "not ")) + self.rng.choice(self.conditions)
        if self.functions and roll < 0.25:
            argument = text_of(self.rng.choice(TEXTS)) if self.rng.random() < 0.3 else self._column()
            return self.rng.choice(("", "", "not ")) + f"{self.rng.choice(self.functions)}({argument})"
        if self.sets and roll < 0.35:
            name = self.rng.choice(self.sets)
            item = text_of(self.rng.choice(SCALARS)) if self.rng.random() < 0.6 else self._column()
            return self.rng.choice((f"{item} in {name}", f"{name}[{item}]", f"not {item} in {name}", f"count({name}) > 1"))
        if roll < 0.42:
            test = self._test("x") if self.rng.random() < 0.6 else f"x != {self._column()}"
            return f"every x in {self.rng.choice(('[1, 2]', 'input.roles', '{1}', 'data.names'))} {{ {test} }}"
        if roll < 0.48:
            return self.rng.choice((
                f"[input.path, input.m] == {text_of([self.rng.choice(TEXTS), self.rng.choice(TEXTS)])}",
                f"[input.path, input.m] in {text_of([[self.rng.choice(TEXTS), 'a'], ['/a', 'b']])}",
                f"input.pair = [{text_of(self.rng.choice(SCALARS))}, _]",
                f"some {self._new('y')} in [x | some x in input.roles; {self._test('x')}]",
                f"{text_of(self.rng.choice(SCALARS))} in {{x | some x in {self._collection()}; {self._test('x')}}}",
            ))  # fmt: skip
        return self.rng.choice(("", "", "", "not ")) + self._test(self._column())

    def _iteration(self) -> list[str]:
        x, y = self._new("x"), self._new("x")
        kind = self.rng.randrange(8)
        if kind == 0:
            return [f"some {x} in {self._collection()}", self._test(x)]
        if kind == 1:
            extra = self.rng.choice(([], [f'glob.match({x}.path, ["/"], input.path)'], [f"{x}.level > input.n"]))
            return [f"some {x} in data.grants", f"{x}.{self.rng.choice(('role', 'method'))} == {self._column()}", *extra]
        if kind == 2:
            return [f"some {x} in input.roles", f"some {y} in data.roles[{x}]", self._test(y)]
        if kind == 3:
            return [f"some {x} in data.acl[{self.rng.choice(('input.user', 'input.m', 'input.n'))}]", f"{x}.path == input.path"]
        if kind == 4:
            return [f"some {x} in data.nets", f"net.cidr_contains({x}, input.ip)"]
        if kind == 5:
            return [f"some {y}, {x} in data.levels", f"{y} == {self._column()}", f"{x} {self.rng.choice(('>', '==', '<='))} input.n"]
        if kind == 6 and self.sets:
            return [f"some {x} in {self.rng.choice(self.sets)}", self._test(x)]
        return [f"some {x} in {{{text_of(self.rng.choice(TEXTS))}, {text_of(self.rng.choice(NUMBERS))}}}", f"{x} == {self._column()}"]

    def _collection(self) -> str:
        choices = ["input.roles", "input.roles", "data.names", "data.roles[input.user]", "input.pair", '["a", "/a", 1]']
        return self.rng.choice(choices + self.sets)

    def _column(self) -> str:
        choices = [
            "input.path", "input.path", "input.m", "input.m", "input.user", "input.n", "input.ip", "input.h.a", "input.h[input.m]",
            "input.pair[0]",
            "lower(input.path)", 'split(input.path, "/")[1]', "count(input.roles)", 'object.get(input.h, "b", "a")',
            "data.levels[input.user]",
            'trim_prefix(input.path, "/a")', "input.roles[0]", *self.values,
        ]  # fmt: skip
        return self.rng.choice(choices)

    def _test(self, column: str) -> str:
        rng = self.rng
        value = text_of(rng.choice(SCALARS))
        text = text_of(rng.choice(TEXTS))
        several = ", ".join(text_of(rng.choice(SCALARS)) for _ in range(rng.randrange(1, 4)))
        return rng.choice((
            f"{column} == {value}", f"{column} == {value}", f"{value} == {column}", f"{column} != {value}", f"{column} in {{{several}}}",
            f"{column} in [{several}]", f"{value} in {column}", f"startswith({column}, {text})", f"endswith({column}, {text})",
            f"contains({column}, {text})", f"glob.match({text_of(rng.choice(GLOBS))}, {rng.choice(DELIMITERS)}, {column})",
            f'regex.match("{rng.choice(REGEXES)}", {column})', f"{column} {rng.choice(('<', '<=', '>', '>='))} {value}",
            f"{column} {rng.choice(('<', '<=', '>', '>='))} {text_of(rng.choice(NUMBERS))}",
            f"net.cidr_contains({text_of(rng.choice(NETWORKS))}, {column})", f"strings.any_prefix_match({column}, [{text}, \"/a\"])",
            f"strings.any_suffix_match({column}, [{text}, \"b\"])", f"is_string({column})", f"is_number({column})", f"{column}",
            f"{column} == input.m", f'sprintf("%v", [{column}]) == {text}',
        ))  # fmt: skip
