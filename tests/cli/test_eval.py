from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from authz.cli.main import main
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
