"""The rules of all modules as one tree below `data`, and the errors of their arrangement.

Owns grouping (which rules make one document or function together), conflicts between
rules and packages, and recursion. Knows neither bodies' meaning nor evaluation.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from authz.rego import errors, nodes
from authz.rego.names import ground_path
from authz.rego.nodes import Location, Scalar, Term
from authz.rego.render import to_text
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
    default: nodes.Rule | None = None

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def location(self) -> Location:
        return (self.members[0].rule if self.members else self.default or self.members[0].rule).location

    @property
    def arity(self) -> int:
        rule = self.members[0].rule if self.members else self.default
        assert rule is not None
        return len(rule.head.args or ())

    def places(self) -> Iterator[tuple[tuple[Value, ...], bool]]:
        """Yield the constant parts of the heads: objects, or (True) sets, that OPA shows even where no rule holds.

        Below a place with a variable step nothing is shown before a rule holds.
        """
        parts = [(_constants(member.keys), member) for member in self.members if member.keys]
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
    """All groups by path, and the tree they hang in (its root is `data`)."""

    groups: dict[Path, Group]
    root: Node


def build(modules: Iterable[nodes.Module]) -> Program:
    """Arrange the (resolved) rules. Raises rego_type_error for rules that contradict each other."""
    modules = tuple(modules)
    rules = [(("data", *module.package), rule) for module in modules for rule in module.rules]
    dynamic = {path for base, rule in rules for path in _dynamic_prefix(base, rule)}
    groups: dict[Path, Group] = {}
    for base, rule in rules:
        _add(groups, _split(base, rule, dynamic), rule)
    for number, path in enumerate(sorted(groups)):
        groups[path].number = number
        _check_group(groups[path])
    _check_extents(rules)
    program = Program(groups, Node(("data",)))
    for group in groups.values():
        _hang(program.root, group)
    for module in modules:
        _check_package(program.root, module)
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


def _add(groups: dict[Path, Group], place: tuple[Path, tuple[Term, ...]], rule: nodes.Rule) -> None:
    path, keys = place
    kind = _kind(rule, keys)
    group = groups.setdefault(path, Group(path, kind))
    if rule.is_default:
        if group.default is not None:
            raise errors.compile_error(errors.TYPE, f"multiple default rules {group.name} found", rule.location)
        group.default = rule
        if not group.members:
            group.kind = kind
        return
    if not group.members and group.default is not None and group.kind is Kind.COMPLETE:
        group.kind = kind if kind is not Kind.FUNCTION else group.kind
    if kind is not group.kind:
        raise errors.compile_error(errors.TYPE, f"conflicting rules {group.name} found", rule.location, help=_conflict_help(group, kind))
    group.members.append(Member(rule, keys))


def _conflict_help(group: Group, kind: Kind) -> str:
    return f"`{group.name}` is a {group.kind} rule at {group.location} and a {kind} rule here"


def _kind(rule: nodes.Rule, keys: tuple[Term, ...]) -> Kind:
    if rule.head.args is not None:
        return Kind.FUNCTION
    if keys:
        return Kind.OBJECT
    return Kind.SET if rule.head.key is not None else Kind.COMPLETE


def _check_group(group: Group) -> None:
    rules = [member.rule for member in group.members] + ([group.default] if group.default else [])
    if group.kind is Kind.FUNCTION:
        sizes = {len(rule.head.args or ()) for rule in rules}
        if len(sizes) > 1 or any(rule.head.args is None for rule in rules):
            raise errors.compile_error(errors.TYPE, f"conflicting rules {group.name} found", rules[-1].location)
    elif group.default is not None and group.kind is not Kind.COMPLETE:
        raise errors.compile_error(errors.TYPE, f"conflicting rules {group.name} found", group.default.location)


def _check_extents(rules: list[tuple[Path, nodes.Rule]]) -> None:
    """Raise where rules with the same constant part of their reference differ in kind, or stand inside another's value."""
    places: dict[tuple[Value, ...], tuple[tuple[bool, bool], nodes.Rule]] = {}
    for base, rule in rules:
        path, is_ground = _constant_part(base, rule)
        kind = (rule.head.key is None, is_ground)
        known, first = places.setdefault(path, (kind, rule))
        if known != kind:
            name = _shown(path)
            help = f"`{name}` is defined otherwise at {rule.location}"
            raise errors.compile_error(errors.TYPE, f"conflicting rules {name} found", first.location, help=help)
    for path, (_, rule) in places.items():
        for size in range(2, len(path)):
            kind, outer = places.get(path[:size], ((False, False), rule))
            if kind[1]:
                raise errors.compile_error(errors.TYPE, f"rule {_shown(path[:size])} conflicts with: {_shown(path)}", outer.location)


def _constant_part(base: Path, rule: nodes.Rule) -> tuple[tuple[Value, ...], bool]:
    """Return the path of a rule up to its first step that is not constant, and whether that is all of it."""
    ref = rule.head.ref
    assert isinstance(ref.head, nodes.Var)
    steps = _constants(ref.args)
    return (*base, ref.head.name, *steps), len(steps) == len(ref.args)


def _constants(terms: Iterable[Term]) -> tuple[Value, ...]:
    """Return the values of the leading constant terms."""
    return tuple(term.value for term in itertools.takewhile(lambda term: isinstance(term, Scalar), terms) if isinstance(term, Scalar))


def _shown(path: tuple[Value, ...]) -> str:
    return "".join(f".{step}" if isinstance(step, str) else f"[{to_text(step)}]" for step in path)[1:]


def _hang(root: Node, group: Group) -> None:
    node = root
    for depth, name in enumerate(group.path[1:], start=2):
        if node.group is not None:
            raise _overlap(node.group, group)
        node = node.children.setdefault(name, Node(group.path[:depth]))
    if node.children:
        raise _overlap(group, next(node.groups()))
    node.group = group


def _overlap(outer: Group, inner: Group) -> errors.CompileError:
    return errors.compile_error(errors.TYPE, f"rule {outer.name} conflicts with: {inner.name}", outer.location)


def _check_package(root: Node, module: nodes.Module) -> None:
    node: Node | None = root
    for name in module.package:
        node = node.children.get(name) if node is not None else None
        if node is not None and node.group is not None:
            package = ".".join(("data", *module.package))
            message = f"package {package[5:]} conflicts with rule {node.group.path[-1]} defined at {node.group.location}"
            raise errors.compile_error(errors.TYPE, message, module.package_location)


def check_recursion(program: Program, uses: dict[Path, list[Path]]) -> list[Group]:
    """Return the groups, used ones before their users; raise rego_recursion_error on a cycle.

    `uses` gives, for every group's path, the paths of the groups that it refers to.
    """
    order: list[Group] = []
    state: dict[Path, int] = {}
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
                raise _recursive(program, [step for step, _ in stack], target)
    return order


def _recursive(program: Program, trail: list[Path], target: Path) -> errors.CompileError:
    cycle = [*trail[trail.index(target) :], target]
    text = " -> ".join(".".join(path) for path in cycle)
    group = program.groups[target]
    return errors.compile_error(errors.RECURSION, f"rule {group.name} is recursive: {text}", group.location)
