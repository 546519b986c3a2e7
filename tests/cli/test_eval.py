from __future__ import annotations

import gc
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from authz.cli.limits import time_limit
from authz.cli.main import main
from authz.rego.errors import EvalError
from tests.serving import run_authz, write

POLICY = """package envoy.authz

default allow := false

allow if input.user in data.owners

reasons contains "owner" if input.user in data.owners

double(x) := x * 2
"""


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return write(tmp_path / "policies", {"p.rego": POLICY, "data.json": '{"owners": ["ann", "bob"]}'})


def ask(*args: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["eval", *map(str, args)], input=stdin)


def result_of(*args: str | Path, stdin: str | None = None) -> Any:
    done = ask(*args, stdin=stdin)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)["result"]


def values(query: str, *args: str | Path) -> list[list[Any]]:
    """Return the expressions' values of every solution."""
    return [[item["value"] for item in solution["expressions"]] for solution in result_of(query, *args)]


def test_a_rule_is_asked_with_an_input_file(policies: Path, tmp_path: Path) -> None:
    write(tmp_path, {"input.json": '{"user": "ann"}'})
    done = run_authz("eval", "-d", policies, "-i", tmp_path / "input.json", "data.envoy.authz.allow")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "result": [{"expressions": [{"value": True, "text": "data.envoy.authz.allow", "location": {"row": 1, "col": 1}}]}]
    }


def test_input_may_be_yaml_or_come_from_standard_input(policies: Path, tmp_path: Path) -> None:
    write(tmp_path, {"input.yaml": "user: bob\n"})
    query = "data.envoy.authz.reasons"
    assert values(query, "-d", policies, "--input", tmp_path / "input.yaml") == [[["owner"]]]
    assert result_of("-I", query, "-b", policies, stdin='{"user": "bob"}')[0]["expressions"][0]["value"] == ["owner"]


def test_the_query_may_come_from_standard_input(policies: Path) -> None:
    assert result_of("--stdin", stdin="1 + 1")[0]["expressions"][0]["value"] == 2


def test_each_expression_has_its_text_and_place() -> None:
    (solution,) = result_of('x := 1 # one\n; y = [x,\n  2];  not x == 2 ; "a;b"')
    shown = [(item["text"], item["location"]["row"], item["location"]["col"], item["value"]) for item in solution["expressions"]]
    assert shown == [("x := 1", 1, 1, True), ("y = [x,\n  2]", 2, 3, True), ("not x == 2", 3, 8, True), ('"a;b"', 3, 21, "a;b")]
    assert solution["bindings"] == {"x": 1, "y": [1, 2]}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("false", [[False]]),  # a query that is only one value has it, whatever it is
        ("1 == 2", [[False]]),
        ("true; null", [[True, None]]),
        ("[3, 4][i]", [[3], [4]]),
        ("[false, 4][_]", [[4]]),  # one that iterates has its solutions
        ("[x | x := [1, 2][_]]", [[[1, 2]]]),
        ("every x in [1] { x > 0 }", [[True]]),
        ("walk([7], [path, value]); count(path) == 1", [[True, True]]),
        ("plus(1, 2, x)", [[True]]),
        ("data.envoy.authz.double(4)", [[8]]),
        ("data.envoy.authz.double(4, x)", [[True]]),
        ("input.user with input.user as 3", [[3]]),
        ("some x in [1]; x", [[True, 1]]),
    ],
)
def test_the_values_are_opas(policies: Path, query: str, expected: list[list[Any]]) -> None:
    assert values(query, "-d", policies) == expected


@pytest.mark.parametrize("query", ["1 == 2; true", "true; false", "[false][_]", "input.x", "1 / 0"])
def test_what_is_undefined_is_an_empty_object(query: str) -> None:
    done = ask(query)
    assert (done.exit_code, done.stdout) == (0, "{}\n")


def test_numbers_of_any_size_are_exact_and_printed_as_written() -> None:
    assert ask("-f", "raw", "[1.10, 1e3, 123456789012345678901234567890]").stdout == "[1.10,1e3,123456789012345678901234567890]\n"
    assert '"value": 123456789012345678901234567890,' in ask("123456789012345678901234567890").stdout


