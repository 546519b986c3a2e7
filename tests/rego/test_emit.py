"""What each compiler stage prints, and that printing is complete and deterministic."""

import pytest

from authz import rego
from authz.rego.emit import STAGES, emit

POLICY = {
    "web.rego": """package web

default allow := false

allow if {
	input.user == "alice"
	input.method in {"GET", "HEAD"}
	startswith(input.path, "/public/")
}

allow if is_admin

is_admin if {
	some role in input.roles
	role == "admin"
	not input.suspended
}

deny contains msg if {
	every x in input.xs { x > 1 }
	msg := $"too many: {count([y | some y in input.xs])}"
}

limits[name] := value if {
	some name, value in data.limits
	value > 0 with input as {}
}

twice(x) := x * 2
"""
}
DATA = {"limits": {"a": 1}}


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_every_stage_prints_the_same_text_twice(stage: str) -> None:
    first = emit(stage, POLICY, DATA)
    assert first.strip()
    assert first == emit(stage, POLICY, DATA)


def test_tokens_are_printed_with_their_places() -> None:
    assert "5:7 if" in emit("tokens", POLICY)


def test_nodes_show_the_syntax_tree() -> None:
    text = emit("nodes", POLICY)
    assert "Every" in text
    assert "ArrayComprehension" in text


def test_the_plan_names_steps_and_source_lines() -> None:
    text = emit("plan", POLICY, DATA)
    assert 'check v1 == "alice"' in text
    assert "# web.rego:5:1" in text
    assert "every v" in text
    assert "array of v" in text
    assert "with input as {}" in text


def test_a_table_shows_columns_rows_and_what_stays_code() -> None:
    text = emit("tables", POLICY, DATA, entrypoints=["web/allow"])
    assert "table data.web.allow: 2 rows, 5 columns" in text
    assert 'input.user == "alice"' in text
    assert 'input.path starts with "/public/"' in text
    assert 'input.roles has member "admin"' in text
    assert "input.suspended == false or absent" in text
    assert "0 residuals" in text
    assert "+ residual" not in text


def test_reads_are_what_a_cache_key_is_made_of() -> None:
    text = emit("reads", POLICY, DATA, entrypoints=["web/allow"])
    assert text.split("\n")[-6:] == [
        "reads data.web.allow",
        '  input["method"]',
        '  input["path"]',
        '  input["roles"]',
        '  input["suspended"]',
        '  input["user"]',
    ]
    clock = emit("reads", {"t.rego": "package t\np if time.now_ns() > 1\nq if data.x[input.y]"}, None)
    assert clock.split("\n") == ["reads data.t.p", "  non-deterministic time.now_ns", "reads data.t.q", '  input["y"]', '  data["x"]']


def test_entry_points_limit_what_is_printed() -> None:
    text = emit("plan", POLICY, DATA, entrypoints=["web/is_admin"])
    assert "data.web.is_admin" in text
    assert "data.web.allow" not in text


def test_python_is_what_the_policy_runs() -> None:
    assert emit("python", POLICY, DATA) == rego.compile(POLICY, DATA).artifact.text


def test_an_unknown_stage_is_refused_with_the_known_ones() -> None:
    with pytest.raises(rego.CompileError, match="unknown stage `assembler`") as caught:
        emit("assembler", POLICY)
    assert caught.value.help == "stages: tokens, nodes, plan, tables, reads, python"


@pytest.mark.parametrize("stage", ["plan", "tables", "python"])
def test_an_unknown_entry_point_is_refused(stage: str) -> None:
    with pytest.raises(rego.CompileError, match="entry point `web/nope` is not a rule"):
        emit(stage, POLICY, entrypoints=["web/nope"])
