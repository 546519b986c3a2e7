"""Calling a built-in as generated code does, with operands written as plain Python and results as values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from authz.rego.builtins import BUILTINS
from authz.rego.errors import BuiltinError
from authz.rego.values import Value, from_json


class Evaluation:
    """An evaluation's memory of the values made once."""

    output: Callable[[str], None] | None = None

    def __init__(self) -> None:
        self.now_ns = 0
        self.made: dict[tuple[Value, ...], Value] = {}

    def once(self, key: tuple[Value, ...], make: Callable[[], Value]) -> Value:
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]


def call(name: str, *operands: object, evaluation: Evaluation | None = None) -> Any:
    """Return the built-in's result: None is undefined, a declared boolean is Python's."""
    builtin = BUILTINS[name]
    arguments: list[Any] = [from_json(operand) for operand in operands]
    if builtin.needs_context:
        arguments.insert(0, evaluation or Evaluation())
    result = builtin.call(*arguments)
    assert (type(result) is bool) == builtin.returns_bool
    return result


def failure(name: str, *operands: object) -> str:
    """Return `code: message` of the error that the built-in has to raise."""
    try:
        result = call(name, *operands)
    except BuiltinError as error:
        return f"{error.code}: {error.message}"
    raise AssertionError(f"{name} returned {result!r}")


def value(document: object) -> Value:
    """Return the value that a plain Python object stands for; sets are sets."""
    return from_json(document)
