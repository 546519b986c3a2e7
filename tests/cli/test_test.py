from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from authz.cli.main import main
from authz.cli.output import duration_text
from tests.serving import run_authz, write

POLICY = "package p\n\nallow if input.user == data.owner\n"
PASSING = """package p_test

import data.p

test_the_owner_is_allowed if p.allow with input.user as "ann"
"""
FAILING = """package p_test

import data.p

test_bob_is_allowed if {
	user := "bob"
	p.allow with input.user as user
}

# METADATA
# title: another
test_ann_is_allowed if p.allow with input.user as "ann"
"""


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return write(tmp_path / "policies", {"p.rego": POLICY, "data.json": '{"owner": "ann"}'})


def run_tests(*args: str | Path) -> Result:
    return CliRunner().invoke(main, ["test", *map(str, args)])


def without_durations(text: str) -> str:
    return re.sub(r"\([0-9.]+(ns|µs|ms|s)\)", "(…)", text)


def report(*args: str | Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run_tests(*args, "--format", "json").stdout)
    return found


def test_passing_tests_are_counted_and_nothing_else_is_said(policies: Path) -> None:
    write(policies, {"p_test.rego": PASSING})
    done = run_authz("test", policies)
    assert (done.returncode, done.stdout, done.stderr) == (0, "PASS: 1/1\n", "")


def test_the_example_policies_pass(tmp_path: Path) -> None:
    done = run_authz("test", Path(__file__).parents[2] / "policies")
    assert done.returncode == 0
    assert re.fullmatch(r"PASS: (\d+)/\1\n", done.stdout)


def test_a_failure_names_its_place_the_literal_that_did_not_hold_and_the_variables(policies: Path) -> None:
    write(policies, {"p_test.rego": FAILING})
    done = run_authz("test", policies)
    assert (done.returncode, done.stderr) == (2, "")
    assert without_durations(done.stdout).splitlines() == [
        f"{policies}/p_test.rego:5:",
        "data.p_test.test_bob_is_allowed: FAIL (…)",
        f"  {policies}/p_test.rego:7: p.allow with input.user as user",
        '    user = "bob"',
        "-" * 80,
        "PASS: 1/2",
        "FAIL: 1/2",
    ]


def test_verbose_shows_every_test_and_the_source_of_those_that_fail(policies: Path) -> None:
    write(policies, {"p_test.rego": FAILING})
    lines = without_durations(run_tests(policies, "-v").stdout).splitlines()
    assert "data.p_test.test_ann_is_allowed: PASS (…)" in lines
    at = lines.index("FAILURES")
    assert lines[at + 2 : at + 8] == [
        "data.p_test.test_bob_is_allowed: FAIL (…)",
        "     5 | test_bob_is_allowed if {",
        '     6 | \tuser := "bob"',
        ">    7 | \tp.allow with input.user as user",
        "     8 | }",
        "",
    ]


def test_an_error_and_a_wrong_value_are_told_apart(policies: Path) -> None:
    write(policies, {"p_test.rego": 'package p_test\n\ntest_a if not to_number("x")\n\ntest_b := 3\n\ntodo_test_c if false\n'})
    result = run_tests(policies)
    assert result.exit_code == 2
    lines = without_durations(result.stdout).splitlines()
    assert "data.p_test.test_a: ERROR (…)" in lines
    assert any(line.startswith(f"  {policies}/p_test.rego:3: eval_builtin_error: to_number: ") for line in lines)
    assert "  its value is 3" in lines
    assert "data.p_test.todo_test_c: SKIPPED" in lines
    assert lines[-3:] == ["FAIL: 1/3", "SKIPPED: 1/3", "ERROR: 1/3"]


def test_cases_are_shown_and_counted_one_by_one(policies: Path) -> None:
    source = 'package p_test\n\ntest_users[user] if {\n\tsome user in ["ann", "bob"]\n\tdata.p.allow with input.user as user\n}\n'
    write(policies, {"p_test.rego": source})
    result = run_tests(policies)
    assert result.exit_code == 2
    assert without_durations(result.stdout).splitlines()[1:] == [
        "data.p_test.test_users: FAIL (…)",
        "  bob: FAIL",
        f"    {policies}/p_test.rego:5: data.p.allow with input.user as user",
        '      user = "bob"',
        "-" * 80,
        "PASS: 1/2",
        "FAIL: 1/2",
    ]
    assert "  ann: PASS" in run_tests(policies, "--verbose").stdout
    (found,) = report(policies)
    assert found["sub_results"] == {"ann": {"name": "ann"}, "bob": {"name": "bob", "fail": True}}


