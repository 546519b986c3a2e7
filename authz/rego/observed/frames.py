"""Where an observed evaluation is: documents and what was computed from them, bodies under evaluation, and leaving one early.

Knows no rules and no steps.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar, cast

from authz.rego.nodes import NOWHERE, Location
from authz.rego.observed.plans import Body, Stage
from authz.rego.runtime import Context, get
from authz.rego.values import Value

T = TypeVar("T")


class Scope:
    """The documents of a `with`, or of the whole evaluation, and the values of rules and calls computed from them."""

    __slots__ = ("cache", "context")

    def __init__(self, context: Context) -> None:
        self.context = context
        self.cache: dict[tuple[Any, ...], Any] = {}

    def known(self, path: tuple[Any, ...]) -> Value | None:
        """Return what was computed for a path that leads to a rule or into one; None if nothing was, or it is undefined."""
        if (path,) in self.cache:
            return cast("Value | None", self.cache[path,])
        keys = ((path[:size], path[size:]) for size in range(len(path), 1, -1))
        return next((at(self.cache[key], key[1]) for key in keys if key in self.cache), None)


class Frame:
    """One evaluation of a body. A nested body shares the variables and scopes of the one around it.

    `is_settled_by_one`: its first solution is enough, so that nothing is tried after it.
    """

    __slots__ = ("body", "is_settled_by_one", "location", "parent", "query", "scopes", "stage", "values")

    def __init__(self, query: int, body: Body, parent: Frame | None, values: dict[str, Any], scopes: dict[str, Scope]) -> None:
        self.query = query
        self.body = body
        self.parent = parent
        self.values = values
        self.scopes = scopes
        self.is_settled_by_one = False
        self.stage: Stage | None = None
        self.location: Location = NOWHERE if parent is None else parent.location


class EarlyExit(Exception):  # noqa: N818  # no error: a caller has the one solution that it needs
    """Thrown into iterators that are left before their end, so that they say so on their way out."""


_END = object()


def conjunction(parts: Sequence[T], solve: Callable[[T], bool | Iterator[None]]) -> Iterator[None]:
    """Yield for every way in which all parts hold, in order, going back to the last that may hold otherwise.

    `solve` gives whether a part holds, or an iterator that yields for each way in which it does. Iterators, not recursion: a body
    of any length costs one Python frame.
    """
    active: list[Iterator[None]] = []
    while True:
        if len(active) == len(parts):
            try:
                yield
            except EarlyExit as reason:
                while active:
                    leave(active.pop(), reason)
                raise
        else:
            found = solve(parts[len(active)])
            if found is True:
                active.append(iter(()))
                continue
            if found is not False:
                active.append(found)
        while active and next(active[-1], _END) is _END:
            active.pop()
        if not active:
            return


def leave(iterator: Iterator[object], reason: EarlyExit) -> None:
    """Leave an iterator early; one that has ended has nothing to say."""
    if isinstance(iterator, Generator):
        with suppress(EarlyExit, StopIteration):
            iterator.throw(reason)


def at(value: Value | None, path: Iterable[Value]) -> Value | None:
    """Return what a value has at a path."""
    for key in path:
        value = get(value, key)
    return value
