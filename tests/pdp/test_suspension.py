"""A check that needs an answer from outside is handed out, and decided by the snapshot it began with once the answer is there."""

from __future__ import annotations

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from authz import rego
from authz.errors import Reason
from authz.pdp import PDP, Snapshot, Suspended, Suspension
from authz.rego.pending import HttpRequest
from authz.rego.values import Object
from tests.serving import check_request

SEND = 'http.send({"method": "get", "url": "https://a.test/", "headers": {"x": input.attributes.request.http.path}})'
POLICY = f'package envoy.authz\n\nallow if {{\n\tinput.attributes.request.http.method == "GET"\n\t{SEND}.status_code == 200\n}}\n'
OK = Object({"status_code": 200})
FORBIDDEN = Object({"status_code": 403})


class Responses:
    """Answers at hand, by URL."""

    def __init__(self, **known: Object) -> None:
        self.known = known
        self.asked: list[int] = []

    def at_hand(self, request: HttpRequest, now_ns: int) -> Object | None:
        self.asked.append(now_ns)
        return self.known.get(dict(request.headers)["X"].strip("/"))


def snapshot(text: str = POLICY, responses: Responses | None = None, revision: str = "r1") -> Snapshot:
    policy = rego.compile({"p.rego": text})
    return Snapshot.build(policy, entrypoint="envoy/authz/allow", revision=revision, responses=responses)


def active(text: str = POLICY, responses: Responses | None = None) -> PDP:
    pdp = PDP()
    pdp.activate(snapshot(text, responses or Responses()))
    return pdp


def suspended(pdp: PDP, path: str = "/x") -> Suspension:
    with pytest.raises(Suspended) as caught:
        pdp.decide(check_request("GET", path), 7)
    return caught.value.suspension


@pytest.mark.parametrize(("answer", "reason"), [(OK, Reason.ALLOWED), (FORBIDDEN, Reason.UNDEFINED)])
def test_a_suspended_check_is_decided_with_the_answer(answer: Object, reason: Reason) -> None:
    pdp = active()
    suspension = suspended(pdp)
    assert (suspension.evaluation.request.url, suspension.evaluation.now_ns) == ("https://a.test/", 7)
    suspension.evaluation.answer(answer)
    decision = pdp.resume(suspension)
    assert (decision.reason, decision.revision, decision.cache) == (reason, "r1", "bypass")
    assert (CheckResponse.FromString(decision.response).status.code == 0) is (reason is Reason.ALLOWED)


def test_a_check_that_asks_nobody_is_decided_at_once() -> None:
    assert active().decide(check_request("POST", "/x"), 7).reason is Reason.UNDEFINED


def test_an_answer_at_hand_is_not_waited_for() -> None:
    responses = Responses(x=OK)
    assert active(POLICY, responses).decide(check_request("GET", "/x"), 7).reason is Reason.ALLOWED
    assert responses.asked == [7]


def test_a_check_may_be_suspended_again() -> None:
    pdp = active(POLICY.replace("== 200\n", f"== 200\n\t{SEND.replace('a.test', 'b.test')}.status_code == 200\n"))
    suspension = suspended(pdp)
    suspension.evaluation.answer(OK)
    with pytest.raises(Suspended) as caught:
        pdp.resume(suspension)
    assert caught.value.suspension is suspension
    assert suspension.evaluation.request.url == "https://b.test/"
    suspension.evaluation.answer(OK)
    assert pdp.resume(suspension).reason is Reason.ALLOWED


def test_a_suspended_check_is_decided_by_the_snapshot_it_began_with() -> None:
    pdp = active()
    suspension = suspended(pdp)
    pdp.activate(snapshot("package envoy.authz\n\nallow := false\n", revision="r2"))
    suspension.evaluation.answer(OK)
    decision = pdp.resume(suspension)
    assert (decision.reason, decision.revision) == (Reason.ALLOWED, "r1")
    assert pdp.decide(check_request("GET", "/x"), 7).revision == "r2"


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (f"allow := {SEND}.status_code", Reason.BAD_DECISION),
        (f"allow if {SEND}\n\nallow := false if {SEND}", Reason.EVAL_ERROR),
        (f"allow := x if {{\n\tx := {SEND}.nothing\n}}", Reason.UNDEFINED),
        (f"default allow := false\n\nallow if {SEND}.nothing", Reason.DENIED),
    ],
)
def test_what_goes_wrong_after_the_answer_is_denied_as_ever(rules: str, reason: Reason) -> None:
    pdp = active(f"package envoy.authz\n\n{rules}\n")
    suspension = suspended(pdp)
    suspension.evaluation.answer(OK)
    assert pdp.resume(suspension).reason is reason


def test_a_policy_that_may_not_send_is_decided_at_once_and_undefined() -> None:
    pdp = PDP()
    pdp.activate(snapshot())
    assert pdp.decide(check_request("GET", "/x"), 7).reason is Reason.UNDEFINED


def test_only_an_entry_point_that_can_send_is_prepared_for_it() -> None:
    plain = rego.compile({"p.rego": "package envoy.authz\n\nallow if input.x\n\nother := " + SEND})
    entry = plain.entrypoint("envoy/authz/allow")
    built = Snapshot.build(plain, entrypoint="envoy/authz/allow", revision="r", responses=Responses())
    assert type(built.entry) is type(entry)
    assert built.cache is not None
    assert snapshot(POLICY, Responses()).cache is None


def test_code_of_rules_that_do_not_send_is_the_same_beside_one_that_does() -> None:
    rules = 'package p\n\nallow if input.method == "GET"\n\nallow if input.path == "/"\n'
    alone = rego.compile({"p.rego": rules}).artifact.text
    assert alone in rego.compile({"p.rego": rules, "q.rego": f"package q\n\nr := {SEND}\n"}).artifact.text