def test_json_has_the_shape_of_opas(policies: Path) -> None:
    write(policies, {"p_test.rego": FAILING + '\ntest_x if to_number("x")\n\ntodo_test_y if true\n'})
    bob, ann, wrong, skipped = report(policies)
    assert bob["location"] == {"file": f"{policies}/p_test.rego", "row": 5, "col": 1}
    assert (bob["package"], bob["name"], bob["fail"]) == ("data.p_test", "test_bob_is_allowed", True)
    assert isinstance(bob["duration"], int)
    assert bob["duration"] > 0
    assert set(ann) == {"location", "package", "name", "duration"}
    assert wrong["error"]["code"] == "eval_builtin_error"
    assert wrong["error"]["location"]["row"] == 14
    assert "fail" not in wrong
    assert (skipped["skip"], skipped["duration"]) == (True, 0)


@pytest.mark.parametrize(("flags", "code"), [([], 2), (["-z"], 0), (["--exit-zero-on-skipped"], 0)])
def test_skipped_tests_are_a_failure_unless_allowed(policies: Path, flags: list[str], code: int) -> None:
    write(policies, {"p_test.rego": PASSING + "\ntodo_test_later if false\n"})
    assert run_tests(policies, *flags).exit_code == code


def test_only_tests_that_match_are_run(policies: Path) -> None:
    write(policies, {"p_test.rego": FAILING})
    result = run_tests(policies, "--run", r"^data\.p_test\.test_ann")
    assert (result.exit_code, result.stdout) == (0, "PASS: 1/1\n")


def test_the_tests_can_be_run_again_and_again(policies: Path) -> None:
    write(policies, {"p_test.rego": PASSING})
    assert run_tests(policies, "--count", "3").stdout == "PASS: 1/1\n" * 3
    write(policies, {"p_test.rego": FAILING})
    assert run_tests(policies, "--count", "3").stdout.count("FAIL: 1/2") == 1


def test_v0_tests_run_when_asked_for(tmp_path: Path) -> None:
    write(tmp_path, {"a_test.rego": "package a\n\ntest_x { 1 < 2 }\n"})
    assert run_tests(tmp_path, "--v0-compatible").stdout == "PASS: 1/1\n"


def test_a_test_that_does_not_compile_is_shown_with_its_line(policies: Path) -> None:
    write(policies, {"p_test.rego": "package p_test\n\ntest_x if data.p.alow(1)\n"})
    result = run_tests(policies)
    assert result.exit_code == 1
    assert f"{policies}/p_test.rego:3:11: rego_type_error: undefined function data.p.alow" in result.stderr
    assert "    3 | test_x if data.p.alow(1)" in result.stderr


def test_a_rule_over_base_data_is_refused(policies: Path) -> None:
    write(policies, {"owner.rego": "package owner\n\nname := 1\n"})
    result = run_tests(policies)
    assert result.exit_code == 1
    assert "conflicting rule for data path owner/name found" in result.stderr


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["no-such-place"], 1, "no-such-place: no such file or directory"),
        ([], 2, "Missing argument 'PATH...'"),
        (["--run", "(", "."], 2, "`(` is not a regular expression: error parsing regexp: missing closing ): `(`"),
        (["--count", "0", "."], 2, "0 is not in the range x>=1"),
    ],
)
def test_a_mistake_is_one_message(args: list[str], code: int, message: str) -> None:
    result = run_tests(*args)
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stdout == ""


def test_a_folder_without_tests_is_said_and_is_a_failure_if_asked_for(policies: Path) -> None:
    result = run_tests(policies)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "no tests found: a test is a rule whose name begins with `test_`\n"
    assert run_tests(policies, "--fail-on-empty").exit_code == 1


def test_a_filter_that_matches_nothing_says_how_tests_are_called(policies: Path) -> None:
    write(policies, {"p_test.rego": FAILING})
    result = run_tests(policies, "-r", "carol")
    assert result.exit_code == 0
    assert "no test matches `carol`; tests are called data.p_test.test_bob_is_allowed, data.p_test.test_ann_is_allowed" in result.stderr


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [(0, "0s"), (999, "999ns"), (1_000, "1µs"), (263_375, "263.375µs"), (1_400_000, "1.4ms"), (2_250_000_000, "2.25s")],
)
def test_durations_are_written_as_go_writes_them(duration_ns: int, text: str) -> None:
    assert duration_text(duration_ns) == text
