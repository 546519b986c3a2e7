"""Random small policies, data and inputs, for differential tests.

Owns the generator only: it knows the language's surface, not what any policy means. A seed gives the same
policy in every process. It favours what decision tables are made of (equality, membership, prefixes, negation,
helper rules), overlapping rows, missing inputs and values of unexpected types.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from tests.rego.oracle_terms import CONSTANTS, DATA, PATHS, SCALARS, TermMaker


@dataclass(frozen=True)
class Case:
    """A policy with inputs to ask it about; `rules` are the names that have a value."""

    source: str
    data: Any
    rules: tuple[str, ...]
    inputs: tuple[Any, ...]


def make_case(seed: int, inputs: int = 6) -> Case:
    """Return the policy of a seed."""
    rng = random.Random(seed)  # noqa: S311
    maker = PolicyMaker(rng)
    source = maker.policy()
    return Case(source, DATA, tuple(maker.asked), tuple(make_input(rng) for _ in range(inputs)))


def make_input(rng: random.Random) -> Any:
    """Return an input document in which anything may be missing or of an unexpected type."""
    document: dict[str, Any] = {}
    for name in ("m", "path", "n", "flag"):
        if rng.random() < 0.85:
            document[name] = rng.choice(SCALARS) if rng.random() < 0.9 else _json(rng, 2)
    if rng.random() < 0.85:
        user = {"name": rng.choice(SCALARS), "roles": [rng.choice(SCALARS) for _ in range(rng.randrange(4))]}
        document["user"] = {key: value for key, value in user.items() if rng.random() < 0.9} if rng.random() < 0.9 else _json(rng, 1)
    if rng.random() < 0.8:
        document["tags"] = {key: _json(rng, 1) for key in ("a", "b", "1") if rng.random() < 0.6} if rng.random() < 0.9 else _json(rng, 2)
    if rng.random() < 0.8:
        document["list"] = [_json(rng, 2) for _ in range(rng.randrange(4))]
    return document


def _json(rng: random.Random, depth: int) -> Any:
    if depth == 0 or rng.random() < 0.6:
        return rng.choice(SCALARS)
    if rng.random() < 0.5:
        return [_json(rng, depth - 1) for _ in range(rng.randrange(3))]
    return {key: _json(rng, depth - 1) for key in ("a", "b") if rng.random() < 0.7}


class PolicyMaker(TermMaker):
    """Writes one policy. Rules only use rules that were written before them, so nothing recurses."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self.lines: list[str] = ["package t", ""]
        self.asked: list[str] = []

    def policy(self) -> str:
        rng = self.rng
        makers = [
            self._boolean_rule, self._boolean_rule, self._boolean_rule, self._value_rule, self._value_rule, self._helper, self._helper,
            self._boolean_helper, self._partial_set, self._partial_object, self._function, self._function, self._default_function,
            self._else_rule, self._nested_object,
        ]  # fmt: skip
        for _ in range(rng.randrange(2, 7)):
            rng.choice(makers)()
        self._boolean_rule()
        return "\n".join(self.lines) + "\n"

    # Rules

    def _rule(self, head: str, extra: str | None = None) -> None:
        self.scope = []
        body = self._body()
        if extra is not None:
            head = head.replace("VALUE", self._term(2)).replace("KEY", self._term(1))
        self.lines.append(f"{head} if {{\n" + "".join(f"\t{line}\n" for line in body) + "}\n")

    def _default(self, name: str, value: str) -> None:
        if self.rng.random() < 0.5:
            self.lines.append(f"default {name} := {value}\n")

    def _boolean_rule(self) -> None:
        name = self._name("p")
        self._default(name, self.rng.choice(("false", "false", "true")))
        for _ in range(self.rng.randrange(1, 6)):
            self._rule(name)
        self._publish(name, condition=True)

    def _publish(self, name: str, *, condition: bool = False) -> None:
        self.asked.append(name)
        self.values.append(name)
        if condition:
            self.conditions.append(name)

    def _value_rule(self) -> None:
        name = self._name("v")
        self._default(name, self.rng.choice(CONSTANTS))
        for _ in range(self.rng.randrange(1, 5)):
            if self.rng.random() < 0.7:
                self._rule(f"{name} := {self.rng.choice(CONSTANTS[:9])}")
            else:
                self._rule(f"{name} := VALUE", "value")
        self._publish(name)

    def _helper(self) -> None:
        name = self._name("h")
        for _ in range(self.rng.randrange(1, 4)):
            self.lines.append(f"{name} if {self._test()}\n")
            self.scope = []
        self._publish(name, condition=True)

    def _boolean_helper(self) -> None:
        name = self._name("is")
        term, other = self.rng.choice(PATHS), self._constant_or_path()
        test = self.rng.choice((f"{term} == {other}", f"{term} != {other}", f"{term} in {self._collection()}"))
        self.lines.append(f"{name} := ({test})\n")
        self._publish(name, condition=True)

    def _partial_set(self) -> None:
        name = self._name("s")
        for _ in range(self.rng.randrange(1, 4)):
            self._rule(f"{name} contains VALUE", "value")
        self._publish(name)

    def _partial_object(self) -> None:
        name = self._name("o")
        for _ in range(self.rng.randrange(1, 4)):
            self._rule(f"{name}[KEY] := VALUE", "value")
        self._publish(name)

    def _nested_object(self) -> None:
        name = self._name("n")
        for _ in range(self.rng.randrange(1, 4)):
            shape = self.rng.choice(
                ("{}.a[KEY] := VALUE", "{}[KEY].b := VALUE", "{}[KEY] contains VALUE", "{}[KEY][KEY] := VALUE", "{}[KEY]")
            )
            self._rule(shape.format(name), "value")
        self._publish(name)

    def _function(self) -> None:
        name, size = self._name("f"), self.rng.randrange(1, 3)
        for _ in range(self.rng.randrange(1, 4)):
            params = [self._param(index) for index in range(size)]
            self.scope = [part for param in params for part in _variables(param)]
            body = self._body()
            value = self.rng.choice(("", f" := {self.rng.choice(CONSTANTS[:9])}", f" := {self._term(2)}"))
            self.lines.append(f"{name}({', '.join(params)}){value} if {{\n" + "".join(f"\t{line}\n" for line in body) + "}\n")
        self.functions.append((name, size))
        self.scope = []

    def _default_function(self) -> None:
        if not self.functions:
            return self._function()
        name, size = self.functions[-1]
        if f"default {name}(" not in "\n".join(self.lines):
            self.lines.append(f"default {name}({', '.join(f'd{index}' for index in range(size))}) := {self.rng.choice(CONSTANTS)}\n")
        return None

    def _param(self, index: int) -> str:
        name = self._name("a")
        shapes = (name, name, name, f"[{name}, _]", f'{{"a": {name}}}', self.rng.choice(CONSTANTS[:11]), "_", f"[{name}, {name}]")
        return self.rng.choice(shapes)

    def _else_rule(self) -> None:
        name = self._name("e")
        self._default(name, self.rng.choice(CONSTANTS))
        for _ in range(self.rng.randrange(1, 3)):
            self.scope = []
            text = f"{name} := {self.rng.choice(CONSTANTS[:9])} if {{ {'; '.join(self._body())} }}"
            for _ in range(self.rng.randrange(1, 4)):
                self.scope = []
                body = "; ".join(self._body())
                value = self._term(1) if self.rng.random() < 0.3 else self.rng.choice(CONSTANTS[:9])
                text += f" else := {value} if {{ {body} }}"
            self.lines.append(text + "\n")
        self.scope = []
        self._publish(name)

    # Bodies

    def _body(self) -> list[str]:
        return [self._literal() for _ in range(self.rng.choice((1, 1, 2, 2, 2, 3, 3, 4)))]

    def _literal(self) -> str:
        rng = self.rng
        choice = rng.random()
        if choice < 0.5:
            return self._modified(self._test())
        if choice < 0.6:
            return self._modified(f"not {self._test()}")
        if choice < 0.68:
            name = self._name("x")
            term = self._open_term() if rng.random() < 0.7 else self._term(2)
            self.scope.append(name)
            return self._modified(f"{name} := {term}")
        if choice < 0.74:
            return self._pattern()
        if choice < 0.82:
            return self._iteration()
        if choice < 0.86:
            return self._every()
        if choice < 0.90:
            sides = [self._term(2), self._open_term()]
            rng.shuffle(sides)
            return " = ".join(sides)
        return self._modified(self._term(2))

    def _modified(self, literal: str) -> str:
        if self.rng.random() > 0.08:
            return literal
        target = self.rng.choice(
            ("input", "input.m", "input.user.name", "input.list", "data.base.m", "data.base", "data.grants", "data.roles.a")
        )
        if self.values and self.rng.random() < 0.3:
            target = f"data.t.{self.rng.choice(self.values)}"
        if self.functions and self.rng.random() < 0.2:
            target = self.rng.choice(self.functions)[0]
        scope, self.scope = self.scope, []
        value = self._term(1)
        self.scope = scope
        return f"{literal} with {target} as {value}"

    def _pattern(self) -> str:
        source = self._open_term()
        one, two = self._name("x"), self._name("x")
        used = self.rng.choice(self.scope) if self.scope else '"a"'
        shapes = (
            f"[{one}, {two}] = {source}",
            f'{{"a": {one}, "b": {two}}} = {source}',
            f"[{one}, {used}] = {source}",
            f'[{one}, {{"a": {two}}}] := {source}',
            f"[{one}, {one}] = {source}",
            f"[{one}, {two}] = [{used}, {source}]",
            f"[{one}, [{two}]] = [{source}, [{one}]]",
        )
        text = self.rng.choice(shapes)
        self.scope += [name for name in (one, two) if name in text]
        return text

    def _iteration(self) -> str:
        source = self._collection()
        one, two = self._name("x"), self._name("x")
        used = self.rng.choice(self.scope) if self.scope else '"a"'
        collection, other = self._ref_collection(), self._constant_or_path()
        shapes = (
            f"some {one} in {source}",
            f"some {one}, {two} in {source}",
            f"some [{one}, {two}] in {source}",
            f"{one} := {collection}[_]",
            f"{collection}[{one}]",
            f"{collection}[{one}] == {other}",
            f'some {{"m": {one}, "path": {two}}} in data.grants',
            f"some {one} in data.grants; {one}.m == input.m",
            f"some {one} in data.grants; {one}.path == {used}",
            f"data.grants[{one}].m == input.m",
            f"data.roles[input.m][{one}] == input.path",
            f"data.roles[input.m][_] == {other}",
        )
        text = self.rng.choice(shapes)
        self.scope += [name for name in (one, two) if name in text]
        return text

    def _every(self) -> str:
        one, two = self._name("x"), self._name("x")
        source = self._collection()
        outer = list(self.scope)
        if self.rng.random() < 0.3:
            head = f"every {one}, {two} in {source}"
            uses = f"{one} != {two}" if self.rng.random() < 0.5 else f"[{one}, {two}] != [0, 1]"
        else:
            head, uses = f"every {one} in {source}", f"{one} != {self._constant_or_path()}"
        self.scope = [*outer, one]
        extra = f"; {self._test()}" if self.rng.random() < 0.4 else ""
        self.scope = outer
        return f"{head} {{ {uses}{extra} }}"


def _variables(param: str) -> list[str]:
    names = "".join(char if char.isalnum() else " " for char in param).split()
    return sorted({name for name in names if name[0] == "a" and name[1:].isdigit()})
