from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from authz.cli.main import main
from tests.serving import run_authz, write

POLICY = """package envoy.authz

import data.lib

default allow := false

allow if {
	lib.is_owner(input.headers["x-user"])
	not is_night
}

is_night if time.now_ns() < data.limits.morning

unrelated if input.secret == data.secrets
"""
LIBRARY = """package lib

is_owner(user) if user in data.owners
"""


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return write(tmp_path / "policies", {"p.rego": POLICY, "lib/lib.rego": LIBRARY, "data.json": '{"owners": ["ann"]}'})


def deps(*args: str | Path) -> Result:
    return CliRunner().invoke(main, ["deps", *map(str, args)])


def json_of(*args: str | Path) -> Any:
    return json.loads(deps(*args, "--format", "json").stdout)


def test_what_an_entry_point_depends_on_is_listed(policies: Path) -> None:
    done = run_authz("deps", policies, "envoy/authz/allow")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"data.envoy.authz.allow  {policies}/p.rego:7",
        "",
        "input:",
        '  input.headers["x-user"]',
        "",
        "data:",
        "  data.limits.morning",
        "  data.owners",
        "",
        "non-deterministic built-ins:",
        "  time.now_ns",
        "",
        "rules:",
        f"  data.envoy.authz.is_night  {policies}/p.rego:12",
        f"  data.lib.is_owner  {policies}/lib/lib.rego:3",
    ]


def test_json_says_the_same(policies: Path) -> None:
    found = json_of(policies, "envoy/authz/allow")
    assert found["entrypoint"] == "envoy/authz/allow"
    assert found["location"] == {"file": f"{policies}/p.rego", "row": 7, "col": 1}
    assert (found["input"], found["data"]) == (['input.headers["x-user"]'], ["data.limits.morning", "data.owners"])
    assert found["nondeterministic"] == ["time.now_ns"]
    assert [rule["path"] for rule in found["rules"]] == ["envoy/authz/is_night", "lib/is_owner"]


def test_json_has_opas_lists_too(policies: Path) -> None:
    found = json_of(policies, "envoy/authz/is_night")
    assert [[term["value"] for term in ref] for ref in found["base"]] == [["data", "limits", "morning"]]
    assert [term["type"] for term in found["base"][0]] == ["var", "string", "string"]
    assert [[term["value"] for term in ref] for ref in found["virtual"]] == [["data", "envoy", "authz", "is_night"]]


def test_a_rule_may_be_named_as_in_rego_and_the_policies_as_for_opa(policies: Path) -> None:
    assert deps("-d", policies, "data.envoy.authz.allow").stdout == deps(policies, "envoy/authz/allow").stdout


def test_nothing_is_said_to_be_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": "package a\n\np := 1\n"})
    assert deps(tmp_path, "a/p").stdout.count("  none\n") == 4


def test_the_whole_input_is_said_to_be_read(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": "package a\n\np if input[_] == 1\n"})
    assert json_of(tmp_path, "a/p")["input"] == ["input"]


def test_tests_are_no_part_of_what_decides(policies: Path) -> None:
    write(policies, {"bad_test.rego": "package x\n\ntest_x if y\n"})
    assert deps(policies, "envoy/authz/allow").exit_code == 0


@pytest.mark.parametrize(
    ("entrypoint", "help"),
    [
        ("envoy/authz/alow", "did you mean `envoy/authz/allow`?"),
        ("envoy/authz", "it is a package; its rules: envoy/authz/allow, envoy/authz/is_night, envoy/authz/unrelated"),
        ("x", "rules of the policy: envoy/authz/allow"),
    ],
)
def test_an_entry_point_that_is_no_rule_is_explained(policies: Path, entrypoint: str, help: str) -> None:
    done = run_authz("deps", policies, entrypoint)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"entry point `{entrypoint}` is not a rule of the policy" in done.stderr
    assert help in done.stderr


def test_a_policy_that_does_not_compile_is_shown_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": "package a\n\np if x\n"})
    done = run_authz("deps", tmp_path, "a/p")
    assert done.returncode == 1
    assert "a.rego:3:6: rego_unsafe_var_error: var x is unsafe" in done.stderr
    assert "    3 | p if x" in done.stderr


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["envoy/authz/allow"], 2, "give the policies, as in `authz deps policies/ envoy/authz/allow`"),
        ([], 2, "Missing argument 'ENTRYPOINT'"),
        (["no-such-place", "a/b"], 1, "no-such-place: no such file or directory"),
    ],
)
def test_a_mistake_is_one_message(args: list[str], code: int, message: str) -> None:
    done = run_authz("deps", *args)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