def test_values_and_bindings_are_a_document_a_solution() -> None:
    assert ask("-f", "values", "x := [1, 2][_]").stdout == "[\n  true\n]\n[\n  true\n]\n"
    assert ask("-f", "bindings", "x := [1, 2][_]").stdout == '{\n  "x": 1\n}\n{\n  "x": 2\n}\n'


def test_raw_is_for_scripts() -> None:
    assert ask("--format", "raw", '"a<b"; {"k": [1, true]}').stdout == 'a<b {"k":[1,true]}\n'
    assert ask("--format", "raw", "false; true").stdout == ""


def test_pretty_is_the_value_a_table_or_undefined() -> None:
    assert ask("-f", "pretty", '{"a": 1}').stdout == '{\n  "a": 1\n}\n'
    assert ask("-f", "pretty", "input.x").stdout == "undefined\n"
    assert ask("-f", "pretty", 'x := ["[red]a", "b"][i]').stdout.splitlines() == [
        "┌───┬──────────┐",
        "│ i │    x     │",
        "├───┼──────────┤",
        '│ 0 │ "[red]a" │',
        '│ 1 │ "b"      │',
        "└───┴──────────┘",
    ]


@pytest.mark.parametrize(
    ("flags", "query", "code"),
    [
        ([], "input.x", 0),
        (["--fail"], "input.x", 1),
        (["--fail"], "false", 0),
        (["--fail-defined"], "false", 1),
        (["--fail-defined"], "input.x", 0),
        (["--strict-builtin-errors"], "1 / 0", 2),
        (["--fail"], "(", 2),
    ],
)
def test_the_exit_codes_are_opas(flags: list[str], query: str, code: int) -> None:
    assert ask(*flags, query).exit_code == code


def test_an_error_is_part_of_the_json() -> None:
    done = ask("--strict-builtin-errors", "x := 1 / 0")
    (error,) = json.loads(done.stdout)["errors"]
    assert (error["code"], error["message"]) == ("eval_builtin_error", "div: divide by zero")
    assert error["location"] == {"file": "query", "row": 1, "col": 8}


def test_a_conflict_is_an_error_in_every_format(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": "package a\n\np := 1\n\np := 2\n"})
    assert json.loads(ask("-d", tmp_path, "data.a.p").stdout)["errors"][0]["code"] == "eval_conflict_error"
    done = ask("-d", tmp_path, "data.a.p", "-f", "pretty")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "eval_conflict_error: complete rules must not produce multiple outputs" in done.stderr


def test_v0_policies_and_queries_are_read_when_asked_for(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": "package a\n\nallow { input.x }\n"})
    assert ask("--v0-compatible", "-d", tmp_path, "data.a").exit_code == 0
    assert ask("-d", tmp_path, "data.a").exit_code == 2


def test_a_name_without_data_before_it_is_explained(policies: Path) -> None:
    done = ask("-d", policies, "envoy.authz.allow", "-f", "pretty")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "1 error occurred:",
        "query:1:1: rego_unsafe_var_error: var envoy is unsafe",
        "    1 | envoy.authz.allow",
        "      | ^^^^^",
        "help: rules and data are below `data`: `data.envoy`",
    ]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-d", "no-such-place", "data"], "no-such-place: no such file or directory"),
        (["-i", "no-such-input.json", "input"], "no-such-input.json: no such file or directory"),
        (["-I", "input"], "standard input:2:1: not valid JSON: expecting property name enclosed in double quotes"),
        (["foo("], "query:1:5: rego_parse_error: unexpected eof token"),
    ],
)
def test_a_mistake_is_one_message(args: list[str], message: str) -> None:
    done = ask(*args, "-f", "pretty", stdin="{\n")
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "give a query"),
        (["--fail", "--fail-defined", "1"], "--fail and --fail-defined exclude each other"),
        (["-I", "-i", "x.json", "1"], "--input and --stdin-input exclude each other"),
        (["--stdin", "1"], "QUERY and --stdin exclude each other"),
        (["--stdin", "-I"], "--stdin and --stdin-input exclude each other"),
        (["-f", "xml", "1"], "'xml' is not one of"),
    ],
)
def test_flags_that_contradict_are_a_usage_error(args: list[str], message: str) -> None:
    done = ask(*args)
    assert done.exit_code == 2
    assert message in done.stderr


