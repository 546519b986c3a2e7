from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from authz.errors import Reason
from authz.pdp import PDP, CacheConfig, Snapshot
from authz.rego.errors import EvalError
from authz.rego.values import TRUE, Value
from authz.server.check import CHECK_METHOD, CheckService
from authz.server.rpc import Call
from authz.telemetry.counters import CheckCounters
from tests.fakes import FakeEntryPoint
from tests.serving import check_request

NO_DEADLINE = Call(None, "test")
PERMISSION_DENIED = 7


class FakePolicy:
    def __init__(self, rule: Callable[[Value], Value | None]) -> None:
        self.entry = FakeEntryPoint(rule)

    def entrypoint(self, path: str) -> FakeEntryPoint:
        return self.entry


class Scene:
    """A check service over a rule, at a time that the test sets."""

    def __init__(self, rule: Callable[[Value], Value | None] | None = None) -> None:
        self.pdp = PDP()
        if rule is not None:
            self.pdp.activate(Snapshot.build(FakePolicy(rule), entrypoint="x", revision="r1", cache=CacheConfig(max_entries=0)))
        self.counters = CheckCounters()
        self.ticks_ns = 100_000_000_000
        self.service = CheckService(self.pdp, self.counters, now_ns=lambda: 42, monotonic_ns=self.tick)

    def tick(self) -> int:
        self.ticks_ns += 3_000
        return self.ticks_ns

    def check(self, request: bytes | None = None, call: Call = NO_DEADLINE) -> CheckResponse:
        handler = self.service.service().unary[CHECK_METHOD]
        response = handler(check_request("GET", "/") if request is None else request, call)
        assert isinstance(response, bytes)
        return CheckResponse.FromString(response)

    def counted(self) -> dict[str, int]:
        return {reason.value: count for reason, count in self.counters.by_reason.items() if count}


def fail(error: Exception) -> Callable[[Value], Value | None]:
    def rule(_document: Value) -> Value | None:
        raise error

    return rule


def test_an_allow_is_answered_and_counted_with_its_time() -> None:
    scene = Scene(lambda _: TRUE)
    assert scene.check().status.code == 0
    assert scene.counted() == {"allowed": 1}
    assert scene.counters.latency.sum_ns == 3_000


def test_without_a_policy_everything_is_denied() -> None:
    scene = Scene()
    assert scene.check().status.code == PERMISSION_DENIED
    assert scene.counted() == {"no_policy": 1}


@pytest.mark.parametrize(("deadline_s", "reason"), [(99.0, "deadline_exceeded"), (100.000003, "deadline_exceeded"), (100.1, "allowed")])
def test_a_check_whose_deadline_has_passed_is_not_evaluated(deadline_s: float, reason: str) -> None:
    scene = Scene(lambda _: TRUE)
    scene.check(call=Call(deadline_s, "test"))
    assert scene.counted() == {reason: 1}


def test_what_the_pdp_lets_through_is_denied_in_band_and_counted(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_args: object, **_named: object) -> None:
        raise ZeroDivisionError("defect")

    monkeypatch.setattr(PDP, "decide", defect)
    scene = Scene()
    response = scene.check()
    assert response.status.code == PERMISSION_DENIED
    assert response.denied_response.status.code == 500
    assert scene.counted() == {"internal_error": 1}
    assert caplog.records[0].exc_info is not None
    scene.check()
    assert len(caplog.records) == 1


def test_an_evaluation_error_is_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(fail(EvalError("eval_conflict_error", "complete rules must not produce multiple outputs")))
    for _ in range(3):
        assert scene.check().status.code == PERMISSION_DENIED
    scene.ticks_ns += 61 * 10**9
    scene.check()
    fields = [record.fields for record in caplog.records]  # type: ignore[attr-defined]
    assert [(line["reason"], line["repeated"]) for line in fields] == [("eval_error", 0), ("eval_error", 2)]
    assert "eval_conflict_error" in fields[0]["error"]
    assert scene.counted() == {"eval_error": 4}


@pytest.mark.parametrize(("rule", "request_bytes"), [(lambda _: None, None), (lambda _: TRUE, b"\xff\xff")])
def test_an_answer_that_is_no_defect_is_not_logged(
    rule: Callable[[Value], Value | None], request_bytes: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        assert Scene(rule).check(request_bytes).status.code == PERMISSION_DENIED
    assert caplog.records == []


def test_no_log_line_holds_what_a_request_carries(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(fail(EvalError("eval_builtin_error", "json.unmarshal: not JSON")))
    scene.check(check_request("GET", "/secret-path"))
    assert "secret-path" not in "".join(str(record.__dict__) for record in caplog.records)


def test_every_reason_can_be_counted() -> None:
    counters = CheckCounters()
    for reason in Reason:
        counters.observe(reason, "bypass", 1)
    assert sum(counters.by_reason.values()) == len(Reason)
