"""YAML text to what OPA's YAML library (go-yaml v2) makes of it: a tree of nodes first, then Go's values.

Owns anchors, merges and the bounds on aliases and depth. Scanning is libyaml's; what a scalar means is in `yaml_scalars`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, Union

import yaml

from authz.rego.builtins.yaml_scalars import MAX_INT, GoScalar, YamlError, format_g, scalar
from authz.rego.render import quote
from authz.rego.values import MAX_DEPTH, without_surrogates

MAX_NODES: Final = 1_000_000
"""Nodes that a document may stand for with its aliases expanded ("billion laughs")."""

_PARSER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE: Final = "tag:yaml.org,2002:merge"
_MANY_ALIASES: Final = 100
_MANY_NODES: Final = 1_000
_DENSE: Final = 400_000
_LARGE: Final = 4_000_000


class GoMap(dict[tuple[type, GoScalar], "GoValue"]):
    """A map: keys of different types are different, even `1` and `1.0`."""


GoValue: TypeAlias = Union[GoScalar, list["GoValue"], GoMap]


@dataclass(eq=False, slots=True)
class _Node:
    kind: str
    value: str = ""
    tag: str = ""
    is_plain: bool = False
    children: list[_Node] = field(default_factory=list)
    target: _Node | None = None

    def is_merge(self) -> bool:
        return self.kind == "scalar" and self.value == "<<" and (self.is_plain or self.tag == _MERGE)


def decode(text: str) -> GoValue:
    """Return the first document, None where there is none. Raises YamlError."""
    try:
        node = _Composer(text).document()
    except yaml.MarkedYAMLError as error:
        raise YamlError(f"yaml: {_line(error)}{error.problem or 'unknown problem parsing YAML content'}") from None
    except yaml.reader.ReaderError as error:
        raise YamlError(f"yaml: {error.reason}") from None
    return None if node is None else _Decoder().value(node)


def _line(error: yaml.MarkedYAMLError) -> str:
    """Name the line as go-yaml does: 0 is not named, and only the scanner's lines count from 1."""
    line = error.problem_mark.line if error.problem_mark else 0
    if line:
        line += isinstance(error, yaml.scanner.ScannerError)
    elif error.context_mark:
        line = error.context_mark.line
    return f"line {line}: " if line else ""


class _Composer:
    """Reads the nodes of one document."""

    def __init__(self, text: str) -> None:
        self.events: Iterator[yaml.Event] = yaml.parse(without_surrogates(text), Loader=_PARSER)
        self.anchors: dict[str, _Node] = {}

    def document(self) -> _Node | None:
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                node = self.node(next(self.events), 0)
                next(self.events)  # its end: whatever is wrong up to there counts
                return node
        return None

    def node(self, event: Any, depth: int) -> _Node:
        if depth > MAX_DEPTH:
            raise YamlError("yaml: exceeded max depth")
        if isinstance(event, yaml.AliasEvent):
            target = self.anchors.get(event.anchor or "")
            if target is None:
                raise YamlError(f"yaml: unknown anchor '{event.anchor}' referenced")
            return _Node("alias", event.anchor or "", target=target)
        node = _Node("scalar")
        if event.anchor:
            self.anchors[event.anchor] = node
        if isinstance(event, yaml.ScalarEvent):
            node.value, node.tag, node.is_plain = event.value, event.tag or "", event.implicit[0]
        else:
            node.kind = "sequence" if isinstance(event, yaml.SequenceStartEvent) else "mapping"
            while not isinstance(item := next(self.events), (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
                node.children.append(self.node(item, depth + 1))
        return node


class _Decoder:
    """Makes values of nodes. What an alias names is made once and shared; `nodes` and `aliased` count it every time, as go-yaml does."""

    def __init__(self) -> None:
        self.nodes = 0
        self.aliased = 0
        self.depth = 0
        self.expanding: set[_Node] = set()
        self.made: dict[_Node, tuple[GoValue, int]] = {}

    def value(self, node: _Node) -> GoValue:
        self.count(1)
        if node.kind == "alias":
            return self.alias(node)
        if node.kind == "sequence":
            return [self.value(child) for child in node.children]
        if node.kind == "mapping":
            return self.mapping(node, GoMap())
        return scalar(node.tag, node.value, is_plain=node.is_plain)

    def count(self, nodes: int) -> None:
        self.nodes += nodes
        self.aliased += nodes if self.depth else 0
        many = self.aliased > _MANY_ALIASES and self.nodes > _MANY_NODES
        if self.nodes > MAX_NODES or (many and self.aliased / self.nodes > _allowed_ratio(self.nodes)):
            raise YamlError("yaml: document contains excessive aliasing")

    def alias(self, node: _Node) -> GoValue:
        target = self.enter(node)
        if target in self.made:
            value, size = self.made[target]
            self.count(size)
        else:
            before = self.nodes
            value = self.value(target)
            self.made[target] = (value, self.nodes - before)
        self.leave(node)
        return value

    def enter(self, node: _Node) -> _Node:
        if node in self.expanding or node.target is None:
            raise YamlError(f"yaml: anchor '{node.value}' value contains itself")
        self.expanding.add(node)
        self.depth += 1
        return node.target

    def leave(self, node: _Node) -> None:
        self.expanding.discard(node)
        self.depth -= 1

    def mapping(self, node: _Node, into: GoMap) -> GoMap:
        for key_node, value_node in zip(node.children[::2], node.children[1::2], strict=True):
            if key_node.is_merge():
                self.merge(value_node, into)
                continue
            key = self.value(key_node)
            if isinstance(key, (list, GoMap)):
                raise YamlError(f"yaml: invalid map key: {go_syntax(key)}")
            into[type(key), key] = self.value(value_node)
        return into

    def merge(self, node: _Node, into: GoMap) -> None:
        """Add the keys of one mapping or of several; those there already are replaced, and of several mappings the first wins."""
        sources = node.children[::-1] if node.kind == "sequence" else [node]
        for source in sources:
            target = source.target if source.kind == "alias" else source
            if target is None or target.kind != "mapping":
                raise YamlError("yaml: map merge requires map or sequence of maps as the value")
            self.count(1)
            if source.kind == "alias":
                self.enter(source)
                self.count(1)
            self.mapping(target, into)
            if source.kind == "alias":
                self.leave(source)


def _allowed_ratio(nodes: int) -> float:
    """Return which part of so many nodes may come from aliases."""
    return 0.99 - 0.89 * min(max(nodes - _DENSE, 0) / (_LARGE - _DENSE), 1.0)


def go_syntax(value: GoValue) -> str:
    """Write the value as Go's `%#v` does."""
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(_member_syntax(item) for item in value) + "}"
    if isinstance(value, GoMap):
        pairs = sorted(value.items(), key=lambda pair: (pair[0][1] is not None, _member_syntax(pair[0][1])))
        members = [f"{_member_syntax(key)}:{_member_syntax(item)}" for (_, key), item in pairs]
        return "map[interface {}]interface {}{" + ", ".join(members) + "}"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quote(value)
    return format_g(value) if isinstance(value, float) else hex(value) if value > MAX_INT else str(value)


def _member_syntax(value: GoValue) -> str:
    return "interface {}(nil)" if value is None else go_syntax(value)
