"""Everything in OPA's compliance cases and in the reference policies parses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from authz.rego import parser
from tests.shared import shared_path

CASES = sorted(path for version in ("v0", "v1") for path in shared_path("rego-conformance", version).glob("*.json"))
POLICIES = sorted(shared_path("seeds", "policies").glob("*.rego"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_modules_queries_and_inputs_of_a_category_parse(path: Path) -> None:
    for case in json.loads(path.read_text())["cases"]:
        version = case["rego_version"]
        for index, source in enumerate(case["modules"]):
            assert parser.parse_module(f"test-{index}.rego", source, version).package
        assert parser.parse_query(case["query"], version)
        if "input_term" in case:
            assert parser.parse_term(case["input_term"])


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_a_reference_policy_parses(path: Path) -> None:
    module = parser.parse_module(path.name, path.read_text(), 0 if ".v0." in path.name else 1)
    assert module.rules
