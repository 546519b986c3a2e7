"""Policies found in the wild, unedited: every case must come out as OPA decides it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from authz import rego
from authz.rego import values
from tests.shared import shared_path

SEEDS = shared_path("seeds", "policies")
CASES: list[dict[str, Any]] = json.loads((SEEDS / "cases.json").read_text())
FIXED_NS = 1_900_000_000_000_000_000


def case_name(case: Mapping[str, Any]) -> str:
    return f"{Path(case['policy']).stem}-{case['query'].rpartition('.')[2]}-{CASES.index(dict(case))}"


def compile_seed(case: Mapping[str, Any], *, optimize: bool = True) -> rego.EntryPoint:
    name = case["policy"]
    version = 0 if ".v0." in name else 1
    entrypoint = case["query"].removeprefix("data.").replace(".", "/")
    source = (SEEDS / name).read_text()
    policy = rego.compile({name: source}, case.get("data"), version, optimize=optimize, entrypoints=[entrypoint])
    return policy.entrypoint(entrypoint)


@pytest.mark.parametrize("optimize", [True, False], ids=["tables", "table-free"])
@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_a_seed_case_is_decided_as_opa_decides_it(case: Mapping[str, Any], optimize: bool) -> None:
    entrypoint = compile_seed(case, optimize=optimize)
    document = values.from_json(case["input"])
    now_ns = case.get("now_ns", FIXED_NS)
    if "want_error" in case:
        with pytest.raises(rego.EvalError) as caught:
            entrypoint.evaluate(document, now_ns)
        assert caught.value.code == case["want_error"]
        return
    decision = entrypoint.evaluate(document, now_ns)
    assert decision == (values.from_json(case["want"]) if "want" in case else None)


def test_all_41_cases_are_here() -> None:
    assert len(CASES) == 41
    assert {case["policy"] for case in CASES} == {path.name for path in SEEDS.glob("*.rego")}
