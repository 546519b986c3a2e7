"""opa-envoy-plugin's own cases, through the compiler and the decision point, compared with what the plugin answers.

Where the plugin fails the call, this project denies in-band: the case then asks for the reason and the plugin's text in the
decision's error. The plugin also writes a `decision_id` into the metadata; the decision point, which is pure, does not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from google.protobuf import json_format

from authz.errors import Reason
from authz.pdp import PDP, Decision, Snapshot
from tests.extauthz.requests import check_request
from tests.shared import shared_path

FOLDER = shared_path("opa-envoy-cases")
CASES: list[dict[str, Any]] = json.loads((FOLDER / "cases.json").read_text())

# Why a case cannot be asked yet, by what it needs.
NEEDS_DRY_RUN = "the decision point has no dry run"
NEEDS_DESCRIPTORS = "gRPC bodies are not parsed: there is no proto-descriptor option"
NEEDS_DECISION_ID = "nobody writes a decision_id into the metadata, so there is none to overwrite the policy's"
LATER = {
    "dynamic-metadata-decision-id-overwritten": NEEDS_DECISION_ID,
    "dry-run-bool-deny": NEEDS_DRY_RUN,
    "dry-run-obj-allow": NEEDS_DRY_RUN,
    "grpc-book": NEEDS_DESCRIPTORS,
    "grpc-no-path": NEEDS_DESCRIPTORS,
}


def policy_source(name: str) -> str:
    return name if name.startswith("package") else (FOLDER / "policies" / f"{name}.rego").read_text()


def decide(case: Mapping[str, Any]) -> Decision:
    rego = pytest.importorskip("authz.rego")
    if not hasattr(rego, "compile"):
        pytest.skip("the compiler is not there")
    policy = rego.compile({"policy.rego": policy_source(case["policy"])})
    pdp = PDP()
    pdp.activate(Snapshot.build(policy, entrypoint=case.get("path", "envoy/authz/allow"), revision="1"))
    request = check_request(case["http"], case.get("source"), **case.get("attributes", {}))
    return pdp.decide(request.SerializeToString(), now_ns=1_700_000_000_000_000_000)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_answers_as_opa_envoy_plugin_does(case: dict[str, Any]) -> None:
    if case["id"] in LATER:
        pytest.skip(LATER[case["id"]])
    decision = decide(case)
    response = CheckResponse.FromString(decision.response)
    expect = case["expect"]
    assert response.HasField("status")
    if "grpc" in expect:
        assert_denied_in_band(decision, response, expect)
        return
    assert response.status.code == expect["status"]
    assert decision.allowed == (expect["status"] == 0)
    assert_message(response, expect)
    assert_http_response(response, expect)
    if "md" in expect:
        assert shown_metadata(response) == expect["md"]
    if expect.get("md_absent"):
        assert not response.HasField("dynamic_metadata")


def assert_denied_in_band(decision: Decision, response: CheckResponse, expect: Mapping[str, Any]) -> None:
    """The plugin's gRPC error is our denial, with its text in the decision's error."""
    assert not decision.allowed
    assert response.status.code == 7
    assert response.denied_response.status.code == 403
    assert decision.error is not None
    if "message" in expect:
        assert decision.error == expect["message"]
    assert expect.get("message_contains", "") in decision.error
    assert decision.reason in (Reason.EVAL_ERROR, Reason.UNDEFINED, Reason.BAD_DECISION)
    if decision.error.startswith("failed to get"):
        assert decision.reason is Reason.BAD_DECISION


def assert_message(response: CheckResponse, expect: Mapping[str, Any]) -> None:
    if "status_message" in expect:
        assert response.status.message == expect["status_message"]
    assert response.status.message.startswith(expect.get("status_message_prefix", ""))


def assert_http_response(response: CheckResponse, expect: Mapping[str, Any]) -> None:
    if "ok" in expect:
        assert shown_ok(response) == expect["ok"]
    if "denied" in expect:
        denied, wanted = response.denied_response, expect["denied"]
        assert response.WhichOneof("http_response") == "denied_response"
        assert denied.status.code == wanted["http_status"]
        assert shown_headers(denied.headers) == wanted["headers"]
        assert denied.body == wanted.get("body", denied.body)
        assert denied.body.startswith(wanted.get("body_prefix", ""))


def shown_ok(response: CheckResponse) -> dict[str, Any]:
    ok = response.ok_response
    assert response.WhichOneof("http_response") == "ok_response"
    parameters = sorted(([item.key, item.value] for item in ok.query_parameters_to_set), key=lambda pair: pair[0])
    shown = {
        "headers": shown_headers(ok.headers),
        "headers_to_remove": list(ok.headers_to_remove),
        "query_parameters_to_remove": list(ok.query_parameters_to_remove),
        "query_parameters_to_set": parameters,
        "response_headers_to_add": shown_headers(ok.response_headers_to_add),
    }
    return {name: value for name, value in shown.items() if value}


def shown_metadata(response: CheckResponse) -> dict[str, Any]:
    """Leave out what the plugin's input does not have: a policy that echoes its whole input echoes that too."""
    shown: dict[str, Any] = json_format.MessageToDict(response.dynamic_metadata)
    if "version" in shown.get("in", {}):
        del shown["in"]["identity"]
        shown["in"].pop("request")
    return shown


def shown_headers(headers: Any) -> list[list[str]]:
    """Keys sorted, the order within one key kept: Go's maps are in no order."""
    return sorted(([option.header.key, option.header.value] for option in headers), key=lambda pair: pair[0])


def test_every_case_that_waits_still_exists() -> None:
    assert set(LATER) <= {case["id"] for case in CASES}
