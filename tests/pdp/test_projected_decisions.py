"""Real policies decide alike on the projected and on the full input document: what the compiler says is read is what is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz import rego
from authz.errors import Reason
from authz.extauthz import BadRequestError, IdentitySource, InputConfig, decode, full_document
from authz.identity import IdentityConfig, IdentityResolver
from authz.pdp import PDP, CacheConfig, Snapshot
from tests.extauthz.requests import check_requests, mesh_request

ROOT = Path(__file__).resolve().parents[2] / "policies"
EXAMPLES = {path.name: path.read_text() for path in ROOT.glob("*.rego") if not path.name.endswith("_test.rego")}
DATA = json.loads((ROOT / "data.json").read_text())

WRITTEN_HERE = {
    "headers and metadata": """
        allow if input.attributes.request.http.headers["x-tenant"] == "a"
        allow if input.attributes.metadataContext.filterMetadata.a.b["x-tenant"]
        allow if not input.attributes.source.labels.a
    """,
    "iteration over a subtree": """
        allow if {
            some name, value in input.attributes.request.http.headers
            startswith(name, "x-")
            value != ""
        }
    """,
    "a name that the request chooses": """
        allow if input.attributes.contextExtensions[input.attributes.request.http.method]
        allow if input.parsed_query[input.parsed_path[0]][0] == "1"
    """,
    "presence": """
        allow if input.attributes.destination.address
        allow if input.parsed_body == null
        allow if not input.source_principal
    """,
    "objects as a whole": """
        allow if object.get(input, ["attributes", "source", "principal"], "") == input.source_principal
        allow if input.identity == {"source": "none"}
    """,
    "an object decision": """
        allow := {"allowed": false, "http_status": 404, "headers": {"x-path": "a"}, "body": input.request.path} if input.request.path
    """,
}
MODULES = {name: {"p.rego": "package envoy.authz\n" + rules} for name, rules in WRITTEN_HERE.items()} | {"examples": EXAMPLES}


def compiled(name: str) -> rego.Policy:
    return rego.compile(MODULES[name], DATA if name == "examples" else None)


POLICIES = {name: compiled(name) for name in MODULES}
SOURCE = IdentitySource(IdentityResolver(IdentityConfig()))


@pytest.mark.parametrize("name", MODULES)
@settings(max_examples=60)
@given(check_requests)
def test_projected_document_decides_as_the_full_one(name: str, request: CheckRequest) -> None:
    policy = POLICIES[name]
    snapshot = Snapshot.build(policy, entrypoint="envoy/authz/allow", revision="r")
    try:
        full = full_document(decode(request.SerializeToString()), SOURCE, InputConfig())
    except BadRequestError:
        return
    projected = snapshot.projection.document(snapshot.projection.leaves(decode(request.SerializeToString())))
    assert snapshot.entry.evaluate(projected, 0) == policy.entrypoint("envoy/authz/allow").evaluate(full, 0)


@pytest.mark.parametrize("name", MODULES)
@settings(max_examples=30)
@given(st.lists(check_requests, min_size=1, max_size=4))
def test_remembered_decisions_are_those_that_would_be_made_anew(name: str, requests: list[CheckRequest]) -> None:
    cached, fresh = PDP(), PDP()
    for pdp, config in ((cached, CacheConfig(allow_ttl_ns=10**9)), (fresh, CacheConfig(max_entries=0))):
        pdp.activate(Snapshot.build(POLICIES[name], entrypoint="envoy/authz/allow", revision="r", cache=config))
    for request in (*requests, mesh_request(), *reversed(requests), mesh_request()):
        data = request.SerializeToString()
        first, second = cached.decide(data, 0), fresh.decide(data, 0)
        assert (first.response, first.allowed, first.reason, first.error) == (second.response, second.allowed, second.reason, second.error)
        assert first.reason is not Reason.INTERNAL_ERROR


def test_what_was_allowed_is_remembered_if_an_operator_says_so() -> None:
    data = mesh_request(**{"x-tenant": "a"}).SerializeToString()
    for allow_ttl_ns, second in ((0, "miss"), (10**9, "hit")):
        pdp = PDP()
        config = CacheConfig(allow_ttl_ns=allow_ttl_ns)
        policy = POLICIES["headers and metadata"]
        pdp.activate(Snapshot.build(policy, entrypoint="envoy/authz/allow", revision="r", cache=config))
        decisions = [pdp.decide(data, 0), pdp.decide(data, 1)]
        assert [decision.reason for decision in decisions] == [Reason.ALLOWED] * 2
        assert [decision.cache for decision in decisions] == ["miss", second]
        assert pdp.decide(data, 2 * 10**9).cache == "miss"
