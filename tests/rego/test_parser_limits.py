"""Any text gives a tree or a clean error, in linear time and without deep recursion."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz.rego import nodes, parser
from authz.rego.cursor import MAX_HEIGHT, MAX_NESTING
from authz.rego.errors import CompileError
from authz.rego.height import is_higher
from tests.rego.syntax import call, is_accepted, refused, rule, term, var

BRACKETS = [
    ("[", "]"), ("(", ")"), ("{", "}"), ('{"a": ', "}"), ("{[", "]: 1}"), ("f(", ")"), ("x[", "]"), ("-f(", ")"), ('$"{', '}"'),
    ("[x | x := ", "]"), ("{x | x := ", "}"), ("{x: x | x := ", "}"), ("[x | not ", "]"), ("[x | every y in z { ", " }]"),
    ("1 + 1 * f(", ")"), ("f(1 == 1 | 1 & 1 + 1 * ", ")"), ('$"{1 in 1 == f(', ')}"'), ("[x | y, ", "]"), ("[x | x with input as ", "]"),
]  # fmt: skip


@contextlib.contextmanager
def stack_of(frames: int) -> Iterator[None]:
    """Allow this many frames on top of those of the test itself."""
    depth, frame = 0, sys._getframe()
    while (below := frame.f_back) is not None:
        depth, frame = depth + 1, below
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + frames)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize(("opening", "closing"), BRACKETS)
@pytest.mark.parametrize("levels", [1_000, 10_000])
def test_deep_nesting_is_an_error_and_not_a_stack_overflow(opening: str, closing: str, levels: int) -> None:
    with stack_of(800):
        message = refused("p if x == " + opening * levels + " 1 " + closing * levels).message
    assert "nested deeper" in message or "nesting is deeper" in message


@pytest.mark.parametrize(("opening", "closing"), BRACKETS)
def test_unclosed_nesting_is_an_error(opening: str, closing: str) -> None:
    with stack_of(800):
        assert not is_accepted("p if x == " + opening * 1000)


def test_nesting_up_to_the_limit_is_accepted() -> None:
    levels = MAX_NESTING - 2
    assert is_accepted("p := " + "[" * levels + "]" * levels)
    assert refused("p := " + "[" * (MAX_NESTING + 1)).message == f"nesting is deeper than {MAX_NESTING} levels"


def test_chains_of_operators_are_bounded() -> None:
    accepted = " + ".join(["1"] * MAX_HEIGHT)
    assert isinstance(term(accepted[: len(accepted) // 2].rstrip(" +")), nodes.Call)
    for operator in ("+", "|", "==", "in"):
        assert "operators in a row" in refused(f"p := {f' {operator} '.join(['x'] * (MAX_HEIGHT + 2))}").message


def test_chains_in_brackets_cannot_add_up_to_a_tree_that_is_too_high() -> None:
    source = "x"
    for _ in range(20):
        source = f"({source}{' + 1' * 20})"
    assert refused(f"p := {source}").message == f"expressions are nested deeper than {MAX_HEIGHT} levels"
    with pytest.raises(CompileError):
        parser.parse_query(f"y := {source}")
    with pytest.raises(CompileError):
        parser.parse_term(source)


def test_height_counts_nodes_on_the_longest_way() -> None:
    tree = call("f", var("x"), call("g", var("y")))
    assert is_higher(tree, 2)
    assert not is_higher(tree, 3)
    assert is_higher((var("x"), tree), 2)


def test_else_chains_are_bounded_and_may_be_long() -> None:
    long = "p := 0 if x" + " else := 1 if y" * MAX_HEIGHT
    assert rule(long).orelse is not None
    assert refused(long + " else := 1 if y").message == f"more than {MAX_HEIGHT} `else` in a row"


def test_failed_comprehensions_are_not_tried_again_and_again() -> None:
    source = "[x | " * 40 + "1" + ", 2]" * 40
    started = time.process_time()
    assert is_accepted(f"p := {source}")
    assert time.process_time() - started < 2


def test_a_large_module_is_parsed_in_linear_time() -> None:
    source = "package a\n" + "".join(
        f'allow if {{\n\tinput.method == "GET"\n\tinput.path == ["users", x{i}]\n\tx{i} in data.roles[{i}]\n}}\n' for i in range(5_000)
    )
    started = time.process_time()
    assert len(parser.parse_module("a.rego", source).rules) == 5_000
    assert time.process_time() - started < 5  # about 1 s; quadratic would be minutes


def test_many_errors_to_come_back_from_cost_no_more_than_the_text() -> None:
    source = "package a\n" + "".join(f"p{i} := {{x | y, {{z | {i}, 2}}}}\nq{i} if {{x | y}} == {{1: x | y, 2: z}}\n" for i in range(2_000))
    started = time.process_time()
    assert len(parser.parse_module("a.rego", source).rules) == 4_000
    assert time.process_time() - started < 5


PIECES = [
    "package", "import", "as", "default", "else", "not", "some", "with", "null", "true", "false", "if", "in", "contains", "every",
    "[", "]", "{", "}", "(", ")", ",", ":", ";", ".", ":=", "=", "==", "!=", "<", "+", "-", "*",
    "/", "%", "&", "|", "x", "y", "_", "f", "set",
    "input", "data", "rego.v1", "future.keywords", "0", "1", "1.5", ".5", '"s"', "`r`", '$"a{', '}b"', "$`{", '$""', "# c\n",
    "# METADATA\n",
    "# scope: rule\n", "\n", "\n\n", "package a\n", "p := 1\n", "p if {", "p contains x if {", "é", "\x00", "\\", "'", '"', "`", "$",
]  # fmt: skip
SOURCES = st.lists(st.sampled_from(PIECES).flatmap(lambda piece: st.sampled_from([piece, piece + " "])), max_size=40).map("".join)
TEXTS = st.text(max_size=80)
VERSIONS = st.sampled_from([0, 1])


@settings(max_examples=400, deadline=None)
@given(source=st.one_of(SOURCES, SOURCES.map(lambda text: "package a\n" + text), TEXTS), rego_version=VERSIONS)
def test_any_text_gives_a_module_or_a_parse_error(source: str, rego_version: int) -> None:
    outcome: nodes.Module | CompileError
    try:
        outcome = parser.parse_module("a.rego", source, rego_version)
    except CompileError as error:
        outcome = error
    if isinstance(outcome, CompileError):
        assert outcome.code == "rego_parse_error"
        assert outcome.location.row >= 1
        assert str(outcome)


@settings(max_examples=200, deadline=None)
@given(source=SOURCES)
def test_any_text_gives_a_query_or_a_term_or_a_parse_error(source: str) -> None:
    with contextlib.suppress(CompileError):
        assert parser.parse_query(source)
    with contextlib.suppress(CompileError):
        assert parser.parse_term(source)