TRACED = """package t

found := x if {
	some x in input.xs
	trace(sprintf("x is %d", [x]))
	print("x is", x)
	x > 1
}

wrong if 1 / 0 == 1
"""


@pytest.fixture
def traced(tmp_path: Path) -> list[str | Path]:
    """Return the flags that load a policy with notes, and its input."""
    write(tmp_path, {"t/t.rego": TRACED, "input.json": '{"xs": [1, 2]}'})
    return ["-d", tmp_path / "t", "-i", tmp_path / "input.json"]


def squeezed(text: str) -> list[str]:
    return [" ".join(line.rpartition("/")[2].split()) if "/" in line else " ".join(line.split()) for line in text.splitlines()]


def test_what_policies_print_goes_to_standard_error(traced: list[str | Path]) -> None:
    done = ask(*traced, "-f", "raw", 'data.t.found; print("from the query", 1)')
    assert (done.exit_code, done.stdout, done.stderr) == (0, "2 true\n", "x is 1\nx is 2\nfrom the query 1\n")


def test_an_explanation_stands_before_the_answer(traced: list[str | Path]) -> None:
    done = ask(*traced, "--explain", "notes", "-f", "pretty", "data.t.found")
    assert squeezed(done.stdout) == [
        "query:1 Enter data.t.found = _",
        "t.rego:3 | Enter data.t.found",
        't.rego:5 | | Note "x is 1"',
        't.rego:5 | | Note "x is 2"',
        "2",
    ]
    assert done.stderr == "x is 1\nx is 2\n"
    shown = squeezed(ask(*traced, "--explain", "fails", "--var-values", "-f", "pretty", "data.t.found").stdout)
    assert shown[-2:] == ["t.rego:7 | | Fail gt(x, 1) {x: 1}", "2"]
    assert "t.rego:7 | | Fail gt(x, 1)" in squeezed(ask(*traced, "--explain", "full", "-f", "pretty", "data.t.found").stdout)


def test_an_explanation_is_part_of_the_json(traced: list[str | Path]) -> None:
    done = json.loads(ask(*traced, "--explain", "notes", "data.t.found").stdout)
    assert list(done) == ["result", "explanation"]
    query, rule, note, _ = done["explanation"]
    ref = {
        "type": "ref",
        "value": [{"type": "var", "value": "data"}, {"type": "string", "value": "t"}, {"type": "string", "value": "found"}],
    }
    equal = {"type": "ref", "value": [{"type": "var", "value": "eq"}]}
    assert query == {
        "Op": "Enter",
        "Node": [{"index": 0, "terms": [equal, ref, {"type": "var", "value": "$term1"}]}],
        "Location": {"file": "", "row": 1, "col": 1},
        "QueryID": 0,
        "ParentID": 0,
        "Locals": None,
        "LocalMetadata": {},
        "Message": "",
        "Ref": None,
    }
    assert (rule["Op"], rule["Node"]["head"]["name"], rule["Node"]["body"][0]["index"]) == ("Enter", "found", 0)
    assert (note["Op"], note["Node"], note["Message"], note["LocalMetadata"]) == ("Note", None, "x is 1", None)
    assert "explanation" not in json.loads(ask(*traced, "--explain", "notes", "1").stdout)


def test_the_locals_of_an_event_are_terms(traced: list[str | Path]) -> None:
    events = json.loads(ask(*traced, "--explain", "fails", "data.t.found").stdout)["explanation"]
    assert {"name": "x", "type": "number", "value": 1} in events[-1]["Locals"]


