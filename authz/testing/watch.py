"""Where a test that fails came to its end, from what its evaluation tells when it is observed.

A rule that does not hold leaves nothing behind; its events do. Knows events and names; neither evaluates nor judges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from authz.rego import nodes
from authz.rego.names import original_name
from authz.rego.nodes import Location, Term, Var
from authz.rego.observed.events import Event, Op
from authz.rego.observed.plans import Definition, Stage
from authz.rego.observed.spans import Span
from authz.rego.planner import walk
from authz.rego.runtime import get
from authz.rego.values import Object, Set, Value
from authz.testing.cases import Names, names_of
from authz.testing.discovery import RegoTest
from authz.testing.result import Stop


class Watch:
    """Listens to one test."""

    def __init__(self, test: RegoTest) -> None:
        self._test = test
        self._query = -1
        self._furthest: dict[Names, tuple[int, Event]] = {}

    def __call__(self, event: Event) -> None:
        if event.op is Op.ENTER and isinstance(event.node, Definition) and event.node.location == self._test.location:
            self._query = event.query
        if event.query == self._query and event.op is Op.FAIL and isinstance(event.node, Stage):
            case, index = self._case(event), self._index(event.node)
            if case is not None and index > self._furthest.get(case, (-1, event))[0]:
                self._furthest[case] = (index, event)

    def stops(self) -> Iterator[tuple[Names, Stop]]:
        """Yield for each case the literal that no way of evaluating it got past, with its variables."""
        for case, (index, event) in self._furthest.items():
            literal = self._test.rule.body[index]
            mentioned = set(variables(literal))
            found = {original_name(name): value for name, value in event.variables if original_name(name) in mentioned}
            yield case, Stop(literal.location, tuple(sorted(found.items())))

    def _case(self, event: Event) -> Names | None:
        """Return the names of the case that the evaluation is in, None while they are not known."""
        known = {original_name(name): value for name, value in event.variables if not name.startswith("$")}
        keys = [_ground(key, known) for key in self._test.keys]
        return None if any(key is None for key in keys) else names_of(tuple(key for key in keys if key is not None))

    def _index(self, stage: Stage) -> int:
        """Return the number of the literal of the test that a stage was made from; of no literal's, beyond them."""
        for index, literal in enumerate(self._test.rule.body):
            if _is_within(stage.location, literal.location):
                return index
        return -1


def _is_within(inner: Location, outer: Location) -> bool:
    return isinstance(inner, Span) and isinstance(outer, Span) and outer.begin <= inner.begin and inner.end <= outer.end


def _ground(term: Term, known: Mapping[str, Value]) -> Value | None:
    """Return the value of a term out of constants and known variables; None where one is not known."""
    match term:
        case nodes.Scalar(value):
            return value
        case Var(name):
            return known.get(name)
        case nodes.Ref(head, args):
            found = _ground(head, known)
            for arg in args:
                key = _ground(arg, known)
                found = None if key is None else get(found, key)
            return found
        case nodes.Array(items) | nodes.SetTerm(items):
            parts = tuple(_ground(item, known) for item in items)
            whole = tuple(part for part in parts if part is not None)
            if len(whole) < len(parts):
                return None
            return whole if isinstance(term, nodes.Array) else Set(whole)
        case nodes.ObjectTerm(pairs):
            found_pairs = [(_ground(key, known), _ground(value, known)) for key, value in pairs]
            return Object([(key, value) for key, value in found_pairs if key is not None and value is not None])
    return None


def variables(node: object) -> Iterator[str]:
    """Yield the names of the variables in a syntax tree, wildcards left out."""
    return (item.name for item in walk(node) if isinstance(item, Var) and not item.is_wildcard)
