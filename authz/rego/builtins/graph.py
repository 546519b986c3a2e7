"""Walks: over graphs that an object from node to neighbours describes, and over a document (`walk`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

from authz.rego.builtins.registry import ANY, ARRAY, OBJECT, SET, builtin, operand_error
from authz.rego.errors import BuiltinError
from authz.rego.values import Object, Set, Value

MAX_PATH_STEPS: Final = 1_000_000
"""Nodes in all paths together: a graph may have more paths than fit in memory."""

Nodes = tuple[Value, ...]


@builtin("graph.reachable", OBJECT, ANY, result=SET)
def reachable(graph: Object, initial: Value) -> Set:
    """Return the nodes of the graph that can be reached from the initial ones, themselves included."""
    pending = list(_start("graph.reachable", initial))
    reached: set[Value] = set()
    while pending:
        node = pending.pop()
        if node not in reached and node in graph:
            reached.add(node)
            pending.extend(_neighbours(graph[node]))
    return Set(reached)


@builtin("graph.reachable_paths", OBJECT, ANY, result=SET)
def reachable_paths(graph: Object, initial: Value) -> Set:
    """Return every path from an initial node to an end: a node without neighbours, or one before a node passed already."""
    paths: set[Nodes] = set()
    steps = 0
    for start in _start("graph.reachable_paths", initial):
        if start not in graph:
            continue
        neighbours = _neighbours(graph[start])
        if not neighbours:
            paths.add((start,))
        pending: list[tuple[Nodes, Value]] = [((start,), neighbour) for neighbour in reversed(neighbours)]
        while pending:
            path, node = pending.pop()
            pending.extend(_continued(graph, path, node, paths))
            steps += len(path)
            if steps > MAX_PATH_STEPS:
                raise BuiltinError(f"graph.reachable_paths: paths of more than {MAX_PATH_STEPS} nodes")
    return Set(cast("set[Value]", paths))


def _continued(graph: Object, path: Nodes, node: Value, paths: set[Nodes]) -> list[tuple[Nodes, Value]]:
    """Return the ways on from `path` through `node`; note in `paths` the path that ends here."""
    if node not in graph:
        paths.add(path)
        return []
    longer = (*path, node)
    neighbours = _neighbours(graph[node])
    ways = [(longer, neighbour) for neighbour in neighbours if neighbour not in longer]
    if len(ways) < len(neighbours) or not neighbours:
        paths.add(longer)
    return ways


def _start(name: str, initial: Value) -> Nodes:
    if not isinstance(initial, tuple | Set):
        raise operand_error(name, 2, "{array, set}", initial)
    return _neighbours(initial)


def _neighbours(nodes: Value) -> Nodes:
    if isinstance(nodes, Set):
        return nodes.ordered()
    return nodes if isinstance(nodes, tuple) else ()


@builtin("walk", ANY, result=ARRAY, is_relation=True)
def walk(value: Value) -> Iterator[Value]:
    """Yield [path, value] for the value itself and all that it holds, parents first."""
    pending: list[tuple[Nodes, Value]] = [((), value)]
    while pending:
        path, current = pending.pop()
        yield path, current
        pending.extend(((*path, key), child) for key, child in reversed(_children(current)))


def _children(value: Value) -> list[tuple[Value, Value]]:
    if isinstance(value, Object):
        return [(key, value[key]) for key in value.ordered()]
    if isinstance(value, Set):
        return [(member, member) for member in value.ordered()]
    return list(enumerate(value)) if isinstance(value, tuple) else []
