from __future__ import annotations

import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from authz.cli import bench
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
        (["--threshold", "101", "."], 2, "101.0 is not in the range 0<=x<=100"),
        (["--bench", "-c", "."], 2, "coverage reporting is not supported when benchmarking tests"),
        (["--format", "gobench", "."], 2, "--format gobench shows benchmarks: it goes with --bench"),
        (["--timeout", "5", "."], 2, 'time: missing unit in duration "5"; a duration is, for instance, `1.5s` or `200ms`'),
        (["--coverage-runs", "none", "."], 2, "`none` is not one of index_excluded, early_exit"),
        (["--watch", "."], 2, "No such option"),
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


PRINTING = """package p_test

test_good if print("good")

test_bad if {
	print("bad", input.user)
	print("twice")
	false
}

test_wrong if {
	print("wrong")
	1 / 0 == 1
}
"""


def test_what_failing_tests_print_is_shown_and_with_verbose_what_all_do(policies: Path) -> None:
    write(policies, {"p_test.rego": PRINTING})
    done = run_tests(policies)
    assert (done.exit_code, done.stderr) == (2, "")
    assert without_durations(done.stdout).splitlines() == [
        f"{policies}/p_test.rego:5:",
        "data.p_test.test_bad: FAIL (…)",
        "",
        "  bad <undefined>",
        "  twice",
        "",
        f"  {policies}/p_test.rego:8: false",
        f"{policies}/p_test.rego:11:",
        "data.p_test.test_wrong: ERROR (…)",
        "",
        "  wrong",
        "",
        f"  {policies}/p_test.rego:13: eval_builtin_error: div: divide by zero",
        "-" * 80,
        "PASS: 1/3",
        "FAIL: 1/3",
        "ERROR: 1/3",
    ]
    assert "\n\n  good\n\n" in run_tests(policies, "-v").stdout
    good, bad, _ = report(policies)
    assert b64decode(good["output"]) == b"good\n"
    assert b64decode(bad["output"]) == b"bad <undefined>\ntwice\n"


def coverage(*args: str | Path) -> dict[str, Any]:
    done = run_tests(*args)
    assert (done.exit_code, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_coverage_is_opas_report(policies: Path) -> None:
    write(policies, {"p_test.rego": PASSING, "q.rego": "package q\n\nr if {\n\tinput.x\n\t1 == 1\n}\n"})
    found = coverage(policies, "--coverage")
    assert found["files"][f"{policies}/p.rego"] == {
        "covered": [
            {"start": {"row": 3, "col": 1}, "end": {"row": 3, "col": 6}},
            {"start": {"row": 3, "col": 10}, "end": {"row": 3, "col": 34}},
        ],
        "covered_lines": 1,
        "coverage": 100,
    }
    assert found["files"][f"{policies}/q.rego"]["not_covered_lines"] == 3
    assert "coverage" not in found["files"][f"{policies}/q.rego"]
    assert (found["covered_lines"], found["not_covered_lines"], found["coverage"]) == (2, 3, 40)
    assert coverage(policies, "--threshold", "40") == found
    assert coverage(policies, "-c", "--format", "json") == found


def test_what_is_not_covered_says_why_unless_nobody_asks(policies: Path) -> None:
    tests = "package p_test\n\ntest_x if count(data.q.r) == 0\n"
    write(policies, {"p_test.rego": tests, "q.rego": "package q\n\nr contains 1 if input.x\n"})
    (_, expression) = coverage(policies, "-c")["files"][f"{policies}/q.rego"]["not_covered"]
    assert expression["kinds"] == ["index_excluded"]
    (_, expression) = coverage(policies, "-c", "--coverage-runs", "")["files"][f"{policies}/q.rego"]["not_covered"]
    assert "kinds" not in expression


def test_too_little_coverage_is_a_failure(policies: Path) -> None:
    write(policies, {"p_test.rego": PASSING, "q.rego": "package q\n\nr if {\n\tinput.x\n\t1 == 1\n}\n\ns if input.y\n"})
    done = run_tests(policies, "--threshold", "50")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "Code coverage threshold not met: got 33.33 instead of 50.00\n"
    verbose = run_tests(policies, "--threshold", "50", "-v").stderr
    assert verbose == done.stderr + f"Lines not covered:\n\t{policies}/q.rego:3-5\n\t{policies}/q.rego:8\n"


def test_coverage_is_not_reported_of_tests_that_fail(policies: Path) -> None:
    write(policies, {"p_test.rego": FAILING})
    done = run_tests(policies, "-c", "--format", "json")
    assert done.exit_code == 1
    assert without_durations(done.stderr) == "data.p_test.test_bob_is_allowed: FAIL (…)\n"
    assert done.stdout.splitlines()[-1] == "FAIL: 1/1"
    write(policies, {"p_test.rego": "package p_test\n\ntest_x if 1 / 0 == 1\n"})
    done = run_tests(policies, "-c")
    assert (done.exit_code, done.stderr) == (1, f"{policies}/p_test.rego:3: eval_builtin_error: div: divide by zero\n")


@pytest.mark.parametrize(
    ("args", "code"), [(["-r", "later"], 2), (["-r", "later", "-z"], 0), (["-r", "none"], 0), (["-r", "none", "--fail-on-empty"], 1)]
)
def test_coverage_keeps_the_exit_codes_of_skipped_and_missing_tests(policies: Path, args: list[str], code: int) -> None:
    write(policies, {"p_test.rego": PASSING + "\ntodo_test_later if false\n"})
    done = run_tests(policies, "-c", *args)
    assert done.exit_code == code
    assert json.loads(done.stdout)["covered_lines"] == 0


@pytest.fixture
def short_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "TARGET_NS", 1_000_000)


