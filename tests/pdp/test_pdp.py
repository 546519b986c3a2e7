"""The decision point: allows only what the active policy allows, and says why in-band."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from authz import rego
from authz.errors import Reason
from authz.extauthz import InputConfig
from authz.identity import IdentityConfig
from authz.pdp import PDP, CacheConfig, Decision, Snapshot
from authz.rego.errors import EVAL_CONFLICT, EvalError
from authz.rego.nodes import Location
from authz.rego.values import FALSE, NULL, TRUE, Object, Value, from_json
from tests.extauthz.requests import CALLER, check_request, mesh_request
from tests.fakes import FakeEntryPoint, FakePolicy, Path, answering

METHOD: Path = ("request", "method")
GET = mesh_request("GET").SerializeToString()
POST = mesh_request("POST").SerializeToString()


def active(policy: FakePolicy, revision: str = "r1", cache: CacheConfig | None = None, input: InputConfig | None = None) -> PDP:
    pdp = PDP()
    pdp.activate(
        Snapshot.build(policy, entrypoint="envoy/authz/allow", revision=revision, identity=IdentityConfig(), cache=cache, input=input)
    )
    return pdp


def response(decision: Decision) -> CheckResponse:
    return CheckResponse.FromString(decision.response)


def assert_denied(decision: Decision, reason: Reason, http_status: int, error: str | None = None) -> None:
    message = response(decision)
    assert (decision.allowed, decision.reason) == (False, reason)
    assert message.status.code == 7
    assert message.denied_response.status.code == http_status
    if error is not None:
        assert decision.error == error


def only_get(document: Value) -> Value:
    assert isinstance(document, Object)
    request = document["request"]
    assert isinstance(request, Object)
    return TRUE if request.get("method") == "GET" else FALSE


def counting(reads: Sequence[Path] = (METHOD,), nondeterministic: Sequence[str] = ()) -> FakePolicy:
    return FakePolicy(FakeEntryPoint(only_get, reads, nondeterministic))


def test_allows_what_the_policy_allows_and_denies_what_it_denies() -> None:
    pdp = active(counting())
    allowed, denied = pdp.decide(GET, 0), pdp.decide(POST, 0)
    assert (allowed.allowed, allowed.reason, allowed.revision, allowed.error) == (True, Reason.ALLOWED, "r1", None)
    assert response(allowed).status.code == 0
    assert response(allowed).HasField("status")
    assert (denied.allowed, denied.reason, denied.revision, denied.error) == (False, Reason.DENIED, "r1", None)
    assert response(denied).status.code == 7


def test_object_decision_reaches_the_response() -> None:
    decision = active(answering(from_json({"allowed": False, "http_status": 404, "body": "gone"}))).decide(GET, 0)
    assert_denied(decision, Reason.DENIED, 404)
    assert response(decision).denied_response.body == "gone"


def test_policy_sees_only_what_it_reads() -> None:
    policy = answering(TRUE, [("identity", "spiffe_id"), METHOD, ("attributes", "request", "http", "headers", "x-none")])
    active(policy).decide(GET, 99)
    request = Object({"request": Object({"http": Object({"headers": Object()})})})
    assert policy.entry.seen == [
        Object({"identity": Object({"spiffe_id": CALLER}), "request": Object({"method": "GET"}), "attributes": request})
    ]
    assert policy.entry.times == [99]


def test_no_active_policy_denies() -> None:
    assert_denied(PDP().decide(GET, 0), Reason.NO_POLICY, 503, "no policy is active")


def test_a_policy_that_is_withheld_decides_nothing_until_it_is_given_back() -> None:
    pdp = active(answering(TRUE))
    assert pdp.decide(GET, 0).allowed
    pdp.withhold(True)
    assert_denied(pdp.decide(GET, 0), Reason.STALE_POLICY, 503, "the policy is older than it may be")
    pdp.withhold(False)
    assert pdp.decide(GET, 0).allowed


def test_what_is_activated_while_policies_are_withheld_decides_afterwards() -> None:
    pdp = PDP()
    pdp.withhold(True)
    assert_denied(pdp.decide(GET, 0), Reason.NO_POLICY, 503, "no policy is active")
    snapshot = active(answering(TRUE)).snapshot
    assert snapshot is not None
    pdp.activate(snapshot)
    assert_denied(pdp.decide(GET, 0), Reason.STALE_POLICY, 503, "the policy is older than it may be")
    pdp.withhold(False)
    assert pdp.decide(GET, 0).allowed


def test_undefined_decision_denies() -> None:
    assert_denied(active(answering(None)).decide(GET, 0), Reason.UNDEFINED, 403, "undefined decision")


def test_evaluation_error_denies_with_its_text() -> None:
    def conflict(_: Value) -> Value:
        raise EvalError(EVAL_CONFLICT, "complete rules must not produce multiple outputs", Location("p.rego", 3, 1))

    decision = active(FakePolicy(FakeEntryPoint(conflict))).decide(GET, 0)
    assert_denied(decision, Reason.EVAL_ERROR, 403, "p.rego:3: eval_conflict_error: complete rules must not produce multiple outputs")
    assert response(decision).denied_response.body == ""


@pytest.mark.parametrize("error", [RecursionError("deep"), MemoryError()])
def test_an_evaluation_that_exhausts_the_process_denies(error: Exception) -> None:
    def fail(_: Value) -> Value:
        raise error

    assert_denied(active(FakePolicy(FakeEntryPoint(fail))).decide(GET, 0), Reason.INTERNAL_ERROR, 500)


def test_real_recursion_denies() -> None:
    def deep(document: Value) -> Value:
        return deep(document)

    assert_denied(active(FakePolicy(FakeEntryPoint(deep))).decide(GET, 0), Reason.INTERNAL_ERROR, 500)


@pytest.mark.parametrize(
    "value", [1, "true", NULL, (TRUE,), Object(), Object({"allowed": "yes"}), from_json({"allowed": True, "headers": {"a": "\n"}})]
)
def test_decision_that_may_not_be_told_denies(value: Value) -> None:
    decision = active(answering(value)).decide(GET, 0)
    assert_denied(decision, Reason.BAD_DECISION, 403)
    assert decision.error is not None
    assert decision.error.startswith("failed to get ")


def test_bytes_that_are_no_request_deny_with_400() -> None:
    decision = active(answering(TRUE)).decide(b"\xff", 0)
    assert_denied(decision, Reason.BAD_REQUEST, 400, "request_parse_error: not a CheckRequest message")
    assert response(decision).denied_response.body == decision.error
    assert response(decision).status.message == decision.error


@pytest.mark.parametrize("http", [{"path": "/%"}, {"path": "/?;"}, {"headers": {"content-type": "application/json"}, "body": "{"}])
def test_malformed_request_denies_with_400_before_the_policy_is_asked(http: dict[str, object]) -> None:
    policy = answering(TRUE, [METHOD])
    assert_denied(active(policy).decide(check_request(http).SerializeToString(), 0), Reason.BAD_REQUEST, 400)
    assert policy.entry.seen == []


def test_skipping_bodies_lets_malformed_ones_pass_to_the_policy() -> None:
    request = check_request({"headers": {"content-type": "application/json"}, "body": "{"}).SerializeToString()
    assert active(answering(TRUE, [METHOD]), input=InputConfig(skip_request_body_parse=True)).decide(request, 0).allowed


def test_check_whose_deadline_has_passed_is_not_evaluated() -> None:
    policy = answering(TRUE)
    pdp = active(policy)
    assert_denied(pdp.decide(GET, 0, deadline_passed=True), Reason.DEADLINE_EXCEEDED, 503)
    assert policy.entry.seen == []
    assert pdp.decide(GET, 0, deadline_passed=False).allowed


def test_denial_is_remembered_and_expires() -> None:
    policy = counting()
    pdp = active(policy, cache=CacheConfig(ttl_ns=100))
    decisions = [pdp.decide(POST, now_ns) for now_ns in (0, 86, 100, 101)]
    assert [decision.cache for decision in decisions] == ["miss", "hit", "miss", "hit"]
    assert {decision.response for decision in decisions} == {decisions[0].response}
    assert {(decision.reason, decision.revision, decision.allowed) for decision in decisions} == {(Reason.DENIED, "r1", False)}
    assert len(policy.entry.seen) == 2


def test_undefined_is_remembered_with_its_error() -> None:
    pdp = active(answering(None, [METHOD]))
    first, second = pdp.decide(GET, 0), pdp.decide(GET, 0)
    assert (second.cache, second.reason, second.error, second.response) == ("hit", first.reason, first.error, first.response)


def test_allow_is_never_remembered() -> None:
    policy = counting()
    pdp = active(policy)
    assert [pdp.decide(GET, 0).cache for _ in range(3)] == ["miss"] * 3
    assert len(policy.entry.seen) == 3


def test_errors_are_never_remembered() -> None:
    policy = answering(1, [METHOD])
    pdp = active(policy)
    assert [pdp.decide(GET, 0).reason for _ in range(3)] == [Reason.BAD_DECISION] * 3
    assert len(policy.entry.seen) == 3


@pytest.mark.parametrize(
    "read", [("source_principal",), ("attributes", "request", "http", "headers", "x-tenant"), ("identity",), ("request", "path")]
)
def test_requests_that_differ_in_what_is_read_do_not_share_a_decision(read: Path) -> None:
    policy = answering(FALSE, [read])
    pdp = active(policy)
    other = mesh_request("GET", "/other", **{"x-tenant": "b"})
    other.attributes.source.principal = "spiffe://prod.example/ns/x/sa/y"
    pdp.decide(GET, 0)
    assert pdp.decide(other.SerializeToString(), 0).cache == "miss"
    assert pdp.decide(GET, 0).cache == "hit"


def test_requests_that_differ_only_in_what_is_not_read_share_a_decision() -> None:
    pdp = active(answering(FALSE, [METHOD]))
    pdp.decide(GET, 0)
    assert pdp.decide(mesh_request("GET", "/other").SerializeToString(), 0).cache == "hit"


@pytest.mark.parametrize(
    ("reads", "nondeterministic", "cache"),
    [
        ([METHOD], ["time.now_ns"], CacheConfig()),
        ([METHOD], ["http.send"], CacheConfig()),
        ([()], [], CacheConfig()),
        ([("attributes", "request", "time")], [], CacheConfig()),
        ([METHOD], [], CacheConfig(max_entries=0)),
        ([METHOD], [], CacheConfig(ttl_ns=0)),
    ],
)
def test_nothing_is_remembered_for_policies_that_read_the_clock_or_never_repeat(
    reads: list[Path], nondeterministic: list[str], cache: CacheConfig
) -> None:
    policy = answering(FALSE, reads, nondeterministic)
    pdp = active(policy, cache=cache)
    assert [pdp.decide(GET, 0).cache for _ in range(2)] == ["bypass", "bypass"]
    assert len(policy.entry.seen) == 2
    assert pdp.snapshot is not None
    assert pdp.snapshot.cache is None


@pytest.mark.parametrize(("first", "second"), [("1", "1.0"), ("1.0", "1"), ("100", "1e2"), ("1e2", "100"), ('[{"k": 0}]', '[{"k": 0.0}]')])
def test_numbers_that_are_equal_but_spelled_differently_do_not_share_a_decision(first: str, second: str) -> None:
    module = 'package envoy.authz\nallow := {"allowed": false, "body": json.marshal(input.parsed_body)}'
    policy = rego.compile({"a.rego": module}, {}, entrypoints=("envoy/authz/allow",))
    pdp = PDP()
    pdp.activate(Snapshot.build(policy, entrypoint="envoy/authz/allow", revision="r1"))
    for number in (first, second):
        request = check_request({"method": "POST", "path": "/", "headers": {"content-type": "application/json"}, "body": number})
        assert response(pdp.decide(request.SerializeToString(), 0)).denied_response.body == number.replace(" ", "")


def test_activation_swaps_policy_revision_and_memory() -> None:
    pdp = active(answering(FALSE, [METHOD]), "r1")
    assert [pdp.decide(GET, 0).cache for _ in range(2)] == ["miss", "hit"]
    policy = answering(TRUE, [METHOD])
    pdp.activate(Snapshot.build(policy, entrypoint="a/b", revision="r2", identity=IdentityConfig(), cache=CacheConfig()))
    decision = pdp.decide(GET, 0)
    assert (decision.allowed, decision.revision, decision.cache) == (True, "r2", "miss")
    assert policy.asked == ["a/b"]


def test_snapshot_tells_what_it_is() -> None:
    snapshot = active(counting()).snapshot
    assert snapshot is not None
    assert (snapshot.revision, snapshot.entrypoint) == ("r1", "envoy/authz/allow")
    assert (snapshot.table.rows, snapshot.table.columns) == (1, 1)


def test_remembered_denials_are_counted() -> None:
    pdp = active(counting())
    for _ in range(3):
        pdp.decide(POST, 0)
    assert pdp.snapshot is not None
    assert pdp.snapshot.cache is not None
    assert (pdp.snapshot.cache.hits, pdp.snapshot.cache.misses) == (2, 1)


def test_decision_names_its_reason_when_shown() -> None:
    assert repr(PDP().decide(b"", 0)) == "Decision(no_policy, revision='', cache=bypass, error='no policy is active')"
