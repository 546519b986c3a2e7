"""A candidate decides again what was decided, and only how that differs is to be seen of it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Final

import msgspec
import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from hypothesis import given
from hypothesis import strategies as st

from authz import rego
from authz.errors import Reason
from authz.pdp import PDP, CacheConfig, Decision, RehearsalReport, Shadow, Snapshot, failed
from authz.pdp.rehearsal import DENY_TO_ERROR, FLIPS, MAX_EXAMPLES, RESULTS
from authz.pdp.shadow import MAX_TEXT
from authz.rego.errors import EvalError
from authz.rego.pending import HttpRequest
from authz.rego.values import FALSE, TRUE, Object, Value
from tests.fakes import FakeEntryPoint, FakePolicy
from tests.serving import check_request

METHOD = "input.attributes.request.http.method"
ALLOW: Final = "package envoy.authz\n\nallow := true\n"
DENY: Final = "package envoy.authz\n\ndefault allow := false\n"
UNDEFINED: Final = "package envoy.authz\n\nallow if false\n"
CONFLICT: Final = "package envoy.authz\n\nallow := true if input.attributes\n\nallow := false if input.attributes\n"
NO_DECISION: Final = "package envoy.authz\n\nallow := 7\n"
SENDING: Final = 'package envoy.authz\n\nallow if http.send({"method": "get", "url": "https://a.test/"}).status_code == 200\n'
MIXED: Final = f"""package envoy.authz

default allow := {{"allowed": false, "http_status": 401}}

allow if {{
	{METHOD} in {{"GET", "PUT"}}
	not startswith(input.attributes.request.http.path, "/admin")
}}

allow := {{"allowed": true, "body": json.marshal(input.parsed_body)}} if {METHOD} == "PATCH"

allow := 7 if {METHOD} == "BAD"

