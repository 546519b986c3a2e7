"""Explanations name the rows that decide, and of those that do not the nearest, with what their tests met."""

from __future__ import annotations

from typing import Any

import pytest

from authz import rego
from authz.rego.explanation import KEPT, Explainer, RowReport, RuleReport
from authz.rego.tables.cells import cell_text
from authz.rego.tables.columns import InputColumn
from authz.rego.tables.dimensions import Dimension, filing, kind_of
from authz.rego.tables.expressions import World
from authz.rego.tables.indexes import ClassIndex
from authz.rego.tables.rows import RowReader
from authz.rego.tables.verdicts import Verdicts
from authz.rego.values import EMPTY_OBJECT, from_json
from tests.rego.tables.policies import DATA, make_case

POLICY = """package web

default allow := false

allow if {
	input.method == "GET"
	startswith(input.path, "/public/")
}

allow if {
	some grant in data.grants
	grant.user == input.user
	grant.path == input.path
	is_day
}

is_day if {
	input.hour > 6
	sprintf("%d", [input.hour]) != "13"
}
"""
GRANTS = {"grants": [{"user": "ann", "path": "/a"}, {"user": "bob", "path": "/b"}]}


def explain(text: str, document: Any, entrypoint: str = "web/allow", data: Any = None, **options: Any) -> dict[str, RuleReport]:
    reports = Explainer(rego.compile({"p.rego": text}, data)).explain(entrypoint, from_json(document), 1, **options)
    return {".".join(report.path[2:]): report for report in reports}


def verdicts_by_text(row: RowReport) -> dict[str, bool]:
    return {cell_text(verdict.cell): verdict.holds for verdict in row.cells}


def test_what_decides_is_the_row_whose_tests_all_hold() -> None:
    report = explain(POLICY, {"method": "GET", "path": "/public/x"}, data=GRANTS)["allow"]
    assert report.value is rego.TRUE
    (row,) = report.decided
    assert row.location.row == 5
    assert verdicts_by_text(row) == {'input.method == "GET"': True, 'input.path starts with "/public/"': True}
    assert report.nearest == ()


def test_of_rows_that_fail_the_nearest_come_first_with_what_was_met() -> None:
    report = explain(POLICY, {"method": "PUT", "path": "/public/x"}, data=GRANTS)["allow"]
    assert (report.value, report.rows, report.decided) == (rego.FALSE, 3, ())
    first = report.nearest[0]
    assert first.location.row == 5
    (failed,) = first.failed
    assert cell_text(failed.cell) == 'input.method == "GET"'
    assert failed.actual == "PUT"
    assert failed.sources == ((InputColumn(("method",)), "PUT"),)


def test_an_undefined_input_is_met_as_such() -> None:
    report = explain(POLICY, {}, data=GRANTS)["allow"]
    assert all(verdict.actual is None for row in report.nearest for verdict in row.failed)


def test_a_row_left_to_code_leads_to_the_rules_that_it_asks_for() -> None:
    reports = explain(POLICY, {"user": "bob", "path": "/b", "hour": 13}, data=GRANTS)
    row = reports["allow"].nearest[0]
    assert (row.failed, row.code_holds, row.location.row) == ((), False, 10)
    day = reports["is_day"]
    assert day.value is None
    assert day.nearest[0].code_holds is False
    held = explain(POLICY, {"user": "bob", "path": "/b", "hour": 12}, data=GRANTS)["allow"]
    assert [row.code_holds for row in held.decided] == [True]


def test_a_row_of_base_data_is_one_element_of_it() -> None:
    report = explain(POLICY, {"user": "ann", "path": "/b", "hour": 12}, data=GRANTS, nearest=2)["allow"]
    assert [len(row.failed) for row in report.nearest] == [1, 1]
    assert {text for row in report.nearest for text, holds in verdicts_by_text(row).items() if not holds} == {
        'input.path == "/a"', 'input.user == "bob"',
    }  # fmt: skip


def test_only_the_first_body_of_an_else_chain_that_holds_decides() -> None:
    text = "package web\nv := 1 if { input.a == 1 } else := 2 if { input.b == 1 } else := 3"
    report = explain(text, {"b": 1}, "web/v")["v"]
    assert (report.value, [row.location.row for row in report.decided]) == (2, [2])
    assert verdicts_by_text(report.decided[0]) == {"input.b == 1": True}


def test_an_error_is_part_of_the_report() -> None:
    text = "package web\nv := input.x if input.a\nv := input.y if input.b"
    report = explain(text, {"a": 1, "b": 1, "x": 1, "y": 2}, "web/v")["v"]
    assert report.error is not None
    assert report.error.code == "eval_conflict_error"
    assert len(report.decided) == 2
    asked = "package web\nallow if { input.a; v == 1 }\nallow if input.z\nv := input.x if input.a\nv := input.y if input.b"
    row = explain(asked, {"a": 1, "b": 1, "x": 1, "y": 2})["allow"].nearest[0]
    assert row.error is not None


def test_partial_sets_and_objects_are_explained_too() -> None:
    sets = 'package web\ns contains "x" if input.a == 1\ns contains input.y if input.b == 1\n'
    text = sets + "o[input.k] := 1 if input.a == 1\no.z := 2 if input.c"
    assert [row.location.row for row in explain(text, {"a": 1}, "web/s")["s"].decided] == [2]
    assert [row.location.row for row in explain(text, {"b": 1, "y": 2}, "web/s")["s"].decided] == [3]
    assert [row.location.row for row in explain(text, {"a": 1, "k": "q"}, "web/o")["o"].decided] == [4]


def test_what_is_no_rule_cannot_be_explained() -> None:
    for entrypoint, words in (("web/none", "is not a rule of the policy"), ("web", "is not one rule")):
        with pytest.raises(rego.CompileError, match=words):
            explain(POLICY, {}, entrypoint, GRANTS)


def test_many_rows_are_gone_through_without_being_kept() -> None:
    data = {"grants": [{"user": f"u{number}", "path": "/b"} for number in range(KEPT * 3)]}
    report = explain(POLICY, {"user": "u7", "path": "/x", "hour": 12}, data=data, nearest=1)["allow"]
    assert report.rows == KEPT * 3 + 1
    assert verdicts_by_text(report.nearest[0])['input.user == "u7"'] is True


def test_verdicts_and_look_ups_agree_on_every_cell() -> None:
    compared = 0
    for seed in range(150):
        case = make_case(seed)
        try:
            planned = rego.compile({"p.rego": case.source}, DATA)._plans()
        except rego.CompileError:
            continue
        reader = RowReader(planned, World(EMPTY_OBJECT, frozenset(), frozenset()))
        for plan in planned.plans.values():
            for row in reader.rows(plan) if not plan.arity else ():
                compared += sum(check_cell(cell, document) for cell in row.cells for document in case.inputs)
    assert compared > 2000


def check_cell(cell: Any, document: Any) -> bool:
    """Compare what an index of the cell alone finds with the verdict on it."""
    verdict = Verdicts(from_json(document)).of(cell)
    kept = filing(Dimension(cell.column, kind_of(cell)), [cell])
    components, is_all = kept.components(cell)
    if kept.index is None:
        found = {verdict.actual}
    elif isinstance(kept.index, ClassIndex):
        found = {kept.index.classes.get(verdict.actual, 0)}
    else:
        found = set(kept.index.select(verdict.actual))
    assert is_all
    assert bool(found.intersection(components)) is verdict.holds, (cell, document)
    return True
