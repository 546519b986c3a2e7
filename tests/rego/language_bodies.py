"""Random bodies over the whole language: the part of the generator between a rule's head and its terms.

Knows the literals and what each binds. What it writes may be undefined, ill-typed or nonsense, but parses.
"""

from __future__ import annotations

import random

from tests.rego.oracle_terms import CONSTANTS, TermMaker

_PLACES = ("input", "input.m", "input.user.name", "input.list", "data.base.m", "data.base", "data.grants", "data.roles.a", "data.new.place")


class BodyMaker(TermMaker):
    """Writes bodies. `scope` holds the variables that are bound so far; `words` the keywords that the module imports."""

    def __init__(self, rng: random.Random, rego_version: int) -> None:
        super().__init__(rng)
        self.rego_version = rego_version
        self.words: set[str] = set()
        self.nesting = 0

    def body(self) -> list[str]:
        """Return the literals of a body."""
        return [self.literal() for _ in range(self.rng.choice((1, 1, 2, 2, 2, 3, 3, 4)))]

    def literal(self) -> str:
        rng = self.rng
        makers = (
            (30, self._test_literal), (6, self._negation), (8, self._assignment), (8, self._unification), (9, self._iteration),
            (5, self._every), (4, self._result_argument), (4, self._term_literal), (4, self._comprehension_literal), (8, self._logical),
            (3, self._walk), (3, self._some),
        )  # fmt: skip
        (maker,) = rng.choices([made for _, made in makers], [weight for weight, _ in makers])
        return maker()

    def _inner(self, bound: list[str]) -> str:
        """Return a body of its own that sees what is bound here and `bound`."""
        outer, self.scope = self.scope, [*self.scope, *bound]
        self.nesting += 1
        count = 1 if self.nesting > 2 else self.rng.choice((1, 1, 2))
        text = "; ".join(self.literal() if self.nesting < 3 else self._test() for _ in range(count))
        self.nesting -= 1
        self.scope = outer
        return text

    # Literals that bind nothing

    def _test_literal(self) -> str:
        return self._modified(self._test())

    def _term_literal(self) -> str:
        return self._modified(self._term(2))

    def _negation(self) -> str:
        if "not" in self.words and self.rng.random() < 0.4:
            return f"not {{ {self._inner([])} }}"
        return self._modified(f"not {self._test()}")

    def _logical(self) -> str:
        words = sorted(self.words & {"and", "or"})
        if not words:
            return self._test_literal()
        operands = [self._operand() for _ in range(self.rng.choice((2, 2, 3)))]
        text = operands[0]
        for operand in operands[1:]:
            text += f" {self.rng.choice(words)} {operand}"
        if "not" in self.words and self.rng.random() < 0.2:
            text = f"not ({text})"
        return text

    def _operand(self) -> str:
        choice = self.rng.random()
        if choice < 0.25:
            return f"{{ {self._inner([])} }}"
        if choice < 0.35:
            return f"({self._modified(self._test())})" if self.rng.random() < 0.5 else f"({self._test()} {self._word()} {self._test()})"
        if choice < 0.45:
            return f"not {self._test()}"
        return self._test()

    def _word(self) -> str:
        return self.rng.choice(sorted(self.words & {"and", "or"}))

    def _modified(self, literal: str) -> str:
        if self.rng.random() > 0.12:
            return literal
        scope, self.scope = self.scope, []
        text = literal
        for _ in range(self.rng.choice((1, 1, 2))):
            target = self.rng.choice(_PLACES)
            value = self._term(1)
            if self.values and self.rng.random() < 0.25:
                target = self.rng.choice(self.values)
                target = target if not target.startswith("who") else "input.user"
            elif self.functions and self.rng.random() < 0.25:
                target, size = self.rng.choice(self.functions)
                same = [name for name, other in self.functions if other == size]
                value = self.rng.choice((value, self.rng.choice(same)))
            elif self.rng.random() < 0.2:
                target, value = self.rng.choice((("startswith", "endswith"), ("startswith", "true"), ("count", "7"), ("type_name", '"x"')))
            text += f" with {target} as {value}"
        self.scope = scope
        return text

    def _every(self) -> str:
        key, value = self._name("x"), self._name("x")
        source = self._collection()
        if self.rng.random() < 0.4:
            return f"every {key}, {value} in {source} {{ {key} != {value}; {self._inner([key, value])} }}"
        return f"every {value} in {source} {{ {value} != {self._constant_or_path()}; {self._inner([value])} }}"

    # Literals that bind

    def _new(self, count: int) -> list[str]:
        return [self._name("x") for _ in range(count)]

    def _assignment(self) -> str:
        (name,) = self._new(1)
        text = f"{name} := {self._open_term() if self.rng.random() < 0.6 else self._term(2)}"
        self.scope.append(name)
        return self._modified(text)

    def _unification(self) -> str:
        one, two = self._new(2)
        source, known = self._open_term(), self.rng.choice(self.scope) if self.scope else '"a"'
        shapes = (
            f"[{one}, {two}] = {source}",
            f'{{"a": {one}, "b": {two}}} = {source}',
            f"[{one}, {known}] = {source}",
            f'[{one}, {{"a": {two}}}] := {source}',
            f"[{one}, {one}] = {source}",
            f"[{one}, {two}] = [{known}, {source}]",
            f"[{one}, [{two}]] = [{source}, [{one}]]",
            f'{{"a": {one}, "b": [{two}, 1]}} = {{"a": {known}, "b": [{source}, 1]}}',
            f"{one} = {source}",
            f"{source} = {one}",
            f"{known} = {source}",
            f'[{one}, "b"] = [{two}, {source}]; {two} = {known}',
        )
        text = self.rng.choice(shapes)
        self.scope += [name for name in (one, two) if name in text]
        return text

    def _iteration(self) -> str:
        one, two = self._new(2)
        source, collection, other = self._collection(), self._ref_collection(), self._constant_or_path()
        known = self.rng.choice(self.scope) if self.scope else '"a"'
        shapes = (
            f"some {one} in {source}",
            f"some {one}, {two} in {source}",
            f"some [{one}, {two}] in {source}",
            f'some {{"a": {one}}} in {source}',
            f"some {one}, [{two}, _] in {source}",
            f"{one} := {collection}[_]",
            f"{collection}[{one}]",
            f"{collection}[{one}] == {other}",
            f"{collection}[{one}] = {two}",
            f"{collection}[{one}][{two}]",
            f"{collection}[_] == {known}",
            f"data.grants[{one}].m == input.m",
            f"data.roles[input.m][{one}] == {other}",
            f'some {{"m": {one}, "path": {two}}} in data.grants',
            f"input.list[{one}].a = {two}",
        )
        text = self.rng.choice(shapes)
        self.scope += [name for name in (one, two) if name in text]
        return text

    def _some(self) -> str:
        (name,) = self._new(1)
        collection = self._ref_collection()
        self.scope.append(name)
        return f"some {name}; {collection}[{name}] != {self._constant_or_path()}"

    def _walk(self) -> str:
        path, value = self._new(2)
        self.scope += [path, value]
        return f"walk({self.rng.choice(('input.user', 'input.tags', 'data.base.obj'))}, [{path}, {value}])"

    def _result_argument(self) -> str:
        """Return a call whose result is matched by a last argument, as compiled policies have it."""
        one, two = self._new(2)
        term, known = self._open_term(), self.rng.choice(self.scope) if self.scope else "1"
        shapes = [f"count({term}, {one})", f'split({term}, "/", [{one}, {two}])', f"type_name({term}, {one})", f"count({term}, {known})"]
        if self.functions:
            call = self._call()
            shapes += [f"{call[:-1]}, {one})", f"{call[:-1]}, [{one}, {two}])"]
        text = self.rng.choice(shapes)
        self.scope += [name for name in (one, two) if name in text]
        return text

    def _comprehension_literal(self) -> str:
        (name,) = self._new(1)
        (inner,) = self._new(1)
        body = self._inner([inner])
        source = self._collection()
        value = self.rng.choice((inner, f"[{inner}, {self._constant_or_path()}]", self.rng.choice(CONSTANTS)))
        shapes = (
            f"{name} := [{value} | some {inner} in {source}; {body}]",
            f"{name} := {{{value} | some {inner} in {source}; {body}}}",
            f"{name} := {{{inner}: {value} | some {inner} in {source}; {body}}}",
            f"{name} = count([{inner} | {inner} := {source}[_]; {body}])",
        )
        text = self.rng.choice(shapes)
        self.scope.append(name)
        return text