allow := false if {{
	{METHOD} == "PUT"
	time.now_ns() % 2 == 0
}}
"""


def snapshot(text: str, revision: str = "r") -> Snapshot:
    return Snapshot.build(rego.compile({"p.rego": text}), entrypoint="envoy/authz/allow", revision=revision)


def by_hand(rule: Callable[[Value], Value | None]) -> Snapshot:
    policy = FakePolicy(FakeEntryPoint(rule))
    return Snapshot.build(policy, entrypoint="envoy/authz/allow", revision="hand", cache=CacheConfig(max_entries=0))


def rehearsed(active: Snapshot, candidate: Snapshot, *requests: bytes, now_ns: int = 7) -> RehearsalReport:
    pdp, shadow = PDP(), Shadow(candidate)
    pdp.activate(active)
    for request in requests:
        shadow.compare(request, now_ns, pdp.decide(request, now_ns))
    return shadow.report()


def counted(report: RehearsalReport) -> dict[str, int]:
    return {name: count for name, count in {**report.results, **report.errors}.items() if count}


@pytest.mark.parametrize(
    ("active", "candidate", "expected"),
    [
        (ALLOW, ALLOW, {"same": 1}),
        (DENY, DENY, {"same": 1}),
        (ALLOW, DENY, {"allow_to_deny": 1}),
        (DENY, ALLOW, {"deny_to_allow": 1}),
        (ALLOW, UNDEFINED, {"allow_to_deny": 1, "undefined": 1}),
        (DENY, UNDEFINED, {"same": 1, "undefined": 1}),
        (UNDEFINED, ALLOW, {"deny_to_allow": 1}),
        (ALLOW, CONFLICT, {"allow_to_deny": 1, "eval_error": 1}),
        (DENY, CONFLICT, {"deny_to_error": 1, "eval_error": 1}),
        (UNDEFINED, NO_DECISION, {"deny_to_error": 1, "bad_decision": 1}),
        (CONFLICT, CONFLICT, {"same": 1, "eval_error": 1}),
        (CONFLICT, NO_DECISION, {"same": 1, "bad_decision": 1}),
        (CONFLICT, ALLOW, {"deny_to_allow": 1}),
    ],
)
def test_differences_are_counted_by_kind_and_errors_of_the_candidate_on_their_own(
    active: str, candidate: str, expected: dict[str, int]
) -> None:
    report = rehearsed(snapshot(active), snapshot(candidate), check_request("GET", "/"))
    assert counted(report) == expected
    assert report.checks == 1
    assert report.flips == sum(expected.get(flip, 0) for flip in FLIPS)


requests = st.builds(
    lambda method, path, body, kind, headers: checked(method, path, body, {**headers, "content-type": kind}),
    st.sampled_from(["GET", "PUT", "PATCH", "BAD", "POST", ""]),
    st.sampled_from(["/", "/admin", "/admin?token=1", "/a%2", "/a?b=%zz", "", "/é"]),
    st.sampled_from(["", "{}", "{", '{"a": 1.0}', "[1e400]"]),
    st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/plain", ""]),
    st.dictionaries(st.sampled_from(["x-forwarded-client-cert", "authorization"]), st.text(max_size=20)),
)


def checked(method: str, path: str, body: str, headers: dict[str, str]) -> bytes:
    request = CheckRequest()
    http = request.attributes.request.http
    http.method, http.path, http.body = method, path, body
    for name, value in headers.items():
        http.headers[name] = value
    return bytes(request.SerializeToString())


ACTIVE, EQUAL = snapshot(MIXED), snapshot(MIXED)


@given(st.one_of(requests, st.binary(max_size=40)), st.integers(0, 2**62))
def test_a_candidate_that_is_the_active_policy_never_flips(request: bytes, now_ns: int) -> None:
    report = rehearsed(ACTIVE, EQUAL, request, now_ns=now_ns)
    assert (report.results["same"], report.flips, report.examples) == (1, 0, ())


@given(st.lists(st.one_of(requests, st.binary(max_size=40)), max_size=20))
def test_every_check_is_counted_once_and_examples_are_few_whatever_differs(several: list[bytes]) -> None:
    report = rehearsed(ACTIVE, snapshot_of_get, *several)
    assert sum(report.results.values()) == len(several)
    for flip in FLIPS:
        assert len([each for each in report.examples if each.flip == flip]) == min(report.results[flip], MAX_EXAMPLES)


snapshot_of_get = snapshot(
    f'package envoy.authz\n\ndefault allow := false\n\nallow if {METHOD} == "POST"\n\nallow := 7 if {METHOD} == ""\n'
)


def test_the_candidate_decides_at_the_time_of_the_check() -> None:
    even = snapshot("package envoy.authz\n\ndefault allow := false\n\nallow if time.now_ns() % 2 == 0\n")
    assert counted(rehearsed(snapshot(ALLOW), even, check_request("GET", "/"), now_ns=8)) == {"same": 1}
    assert counted(rehearsed(snapshot(ALLOW), even, check_request("GET", "/"), now_ns=9)) == {"allow_to_deny": 1}


@pytest.mark.parametrize("reason", [Reason.NO_POLICY, Reason.STALE_POLICY, Reason.DEADLINE_EXCEEDED, Reason.OVERLOADED])
def test_what_no_policy_decided_is_not_compared(reason: Reason) -> None:
    shadow = Shadow(snapshot(ALLOW))
    shadow.compare(check_request("GET", "/"), 7, failed(reason, "", ""))
    assert (counted(shadow.report()), shadow.checks) == ({"skipped": 1}, 0)


class Responses:
    def __init__(self, answer: Object | None) -> None:
        self.answer = answer

    def at_hand(self, request: HttpRequest, now_ns: int) -> Object | None:
        return self.answer


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, {"skipped": 1}),
        (Object({"status_code": 200}), {"same": 1}),
        (Object({"status_code": 403}), {"allow_to_deny": 1, "undefined": 1}),
    ],
)
def test_a_candidate_that_would_have_to_wait_is_skipped_and_decides_with_answers_at_hand(
    answer: Object | None, expected: dict[str, int]
) -> None:
    policy = rego.compile({"p.rego": SENDING})
    candidate = Snapshot.build(policy, entrypoint="envoy/authz/allow", revision="r", responses=Responses(answer))
    assert counted(rehearsed(snapshot(ALLOW), candidate, check_request("GET", "/"))) == expected


@pytest.mark.parametrize("error", [ValueError("a defect"), MemoryError(), RecursionError(), EvalError("eval_conflict_error", "x")])
def test_no_exception_of_a_candidate_gets_out(error: Exception) -> None:
    def raising(_: Value) -> Value | None:
        raise error

    report = rehearsed(snapshot(ALLOW), by_hand(raising), check_request("GET", "/"))
    assert report.results["allow_to_deny"] == 1
    assert report.errors["eval_error" if isinstance(error, EvalError) else "internal_error"] == 1


def test_the_cache_of_the_active_policy_is_left_alone() -> None:
    active = snapshot(f'package envoy.authz\n\ndefault allow := false\n\nallow if {METHOD} == "GET"\n')
    assert active.cache is not None
    several = [check_request(f"M{number}", "/") for number in range(3)]
    rehearsed(active, snapshot(DENY), *several)
    assert (active.cache.hits, active.cache.misses, len(active.cache)) == (0, 3, 3)


def test_examples_show_who_asked_for_what_and_nothing_secret() -> None:
    request = CheckRequest()
    attributes = request.attributes
    attributes.source.principal = "spiffe://corp.test/ns/shop/sa/web"
    http = attributes.request.http
    http.method, http.host, http.path = "GET", "shop.test", "/orders/7?access_token=SECRET#SECRET"
    http.body, http.headers["authorization"] = "SECRET", "SECRET"
    report = rehearsed(snapshot(ALLOW), snapshot(CONFLICT), request.SerializeToString())
    example = report.examples[0]
    assert (example.principal, example.method, example.host, example.path) == (
        "spiffe://corp.test/ns/shop/sa/web",
        "GET",
        "shop.test",
        "/orders/7",
    )
    assert (example.flip, example.before, example.after) == ("allow_to_deny", "allowed", "eval_error")
    assert example.error.startswith("p.rego:")
    assert b"SECRET" not in msgspec.msgpack.encode(report)


def test_examples_are_bounded_and_of_one_line() -> None:
    hostile = check_request("X" * 5_000, "/\r\n\x1b[31m" + "é" * 100_000)
    report = rehearsed(snapshot(ALLOW), snapshot(DENY), *[hostile] * 100)
    assert report.results["allow_to_deny"] == 100
    assert len(report.examples) == MAX_EXAMPLES
    assert len(msgspec.msgpack.encode(report)) < 8 * MAX_TEXT * MAX_EXAMPLES
    assert str(report.examples[0]).isprintable()


def test_a_report_survives_the_way_to_another_process() -> None:
    report = rehearsed(snapshot(ALLOW), snapshot(CONFLICT), check_request("GET", "/"))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(report), type=RehearsalReport) == report


def test_a_candidate_is_freed_with_its_release_and_without_a_collection() -> None:
    candidate = snapshot(SENDING)
    shadow, gone = Shadow(candidate), weakref.ref(candidate)
    shadow.compare(check_request("GET", "/"), 7, Decision(b"", True, Reason.ALLOWED))
    gc.disable()
    try:
        del candidate
        shadow.release()
        assert gone() is None
    finally:
        gc.enable()
    assert sum(shadow.report().results.values()) == 1


def test_rules_by_hand_may_answer_anything_that_a_policy_may() -> None:
    flips = [by_hand(lambda _: TRUE), by_hand(lambda _: FALSE), by_hand(lambda _: None)]
    assert [counted(rehearsed(snapshot(DENY), each, check_request("GET", "/"))) for each in flips] == [
        {"deny_to_allow": 1},
        {"same": 1},
        {"same": 1, "undefined": 1},
    ]
    assert set(RESULTS) > {DENY_TO_ERROR}
