"""Whatever arrives and whatever a policy answers: a decision, in-band, and never an allow that the policy did not give."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from hypothesis import given, settings
from hypothesis import strategies as st

from authz.errors import Reason
from authz.extauthz import InputConfig
from authz.identity import IdentityConfig
from authz.pdp import PDP, CacheConfig, Decision, Snapshot
from authz.rego.values import FALSE, TRUE, Object, Value, from_json
from tests.extauthz.requests import check_requests, json_values
from tests.extauthz.test_projection import PATHS
from tests.fakes import FakePolicy, Path, answering


def active(policy: FakePolicy) -> PDP:
    pdp = PDP()
    pdp.activate(
        Snapshot.build(
            policy,
            entrypoint="a",
            revision="r",
            identity=IdentityConfig(),
            cache=CacheConfig(max_entries=16),
            input=InputConfig(),
        )
    )
    return pdp


ALLOWS_NOTHING = [
    active(answering(value, reads)) for value in (FALSE, None, 1, Object()) for reads in ([], [()], [path for path in PATHS if path])
]


def assert_sound(decision: Decision) -> None:
    response = CheckResponse.FromString(decision.response)
    assert response.HasField("status")
    assert decision.allowed == (response.status.code == 0) == (decision.reason is Reason.ALLOWED)


@pytest.mark.parametrize("pdp", ALLOWS_NOTHING)
@given(st.binary(max_size=100), st.booleans())
def test_any_bytes_are_denied_by_a_policy_that_allows_nothing(pdp: PDP, data: bytes, is_late: bool) -> None:
    decision = pdp.decide(data, 0, deadline_passed=is_late)
    assert_sound(decision)
    assert not decision.allowed
    assert decision.reason is not Reason.INTERNAL_ERROR


@pytest.mark.parametrize("pdp", ALLOWS_NOTHING)
@settings(max_examples=50)
@given(check_requests)
def test_any_request_is_denied_by_a_policy_that_allows_nothing(pdp: PDP, request: CheckRequest) -> None:
    decision = pdp.decide(request.SerializeToString(), 0)
    assert_sound(decision)
    assert not decision.allowed
    assert decision.reason is not Reason.INTERNAL_ERROR


@given(check_requests, st.data())
def test_any_damaged_request_is_denied_by_a_policy_that_allows_nothing(request: CheckRequest, data: st.DataObject) -> None:
    encoded = bytearray(request.SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, max(len(encoded) - 1, 0)))
        encoded[position : position + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    for pdp in ALLOWS_NOTHING:
        decision = pdp.decide(bytes(encoded), 0)
        assert_sound(decision)
        assert not decision.allowed
        assert decision.reason is not Reason.INTERNAL_ERROR


@given(
    check_requests,
    st.one_of(json_values, st.fixed_dictionaries({"allowed": st.booleans()}, optional={"headers": json_values})),
    st.sampled_from(PATHS),
)
def test_any_decision_is_told_only_if_the_policy_made_it(request: CheckRequest, document: Any, path: Path) -> None:
    value: Value = from_json(document)
    decision = active(answering(value, [path])).decide(request.SerializeToString(), 0)
    assert_sound(decision)
    if decision.allowed:
        assert value is TRUE or (isinstance(value, Object) and value["allowed"] is TRUE)


@given(st.lists(st.binary(max_size=60), max_size=60))
def test_memory_for_denials_stays_bounded(requests: list[bytes]) -> None:
    pdp = active(answering(FALSE, [("request", "path"), ("identity",)]))
    for request in requests:
        pdp.decide(request, 0)
    assert pdp.snapshot is not None
    assert pdp.snapshot.cache is not None
    assert len(pdp.snapshot.cache) <= 16
