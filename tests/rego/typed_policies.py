"""Random small policies in which types are mixed up here and there, for differential tests of the type checker.

Owns the generator only. A seed gives the same policy in every process. It knows of each name what kind of value it has, so that
a policy has few places that a type checker refuses, and many that it must not.
"""

from __future__ import annotations

import random
from typing import Any

Shape = Any
"""An example of a name's value, as Python has it (a tuple for a set); Ellipsis for one that nothing is known of."""

SCALARS: dict[str, tuple[str, ...]] = {
    "string": ('"a"', '"b"', '"k"', '"1"', '""'), "number": ("1", "0", "2", "1.5"), "boolean": ("true", "false"), "null": ("null",),
}  # fmt: skip
KINDS = (*SCALARS, "array", "object", "set")
INPUTS = ("input", "input.a", "input.b.c", 'input["k"]', "input.xs[0]", "data.base", "data.base.x")
KEYS = ("a", "b", "k")

# Name, kinds of the arguments, kind of the result.
CALLS = tuple(
    (name, tuple(kinds.split()), result)
    for name, kinds, result in (
        ("count", "array", "number"), ("count", "string", "number"), ("startswith", "string string", "boolean"),
        ("concat", "string array", "string"), ("split", "string string", "array"), ("object.get", "object any any", "any"),
        ("sum", "array", "number"), ("lower", "string", "string"), ("abs", "number", "number"), ("array.concat", "array array", "array"),
        ("union", "set", "set"), ("json.unmarshal", "string", "any"), ("to_number", "string", "number"),
        ("format_int", "number number", "string"), ("object.keys", "object", "set"), ("is_string", "any", "boolean"),
        ("time.clock", "number", "array"), ("sprintf", "string array", "string"), ("max", "array", "any"), ("sort", "set", "array"),
        ("object.union", "object object", "object"), ("json.marshal", "any", "string"), ("json.patch", "any array", "any"),
        ("io.jwt.decode", "string", "array"), ("numbers.range", "number number", "array"), ("trim", "string string", "string"),
        ("json.marshal_with_options", "any object", "string"), ("strings.replace_n", "object string", "string"),
        ("net.cidr_contains_matches", "array array", "set"), ("graph.reachable", "object array", "set"), ("walk", "any", "array"),
    )
)  # fmt: skip
INFIX = {"number": ("+", "-", "*"), "set": ("&", "|", "-"), "boolean": ("<", "!=", ">=", "==")}


def make_policy(seed: int) -> str:
    """Return the policy of a seed."""
    return _Writer(random.Random(seed)).policy()  # noqa: S311


def kind_of(shape: Shape) -> str:
    kinds = {
        str: "string",
        int: "number",
        float: "number",
        bool: "boolean",
        type(None): "null",
        list: "array",
        dict: "object",
        tuple: "set",
    }
    return kinds.get(type(shape), "any")