@pytest.mark.usefixtures("short_benchmarks")
def test_benchmarks_are_measured_and_written_as_gos(policies: Path) -> None:
    write(policies, {"p_test.rego": FAILING + '\ntodo_test_x if print("unheard")\n'})
    done = run_tests(policies, "--bench", "--benchmem")
    assert done.exit_code == 2
    lines = without_durations(done.stdout).splitlines()
    measured = r"\t *\d+\t *[\d.]+ ns/op\t *[\d.]+ timer_rego_query_eval_ns/op"
    assert lines[:2] == [f"{policies}/p_test.rego:5:", "data.p_test.test_bob_is_allowed: FAIL (…)"]
    assert re.fullmatch(r"data\.p_test\.test_ann_is_allowed" + measured, lines[4])
    assert re.fullmatch(r"data\.p_test\.todo_test_x" + measured, lines[5])
    assert lines[-2:] == ["PASS: 2/3", "FAIL: 1/3"]
    named = run_tests(policies, "--bench", "--format", "gobench", "-r", "ann")
    assert named.exit_code == 0
    assert re.fullmatch("BenchmarkDataPTestTestAnnIsAllowed" + measured, named.stdout.splitlines()[0])
    (found,) = report(policies, "--bench", "-r", "ann")
    assert found["benchmark_result"]["N"] > 0
    assert found["benchmark_result"]["T"] >= 1_000_000


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0.5, "         0.5000"),
        (5, "         5.000"),
        (99.99, "        99.99"),
        (500, "       500.0"),
        (1363, "      1363"),
        (1e9, "1000000000"),
    ],
)
def test_numbers_of_benchmarks_have_four_digits_in_columns(ns: float, text: str) -> None:
    assert bench.Benchmark(1000, int(ns * 1000)).text("x").split("\t")[2] == f"{text} ns/op"


def test_a_test_that_takes_too_long_is_an_error(policies: Path) -> None:
    slow = "count([1 | numbers.range(1, 1000)[_]; numbers.range(1, 100)[_]]) == 100000"
    write(policies, {"p_test.rego": f"package p_test\n\ntest_x if {slow}\n"})
    done = run_tests(policies, "--timeout", "1ms")
    assert done.exit_code == 2
    assert "  eval_cancel_error: caller cancelled query execution" in done.stdout.splitlines()
    assert run_tests(policies, "--timeout", "1m").exit_code == 0


def test_traces_of_failures_are_shown_on_demand(policies: Path) -> None:
    write(policies, {"p_test.rego": 'package p_test\n\ntest_x if {\n\tx := 2\n\ttrace("noted")\n\tx > 2\n}\n\ntest_y if true\n'})
    lines = [" ".join(line.split()) for line in run_tests(policies, "--explain", "notes", "--var-values").stdout.splitlines()]
    assert "query:1 Enter data.p_test.test_x = _ {}" in lines
    assert f'{policies}/p_test.rego:5 | | Note "noted" {{}}' in lines
    failing, passing = report(policies, "--explain", "fails")
    assert [event["Op"] for event in failing["trace"]] == ["Enter", "Enter", "Fail", "Fail"]
    assert "trace" not in passing


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [(0, "0s"), (999, "999ns"), (1_000, "1µs"), (263_375, "263.375µs"), (1_400_000, "1.4ms"), (2_250_000_000, "2.25s")],
)
def test_durations_are_written_as_go_writes_them(duration_ns: int, text: str) -> None:
    assert duration_text(duration_ns) == text


def test_schemas_are_held_against_the_policies(tmp_path: Path) -> None:
    text = "package a\n\np if input.x == 1\n\ntest_p if p\n"
    write(tmp_path, {"policies/a_test.rego": text, "schema.json": '{"properties": {"y": {"type": "string"}}}'})
    assert run_tests(tmp_path / "policies").exit_code == 2
    result = run_tests(tmp_path / "policies", "--schema", tmp_path / "schema.json")
    assert (result.exit_code, "rego_type_error" in result.output) == (1, True)