def test_coverage_profile_and_metrics_are_told_besides(traced: list[str | Path]) -> None:
    done = json.loads(ask(*traced, "--coverage", "--profile", "data.t.found").stdout)
    assert list(done) == ["result", "metrics", "profile", "coverage"]
    assert set(done["metrics"]) == {
        f"timer_rego_{stage}_ns" for stage in ("load_files", "module_parse", "module_compile", "query_parse", "query_compile", "query_eval")
    }
    assert all(value > 0 for value in done["metrics"].values())
    (file,) = done["coverage"]["files"].values()
    assert (file["covered_lines"], file["not_covered_lines"], file["coverage"]) == (5, 1, 500 / 6)
    lines = {line["location"]["row"]: line for line in done["profile"] if line["location"]["file"]}
    assert (lines[7]["num_eval"], lines[7]["num_redo"], lines[7]["num_gen_expr"]) == (2, 1, 1)
    assert list(json.loads(ask(*traced, "--metrics", "data.t.found").stdout)) == ["result", "metrics"]


def test_a_profile_is_sorted_and_cut(traced: list[str | Path]) -> None:
    rows = [
        [line["location"]["row"] for line in json.loads(ask(*traced, *flags, "data.t.found").stdout)["profile"]]
        for flags in (["--profile-sort", "line"], ["--profile-sort", "line", "--profile-limit", "2"])
    ]
    assert rows == [[7, 6, 5, 4, 1], [7, 6]]


def test_repeated_measures_are_statistics(traced: list[str | Path]) -> None:
    done = json.loads(ask(*traced, "--profile", "--count", "3", "data.t.found").stdout)
    assert list(done) == ["result", "aggregated_metrics", "aggregated_profile"]
    stats = done["aggregated_metrics"]["timer_rego_query_eval_ns"]
    assert list(stats) == ["75%", "90%", "95%", "99%", "99.9%", "99.99%", "count", "max", "mean", "median", "min", "stddev"]
    assert (stats["count"], stats["99%"]) == (3, stats["max"])
    assert done["aggregated_profile"][0]["total_time_ns_stats"]["count"] == 3


def test_measures_are_tables_for_people(traced: list[str | Path]) -> None:
    lines = ask(*traced, "--coverage", "--profile", "-f", "pretty", "data.t.found").stdout.splitlines()
    assert lines[0] == "2"
    assert next(line.split()[1] for line in lines if line.startswith("│ timer")) == "timer_rego_load_files_ns"
    assert any(re.fullmatch(r"│ +Time +│ Num Eval │ Num Redo │ Num Gen Expr │ +Location +│", line) for line in lines)
    assert any(re.match(r"│ [\d.]+(µs|ms) +│ 1 +│ 1 +│ 1 +│ data\.t\.found +│", line) for line in lines)
    assert lines[-2:] == ["│ Overall Coverage │ 83.33 │", "└──────────────────┴───────┘"]


def test_what_is_discarded_is_only_the_answer(traced: list[str | Path]) -> None:
    assert json.loads(ask(*traced, "-f", "discard", "data.t.found").stdout) == {"result": "discarded"}
    assert json.loads(ask(*traced, "-f", "discard", "data.t.no").stdout) == {}
    assert list(json.loads(ask(*traced, "-f", "discard", "--metrics", "data.t.found").stdout)) == ["result", "metrics"]


def test_built_in_errors_are_shown_instead_of_the_answer(traced: list[str | Path]) -> None:
    done = ask(*traced, "--show-builtin-errors", "data.t.wrong")
    assert done.exit_code == 0
    assert [error["message"] for error in json.loads(done.stdout)["errors"]] == ["div: divide by zero"]
    done = ask(*traced, "--show-builtin-errors", "-f", "pretty", "data.t.wrong")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.endswith("t.rego:10: eval_builtin_error: div: divide by zero\n")
    assert ask(*traced, "--show-builtin-errors", "--fail", "data.t.wrong").exit_code == 1
    assert ask(*traced, "--show-builtin-errors", "--strict-builtin-errors", "data.t.wrong").exit_code == 2
    assert ask(*traced, "--show-builtin-errors", "-f", "raw", "data.t.found").stdout == "2\n"


