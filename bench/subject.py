"""What the benches measure: the production check service with a policy of three rules, and the requests it gets.

Builds; measures nothing.
"""

from __future__ import annotations

import tempfile
import urllib.parse
from dataclasses import replace
from pathlib import Path
from time import time_ns
from typing import Final

from authz import rego
from authz.identity import IdentityConfig
from authz.pdp import PDP, CacheConfig, Decision, Snapshot
from authz.server.check import CheckService
from authz.telemetry.counters import CheckCounters
from bench.lab.pki import Authority
from bench.messages import CALLER_ID, Check, realistic

POLICY: Final = Path(__file__).with_name("policies") / "three_rules.rego"
ENTRYPOINT: Final = "envoy/authz/allow"
VARIETY: Final = 64
"""Different requests in a set: enough that nothing is the same twice in a row, few enough to stay in a CPU cache."""


def snapshot(*, is_cached: bool = True) -> Snapshot:
    """Return the activated form of the policy, with identity as it is by default."""
    policy = rego.compile({POLICY.name: POLICY.read_text()}, entrypoints=[ENTRYPOINT])
    cache = CacheConfig() if is_cached else CacheConfig(max_entries=0)
    return Snapshot.build(policy, entrypoint=ENTRYPOINT, revision="bench", activated_ns=time_ns(), identity=IdentityConfig(), cache=cache)


def check_service(*, is_cached: bool = True) -> CheckService:
    """Return the service that `authz serve` would serve: identity, cache and metrics on."""
    pdp = PDP()
    pdp.activate(snapshot(is_cached=is_cached))
    return CheckService(pdp, CheckCounters())


def decide(decider: Snapshot, payload: bytes) -> Decision:
    """Return the decision on one request."""
    pdp = PDP()
    pdp.activate(decider)
    return pdp.decide(payload, time_ns())


def requests(check: Check) -> list[bytes]:
    """Return encoded requests of about 1.4 KB that differ in path and request id, and decide alike."""
    return [realistic(_numbered(check, number)).encode() for number in range(VARIETY)]


def allowed() -> Check:
    """Return a check that the last of the three rules allows."""
    return Check("GET", "/v1/transactions", CALLER_ID)


def denied() -> Check:
    """Return a check that no rule allows."""
    return Check("DELETE", "/v1/transactions", CALLER_ID)


def certified(check: Check) -> Check:
    """Return the check with the caller's certificate, as `envoy/standalone-mtls.yaml` has Envoy send it."""
    with tempfile.TemporaryDirectory(prefix="authz-bench-") as directory:
        credential = Authority(Path(directory), "bench root").issue("frontend", check.principal)
        pem = credential.certificate.read_text()
    return replace(check, certificate=urllib.parse.quote(pem, safe=""))


def _numbered(check: Check, number: int) -> Check:
    request_id = f"b907bdd9-ae8e-44cc-9f80-f83a1662{number:04d}"
    return replace(check, path=f"{check.path}/{1000 + number}", headers={**check.headers, "x-request-id": request_id})
