"""Policies found in the wild decide real mTLS requests as OPA decides their inputs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from bench.lab import Lab
from bench.lab.authz_process import AuthzProcess, start_all
from bench.lab.client import Request
from tests.e2e import names
from tests.shared import shared_path

SEEDS = shared_path("seeds", "policies")
CASES: list[dict[str, Any]] = json.loads((SEEDS / "cases.json").read_text())


@dataclass(frozen=True, slots=True)
class Asked:
    """A case as a request; `caller` None presents no certificate."""

    listener: str
    caller: str | None
    request: Request
    is_allowed: bool


def workload_case(case: Mapping[str, Any]) -> Asked | None:
    """Return a case of the workload policy as a request, None where its input is not what Envoy and TLS can say."""
    identity, request = case["input"]["identity"], case["input"]["request"]
    if not isinstance(identity, dict) or request["destination"] != names.ENVOY_ID:
        return None
    return Asked(names.SEED_WORKLOAD, identity["spiffe_id"], Request(request["method"], request["path"]), case["want"])


def envoy_case(case: Mapping[str, Any]) -> Asked | None:
    """Return a case of the XFCC policy as a request.

    Its `certificate_expiration` is no field of Envoy's: only cases that decide the same without it can be asked.
    """
    attributes = case["input"].get("attributes")
    if attributes is None or not case["query"].endswith(".allow"):
        return None
    if attributes["source"].get("certificate_expiration", case["now_ns"]) < case["now_ns"]:
        return None
    http = attributes["request"]["http"]
    header: str | None = http["headers"].get("x-forwarded-client-cert")
    caller = header.partition("URI=")[2] if header else None
    return Asked(names.SEED_ENVOY, caller, Request(http["method"], http["path"]), case["want"])


def askable() -> Iterator[Asked]:
    readers = {"workload_authz.v0.rego": workload_case, "envoy_authz.v0.rego": envoy_case}
    for case in CASES:
        reader = readers.get(case["policy"])
        asked = reader(case) if reader else None
        if asked is not None:
            yield asked


ASKED = list(askable())


@pytest.fixture(scope="module")
def seeds(lab: Lab, check_ports: dict[str, list[int]]) -> Iterator[Lab]:
    """The lab with one `authz` for each seed policy, unedited."""
    served = {
        names.SEED_WORKLOAD: ("workload_authz.v0.rego", "authz/workload/allow"),
        names.SEED_ENVOY: ("envoy_authz.v0.rego", "envoy/authz/allow"),
    }
    started = [
        AuthzProcess([SEEDS / file], lab.directory, ["--v0-compatible", "--entrypoint", entrypoint], name=name, port=check_ports[name][0])
        for name, (file, entrypoint) in served.items()
    ]
    try:
        start_all(started)
        yield lab
    finally:
        for one in started:
            one.stop()


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: f"{asked.listener}-{asked.caller}-{asked.request.method}-{asked.is_allowed}")
def test_a_seed_case_is_decided_alike_through_envoy(seeds: Lab, asked: Asked) -> None:
    caller = seeds.admit(asked.caller) if asked.caller else None
    response = seeds.send(caller, asked.request, asked.listener)
    assert response.status == (200 if asked.is_allowed else 403)


def test_nine_cases_can_be_asked_and_both_outcomes_are_among_them() -> None:
    assert len(ASKED) == 9
    for listener in (names.SEED_WORKLOAD, names.SEED_ENVOY):
        assert {asked.is_allowed for asked in ASKED if asked.listener == listener} == {True, False}
