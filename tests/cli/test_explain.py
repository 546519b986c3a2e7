from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from authz.cli.main import main
from tests.serving import run_authz, write

POLICY = """package envoy.authz

allow if {
	some grant in data.grants
	grant.caller == input.identity.spiffe_id
	grant.method == input.attributes.request.http.method
	not input.attributes.request.http.headers.x == "no"
}

allow if input.parsed_path == ["healthz"]
"""
DATA = {"grants": [{"caller": "spiffe://td/a", "method": "GET"}, {"caller": "spiffe://td/b", "method": "PUT"}]}
REQUEST = {
    "attributes": {
        "source": {"principal": "spiffe://td/a"},
        "request": {"http": {"method": "PUT", "path": "/x?y=1", "headers": {"x-forwarded-client-cert": "URI=spiffe://td/a"}}},
    }
}


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return write(tmp_path / "policies", {"p.rego": POLICY, "data.json": json.dumps(DATA)})


def explain(*args: str | Path, document: Any = None) -> Result:
    given = ["--stdin-input"] if document is not None else []
    return CliRunner().invoke(main, ["explain", *map(str, args), *given], input=json.dumps(document))


def test_a_denial_shows_the_nearest_rows_and_what_their_tests_met(policies: Path, tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text(json.dumps(REQUEST))
    done = run_authz("explain", policies, "--check-request", "-i", tmp_path / "request.json", "--nearest", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "data.envoy.authz.allow is undefined",
        "  no body holds; nearest of 3:",
        f"  {policies}/p.rego:3:1 fails in 1 of 3 tests",
        '    ✗ input.attributes.request.http.method == "GET"  (input.attributes.request.http.method is "PUT")',
        '    ✓ input.attributes.request.http.headers.x != "no" or absent',
        '    ✓ input.identity.spiffe_id == "spiffe://td/a"',
    ]


def test_json_has_every_test_with_its_input(policies: Path) -> None:
    done = explain(policies, "--format", "json", document={"parsed_path": ["healthz"]})
    report = json.loads(done.stdout)
    assert report["entrypoint"] == "envoy/authz/allow"
    (rule,) = report["rules"]
    assert (rule["path"], rule["value"], rule["rows"], rule["nearest"]) == ("data.envoy.authz.allow", True, 3, [])
    (row,) = rule["decided"]
    assert row["location"]["row"] == 10
    assert row["tests"] == [
        {"test": 'input.parsed_path == ["healthz"]', "holds": True, "input": {"input.parsed_path": ["healthz"]}, "actual": ["healthz"]}
    ]


@pytest.mark.parametrize(
    ("args", "document", "code", "words"),
    [
        ((), None, 2, "--input FILE or from --stdin-input"),
        (("--entrypoint", "envoy/authz/alow"), {}, 1, "entry point `envoy/authz/alow` is not a rule of the policy"),
        (("--check-request",), {"identity": {}}, 1, "standard input: not a CheckRequest"),
        (("--check-request",), {"attributes": {"request": {"http": {"path": "/%zz"}}}}, 1, "invalid URL escape"),
        (("--xfcc-mode", "believe"), {}, 2, "believe"),
        (("--nearest", "0"), {}, 2, "--nearest"),
    ],
)
def test_mistakes_are_one_message(policies: Path, args: tuple[str, ...], document: Any, code: int, words: str) -> None:
    done = explain(policies, *args, document=document)
    assert done.exit_code == code
    assert words in done.stderr
    assert "Traceback" not in done.output


def test_an_input_that_is_no_json_is_named(policies: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    done = explain(policies, "-i", tmp_path / "broken.json")
    assert done.exit_code == 1
    assert "broken.json:1:" in done.stderr
