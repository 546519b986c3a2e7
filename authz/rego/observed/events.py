"""What is told of an evaluation while it runs: OPA's trace events.

Plain values; knows neither who listens nor how an evaluation proceeds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias, Union

from authz.rego.nodes import Location
from authz.rego.observed.plans import Body, Definition, Stage
from authz.rego.program import Path
from authz.rego.values import Value


class Op(StrEnum):
    """What happens: a body begins or holds, an expression is evaluated, fails, or is left for its next solution."""

    ENTER = "Enter"
    EXIT = "Exit"
    EVAL = "Eval"
    REDO = "Redo"
    FAIL = "Fail"
    DUPLICATE = "Duplicate"
    INDEX = "Index"
    NOTE = "Note"


Node: TypeAlias = Union[Definition, Body, Stage]
"""A rule, a body, or one expression of a body."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happens. `query` numbers the evaluation of a body, `parent` the one around it.

    `variables` are the author's and the compiler's variables of the node that have a value, by the name that texts show;
    `target` is the rule that an index is asked for; `documents` are the rules that the node names whose value is known by then.
    """

    op: Op
    node: Node | None
    location: Location
    query: int
    parent: int
    message: str = ""
    target: Path | None = None
    variables: tuple[tuple[str, Value], ...] = ()
    documents: tuple[tuple[str, Value], ...] = ()


Observer: TypeAlias = Callable[[Event], None]
