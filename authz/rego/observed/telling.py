"""What an observed evaluation tells: its events, and the frames that number them.

Owns places, numbers and what variables are known; knows no steps and no rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from typing import Any, cast

from authz.rego import plan as p
from authz.rego.nodes import Ref, Scalar, Var
from authz.rego.observed.events import Event, Node, Observer, Op
from authz.rego.observed.frames import Frame, Scope
from authz.rego.observed.plans import Body, Definition, Stage
from authz.rego.observed.text import path_text
from authz.rego.planner import walk
from authz.rego.program import Path
from authz.rego.values import Value


class Document:
    """A document of rules that is only looked into: evaluated when it is known how far, `keys` below its path."""

    __slots__ = ("keys", "path", "scope")

    def __init__(self, path: Path, scope: Scope, keys: tuple[Value, ...] = ()) -> None:
        self.path = path
        self.scope = scope
        self.keys = keys


class Teller:
    """Tells an observer what happens. `with_variables`: events say what the variables are."""

    def __init__(self, observer: Observer, *, with_variables: bool) -> None:
        self._observer = observer
        self._with_variables = with_variables
        self._queries = 0
        self._named: dict[int, tuple[tuple[Any, ...], ...]] = {}

    def tell(self, op: Op, frame: Frame, node: Node | None, message: str = "", target: Path | None = None) -> None:
        location = frame.location if node is None or not node.location.row else node.location
        frame.location = location
        parent = 0 if frame.parent is None else frame.parent.query
        event = Event(op, node, location, frame.query, parent, message, target)
        if self._with_variables:
            event = replace(event, variables=tuple(self._variables(op, frame, node)), documents=tuple(self._documents(frame, node)))
        self._observer(event)

    def exited(self, frame: Frame, node: Node) -> None:
        self.tell(Op.EXIT, frame, node, "early" if frame.is_settled_by_one else "")

    def _variables(self, op: Op, frame: Frame, node: Node | None) -> Iterator[tuple[str, Value]]:
        if isinstance(node, Stage):
            known = node.before if op in {Op.EVAL, Op.FAIL, Op.INDEX} else node.variables
        elif not frame.body.stages or (op is Op.ENTER and isinstance(node, Definition)):
            return
        else:
            known = frame.body.stages[0].before if op is Op.ENTER else frame.body.stages[-1].variables
        for name, atom in known.items():
            value = atom.value if isinstance(atom, p.Const) else frame.values.get(atom.name)
            if value is not None and not isinstance(value, Document):
                yield name, value

    def _documents(self, frame: Frame, node: Node | None) -> Iterator[tuple[str, Value]]:
        """Yield the rules that a node names and what was computed of them; of a rule none, as in OPA."""
        if node is None or isinstance(node, Definition):
            return
        if id(node) not in self._named:
            self._named[id(node)] = tuple(dict.fromkeys(_paths(node)))
        for path in self._named[id(node)]:
            if (value := frame.scopes["c"].known(path)) is not None:
                yield path_text(path), value

    def nested(self, frame: Frame, body: p.Block) -> Frame:
        """Return a frame for a body inside another: it shares the variables."""
        return self.frame(cast(Body, body), frame, frame.values, frame.scopes)

    def frame(self, body: Body, parent: Frame | None, values: dict[str, Any], scopes: dict[str, Scope]) -> Frame:
        self._queries += 1
        return Frame(self._queries - 1, body, parent, values, scopes)


def _paths(node: Body | Stage) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of `data` that a node names, each as far as it is constant."""
    stages = (node,) if isinstance(node, Stage) else node.stages
    for item in walk(tuple(stage.literal for stage in stages)):
        if isinstance(item, Ref) and isinstance(item.head, Var) and item.head.name == "data":
            constant = takewhile(lambda step: isinstance(step, Scalar), item.args)
            yield ("data", *(step.value for step in constant if isinstance(step, Scalar)))
