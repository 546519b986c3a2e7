"""The types of the documents that are known, in a tree below `data` and `input`; what is not in it may be anything.

Owns how the definitions of one document, and of documents inside one another, become one type. Knows no bodies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from authz.rego.nodes import Scalar, Term
from authz.rego.types.model import (
    ANY,
    STRING,
    ObjectType,
    Pair,
    SetType,
    Type,
    UnionType,
    either,
    items,
    object_,
    select,
    set_,
    type_of_value,
    union_type,
)
from authz.rego.types.texts import ordered
from authz.rego.values import EMPTY_SET, Null, Set, Value

Path = tuple[Value, ...]


@dataclass(slots=True)
class Node:
    """A place in the tree. It has a type if a rule makes it; what is below it is then part of that type, or overrides it."""

    children: dict[Value, Node] = field(default_factory=dict)
    type: Type | None = None
    known_extent: Type | None = None

    def extent(self) -> Type | None:
        """Return the type of the whole document here: of a package, an object that may have other keys."""
        if self.type is not None:
            return self.type
        if self.known_extent is None:
            static: dict[Value, Type | None] = {
                key: child.extent() for key, child in self.children.items() if not isinstance(key, Null | Set)
            }
            self.known_extent = object_(static, (STRING, ANY))
        return self.known_extent


class DocumentTypes:
    """A tree of the types of documents. One that lies over another, for the extent of a `with`, hides what it has of it."""

    def __init__(self, covered: DocumentTypes | None = None) -> None:
        self.root = Node()
        self.covered = covered

    @property
    def is_input_open(self) -> bool:
        """Whether nothing at all is known of the input."""
        return self.covered is None and "input" not in self.root.children

    def put(self, path: Path, kind: Type) -> None:
        """Set the type at a path, whatever was there."""
        self._way(path)[-1].type = kind

    def put_anything(self, path: Path, *, is_ground: bool) -> None:
        """Note a rule of which nothing is known at a path, or somewhere below that."""
        self.put(path if is_ground else (*path, EMPTY_SET), ANY)

    def insert(self, path: Path, kind: Type) -> None:
        """Add a definition's type at a path, to the objects that the path leads through as well."""
        way = self._way(path)
        for depth, node in enumerate(way[1:-1], start=1):
            if isinstance(node.type, ObjectType):
                node.type = _with_member(node.type, path[depth:], kind)
        node = way[-1]
        node.type = merged(node.type, kind)
        if isinstance(kind, ObjectType):
            for below, member in _leaves(node):
                if isinstance(node.type, ObjectType):
                    node.type = _with_member(node.type, below, member)

    def _way(self, path: Path) -> list[Node]:
        """Return the nodes from the root to a path, made where they are missing."""
        way = [self.root]
        for step in path:
            way[-1].known_extent = None
            way.append(way[-1].children.setdefault(step, Node()))
        return way

    def typed_size(self, path: Path) -> int:
        """Return how many steps of a path lead to something that has a type; all of them if nothing does."""
        node = self.root
        for size, step in enumerate(path, start=1):
            if step not in node.children:
                return len(path) if self.covered is None else self.covered.typed_size(path)
            node = node.children[step]
            if node.type is not None:
                return size
        return len(path)

    def at(self, root: str, steps: tuple[Term, ...]) -> Type | None:
        """Return the type of a reference to `data` or `input`; None if it cannot be told."""
        node = self.root.children.get(root)
        if node is None:
            return ANY if self.covered is None else self.covered.at(root, steps)
        for index, step in enumerate(steps):
            child = node.children.get(step.value) if isinstance(step, Scalar) else None
            if child is not None:
                node = child
            elif node.type is not None:
                return select_path(node.type, steps[index:])
            elif isinstance(step, Scalar) or not node.children:
                return ANY if self.covered is None else self.covered.at(root, steps)
            else:
                return select_path(node.extent(), steps[index:])
        return node.extent()


def select_path(whole: Type | None, steps: tuple[Term, ...]) -> Type | None:
    """Return the type of what a reference's steps select; a step that is no constant may select anything of it."""
    for step in steps:
        if whole is None:
            break
        whole = select(whole, step.value) if isinstance(step, Scalar) else items(whole)
    return whole


def merged(first: Type | None, second: Type | None) -> Type | None:
    """Return the type of a document that has definitions of both types. Open objects and sets become one, others a union."""
    if first is second or second is None:
        return first
    if isinstance(first, UnionType) and not isinstance(second, UnionType):
        first, second = second, first
    if isinstance(first, SetType) and isinstance(second, SetType):
        return set_(either(first.of, second.of))
    if isinstance(first, ObjectType) and _is_open(first):
        if isinstance(second, ObjectType) and _is_open(second):
            return object_({}, _merged_pairs(first, second))
        if isinstance(second, UnionType):
            return _merged_into(second, first)
    return either(first, second)


def _is_open(kind: ObjectType) -> bool:
    return not kind.static and kind.dynamic is not None


def _merged_pairs(first: ObjectType, second: ObjectType) -> Pair:
    (key, value), (other_key, other_value) = first.dynamic or (None, None), second.dynamic or (None, None)
    return either(key, other_key), merged(value, other_value)


def _merged_into(union: UnionType, new: ObjectType) -> Type | None:
    """Return the union with its first open object widened; with the new type as one more member if it has none."""
    for member in ordered(union):
        if isinstance(member, ObjectType) and _is_open(member):
            widened = object_({}, _merged_pairs(member, new))
            return union_type((union.members - {member}) | {widened})
    return either(union, new)


def _with_member(whole: ObjectType, path: Path, kind: Type | None) -> Type:
    """Return an object type that has, at a path inside it, values of another type as well."""
    value = kind if len(path) == 1 else _with_member(_NOTHING, path[1:], kind)
    key, known = whole.dynamic or (None, None)
    step = None if isinstance(path[0], Set) else type_of_value(path[0])
    return object_(whole.static, (either(key, step), either(known, value)))


_NOTHING = ObjectType({}, None)


def _leaves(node: Node, path: Path = ()) -> Iterator[tuple[Path, Type]]:
    """Yield the types that rules make below a node, each with its path from there."""
    for key, child in node.children.items():
        if child.type is not None:
            yield (*path, key), child.type
        else:
            yield from _leaves(child, (*path, key))
