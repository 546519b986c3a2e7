"""How the tests ask an observed policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authz.rego import compiler, queries
from authz.rego.nodes import Body
from authz.rego.observed.evaluation import ALL_SHORTCUTS, Shortcuts
from authz.rego.observed.events import Event, Observer
from authz.rego.observed.policy import ObservedPolicy, compile_observed
from authz.rego.observed.trace import Explain, explained, lines
from authz.rego.queries import Solution
from authz.rego.values import Document, Value, from_json

FILE = "p.rego"


def observed(source: str | Mapping[str, str], data: Document = None, rego_version: int = 1) -> ObservedPolicy:
    modules = {FILE: source} if isinstance(source, str) else source
    return compile_observed(compiler.make_source(modules, data, rego_version, optimize=False))


def ask(
    policy: ObservedPolicy, query: str, observer: Observer, document: Value | None = None, shortcuts: Shortcuts = ALL_SHORTCUTS
) -> list[Solution]:
    """Return the solutions of a query. Raises EvalError."""

    def solve(body: Body) -> list[dict[str, Value]]:
        prepared = policy.prepare(body)
        return prepared.solutions(prepared.context(document, 0), observer, with_variables=True, shortcuts=shortcuts)

    return queries.answer(policy, query, solve)[1]


def events_of(source: str, query: str, document: Any = None, data: Document = None) -> list[Event]:
    events: list[Event] = []
    ask(observed(source, data), query, events.append, None if document is None else from_json(document))
    return events


def trace(source: str, query: str, document: Any = None, explain: Explain = Explain.FULL, *, with_variables: bool = False) -> list[str]:
    """Return the pretty trace of a query, columns one space apart."""
    shown = lines(explained(events_of(source, query, document), explain), with_variables=with_variables)
    return [" ".join(line.split()) for line in shown]
