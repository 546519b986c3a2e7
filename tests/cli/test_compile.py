from __future__ import annotations

from pathlib import Path

import pytest

from tests.serving import ALLOW_GET, run_authz, write

STAGES = ("tokens", "nodes", "plan", "tables", "python")


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return write(tmp_path / "policies", {"authz.rego": ALLOW_GET, "data.json": '{"limit": 1.50}'})


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_is_printed_and_the_same_each_time(policies: Path, stage: str) -> None:
    done = run_authz("compile", policies, "--emit", stage, "--entrypoint", "envoy/authz/allow")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()
    assert run_authz("compile", policies, "--emit", stage, "--entrypoint", "envoy/authz/allow").stdout == done.stdout


def test_the_emitted_python_is_python(policies: Path) -> None:
    done = run_authz("compile", policies, "--emit", "python")
    compile(done.stdout, "emitted", "exec")


def test_a_file_can_be_compiled_by_itself(policies: Path) -> None:
    assert "method" in run_authz("compile", policies / "authz.rego", "--emit", "nodes").stdout


def test_v0_is_read_when_asked_for(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": "package a\n\nallow { input.x }\n"})
    assert run_authz("compile", tmp_path, "--v0-compatible").returncode == 0
    done = run_authz("compile", tmp_path)
    assert done.returncode == 1
    assert "`if` keyword is required before rule body" in done.stderr


@pytest.mark.parametrize("stage", STAGES)
def test_a_syntax_error_is_reported_with_the_line_and_its_text(tmp_path: Path, stage: str) -> None:
    write(tmp_path, {"bad.rego": 'package a\n\nallow if "open\n'})
    done = run_authz("compile", tmp_path, "--emit", stage)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{tmp_path}/bad.rego:3:10: rego_parse_error" in done.stderr
    assert 'allow if "open' in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["no-such-place"], 1, "no-such-place: no such file or directory"),
        ([], 2, "Missing argument 'PATH...'"),
        (["--emit", "assembly", "."], 2, "'assembly' is not one of"),
        (["--emit", "plan", "--entrypoint", "no/such/rule"], 1, "entry point `no/such/rule` is not a rule of the policy"),
    ],
)
def test_a_mistake_is_one_message(policies: Path, args: list[str], code: int, message: str) -> None:
    done = run_authz("compile", *args, *([policies] if "no/such/rule" in args else []))
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
