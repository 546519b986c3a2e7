"""Random policies over the whole language, in Rego v1 or v0, for differential tests.

Owns what a policy is made of: packages that import one another, every kind of rule, and heads of every shape. Bodies are
`language_bodies`'s. A seed gives the same policy in every process, and the same meaning in both versions.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from tests.rego.language_bodies import BodyMaker
from tests.rego.oracle_policies import make_input
from tests.rego.oracle_terms import CONSTANTS, DATA, PATHS


@dataclass(frozen=True)
class Bundle:
    """Modules with data, the documents to ask for and the inputs to ask about."""

    modules: dict[str, str]
    data: dict[str, Any]
    documents: tuple[str, ...]
    inputs: tuple[Any, ...]
    rego_version: int


def make_bundle(seed: int, rego_version: int = 1, inputs: int = 4, *, has_logical_words: bool = True) -> Bundle:
    """Return the policy of a seed; `has_logical_words`: some modules import `and`, `or` or the new `not`."""
    rng = random.Random(seed)  # noqa: S311
    library, base, main = (ModuleMaker(rng, package, rego_version) for package in ("lib.util", "base", "t"))
    for maker in (library, base, main) if has_logical_words else ():
        maker.import_words()
    library.write(rng.randrange(1, 4))
    base.write(rng.randrange(3))  # beside base data of the same name
    main.bring(library, base)
    main.write(rng.randrange(3, 8))
    makers = (library, base, main)
    modules = {f"{maker.package}.rego": maker.text() for maker in makers}
    documents = tuple(f"data.{maker.package}.{name}" for maker in makers for name in maker.asked)
    documents += tuple(rng.sample(("data.t", "data.lib", "data.base", "data.lib.util"), 2))
    asked = tuple(make_input(rng) for _ in range(inputs))
    return Bundle(modules, DATA, documents, asked, rego_version)


class ModuleMaker(BodyMaker):
    """Writes one module. Rules use only what was written before them, so nothing recurses."""

    def __init__(self, rng: random.Random, package: str, rego_version: int) -> None:
        super().__init__(rng, rego_version)
        self.package = package
        self.imports: list[str] = []
        self.lines: list[str] = []
        self.asked: list[str] = []
        if rego_version == 0:
            self.imports += ["future.keywords.in", "future.keywords.every", "future.keywords.contains"]
        self.assign, self.if_ = (":=", " if") if rego_version == 1 else ("=", "")

    def import_words(self) -> None:
        for word in ("and", "or", "not"):
            if self.rng.random() < 0.25:
                self.imports.append(f"future.keywords.{word}")
                self.words.add(word)

    def text(self) -> str:
        head = [f"package {self.package}", "", *(f"import {path}" for path in self.imports), ""]
        return "\n".join([*head, *self.lines]) + "\n"

    def bring(self, *others: ModuleMaker) -> None:
        """Make the rules and functions of other packages known here, by full reference, import or alias."""
        for other in others:
            prefix = self.rng.choice((f"data.{other.package}", other.package.rsplit(".", maxsplit=1)[-1], "other"))
            if prefix == "other":
                prefix = f"from_{other.package.replace('.', '_')}"
                self.imports.append(f"data.{other.package} as {prefix}")
            elif not prefix.startswith("data."):
                self.imports.append(f"data.{other.package}")
            self.values += [f"{prefix}.{name}" for name in other.values]
            self.conditions += [f"{prefix}.{name}" for name in other.conditions]
            self.functions += [(f"{prefix}.{name}", size) for name, size in other.functions]
        if self.rng.random() < 0.5:
            self.imports.append("input.user as who")
            self.values.append("who")

    def write(self, rules: int) -> None:
        makers = (
            self._complete, self._complete, self._complete, self._set, self._set, self._object, self._nested, self._nested, self._function,
            self._function, self._else, self._constant, self._walker, self._template,
        )  # fmt: skip
        for _ in range(rules):
            self.rng.choice(makers)()

    # Rules

    def _name_rule(self, prefix: str) -> str:
        name = self._name(prefix)
        self.asked.append(name)
        return name

    def _known(self, name: str, *, is_condition: bool = False) -> None:
        self.values.append(name)
        if is_condition:
            self.conditions.append(name)

    def _rule(self, head: str, params: list[str] | None = None) -> None:
        """Write a rule; VALUE and KEY in its head become terms that its body may bind."""
        self.scope = list(params or ())
        body = self.body()
        while "KEY" in head:
            head = head.replace("KEY", self._key(), 1)
        head = head.replace("VALUE", self._term(2))
        self.lines.append(f"{head}{self.if_} {{\n" + "".join(f"\t{line}\n" for line in body) + "}\n")
        self.scope = []

    def _key(self) -> str:
        if self.scope and self.rng.random() < 0.6:
            return self.rng.choice(self.scope)
        return self.rng.choice(('"a"', '"b"', "1", "true", "input.m", "input.n", "data.base.m"))

    def _default(self, head: str) -> None:
        if self.rng.random() < 0.4:
            self.lines.append(f"default {head} {self.assign} {self.rng.choice(CONSTANTS)}\n")

    def _complete(self) -> None:
        name = self._name_rule("p")
        is_condition = self.rng.random() < 0.6
        self._default(name)
        for _ in range(self.rng.randrange(1, 4)):
            value = "" if is_condition else f" {self.assign} {self.rng.choice(('VALUE', *self.rng.sample(CONSTANTS, 3)))}"
            self._rule(name + value)
        self._known(name, is_condition=is_condition)

    def _set(self) -> None:
        name = self._name_rule("s")
        for _ in range(self.rng.randrange(1, 3)):
            self._rule(f"{name} contains VALUE" if self.rego_version == 1 or self.rng.random() < 0.5 else f"{name}[VALUE]")
        self._known(name)

    def _object(self) -> None:
        name = self._name_rule("o")
        for _ in range(self.rng.randrange(1, 3)):
            self._rule(f"{name}[KEY] {self.assign} VALUE")
        self._known(name)

    def _nested(self) -> None:
        name = self._name_rule("n")
        shapes = (
            "{}.a[KEY] = VALUE", "{}[KEY].b = VALUE", "{}[KEY] contains VALUE", "{}[KEY][KEY] = VALUE", "{}.a.b = VALUE",
            "{}.a.c contains VALUE", '{}["x y"][KEY] = VALUE', "{}[KEY].c[KEY] contains VALUE", "{}[1] = VALUE", "{}.d = VALUE",
        )  # fmt: skip
        for _ in range(self.rng.randrange(1, 4)):
            self._rule(self.rng.choice(shapes).format(name).replace("=", self.assign))
        self._known(name)

    def _function(self) -> None:
        name, size = self._name("f"), self.rng.randrange(1, 3)
        if self.rng.random() < 0.3:
            names = ", ".join(f"d{index}" for index in range(size))
            self.lines.append(f"default {name}({names}) {self.assign} {self.rng.choice(CONSTANTS)}\n")
        for _ in range(self.rng.randrange(1, 4)):
            params = [self._param() for _ in range(size)]
            known = [word for param in params for word in _variables(param)]
            value = self.rng.choice(("", f" {self.assign} VALUE", f" {self.assign} {self.rng.choice(CONSTANTS)}"))
            self._rule(f"{name}({', '.join(params)}){value}", known)
            if self.rng.random() < 0.2:
                self.lines[-1] = self.lines[-1].rstrip("\n") + self._else_branch(known) + "\n"
        self.functions.append((name, size))

    def _param(self) -> str:
        name, other = self._name("a"), self._name("a")
        shapes = (
            name, name, name, f"[{name}, _]", f"[{name}, {other}]", f'{{"a": {name}}}', self.rng.choice(CONSTANTS[:11]), "_",
            f"[{name}, {name}]", f'[{name}, {{"b": {other}}}]', f"[[{name}], 1]", '{"a"}',
        )  # fmt: skip
        return self.rng.choice(shapes)

    def _else_branch(self, known: list[str]) -> str:
        self.scope = list(known)
        body = "; ".join(self.body())
        value = self._term(1) if self.rng.random() < 0.5 else self.rng.choice(CONSTANTS)
        self.scope = []
        return f" else {self.assign} {value}{self.if_} {{ {body} }}"

    def _else(self) -> None:
        name = self._name_rule("e")
        self._default(name)
        for _ in range(self.rng.randrange(1, 3)):
            self._rule(f"{name} {self.assign} {self.rng.choice(('VALUE', *self.rng.sample(CONSTANTS, 2)))}")
            branches = "".join(self._else_branch([]) for _ in range(self.rng.randrange(1, 3)))
            last = f" else {self.assign} {self.rng.choice(CONSTANTS)}" if self.rng.random() < 0.3 else ""
            self.lines[-1] = self.lines[-1].rstrip("\n") + branches + last + "\n"
        self._known(name)

    def _constant(self) -> None:
        name = self._name_rule("c")
        self.lines.append(f"{name} {self.assign} {self.rng.choice((*CONSTANTS, *PATHS))}\n")
        self._known(name)

    def _walker(self) -> None:
        name, path, value = self._name_rule("w"), self._name("x"), self._name("x")
        self.scope = [path, value]
        test = self._test()
        self.scope = []
        head = f"{name} contains [{path}, {value}]" if self.rego_version == 1 else f"{name}[[{path}, {value}]]"
        source = self.rng.choice(("input", "input.user", "data.base", "input.list"))
        self.lines.append(f"{head}{self.if_} {{\n\twalk({source}, [{path}, {value}])\n\t{test}\n}}\n")
        self._known(name)

    def _template(self) -> None:
        """Write a template string, in which an undefined reference has a text."""
        name = self._name_rule("m")
        one, two = self.rng.sample((*PATHS, "input.missing", "1", "null"), 2)
        self.lines.append(f'{name} := $"<{{{one}}}|{{{two}}}>"\n' if self.rego_version == 1 else f"{name} = [{one}, {two}]\n")
        self._known(name)


def _variables(param: str) -> list[str]:
    names = "".join(char if char.isalnum() else " " for char in param).split()
    return sorted({name for name in names if name[0] == "a" and name[1:].isdigit()})
