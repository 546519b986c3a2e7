"""The tree of a Go template. Nodes only; they neither read nor evaluate themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, Union


class TemplateError(Exception):
    """A template that Go would not read, or not execute."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"template: template:{line}: {message}")


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    """The cursor `.`."""


@dataclass(frozen=True, slots=True)
class Literal:
    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Variable:
    name: str


@dataclass(frozen=True, slots=True)
class Function:
    name: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Fields of a value: `.a.b`, `$x.a`, `(pipe).a`."""

    base: Operand
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Command:
    operands: tuple[Operand, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Pipe:
    """Commands, each given the result of the one before it as last argument; then declared or assigned."""

    names: tuple[str, ...]
    is_assignment: bool
    commands: tuple[Command, ...]


Operand: TypeAlias = Union[Dot, Literal, Variable, Function, Chain, Pipe]


@dataclass(frozen=True, slots=True)
class Action:
    pipe: Pipe
    line: int


@dataclass(frozen=True, slots=True)
class Branch:
    """`if`, `with` or `range`, as `kind` says."""

    kind: str
    pipe: Pipe
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Invoke:
    """`{{template "name" pipe}}`."""

    name: str
    pipe: Pipe | None
    line: int


@dataclass(frozen=True, slots=True)
class Jump:
    """`break` or `continue`."""

    word: str


Node: TypeAlias = Union[Text, Action, Branch, Invoke, Jump]


@dataclass(frozen=True, slots=True)
class Template:
    body: tuple[Node, ...]
    definitions: dict[str, tuple[Node, ...]]
