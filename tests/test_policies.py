"""The example policies: every test beside them holds, and their entry point answers in the shape Envoy needs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from authz import rego
from authz.rego.formatting import format_source

FOLDER = Path(__file__).resolve().parents[1] / "policies"
ENTRY_POINT = "envoy/authz/allow"
TEST_RULE = re.compile(r"^(test_\w+)", re.MULTILINE)


def modules() -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(FOLDER.glob("*.rego"))}


def cases() -> list[str]:
    found: list[str] = []
    for path in sorted(FOLDER.glob("*_test.rego")):
        source = path.read_text()
        package = re.search(r"^package (\S+)", source, re.MULTILINE)
        assert package, path
        found += [f"data.{package[1]}.{rule}" for rule in TEST_RULE.findall(source)]
    return found


@pytest.fixture(scope="module", params=[True, False], ids=["tables", "no tables"])
def policy(request: pytest.FixtureRequest) -> rego.Policy:
    data = json.loads((FOLDER / "data.json").read_text())
    return rego.compile(modules(), data, optimize=request.param, entrypoints=[ENTRY_POINT])


@pytest.mark.parametrize(
    "path", [path for folder in ("policies", "bench", "tests/e2e") for path in (FOLDER.parent / folder).rglob("*.rego")], ids=str
)
def test_the_policies_are_laid_out(path: Path) -> None:
    assert format_source(path.name, path.read_text()) == path.read_text()


def test_every_rule_file_has_tests_beside_it() -> None:
    assert len(cases()) >= 25
    assert len(set(cases())) == len(cases())


@pytest.mark.parametrize("case", cases())
def test_the_policies_pass_their_own_tests(policy: rego.Policy, case: str) -> None:
    assert policy.query(f"{case} = result", strict_builtin_errors=True) == [{"result": True}]


def _decide(policy: rego.Policy, document: rego.Document) -> dict[str, Any]:
    decision = policy.entrypoint(ENTRY_POINT).decide(document)
    assert isinstance(decision, dict)
    return decision


def _document(caller: str, path: str) -> dict[str, Any]:
    return {
        "identity": {"source": "xfcc", "spiffe_id": caller, "trust_domain": "example.org"},
        "request": {
            "method": "GET",
            "path": path,
            "host": "orders.shop.example",
            "destination": "spiffe://example.org/ns/shop/sa/orders",
        },
        "parsed_path": path.lstrip("/").split("/"),
        "parsed_query": {},
    }


@pytest.mark.parametrize(
    ("caller", "path", "allowed"),
    [
        ("spiffe://example.org/ns/web/sa/frontend", "/v1/orders", True),
        ("spiffe://example.org/ns/web/sa/frontend", "/v1/orders/1", True),
        ("spiffe://example.org/ns/web/sa/other", "/v1/orders", False),
        ("spiffe://example.org/ns/web/sa/frontend", "/v1", False),
    ],
)
def test_the_entry_point_gives_an_object_with_a_verdict(policy: rego.Policy, caller: str, path: str, allowed: bool) -> None:
    decision = _decide(policy, _document(caller, path))
    assert decision["allowed"] is allowed
    assert allowed or (decision["http_status"], decision["headers"]) == (403, {"x-authz-reason": "no-grant"})


def test_the_policies_read_no_clock_and_only_what_a_check_request_has(policy: rego.Policy) -> None:
    reads = policy.entrypoint(ENTRY_POINT).reads
    assert reads.nondeterministic == ()
    assert {path[0] for path in reads.input} <= {"identity", "request", "parsed_path", "parsed_query"}


def test_the_policies_serve_without_their_tests() -> None:
    served = {name: source for name, source in modules().items() if not name.endswith("_test.rego")}
    data = json.loads((FOLDER / "data.json").read_text())
    assert _decide(rego.compile(served, data, entrypoints=[ENTRY_POINT]), {})["http_status"] == 400
