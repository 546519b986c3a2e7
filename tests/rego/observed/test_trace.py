"""Traces are OPA's: `traces.txt` holds what OPA prints, but for the numbers of generated variables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from authz.rego.errors import EvalError
from authz.rego.observed.events import Event, Op
from authz.rego.observed.trace import Explain, lines, shortened
from tests.rego.observed.asking import ask, events_of, observed, trace


@dataclass(frozen=True)
class Expected:
    """One trace of the file: `# what it shows`, `? query`, `< input`, the rules indented, and the lines."""

    name: str
    query: str
    document: Any
    source: str
    lines: list[str]


def expected() -> Iterator[Expected]:
    for block in (Path(__file__).parent / "traces.txt").read_text().split("\n\n# "):
        name, query, document, *rest = block.removeprefix("# ").rstrip().split("\n")
        source = [line[2:] for line in rest if line.startswith("  ") or not line]
        found = [line for line in rest if line and not line.startswith("  ")]
        yield Expected(name, query[2:], json.loads(document[2:]), "package p\n\n" + "\n".join(source), found)


@pytest.mark.parametrize("case", list(expected()), ids=lambda case: case.name)
def test_a_full_trace_is_opas(case: Expected) -> None:
    assert trace(case.source, case.query, case.document) == case.lines


NOTES = """package p

found := x if {
	some x in input.xs
	trace(sprintf("x is %d", [x]))
	good(x)
}

good(x) if x > 1
"""


def test_notes_are_shown_below_the_bodies_that_lead_to_them() -> None:
    assert trace(NOTES, "data.p.found", {"xs": [1, 2]}, Explain.NOTES) == [
        "query:1 Enter data.p.found = _",
        "p.rego:3 | Enter data.p.found",
        'p.rego:5 | | Note "x is 1"',
        'p.rego:5 | | Note "x is 2"',
    ]


def test_failures_are_shown_below_the_bodies_that_lead_to_them() -> None:
    assert trace(NOTES, "data.p.found", {"xs": [1]}, Explain.FAILS) == [
        "query:1 Enter data.p.found = _",
        "p.rego:3 | Enter data.p.found",
        "p.rego:9 | | Enter data.p.good",
        "p.rego:9 | | | Fail gt(x, 1)",
        "p.rego:6 | | Fail data.p.good(x)",
        "query:1 | Fail data.p.found = _",
    ]


def test_values_of_variables_are_those_that_the_expression_mentions() -> None:
    shown = trace(NOTES, "y = data.p.found", {"xs": [2]}, with_variables=True)
    assert "p.rego:9 | | | Eval gt(x, 1) {x: 2}" in shown
    assert 'p.rego:5 | | Note "x is 2" {}' in shown
    assert "query:1 | Exit y = data.p.found {data.p.found: 2, y: 2}" in shown
    assert "query:1 Enter y = data.p.found {}" in shown


def test_long_values_are_cut() -> None:
    assert shortened('"' + "a" * 30 + '"') == '"' + "a" * 30 + '"'
    assert shortened('"' + "a" * 31 + '"') == '"' + "a" * 28 + "..."


def test_columns_are_aligned() -> None:
    shown = lines(events_of("package p\n\nq := 1\n", "data.p.q"), with_variables=True)
    assert shown[0].startswith("query:1      Enter data.p.q = _  ")
    assert shown[3].startswith("p.rego:3     | Enter data.p.q  ")
    assert len({line.index(" {") for line in shown}) == 1


def test_a_trace_tells_what_came_before_an_error() -> None:
    events: list[Event] = []
    policy = observed("package p\n\nq := 1 if true\n\nq := 2 if true\n")
    with pytest.raises(EvalError, match="complete rules must not produce multiple outputs"):
        ask(policy, "data.p.q", events.append)
    assert [event.location.row for event in events if event.op is Op.EXIT] == [3, 1, 5]


@pytest.mark.parametrize(
    ("rules", "document", "message"),
    [
        ("a if input.x == 1\n\na if input.x == 2", {"x": 1}, "(matched 1 rule, early exit)"),
        ("a if input.x == 1\n\na if input.x == 2", {"x": 3}, "(matched 0 rules, early exit)"),
        ("a if input.x == 1\n\na if input.y == 2", {"x": 1, "y": 2}, "(matched 2 rules, early exit)"),
        ("a := 1 if input.x == 1\n\na := 2 if input.y > 5", {"x": 1}, "(matched 1 rule, early exit)"),
        ('a if input.x == "b"\n\nelse := 2', {"x": "c"}, "(matched 1 rule, early exit)"),
        ("a if glob.match(`x/*`, [`/`], input.x)", {"x": "y/1"}, "(matched 0 rules, early exit)"),
        ("a contains 1 if input.x in {1, 2}", {"x": 3}, "(matched 0 rules, early exit)"),
    ],
)
def test_the_index_leaves_out_what_opas_index_leaves_out(rules: str, document: Any, message: str) -> None:
    events = events_of(f"package p\n\n{rules}\n", "data.p.a", document)
    assert [event.message for event in events if event.op is Op.INDEX] == [message]
