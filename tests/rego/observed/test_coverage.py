"""Coverage has OPA's ranges: what is expected here is what OPA reports."""

from __future__ import annotations

from typing import Any

import pytest

from authz.rego.observed.coverage import RUNS, CoverageRuns, FileReport, Range, percentage
from authz.rego.observed.evaluation import Shortcuts
from authz.rego.observed.events import Observer
from authz.rego.values import from_json
from tests.rego.observed.asking import FILE, ask, observed

POLICY = """package p

import rego.v1

default allow := false

allow if {
	input.user == "ann"
	not blocked
}

allow if input.user == "bob"

blocked if {
	some ban in data.bans
	ban == input.user
} else := false if {
	input.x
}

names := [name | some name in input.names; name != ""]

double(x) := y if {
	y := {
		"twice": x * 2
	}
}

reasons contains "é" if { input["é"]; true }
"""


def covered(source: str, query: str, document: Any, runs: tuple[str, ...] = tuple(RUNS)) -> FileReport:
    policy, value = observed(source), from_json(document)

    def evaluate(observer: Observer, shortcuts: Shortcuts) -> None:
        ask(policy, query, observer, value, shortcuts)

    coverage = CoverageRuns(runs)
    coverage.evaluate(evaluate)
    return coverage.report(policy.modules)[FILE]


def places(ranges: tuple[Range, ...]) -> list[str]:
    return [f"{one.row}:{one.col}-{one.end_row}:{one.end_col}" for one in ranges]


def missed(report: FileReport) -> dict[str, tuple[str, ...]]:
    return dict(zip(places(tuple(one for one, _ in report.not_covered)), (kinds for _, kinds in report.not_covered), strict=True))


def test_heads_of_rules_that_held_and_expressions_that_were_evaluated_are_covered() -> None:
    report = covered(POLICY, "data.p", {"user": "ann", "names": ["a"]})
    assert places(report.covered) == [
        "7:1-7:6", "8:2-8:21", "9:2-9:13", "15:2-15:23", "21:1-21:55", "21:10-21:55", "21:18-21:42", "21:44-21:54",
    ]  # fmt: skip
    assert (report.covered_lines, report.not_covered_lines) == (5, 11)
    assert percentage(5, 11) == 31.25


def test_what_is_not_covered_says_which_shortcut_left_it_out() -> None:
    report = covered(POLICY, "data.p", {"user": "ann", "names": ["a"]})
    assert missed(report) == {
        "5:1-5:8": (), "5:9-5:23": (), "12:1-12:6": (), "12:10-12:29": (), "14:1-14:8": (), "16:2-16:19": (), "17:3-17:16": (),
        "18:2-18:9": ("index_excluded",), "23:1-23:15": (), "24:2-26:3": (), "29:1-29:21": (), "29:27-29:37": ("index_excluded",),
        "29:39-29:43": (),
    }  # fmt: skip


def test_what_follows_a_settled_rule_is_left_out_early() -> None:
    report = covered("package p\n\na if true\n\na if input.x\n", "data.p.a", {"x": 1})
    assert missed(report) == {"5:1-5:2": ("early_exit",), "5:6-5:13": ("early_exit",)}
    assert missed(covered("package p\n\na if true\n\na if input.x\n", "data.p.a", {"x": 1}, ())) == {"5:1-5:2": (), "5:6-5:13": ()}


@pytest.mark.parametrize("declaration", ["some x\n\tx = 1", "some x in [1]\n\tx == 1"])
def test_a_declaration_is_nothing_to_cover(declaration: str) -> None:
    report = covered(f"package p\n\na if {{\n\tinput.no\n\t{declaration}\n}}\n", "data.p.a", {})
    assert 5 not in {one.row for one, _ in report.not_covered}


def test_a_file_without_rules_has_nothing_to_cover() -> None:
    report = covered("package p\n\nimport data.x as y\n", "true", {})
    assert (report, percentage(0, 0)) == (FileReport((), ()), 0.0)