class _Writer:
    """Writes one policy. Rules only use rules that were written before them, so nothing recurses."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.names = 0
        self.mixed = rng.choice((0.0, 0.01, 0.03, 0.1))
        self.values: list[tuple[str, Shape]] = []
        self.functions: list[tuple[str, tuple[str, ...], str]] = []
        self.scope: list[tuple[str, Shape]] = []

    def policy(self) -> str:
        makers = (
            self._complete, self._complete, self._constant, self._constant, self._set, self._object, self._nested,
            self._function, self._function, self._static, self._static, self._else, self._set_in_object,
        )  # fmt: skip
        rules = [self._constant()]
        for _ in range(self.rng.randrange(2, 8)):
            rules.append(self.rng.choice(makers)())
        return "package t\n\n" + "\n".join(rules) + "\n"

    def _name(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}{self.names}"

    def _pick(self, *choices: str) -> str:
        return self.rng.choice(choices)

    def _chance(self, share: float) -> bool:
        return self.rng.random() < share

    # Rules

    def _constant(self) -> str:
        name = self._name("c")
        shape = self._shape(3)
        texts = [f"{name} := {self._written(shape)}"]
        if self._chance(0.2):
            texts.append(f"{name} := {self._written(self._shape(2))} if input.a")
        if self._chance(0.2):
            texts.insert(0, f"default {name} := {self._written(self._shape(1))}")
        self.values.append((name, shape))
        return "\n".join(texts)

    def _bodied(self, head: str, *kinds: str) -> str:
        """Return a rule in whose head terms of these kinds take the places of `$`."""
        self.scope = []
        body = self._body()
        for kind in kinds:
            head = head.replace("$", self._term(kind, 2), 1)
        return f"{head} if {{\n" + "".join(f"\t{line}\n" for line in body) + "}"

    def _complete(self) -> str:
        name, kind = self._name("p"), self._pick(*KINDS)
        if self._chance(0.3):
            text, kind = self._bodied(name), "boolean"
        else:
            text = "\n".join(self._bodied(f"{name} := $", kind) for _ in range(self.rng.choice((1, 1, 2))))
        if self._chance(0.2):
            text += f"\ndefault {name} := {self._written(self._shape(1))}"
        self.values.append((name, self._of_kind(kind)))
        return text

    def _set(self) -> str:
        name, kind = self._name("s"), self._pick(*KINDS)
        text = "\n".join(self._bodied(f"{name} contains $", kind) for _ in range(self.rng.randrange(1, 3)))
        self.values.append((name, (self._of_kind(kind),)))
        return text

    def _object(self) -> str:
        name, kind = self._name("o"), self._pick(*KINDS)
        text = "\n".join(self._bodied(f"{name}[$] := $", "string", kind) for _ in range(self.rng.randrange(1, 3)))
        self.values.append((name, {"a": self._of_kind(kind)}))
        return text

    def _nested(self) -> str:
        name, kind = self._name("n"), self._pick(*KINDS)
        inner = self._of_kind(kind)
        shapes = {
            f"{name}[$][$] := $": ({"a": {"b": inner}}, 2), f"{name}[$].a := $": ({"k": {"a": inner}}, 1),
            f"{name}.a[$] := $": ({"a": {"b": inner}}, 1), f"{name}.b[$].a := $": ({"b": {"k": {"a": inner}}}, 1),
        }  # fmt: skip
        head = self._pick(*shapes)
        shape, keys = shapes[head]
        text = self._bodied(head, *["string"] * keys, kind)
        self.values.append((name, shape))
        return text

    def _set_in_object(self) -> str:
        name, kind = self._name("m"), self._pick(*KINDS)
        shape = {"a": (self._of_kind(kind),)}
        text = self._bodied(f"{name}[$] contains $", "string", kind) if self._chance(0.5) else self._bodied(f"{name}.a contains $", kind)
        self.values.append((name, shape))
        return text

    def _static(self) -> str:
        name = self._name("r")
        shape = {key: self._shape(2) for key in self.rng.sample(KEYS, self.rng.randrange(1, 4))}
        texts = [f"{name}.{key} := {self._written(member)}" for key, member in shape.items()]
        if self._chance(0.3):
            texts.append(self._bodied(f"{name}[$] := $", "string", self._pick(*KINDS)))
        self.values.append((name, shape))
        return "\n".join(texts)

    def _else(self) -> str:
        name, kind = self._name("e"), self._pick(*KINDS)
        text = self._bodied(f"{name} := $", kind)
        for _ in range(self.rng.randrange(1, 3)):
            self.scope = []
            text += f" else := {self._written(self._of_kind(kind))} if {{ {'; '.join(self._body())} }}"
        self.values.append((name, self._of_kind(kind)))
        return text

    def _function(self) -> str:
        name, kinds = self._name("f"), tuple(self._pick(*KINDS, "any", "any") for _ in range(self.rng.randrange(1, 3)))
        result = self._pick(*KINDS)
        texts = []
        for _ in range(self.rng.choice((1, 1, 1, 2))):
            self.scope = []
            params = [self._param(kind) for kind in kinds]
            body = self._body()
            value = f" := {self._term(result, 2)}"
            texts.append(f"{name}({', '.join(params)}){value} if {{\n" + "".join(f"\t{line}\n" for line in body) + "}")
        self.functions.append((name, kinds, result))
        return "\n".join(texts)

    def _param(self, kind: str) -> str:
        if kind in SCALARS and self._chance(0.2):
            return self._pick(*SCALARS[kind])
        name = self._name("x")
        if kind == "array" and self._chance(0.3):
            self.scope.append((name, ...))
            return self._pick(f"[{name}, 1]", f"[{name}, _]", f"[{name}, {name}]")
        if kind == "object" and self._chance(0.3):
            self.scope.append((name, ...))
            return f'{{"a": {name}}}'
        self.scope.append((name, self._of_kind(kind)))
        return name

    # Bodies

    def _body(self) -> list[str]:
        return [self._line() for _ in range(self.rng.choice((1, 1, 2, 2, 3, 3, 4)))]

    def _line(self) -> str:
        lines = (
            self._binding, self._binding, self._comparison, self._comparison, self._plain, self._plain, self._test, self._iteration,
            self._iteration, self._pattern, self._every, self._result, self._out_of_order,
        )  # fmt: skip
        return self.rng.choice(lines)()

    def _new(self, shape: Shape = ...) -> str:
        name = self._name("v")
        self.scope.append((name, shape))
        return name

    def _binding(self) -> str:
        kind = self._pick(*KINDS, "any")
        if self._chance(0.4):
            term, shape = self._ref()
        else:
            term, shape = self._term(kind, 3), self._of_kind(kind)
        text = self._modified(term)
        return f"{self._new(shape)} {self._pick(':=', ':=', '=')} {text}"

    def _comparison(self) -> str:
        kind = self._pick(*KINDS, "any")
        return self._modified(f"{self._term(kind, 2)} {self._pick('==', '==', '=', '!=', '>')} {self._term(kind, 2)}")

    def _plain(self) -> str:
        return self._modified(self._pick("", "", "not ") + self._ground_ref())

    def _test(self) -> str:
        return self._modified(self._pick("", "not ") + self._call("boolean", 2))

    def _modified(self, text: str) -> str:
        if not self._chance(0.08):
            return text
        target = self._pick("input", "input.a", "data.base", *(name for name, _ in self.values))
        return f"{text} with {target} as {self._term('any', 1)}"

    def _iteration(self) -> str:
        source, shape = self._collection()
        member = next(iter(shape.values() if isinstance(shape, dict) else shape), ...) if isinstance(shape, list | tuple | dict) else ...
        key = "a" if isinstance(shape, dict) else 0 if isinstance(shape, list) else member
        match self.rng.randrange(4):
            case 0:
                return f"some {self._new(member)} in {source}"
            case 1:
                return f"some {self._new(key)}, {self._new(member)} in {source}"
            case 2:
                return f"some [{self._new()}, {self._constant_text()}] in {source}"
        name = self._name("v")
        text = f"{self._new(member)} := {source}[{name}]"
        self.scope.append((name, key))
        return text

    def _collection(self) -> tuple[str, Shape]:
        known = [(name, shape) for name, shape in self.values + self.scope if isinstance(shape, list | dict | tuple)]
        if known and self._chance(0.8):
            return self.rng.choice(known)
        return self._ref() if self._chance(0.5) else (self._pick("input.xs", "data.base"), ...)

    def _pattern(self) -> str:
        array, obj = self._term("array", 2), self._term("object", 2)
        match self.rng.randrange(5):
            case 0:
                return f"[{self._new()}, {self._new()}] := {self._pick(array, *INPUTS)}"
            case 1:
                return f"[{self._new()}, {self._constant_text()}] = {self._pick(array, *INPUTS)}"
            case 2:
                return f'{{"a": {self._new()}}} {self._pick(":=", "=")} {self._pick(obj, *INPUTS)}'
            case 3:
                term = self._term("any", 1)
                return f"[{self._new()}, {array}] = [{term}, {self._new()}]"
        return f'{{"a": {self._new()}, "b": {self._constant_text()}}} = {self._pick(obj, *INPUTS)}'

    def _every(self) -> str:
        name, outer = self._name("v"), list(self.scope)
        source, _ = self._collection()
        self.scope.append((name, ...))
        line = self._modified(f"{self._term('any', 1)} {self._pick('==', '!=')} {name}{self._pick('', '.a', '[_]')}")
        other = self._call("boolean", 1)
        self.scope = outer
        return f"every {name} in {source} {{ {line}{self._pick('', f'; {other}')} }}"

    def _result(self) -> str:
        """Return a call with its result as an argument too many."""
        name, kinds, result = self.rng.choice(CALLS[:-1])
        args = [self._term(kind, 1) for kind in kinds]
        out = self._term(result, 1) if self._chance(0.5) else self._new(self._of_kind(result))
        return f"{name}({', '.join(args)}, {out})"

    def _out_of_order(self) -> str:
        """Return two literals of which the second binds what the first one uses."""
        kind = self._pick(*KINDS)
        term = self._term(kind, 1)
        name = self._new(self._of_kind(kind))
        return f"{self._term(kind, 1)} != {name}; {name} = {term}"

    # Terms

    def _shape(self, depth: int) -> Shape:
        kind = self._pick(*KINDS) if depth else self._pick(*SCALARS)
        return self._of_kind(kind, depth)

    def _of_kind(self, kind: str, depth: int = 1) -> Shape:
        """Return an example of a kind."""
        if kind in SCALARS:
            return {"string": "a", "number": 1, "boolean": True, "null": None}[kind]
        if kind == "any":
            return ...
        members = [self._shape(depth - 1) for _ in range(self.rng.randrange(4))]
        if kind == "object":
            return dict(zip(self.rng.sample((*KEYS, 1), len(members)), members, strict=True))
        return members if kind == "array" else tuple(members)

    def _written(self, shape: Shape) -> str:
        """Return an example as a constant."""
        if isinstance(shape, list):
            return "[" + ", ".join(map(self._written, shape)) + "]"
        if isinstance(shape, tuple):
            return "{" + ", ".join(map(self._written, shape)) + "}" if shape else "set()"
        if isinstance(shape, dict):
            return "{" + ", ".join(f"{self._key_text(key)}: {self._written(member)}" for key, member in shape.items()) + "}"
        return self._pick(*SCALARS[kind_of(shape)]) if shape is not ... else "1"

    def _constant_text(self) -> str:
        return self._written(self._shape(1))

    def _key_text(self, key: Any) -> str:
        return f'"{key}"' if isinstance(key, str) else str(key)

    def _term(self, kind: str, depth: int) -> str:
        """Return a term of a kind; now and then, of another one."""
        if kind == "any" or self._chance(self.mixed):
            kind = self._pick(*KINDS)
        choice = self.rng.random()
        known = [name for name, shape in self.scope + self.values if kind_of(shape) in {kind, "any"}]
        if choice < 0.35 and known:
            return self.rng.choice(known)
        if choice < 0.5:
            found = [text for text, shape in (self._ref(is_ground=True) for _ in range(3)) if kind_of(shape) == kind]
            return found[0] if found else self._written(self._of_kind(kind))
        if choice < 0.6 or depth == 0:
            return self._pick(*INPUTS) if self._chance(0.5) else self._written(self._of_kind(kind))
        if choice < 0.75:
            return self._call(kind, depth)
        if kind in INFIX and self._chance(0.5):
            inner = "any" if kind == "boolean" else kind
            return f"({self._term(inner, depth - 1)} {self._pick(*INFIX[kind])} {self._term(inner, depth - 1)})"
        return self._composite(kind, depth)

    def _composite(self, kind: str, depth: int) -> str:
        if kind in SCALARS:
            return self._pick(*SCALARS[kind])
        if self._chance(0.3):
            return self._comprehension(kind, depth)
        parts = [self._term("any", depth - 1) for _ in range(self.rng.randrange(1, 3))]
        if kind == "object":
            return f'{{"a": {parts[0]}}}' if self._chance(0.7) else f"{{{self._term('string', 1)}: {parts[0]}}}"
        return ("[{}]" if kind == "array" else "{{{}}}").format(", ".join(parts))

    def _comprehension(self, kind: str, depth: int) -> str:
        outer = list(self.scope)
        lines = [self._line() for _ in range(self.rng.randrange(1, 3))]
        head, key = self._term("any", depth - 1), self._term("string", 1)
        self.scope = outer
        body = "; ".join(lines)
        return {"array": f"[{head} | {body}]", "set": f"{{{head} | {body}}}", "object": f"{{{key}: {head} | {body}}}"}[kind]

    def _ref(self, *, is_ground: bool = False) -> tuple[str, Shape]:
        """Return a reference along a name's example, and what it refers to there."""
        text, shape = self.rng.choice(self.values + self.scope)
        while shape and isinstance(shape, list | dict | tuple) and self._chance(0.7):
            if self._chance(self.mixed):
                return text + self._pick(".a", "[0]", "[true]", '["k"]', ".a.b", "[7]", f"[{self._term('any', 1)}]"), ...
            key, shape = self.rng.choice(list(shape.items()) if isinstance(shape, dict) else list(enumerate(shape)))
            if not is_ground and self._chance(0.2):
                text += "[_]"
            elif isinstance(key, str):
                text += f".{key}"
            else:
                text += f"[{key}]"
        return (text + self._pick(".a", "[0]"), ...) if self._chance(self.mixed) else (text, shape)

    def _ground_ref(self) -> str:
        return self._ref(is_ground=True)[0]

    def _call(self, kind: str, depth: int) -> str:
        fitting = [each for each in (*CALLS, *self.functions, *self.functions) if each[2] in {kind, "any"}]
        if not fitting:
            return self._composite(kind, depth)
        name, kinds, _ = self.rng.choice(fitting)
        return f"{name}({', '.join(self._term(each, max(depth - 1, 0)) for each in kinds)})"
