from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from authz.cli.main import main
from tests.serving import ALLOW_GET, run_authz, write


def check(*args: str | Path) -> Result:
    return CliRunner().invoke(main, ["check", *map(str, args)])


def test_policies_that_compile_are_passed_in_silence(tmp_path: Path) -> None:
    write(tmp_path, {"authz.rego": ALLOW_GET, "x/data.json": "{}", "authz_test.rego": "package a\n\ntest_a if true\n"})
    done = run_authz("check", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_error_is_shown_with_its_line_a_caret_and_a_fix(tmp_path: Path) -> None:
    write(tmp_path, {"authz.rego": "package a\n\nallow if {\n\tstartwith(input.path, `/v1`)\n}\n"})
    done = run_authz("check", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "1 error occurred:",
        f"{tmp_path}/authz.rego:4:2: rego_type_error: undefined function startwith",
        "    4 | \tstartwith(input.path, `/v1`)",
        "      | \t^^^^^^^^^",
        "help: did you mean `startswith`?",
    ]


def test_the_syntax_errors_of_every_file_are_shown_at_once(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": "package a\n\np if }\n", "b.rego": "package b\n\nq := \n", "c.rego": "package c\n"})
    result = check(tmp_path)
    assert result.exit_code == 1
    assert result.stderr.startswith("2 errors occurred:\n")
    assert f"{tmp_path}/a.rego:3:" in result.stderr
    assert f"{tmp_path}/b.rego:" in result.stderr


def test_no_more_findings_are_shown_than_asked_for(tmp_path: Path) -> None:
    write(tmp_path, {f"{name}.rego": f"package {name}\n\np if }}\n" for name in "abc"})
    result = check(tmp_path, "--max-errors", "2")
    assert result.stderr.count("rego_parse_error") == 2
    assert result.stderr.endswith("and 1 more: --max-errors 0 shows all\n")
    assert check(tmp_path, "-m", "0").stderr.count("rego_parse_error") == 3


def test_json_has_the_shape_of_opas(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": "package a\n\np if x\n"})
    result = check(tmp_path, "--format", "json")
    assert (result.exit_code, result.stdout) == (1, "")
    (found,) = json.loads(result.stderr)["errors"]
    assert (found["code"], found["message"]) == ("rego_unsafe_var_error", "var x is unsafe")
    assert found["location"] == {"file": f"{tmp_path}/a.rego", "row": 3, "col": 6}


def test_json_of_no_error_is_silence(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": ALLOW_GET})
    result = check(tmp_path, "-f", "json")
    assert (result.exit_code, result.output) == (0, "")


def test_tests_are_checked_too(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": ALLOW_GET, "a_test.rego": "package a_test\n\ntest_x if y\n"})
    result = check(tmp_path)
    assert result.exit_code == 1
    assert "a_test.rego:3:11: rego_unsafe_var_error: var y is unsafe" in result.stderr


def test_a_rule_over_base_data_is_refused_in_a_bundle(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": "package roles\n\nadmin := 1\n\nuser := 2\n", "roles/data.json": '{"admin": ["ann"]}'})
    assert check(tmp_path).exit_code == 0
    result = check(tmp_path, "-b")
    assert result.exit_code == 1
    assert "a.rego:3:1: rego_compile_error: conflicting rule for data path roles/admin found" in result.stderr
    assert "roles/user" not in result.stderr


def test_a_rule_below_a_plain_value_of_base_data_is_refused_in_a_bundle(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": "package roles.admin\n\nname := 1\n", "data.json": '{"roles": {"admin": true}}'})
    assert "conflicting rule for data path roles/admin/name found" in check(tmp_path, "--bundle").stderr


def test_v0_is_read_when_asked_for(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": "package a\n\nallow { input.x }\n"})
    assert check(tmp_path, "--v0-compatible").exit_code == 0


def test_v0_syntax_under_v1_names_the_flag(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": "package a\n\nallow { input.x }\n"})
    result = check(tmp_path)
    assert result.exit_code == 1
    assert "a.rego:3:1: rego_parse_error: `if` keyword is required before rule body" in result.stderr
    assert "--v0-compatible" in result.stderr


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "no such file or directory"),
        ({"README.md": "policies will come"}, "no `.rego` file"),
        ({"a.rego": ALLOW_GET, "data.json": "{,}"}, "data.json:1:2: not valid JSON"),
    ],
)
@pytest.mark.parametrize("format_", ["pretty", "json"])
def test_a_mistake_with_files_is_one_message(tmp_path: Path, files: dict[str, str] | None, message: str, format_: str) -> None:
    folder = tmp_path / "policies"
    if files is not None:
        write(folder, files)
    result = check(folder, "--format", format_)
    assert result.exit_code == 1
    assert message in (result.stderr if format_ == "pretty" else json.loads(result.stderr)["errors"][0]["message"])
    assert result.stderr.count(message) == 1


def test_a_command_without_a_path_is_a_usage_error() -> None:
    result = check()
    assert result.exit_code == 2
    assert "Missing argument 'PATH...'" in result.stderr


def test_strict_refuses_what_is_unused(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": "package a\n\nimport data.x\n\np if {\n\ty := 1\n\ttrue\n}\n"})
    assert check(tmp_path).exit_code == 0
    result = check(tmp_path, "-S")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "2 errors occurred:",
        f"{tmp_path}/a.rego:3:1: rego_compile_error: import data.x unused",
        "    3 | import data.x",
        "      | ^^^^^^",
        "help: remove the import",
        f"{tmp_path}/a.rego:6:2: rego_compile_error: assigned var y unused",
        "    6 | \ty := 1",
        "      | \t^",
        "help: remove the assignment",
    ]


SCHEMA_POLICY = """package a

# METADATA
# schemas:
# - input: schema.request
p if input.mehtod == "GET"
"""


def test_what_does_not_fit_a_schema_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"policies/a.rego": SCHEMA_POLICY, "schemas/request.json": '{"properties": {"method": {"type": "string"}}}'})
    assert check(tmp_path / "policies").exit_code == 0
    result = check(tmp_path / "policies", "--schema", tmp_path / "schemas")
    assert result.exit_code == 1
    assert "rego_type_error: undefined ref: input.mehtod\n\tinput.mehtod\n\t      ^\n" in result.stderr
    assert '\t      want (one of): ["method"]\n' in result.stderr


def test_schemas_in_annotations_always_count(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": SCHEMA_POLICY.replace("schema.request", '{"type": "string"}')})
    assert "undefined ref: input.mehtod" in check(tmp_path).stderr


def test_a_single_schema_is_that_of_the_input(tmp_path: Path) -> None:
    write(tmp_path, {"policies/a.rego": 'package a\n\np if input == "a"\n', "input.yaml": "type: number\n"})
    assert "left  : number" in check(tmp_path / "policies", "-s", tmp_path / "input.yaml").stderr


def test_a_schema_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"policies/a.rego": "package a\n", "s.json": "{"})
    result = check(tmp_path / "policies", "-s", tmp_path / "s.json")
    assert (result.exit_code, result.stderr.startswith(f"error: {tmp_path}/s.json:1:2: not valid JSON")) == (1, True)


def test_what_is_printed_is_checked(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": 'package a\n\np if {\n\tprint("sum", 1 + "a")\n}\n'})
    assert "plus: invalid argument(s)" in check(tmp_path).stderr
