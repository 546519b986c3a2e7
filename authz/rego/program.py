"""The rules of all modules as one tree below `data`, and the order in which they use each other.

Owns grouping (which rules make one document or function together) and recursion. Knows neither bodies'
meaning nor evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from authz.rego import errors, nodes
from authz.rego.errors import Findings
from authz.rego.names import constants, ground_path, path_text
from authz.rego.nodes import Location, Scalar, Term
from authz.rego.values import Value

Path = tuple[str, ...]


class Kind(StrEnum):
    """What the rules of a group make."""

    COMPLETE = "complete"
    SET = "set"
    OBJECT = "object"
    FUNCTION = "function"


@dataclass(slots=True)
class Member:
    """A rule in its group. `keys` are the steps of its head below the group's path."""

    rule: nodes.Rule
    keys: tuple[Term, ...]


@dataclass(slots=True)
class Group:
    """The rules that define one document or function; `path` starts with `data`."""

    path: Path
    kind: Kind
    number: int = 0
    members: list[Member] = field(default_factory=list)
    defaults: list[Member] = field(default_factory=list)

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def location(self) -> Location:
        return (self.members or self.defaults)[0].rule.location

    @property
    def arity(self) -> int:
        return len((self.members or self.defaults)[0].rule.head.args or ())

    @property
    def is_constant(self) -> bool:
        """Whether all keys of all rules are constants."""
        return all(isinstance(key, Scalar) for member in self.members for key in member.keys)

    def places(self) -> Iterator[tuple[tuple[Value, ...], bool]]:
        """Yield the constant parts of the heads: objects, or (True) sets, that OPA shows even where no rule holds.

        Below a place with a variable step nothing is shown before a rule holds.
        """
        parts = [(constants(member.keys), member) for member in self.members if member.keys]
        open_ended = {part for part, member in parts if len(part) < len(member.keys)}
        for part, member in parts:
            for size in range(1, len(part) + 1):
                if any(part[:less] in open_ended for less in range(size)):
                    break
                if size < len(member.keys) or member.rule.head.key is not None:
                    yield part[:size], size == len(member.keys)


@dataclass(slots=True)
class Node:
    """A place in the tree of virtual documents."""

    path: Path
    children: dict[str, Node] = field(default_factory=dict)
    group: Group | None = None

    def groups(self) -> Iterator[Group]:
        """Yield every group at or below this node, sorted by name."""
        if self.group is not None:
            yield self.group
        for name in sorted(self.children):
            yield from self.children[name].groups()

    def find(self, path: Path) -> Node | None:
        """Return the node at `path` below this one."""
        node: Node | None = self
        for name in path:
            node = node.children.get(name) if node is not None else None
        return node


@dataclass(slots=True)
class Program:
    """All groups by path, the tree they hang in (its root is `data`), and the packages of all modules."""

    groups: dict[Path, Group]
    root: Node
    packages: tuple[Path, ...] = ()


def build(modules: Iterable[nodes.Module]) -> Program:
    """Arrange the (resolved) rules, which must not contradict each other."""
    modules = tuple(modules)
    rules = [(("data", *module.package), rule) for module in modules for rule in module.rules]
    dynamic = {path for base, rule in rules for path in _dynamic_prefix(base, rule)}
    groups: dict[Path, Group] = {}
    for base, rule in rules:
        path, keys = _split(base, rule, dynamic)
        group = groups.setdefault(path, Group(path, _kind(rule, keys)))
        (group.defaults if rule.is_default else group.members).append(Member(rule, keys))
    for number, path in enumerate(sorted(groups)):
        groups[path].number = number
    packages = tuple(sorted({("data", *module.package) for module in modules}))
    program = Program(groups, Node(("data",)), packages)
    for package in packages:
        _node(program.root, package)
    for group in groups.values():
        node = _node(program.root, group.path)
        assert not node.children, "conflicting rules passed the check"
        node.group = group
    return program


def _dynamic_prefix(base: Path, rule: nodes.Rule) -> Iterator[Path]:
    path = ground_path(rule.head.ref)
    if len(path) <= len(rule.head.ref.args):
        yield base + path


def _split(base: Path, rule: nodes.Rule, dynamic: set[Path]) -> tuple[Path, tuple[Term, ...]]:
    """Return the group's path and the rule's keys below it: the group starts at its shortest dynamic prefix."""
    path = base + ground_path(rule.head.ref)
    rest = rule.head.ref.args[len(path) - len(base) - 1 :]
    for size in range(len(base) + 1, len(path) + 1):
        if path[:size] in dynamic:
            return path[:size], tuple(Scalar(step) for step in path[size:]) + rest
    return path, rest


def _kind(rule: nodes.Rule, keys: tuple[Term, ...]) -> Kind:
    if rule.head.args is not None:
        return Kind.FUNCTION
    if keys:
        return Kind.OBJECT
    return Kind.SET if rule.head.key is not None else Kind.COMPLETE


def _node(root: Node, path: Path) -> Node:
    """Return the node at a path, made with those on the way if it is not there."""
    node = root
    for depth, name in enumerate(path[1:], start=2):
        node = node.children.setdefault(name, Node(path[:depth]))
        assert node.group is None, "conflicting rules passed the check"
    return node


def ordered(program: Program, uses: dict[Path, list[Path]], findings: Findings) -> list[Group]:
    """Return the groups, used ones before their users; report every rule on a cycle with the way back to itself.

    `uses` gives, for every group's path, the paths of the groups that it refers to.
    """
    order: list[Group] = []
    state: dict[Path, int] = {}
    cycles: dict[Path, list[Path]] = {}
    for start in sorted(program.groups):
        stack: list[tuple[Path, Iterator[Path]]] = []
        if start not in state:
            state[start] = 1
            stack.append((start, iter(uses.get(start, ()))))
        while stack:
            path, targets = stack[-1]
            target = next(targets, None)
            if target is None:
                state[path] = 2
                order.append(program.groups[path])
                stack.pop()
            elif target not in state:
                state[target] = 1
                stack.append((target, iter(uses.get(target, ()))))
            elif state[target] == 1:
                cycle = [step for step, _ in stack]
                cycle = cycle[cycle.index(target) :]
                for place, step in enumerate(cycle):
                    cycles.setdefault(step, [*cycle[place:], *cycle[: place + 1]])
    for path, cycle in cycles.items():
        text = " -> ".join(path_text(step) for step in cycle)
        findings.report(
            errors.RECURSION, f"rule {path_text(path)} is recursive: {text}", program.groups[path].location, help=_RECURSION_HELP
        )
    return order


_RECURSION_HELP: Final = "a rule cannot use its own value, not even through other rules; to visit a tree use `walk` or `graph.reachable`"
