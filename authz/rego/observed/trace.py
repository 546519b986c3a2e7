"""Traces as OPA shows them: which events are kept, and the line of each.

Listens to nothing and evaluates nothing; knows no JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final

from authz.rego.nodes import Term, Var
from authz.rego.observed.events import Event, Op
from authz.rego.observed.plans import Definition, Stage
from authz.rego.observed.text import path_text
from authz.rego.planner import walk
from authz.rego.render import quote, to_text
from authz.rego.values import Value

QUERY: Final = "query"
"""What the location of an event in a query is called, which has no file."""

_PADDING: Final = 4  # columns between the longest location and the events
_SHOWN_VALUE: Final = 32  # characters


class Explain(StrEnum):
    """Which events are of interest, by OPA's names. `debug` shows what `full` shows: an evaluation has no smaller steps."""

    FULL = "full"
    NOTES = "notes"
    FAILS = "fails"
    DEBUG = "debug"


_KEPT: Final = {Explain.NOTES: frozenset({Op.NOTE}), Explain.FAILS: frozenset({Op.FAIL})}


def explained(events: Sequence[Event], explain: Explain) -> list[Event]:
    """Return the events of interest, each after the bodies that lead to it, unless they have just been shown."""
    kept = _KEPT.get(explain)
    return list(events) if kept is None else list(_with_lineage(events, kept))


def _with_lineage(events: Iterable[Event], kept: frozenset[Op]) -> Iterator[Event]:
    entered: dict[int, Event] = {}
    for event in events:
        if event.op in kept:
            path = [event]
            while (above := entered.pop(path[-1].query if len(path) == 1 else path[-1].parent, None)) is not None:
                path.append(above)
            yield from reversed(path)
            entered = {}
        if event.op in {Op.ENTER, Op.REDO} and not isinstance(event.node, Stage):
            entered[event.query] = event


def lines(events: Sequence[Event], *, with_variables: bool = False) -> list[str]:
    """Return OPA's pretty trace: the location, the event below its body, and the values of the variables that it mentions."""
    depths: dict[int, int] = {}
    places = [f"{event.location.file or QUERY}:{event.location.row}" for event in events]
    texts = [_text(event, depths) for event in events]
    width = max(map(len, places), default=0) + _PADDING
    shown = [f"{place:<{width}} {text}" for place, text in zip(places, texts, strict=True)]
    if not with_variables:
        return shown
    width = max(map(len, shown), default=0) + _PADDING
    return [f"{line:<{width}} {_variables(event)}" for line, event in zip(shown, events, strict=True)]


def _text(event: Event, depths: dict[int, int]) -> str:
    depth = depths.setdefault(event.query, depths.get(event.parent, 0) + 1)
    is_edge = event.op is Op.ENTER or (event.op is Op.REDO and not isinstance(event.node, Stage))
    padding = "| " * (depth - 1 if is_edge else depth)
    if event.node is None:
        return f"{padding}{event.op} {quote(event.message)}"
    what = event.node.text if event.target is None else path_text(event.target)
    return f"{padding}{event.op} {what}" + (f" {event.message}" if event.message else "")


def _variables(event: Event) -> str:
    found = {name: shortened(to_text(value)) for name, value in (*event.documents, *mentioned(event))}
    return "{" + ", ".join(f"{name}: {found[name]}" for name in sorted(found)) + "}"


def mentioned(event: Event) -> Iterator[tuple[str, Value]]:
    """Yield the variables that an event's node mentions, a rule only in its head, by the names that texts show."""
    if event.node is None:
        return
    node = event.node
    if isinstance(node, Definition):
        texts, parts = node.texts, _vars((node.args, node.keys, node.value))
    else:
        stages = (node,) if isinstance(node, Stage) else node.stages
        if not stages:
            return
        texts, parts = stages[0].texts, _vars(tuple(stage.literal for stage in stages))
    for name, value in event.variables:
        if name in parts and " " not in name:  # it holds an expression of a query, whose value is the answer
            yield texts.name(name), value


def _vars(node: tuple[object, ...] | Term) -> set[str]:
    return {item.name for item in walk(node) if isinstance(item, Var)}


def shortened(text: str) -> str:
    """Return a value's text, what is too long for a column cut as OPA cuts it."""
    return text if len(text) <= _SHOWN_VALUE else text[: _SHOWN_VALUE - 3] + "..."
