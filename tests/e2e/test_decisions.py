"""What callers and the upstream see of a decision, through real Envoy."""

from __future__ import annotations

import pytest

from bench.lab import Lab
from bench.lab.client import Request, Response
from tests.e2e import names
from tests.e2e.names import ALLOWED, WHOAMI


def test_an_allowed_request_reaches_the_upstream_unchanged(lab: Lab) -> None:
    response = lab.send("frontend", Request("POST", "/allowed", [("x-own", "1")], b"payload"))
    assert response.status == 200
    assert response.echo["method"] == "POST"
    assert response.echo["path"] == "/allowed"
    assert response.echo["body"] == "payload"
    assert response.upstream_headers["x-own"] == "1"


def test_a_boolean_denial_is_a_bare_403(lab: Lab) -> None:
    response = lab.send("intruder", ALLOWED)
    assert response.status == 403
    assert response.body == ""


@pytest.mark.parametrize("request_", [Request("PUT", "/allowed"), Request(path="/allowed/"), Request(path="/Allowed")])
def test_another_method_or_path_is_denied(lab: Lab, request_: Request) -> None:
    assert lab.send("frontend", request_).status == 403


def test_a_denial_carries_the_policys_status_headers_and_body(lab: Lab) -> None:
    response = lab.send("frontend", Request(path="/too-many"))
    assert response.status == 429
    assert response.body == "slow down\n"
    assert response.header("retry-after") == "7"
    assert [value for name, value in response.headers if name == "x-many"] == ["a", "b"]


def test_request_headers_are_injected_overwritten_and_removed(lab: Lab) -> None:
    sent = [("x-set", "by-caller"), ("x-secret", "1"), ("authorization", "Bearer x"), ("x-kept", "1")]
    seen = lab.send("frontend", Request(path="/headers", headers=sent)).upstream_headers
    assert seen["x-set"] == "by-policy"
    assert seen["x-new"] == "1"
    assert seen["x-kept"] == "1"
    assert not seen.keys() & {"x-secret", "authorization", "x-decided-by"}


def test_response_headers_are_added_for_the_caller_only(lab: Lab) -> None:
    response = lab.send("frontend", Request(path="/headers"))
    assert response.header("x-decided-by") == "authz"
    assert response.header("x-list") == "a,b"
    assert response.header("x-set") is None


def query(response: Response) -> list[str]:
    assert response.status == 200
    return sorted(str(response.echo["path"]).partition("?")[2].split("&"))


def test_query_parameters_are_set_and_removed(lab: Lab) -> None:
    response = lab.send("frontend", Request(path="/query/plain?debug=1&keep=2&tenant=evil"))
    assert query(response) == ["keep=2", "tenant=acme"]


def test_query_parameters_are_escaped(lab: Lab) -> None:
    asked = Request(path="/query/special?keep=2&tenant=evil")
    assert query(lab.send("frontend", asked, names.UNVALIDATED)) == ["keep=2", "tenant=a%20b%26c"]
    # `validate_mutations` of envoy/standalone-mtls.yaml: Envoy 1.40 refuses every value that needs escaping, escaped or not.
    assert lab.send("frontend", asked).status == 500


@pytest.mark.parametrize("what", ["request", "response", "denial", "path", "host"])
def test_a_decision_cannot_smuggle_headers_or_change_the_request_it_was_made_for(lab: Lab, what: str) -> None:
    response = lab.send("frontend", Request(path=f"/smuggle/{what}"))
    assert response.status == 403
    assert response.header("x-injected") is None
    assert response.header("x-a") is None


@pytest.mark.parametrize("what", ["string", "object", "allowed", "conflict"])
def test_what_is_no_decision_is_a_denial(lab: Lab, what: str) -> None:
    assert lab.send("frontend", Request(path=f"/broken/{what}")).status == 403


def test_the_policy_sees_the_callers_and_envoys_own_spiffe_id(lab: Lab) -> None:
    seen = lab.send("frontend", WHOAMI).upstream_headers
    assert seen["x-who"] == names.FRONTEND
    assert seen["x-where"] == names.ENVOY_ID


def test_decisions_are_counted(lab: Lab) -> None:
    def counted() -> tuple[float, float]:
        name = "authz_decisions_total"
        return lab.authz.metric(name, outcome="allow", reason="allowed"), lab.authz.metric(name, outcome="deny", reason="denied")

    before = counted()
    lab.send("frontend", ALLOWED)
    lab.send("intruder", ALLOWED)
    lab.send("intruder", ALLOWED)
    assert counted() == (before[0] + 1, before[1] + 2)