def test_an_error_is_told_with_what_came_before_it(traced: list[str | Path]) -> None:
    done = ask(*traced, "--strict-builtin-errors", "--explain", "full", "-f", "pretty", "data.t.wrong")
    assert done.exit_code == 2
    assert "t.rego:10 | | Fail div(1, 0, __local0__)" in squeezed(done.stdout)
    assert done.stderr.endswith("t.rego:10: eval_builtin_error: div: divide by zero\n")
    done = ask(*traced, "--strict-builtin-errors", "--explain", "full", "data.t.wrong")
    assert list(json.loads(done.stdout)) == ["errors", "explanation"]


def test_a_query_stands_in_a_package_and_below_imports(policies: Path) -> None:
    assert values("double(input.x) with input.x as 2", "-d", policies, "--package", "envoy.authz") == [[4]]
    assert values("d(2); mine", "-d", policies, "--import", "data.envoy.authz.double as d", "--import", "data.owners as mine") == [
        [4, ["ann", "bob"]]
    ]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--package", "1a"], "package:1:9: rego_parse_error: illegal number format: 1a"),
        (["--package", "a\nx := 1"], "package:2:1: rego_parse_error: unexpected identifier token: expected one package"),
        (["--import", "foo"], "import:1:8: rego_parse_error: unexpected import path, must begin with one of"),
    ],
)
def test_a_package_or_an_import_that_is_none_is_an_error(args: list[str], message: str) -> None:
    done = ask(*args, "-f", "pretty", "1")
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr


@pytest.mark.parametrize("explain", ["off", "notes"])
def test_an_evaluation_that_takes_too_long_is_ended(explain: str) -> None:
    endless = "x := numbers.range(1, 5000)[_]; y := numbers.range(1, 5000)[_]; x + y < 0"
    done = ask("--timeout", "50ms", "--explain", explain, endless)
    assert done.exit_code == 2
    assert json.loads(done.stdout)["errors"] == [{"message": "caller cancelled query execution", "code": "eval_cancel_error"}]
    assert values("1", "--timeout", "1m") == [[1]]


def test_a_time_limit_that_is_reached_while_garbage_is_collected_counts_afterwards() -> None:
    deadline = time.monotonic() + 30

    def spin(_: str, __: dict[str, int]) -> None:
        """Take longer than the limit: the alarm falls into this function, which can raise nothing."""
        started = time.monotonic()
        while time.monotonic() - started < 0.05:
            pass

    def collect_and_go_on() -> None:
        gc.callbacks.append(spin)
        try:
            gc.collect()
        finally:
            gc.callbacks.remove(spin)
        while time.monotonic() < deadline:
            pass

    with pytest.raises(EvalError, match="cancelled"), time_limit(10_000_000):
        collect_and_go_on()


def test_values_in_tables_are_cut_as_wanted() -> None:
    assert "│ [1,2,... │" in ask("-f", "pretty", "--pretty-limit", "5", "x := [1, 2, 3]").stdout
    assert "│ [1,2,3] │" in ask("-f", "pretty", "--pretty-limit", "0", "x := [1, 2, 3]").stdout


@pytest.mark.parametrize("flag", ["--capabilities", "--partial", "--target", "--optimize", "--unknowns", "--instrument"])
def test_a_flag_that_is_not_supported_is_refused(flag: str) -> None:
    done = ask(flag, "x", "1")
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"No such option '{flag}'" in done.stderr


def test_a_query_is_held_against_the_schema_of_the_input(tmp_path: Path) -> None:
    write(tmp_path, {"schema.json": '{"type": "string"}'})
    assert ask("input == 1", "--schema", tmp_path / "schema.json").exit_code == 0
    result = ask("input.x", "--schema", tmp_path / "schema.json", "--format", "pretty")
    assert (result.exit_code, "rego_type_error: undefined ref: input.x" in result.stderr) == (2, True)
