"""Executing a Go template on JSON: lists, dicts, strings, numbers as their text (`Number`), booleans, None.

As in Go, a missing key is no error but has no value; a number compares as the text it is.
"""

from __future__ import annotations

import html
import operator
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import quote_plus

from authz.rego.builtins.go_template_nodes import (
    Action,
    Branch,
    Chain,
    Command,
    Dot,
    Function,
    Invoke,
    Jump,
    Literal,
    Node,
    Operand,
    Pipe,
    Template,
    TemplateError,
    Text,
    Variable,
)
from authz.rego.builtins.sprintf import Formatter
from authz.rego.builtins.verbs import shortest_text

MAX_STEPS: Final = 200_000
"""Nodes executed in one run: nested ranges multiply."""

MAX_OUTPUT: Final = 4 * 1024 * 1024
MAX_DEPTH: Final = 60
"""Bodies within bodies, those of invoked templates included."""

NO_VALUE: Final = "<no value>"

GoValue = Any


class Number(str):
    """A JSON number, which Go templates see as its text."""


class _Jump(Exception):  # noqa: N818 - control flow, not an error
    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class Run:
    """One execution. `variables` is a stack: a body's own are dropped behind it."""

    def __init__(self, template: Template, data: GoValue) -> None:
        self.template = template
        self.variables: list[tuple[str, GoValue]] = [("$", data)]
        self.parts: list[str] = []
        self.size = 0
        self.steps = 0
        self.depth = 0
        self.line = 1

    def text(self) -> str:
        self.nodes(self.template.body, self.variables[0][1])
        return "".join(self.parts)

    def fail(self, message: str) -> TemplateError:
        return TemplateError(self.line, f'executing "template": {message}')

    def write(self, text: str) -> None:
        self.size += len(text)
        if self.size > MAX_OUTPUT:
            raise self.fail(f"result is longer than {MAX_OUTPUT} characters")
        self.parts.append(text)

    def nodes(self, nodes: Sequence[Node], dot: GoValue) -> None:
        depth = len(self.variables)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"nested deeper than {MAX_DEPTH} levels")
        for node in nodes:
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise self.fail(f"more than {MAX_STEPS} steps")
            self.node(node, dot)
        self.depth -= 1
        del self.variables[depth:]

    def node(self, node: Node, dot: GoValue) -> None:
        match node:
            case Text(text):
                self.write(text)
            case Action(pipe, line):
                self.line = line
                value = self.pipe(pipe, dot)
                if not pipe.names:
                    self.write(go_text(value))
            case Branch():
                self.branch(node, dot)
            case Invoke(name, pipe, line):
                self.line = line
                self.invoke(name, None if pipe is None else self.pipe(pipe, dot))
            case Jump(word):
                raise _Jump(word)

    def branch(self, node: Branch, dot: GoValue) -> None:
        self.line = node.line
        depth = len(self.variables)
        value = self.pipe(node.pipe, dot) if node.kind != "range" else self.commands(node.pipe, dot)
        if node.kind == "range":
            self.range(node, value, dot)
        elif is_true(value):
            self.nodes(node.body, dot if node.kind == "if" else value)
        else:
            self.nodes(node.otherwise, dot)
        del self.variables[depth:]

    def range(self, node: Branch, value: GoValue, dot: GoValue) -> None:
        items = self.items(value)
        if not items:
            self.nodes(node.otherwise, dot)
            return
        variables, depth = len(self.variables), self.depth
        for key, item in items:
            self.bind(node.pipe, (item,) if len(node.pipe.names) == 1 else (key, item))
            try:
                self.nodes(node.body, item)
            except _Jump as jump:
                if jump.word == "break":
                    break
            finally:
                self.depth = depth
                del self.variables[variables:]

    def items(self, value: GoValue) -> list[tuple[GoValue, GoValue]]:
        if isinstance(value, dict):
            return [(key, value[key]) for key in sorted(value)]
        if isinstance(value, list):
            return list(enumerate(value))
        if type(value) is int and value <= MAX_STEPS:
            return [(number, number) for number in range(value)]
        if value is None:
            return []
        raise self.fail(f"range can't iterate over {go_text(value)}")

    def invoke(self, name: str, dot: GoValue) -> None:
        body = self.template.definitions.get(name)
        if body is None:
            raise self.fail(f"template {name!r} not defined")
        outer, self.variables = self.variables, [("$", dot)]
        self.nodes(body, dot)
        self.variables = outer

    def pipe(self, pipe: Pipe, dot: GoValue) -> GoValue:
        value = self.commands(pipe, dot)
        self.bind(pipe, (value,))
        return value

    def bind(self, pipe: Pipe, values: tuple[GoValue, ...]) -> None:
        for name, value in zip(pipe.names, values, strict=False):
            if pipe.is_assignment:
                place = max(place for place, (known, _) in enumerate(self.variables) if known == name)
                self.variables[place] = (name, value)
            else:
                self.variables.append((name, value))

    def commands(self, pipe: Pipe, dot: GoValue) -> GoValue:
        piped: tuple[GoValue, ...] = ()
        for command in pipe.commands:
            piped = (self.command(command, dot, piped),)
        return piped[0]

    def command(self, command: Command, dot: GoValue, piped: tuple[GoValue, ...]) -> GoValue:
        self.line = command.line
        first, *rest = command.operands
        if isinstance(first, Function):
            return self.call(first.name, rest, dot, piped)
        if rest or piped:
            raise self.fail("can't give argument to non-function")
        if isinstance(first, Literal) and first.value is None:
            raise self.fail("nil is not a command")
        return self.operand(first, dot)

    def call(self, name: str, operands: list[Operand], dot: GoValue, piped: tuple[GoValue, ...]) -> GoValue:
        if name in {"and", "or"}:
            return self.shortened(name, operands, dot, piped)
        arguments = [self.operand(operand, dot) for operand in operands]
        try:
            return FUNCTIONS[name](*arguments, *piped)
        except TypeError:
            raise self.fail(f"wrong number of args for {name}") from None
        except (ValueError, LookupError) as error:
            raise self.fail(f"error calling {name}: {error}") from None

    def shortened(self, name: str, operands: list[Operand], dot: GoValue, piped: tuple[GoValue, ...]) -> GoValue:
        """Evaluate `and` or `or` up to the operand that decides."""
        if not operands and not piped:
            raise self.fail(f"wrong number of args for {name}")
        value: GoValue = None
        for operand in operands:
            value = self.operand(operand, dot)
            if is_true(value) == (name == "or"):
                return value
        return piped[0] if piped else value

    def operand(self, operand: Operand, dot: GoValue) -> GoValue:
        match operand:
            case Dot():
                return dot
            case Literal(value):
                return value
            case Variable(name):
                return next(value for known, value in reversed(self.variables) if known == name)
            case Function(name):
                return self.call(name, [], dot, ())
            case Chain(base, fields):
                return self.fields(self.operand(base, dot), fields)
            case Pipe():
                return self.pipe(operand, dot)

    def fields(self, value: GoValue, names: tuple[str, ...]) -> GoValue:
        for name in names:
            if value is not None and not isinstance(value, dict):
                raise self.fail(f"can't evaluate field {name} in type interface {{}}")
            value = None if value is None else value.get(name)
        return value


