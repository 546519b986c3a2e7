"""What the benches measure: the production check service with a policy of three rules or of roles in data, and the requests it gets.

Builds; measures nothing.
"""

from __future__ import annotations

import tempfile
import urllib.parse
from dataclasses import dataclass, replace
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

_POLICIES: Final = Path(__file__).with_name("policies")
POLICY: Final = _POLICIES / "three_rules.rego"
ENTRYPOINT: Final = "envoy/authz/allow"
VARIETY: Final = 64
"""Different requests in a set: enough that nothing is the same twice in a row, few enough to stay in a CPU cache."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A policy with its base data; both decide alike on the requests of this module."""

    policy: Path
    data: rego.Document = None


THREE_RULES: Final = Subject(POLICY)


def rbac() -> Subject:
    """Return a policy whose answer is an object: a thousand callers have three of a hundred roles, each of which has ten grants."""
    callers = [CALLER_ID, *(f"spiffe://corp.example.com/ns/team-{number}/sa/worker" for number in range(1, 1000))]
    user_roles = {caller: [f"role-{(place * step + 1) % 100}" for step in (1, 7, 13)] for place, caller in enumerate(callers)}
    role_grants = {
        f"role-{role}": [{"method": "GET", "below": f"/v1/services/{role}/{part}/"} for part in range(10)] for role in range(100)
    }
    role_grants["role-1"][-1] = {"method": "GET", "below": "/v1/transactions/"}
    return Subject(_POLICIES / "rbac_object.rego", {"user_roles": user_roles, "role_grants": role_grants})


def snapshot(subject: Subject = THREE_RULES, *, is_cached: bool = True) -> Snapshot:
    """Return the activated form of a policy, with identity as it is by default."""
    policy = rego.compile({subject.policy.name: subject.policy.read_text()}, subject.data, entrypoints=[ENTRYPOINT])
    cache = CacheConfig() if is_cached else CacheConfig(max_entries=0)
    return Snapshot.build(policy, entrypoint=ENTRYPOINT, revision="bench", identity=IdentityConfig(), cache=cache)


def check_service(subject: Subject = THREE_RULES, *, is_cached: bool = True) -> CheckService:
    """Return the service that `authz serve` would serve: identity, cache and metrics on."""
    pdp = PDP()
    pdp.activate(snapshot(subject, is_cached=is_cached))
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
    """Return a check that the last of the three rules allows, or a grant of the caller's only role that matters."""
    return Check("GET", "/v1/transactions", CALLER_ID)


def denied() -> Check:
    """Return a check that no rule and no grant allows."""
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
