"""Graphs and walks."""

from __future__ import annotations

import pytest

from authz.rego.values import MAX_DEPTH, Value
from tests.rego.builtins.harness import call, failure, value


@pytest.mark.parametrize(
    ("graph", "initial", "reached"),
    [
        ({"a": ["b"], "b": {"c"}, "c": []}, ["a"], {"a", "b", "c"}),
        ({"a": ["b"], "b": {"a", "gone"}}, {"a"}, {"a", "b"}),
        ({"a": None}, ["a", "z"], {"a"}),
        ({}, ["a"], set()),
    ],
)
def test_reachable_nodes_are_those_of_the_graph(graph: object, initial: object, reached: object) -> None:
    assert call("graph.reachable", graph, initial) == value(reached)


@pytest.mark.parametrize(
    ("graph", "initial", "paths"),
    [
        ({"a": ["b", "c"], "b": ["d"], "c": [], "d": []}, ["a"], {("a", "b", "d"), ("a", "c")}),
        ({"a": ["b"], "b": ["a"]}, ["a"], {("a", "b")}),
        ({"a": ["b"]}, ["a"], {("a",)}),
        ({"a": []}, ["a", "z"], {("a",)}),
        ({"a": ["b", "c"], "b": ["c"], "c": ["b"]}, ["a"], {("a", "b", "c"), ("a", "c", "b")}),
    ],
)
def test_reachable_paths_end_at_leaves_and_before_cycles(graph: object, initial: object, paths: object) -> None:
    assert call("graph.reachable_paths", graph, initial) == value(paths)


def test_a_graph_with_too_many_paths_is_refused() -> None:
    nodes = [str(number) for number in range(12)]
    complete = dict.fromkeys(nodes, nodes)
    assert "paths of more than" in failure("graph.reachable_paths", complete, nodes)


def test_a_long_chain_is_no_problem() -> None:
    chain = {number: [number + 1] for number in range(1000)}
    assert len(next(iter(call("graph.reachable_paths", chain, [0])))) == 1000


def test_wrong_operands_are_type_errors() -> None:
    assert failure("graph.reachable", [], []) == "eval_type_error: graph.reachable: operand 1 must be object but got array"
    assert failure("graph.reachable_paths", {}, 1).startswith("eval_type_error: graph.reachable_paths: operand 2 must be")


def walked(document: object) -> list[Value]:
    return list(call("walk", document))


def test_walk_gives_parents_before_children_in_order() -> None:
    assert walked({"b": [1, 2], "a": {7}}) == [
        value(pair)
        for pair in (
            [[], {"b": [1, 2], "a": {7}}],
            [["a"], {7}],
            [["a", 7], 7],
            [["b"], [1, 2]],
            [["b", 0], 1],
            [["b", 1], 2],
        )
    ]


def test_walk_of_a_scalar_gives_itself() -> None:
    assert walked(1) == [((), 1)]


def test_walk_reaches_the_bottom_of_the_deepest_document() -> None:
    document: object = 1
    for _ in range(MAX_DEPTH):
        document = [document]
    assert len(walked(document)) == MAX_DEPTH + 1