def is_true(value: GoValue) -> bool:
    """Return Go's truth: false, 0, nil and what is empty are not; a JSON 0 is, being a text."""
    return bool(value)


def go_text(value: GoValue, *, is_inner: bool = False) -> str:
    """Return the value as Go prints it."""
    if value is None:
        return "<nil>" if is_inner else NO_VALUE
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return ("-" if value < 0 else "") + shortest_text(abs(value))
    if isinstance(value, list):
        return "[" + " ".join([go_text(item, is_inner=True) for item in value]) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join([f"{key}:{go_text(value[key], is_inner=True)}" for key in sorted(value)]) + "]"
    return str(value)


def _print(*values: GoValue) -> str:
    """Join as Go's `fmt.Sprint`: a space only between two that are no strings."""
    parts: list[str] = []
    for position, value in enumerate(values):
        if position and not isinstance(value, str) and not isinstance(values[position - 1], str):
            parts.append(" ")
        parts.append(go_text(value, is_inner=True))
    return "".join(parts)


def _printf(text: str, *values: GoValue) -> str:
    if not isinstance(text, str):
        raise ValueError("expected string")
    return Formatter(text, [value if type(value) in {int, float, str} else go_text(value, is_inner=True) for value in values]).run()


def _len(value: GoValue) -> int:
    if isinstance(value, str):
        return len(value.encode(errors="replace"))
    if isinstance(value, list | dict):
        return len(value)
    raise ValueError(f"len of type {go_text(value)}")


