"""Traces as JSON: events with the syntax trees of their expressions and rules, as OPA writes them.

Variables have the names that authors gave them: OPA numbers them and says their names beside. Knows no evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from authz.cli.output import location_json, value_json
from authz.rego import nodes
from authz.rego.expand import CallExpr, EqualExpr, FlatBody, FlatComprehension, FlatExpr, FlatLiteral
from authz.rego.nodes import Ref, Scalar, Term, Var
from authz.rego.observed.events import Event
from authz.rego.observed.plans import Definition, Stage
from authz.rego.observed.text import Texts, in_order
from authz.rego.values import NULL, Object, Set, Value, type_name

_PLURAL: Final = {"array": "arraycomprehension", "set": "setcomprehension", "object": "objectcomprehension"}


def explanation_json(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Return events as OPA's `explanation`."""
    return [_event(event) for event in events]


def _event(event: Event) -> dict[str, Any]:
    is_note = event.node is None
    return {
        "Op": str(event.op),
        "Node": _node(event),
        "Location": location_json(event.location),
        "QueryID": event.query,
        "ParentID": event.parent,
        "Locals": [{"name": name, **_constant(value)} for name, value in _locals(event)] or None,
        "LocalMetadata": None if is_note else {},
        "Message": event.message,
        "Ref": None if event.target is None else _path(event.target),
    }


def _locals(event: Event) -> list[tuple[str, Value]]:
    """Return the values of variables by name; a note has no node, and none."""
    if event.node is None:
        return []
    trees = _Trees(_texts(event.node))
    return [(trees.name(name), value) for name, value in event.variables]


def _texts(node: object) -> Texts:
    if isinstance(node, Definition | Stage):
        return node.texts
    stages: tuple[Stage, ...] = getattr(node, "stages", ())
    return stages[0].texts if stages else Texts()


def _node(event: Event) -> Any:
    node = event.node
    if node is None:
        return None
    trees = _Trees(_texts(node))
    if isinstance(node, Definition):
        return trees.rule(node)
    if isinstance(node, Stage):
        return trees.expr(node.index, node.literal)
    return [trees.expr(stage.index, stage.literal) for stage in node.stages]


def _path(path: Iterable[Value]) -> list[dict[str, Any]]:
    head, *steps = path
    return [{"type": "var", "value": head}, *map(_constant, steps)]


def _constant(value: Value) -> dict[str, Any]:
    """Return a value as a term."""
    found: Any = {} if value is NULL else value_json(value)
    if isinstance(value, Object):
        found = [[_constant(key), _constant(value[key])] for key in value.ordered()]
    elif isinstance(value, Set | tuple):
        found = [_constant(item) for item in (value.ordered() if isinstance(value, Set) else value)]
    return {"type": type_name(value), "value": found}


class _Trees:
    """The syntax trees of one rule or query, whose texts give variables their names."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def name(self, name: str) -> str:
        shown = self._texts.name(name)
        if shown != "_":
            return shown
        return name if name.startswith("$") else f"$term{int(name.split(' ')[1]) + 1}"

    def rule(self, node: Definition) -> dict[str, Any]:
        found: dict[str, Any] = {"body": self.body(node.literals)}
        if node.rule.is_default:
            found["default"] = True
        if node.orelse is not None:
            found["else"] = _Trees(node.orelse.texts).rule(node.orelse)
        return found | {"head": self._head(node)}

    def _head(self, node: Definition) -> dict[str, Any]:
        ref = node.rule.head.ref
        assert isinstance(ref.head, Var)
        keys = [self.term(arg) for arg in ref.args]
        found: dict[str, Any] = {} if len(keys) > 1 else {"name": ref.head.name}
        if node.args:
            found["args"] = [self.term(arg) for arg in node.args]
        if node.is_member:
            found["key"] = self.term(node.keys[-1])
        elif len(keys) == 1 and (node.is_keyed or not isinstance(ref.args[0], Scalar)):
            found["key"] = keys[0]
        if node.value is not None:
            found["value"] = self.term(node.value)
        return found | {"ref": [{"type": "var", "value": ref.head.name}, *keys]}

    def body(self, body: FlatBody) -> list[dict[str, Any]]:
        return [self.expr(index, literal) for index, literal in enumerate(body)]

    def expr(self, index: int, literal: FlatLiteral) -> dict[str, Any]:
        found: dict[str, Any] = {"generated": True} if _is_generated(literal.expr) else {}
        found["index"] = index
        if literal.negated:
            found["negated"] = True
        found["terms"] = self._terms(literal.expr)
        if literal.withs:
            found["with"] = [{"target": self.term(item.target), "value": self.term(item.value)} for item in literal.withs]
        return found

    def _terms(self, expr: FlatExpr) -> Any:
        match expr:
            case nodes.TermExpr(term):
                return self.term(term)
            case EqualExpr(left, right) | nodes.Unify(left, right):
                return [_operator(("eq",)), self.term(left), self.term(right)]
            case CallExpr(operator, args, out):
                return [_operator(operator), *map(self.term, args if out is None else (*args, out))]
            case nodes.SomeIn(key, value, domain):
                parts = (value, domain) if key is None else (key, value, domain)
                return [_operator(("internal", f"member_{len(parts)}")), *map(self.term, parts)]
            case nodes.Every(key, value, domain, body):
                shown = self.term(Var("$key") if key is None else key)
                return {"body": self.body(body), "domain": self.term(domain), "key": shown, "value": self.term(value)}  # type: ignore[arg-type]  # flat since expansion

    def term(self, term: Term) -> dict[str, Any]:
        match term:
            case Scalar(value):
                return _constant(value)
            case Var(name):
                return {"type": "var", "value": self.name(name)}
            case Ref(head, args):
                return {"type": "ref", "value": [self.term(head), *map(self.term, args)]}
            case nodes.Call(operator, args):
                return {"type": "call", "value": [_operator(operator), *map(self.term, args)]}
            case nodes.Array(items) | nodes.SetTerm(items):
                return {"type": "array" if isinstance(term, nodes.Array) else "set", "value": [self.term(item) for item in items]}
            case nodes.ObjectTerm(pairs):
                return {"type": "object", "value": [[self.term(key), self.term(value)] for key, value in in_order(pairs)]}
        assert isinstance(term, FlatComprehension)
        parts: dict[str, Any] = {"term": self.term(term.value)}
        if term.key is not None:
            parts = {"key": self.term(term.key), "value": self.term(term.value)}
        return {"type": _PLURAL[term.kind], "value": parts | {"body": self.body(term.body)}}


def _operator(path: tuple[str, ...]) -> dict[str, Any]:
    return {"type": "ref", "value": _path(path)}


def _is_generated(expr: FlatExpr) -> bool:
    """Tell whether an expression only gives a name to a part of another: the compiler's."""
    out = expr.out if isinstance(expr, CallExpr) else expr.left if isinstance(expr, nodes.Unify) else None
    return isinstance(out, Var) and out.name.startswith("$") and not out.is_wildcard
