"""Calling a built-in by its name, operands and result as JSON."""

from collections.abc import Callable
from typing import Any

import pytest

from authz.rego.builtins import BUILTINS
from authz.rego.errors import BuiltinError
from authz.rego.pending import HttpRequest
from authz.rego.values import Object, Value, from_json, to_json

NOW_NS = 1_700_000_000_000_000_000


class Context:
    """One evaluation at a fixed time."""

    now_ns = NOW_NS
    output: Callable[[str], None] | None = None

    def __init__(self) -> None:
        self.kept: dict[tuple[Value, ...], Value] = {}

    def once(self, key: tuple[Value, ...], make: Callable[[], Value]) -> Value:
        return self.kept.setdefault(key, make())

    def answer_to(self, request: HttpRequest) -> Object:
        raise BuiltinError("http.send: not enabled")


def call(name: str, *operands: Any) -> Any:
    """Return the built-in's result as JSON."""
    builtin = BUILTINS[name]
    context = [Context()] if builtin.needs_context else []
    result = builtin.call(*context, *(from_json(operand) for operand in operands))
    return result if builtin.returns_bool else to_json(result)


def failure(name: str, *operands: Any) -> str:
    """Return the built-in's error without its name in front."""
    with pytest.raises(BuiltinError) as caught:
        call(name, *operands)
    return caught.value.message.removeprefix(f"{name}: ")