def _index(value: GoValue, *keys: GoValue) -> GoValue:
    for key in keys:
        if value is None:
            raise ValueError("index of nil pointer")
        if isinstance(value, dict) and isinstance(key, str):
            value = value.get(key)
        elif isinstance(value, list) and type(key) is int and 0 <= key < len(value):
            value = value[key]
        else:
            raise ValueError(f"can't index with {go_text(key)}")
    return value


def _slice(value: GoValue, *bounds: GoValue) -> GoValue:
    if not isinstance(value, str | list) or len(bounds) > 2 or any(type(bound) is not int for bound in bounds):
        raise ValueError("can't slice")
    first, last = (*bounds, len(value))[:2] if bounds else (0, len(value))
    if not 0 <= first <= last <= len(value):
        raise ValueError("index out of range")
    return value[first:last]


def _kind(value: GoValue) -> str:
    if isinstance(value, list | dict):
        raise ValueError(f"non-comparable type {go_text(value)}")
    return "string" if isinstance(value, str) else type(value).__name__


def _equal(first: GoValue, *others: GoValue) -> bool:
    if not others:
        raise ValueError("missing argument for comparison")
    return any(_same(first, other) for other in others)


def _same(first: GoValue, other: GoValue) -> bool:
    kinds = {_kind(first), _kind(other)}
    if len(kinds) > 1 and "NoneType" not in kinds:
        raise ValueError("incompatible types for comparison")
    return len(kinds) == 1 and bool(first == other)


def _ordering(compare: Callable[[Any, Any], bool]) -> Callable[[GoValue, GoValue], bool]:
    def ordered(left: GoValue, right: GoValue) -> bool:
        if _kind(left) != _kind(right):
            raise ValueError("incompatible types for comparison")
        if left is None or isinstance(left, bool):
            raise ValueError("invalid type for comparison")
        return compare(left, right)

    return ordered


_SCRIPT: Final = {"<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D", "'": "\\'", '"': '\\"', "\\": "\\\\", "\n": "\\u000A"}

FUNCTIONS: Final[dict[str, Callable[..., GoValue]]] = {
    "and": lambda *values: values,
    "or": lambda *values: values,
    "not": lambda value: not is_true(value),
    "len": _len,
    "index": _index,
    "slice": _slice,
    "print": _print,
    "println": lambda *values: " ".join(go_text(value, is_inner=True) for value in values) + "\n",
    "printf": _printf,
    "html": lambda *values: html.escape(_print(*values)).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    "js": lambda *values: "".join(_SCRIPT.get(char, char) for char in _print(*values)),
    "urlquery": lambda *values: quote_plus(_print(*values)),
    "eq": _equal,
    "ne": lambda left, right: not _same(left, right),
    "lt": _ordering(operator.lt),
    "le": _ordering(operator.le),
    "gt": _ordering(operator.gt),
    "ge": _ordering(operator.ge),
}
