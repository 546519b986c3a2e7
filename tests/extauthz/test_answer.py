"""Decisions become responses, in opa-envoy-plugin's schema and wording."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from authz.extauthz import ALLOWED, DENIED, Answers, BadDecisionError, encode_answer
from authz.extauthz.answer import HTTP_STATUSES, MEMO_ENTRIES, MEMO_RESPONSE_BYTES
from authz.rego.values import FALSE, NULL, TRUE, Object, Set, Value, from_json
from tests.extauthz.requests import json_values


def decided(**members: Any) -> Object:
    value = from_json(members)
    assert isinstance(value, Object)
    return value


def response_to(decision: Value) -> CheckResponse:
    return CheckResponse.FromString(encode_answer(decision).response)


def shown(decision: Value) -> dict[str, Any]:
    document: dict[str, Any] = json_format.MessageToDict(response_to(decision), preserving_proto_field_name=True)
    return document


def error_of(decision: Value) -> str:
    with pytest.raises(BadDecisionError) as caught:
        encode_answer(decision)
    return str(caught.value)


def test_booleans_set_the_status_and_nothing_else() -> None:
    assert shown(TRUE) == {"status": {}}
    assert shown(FALSE) == {"status": {"code": 7}}
    assert (ALLOWED.allowed, DENIED.allowed) == (True, False)


@pytest.mark.parametrize(
    ("decision", "go_type"),
    [
        (1, "json.Number"),
        (Decimal("1.5"), "json.Number"),
        ("yes", "string"),
        ((TRUE,), "[]interface {}"),
        (Set([TRUE]), "[]interface {}"),
        (NULL, "<nil>"),
    ],
)
def test_other_values_decide_nothing(decision: Value, go_type: str) -> None:
    assert error_of(decision) == f"failed to get response status: illegal value for policy evaluation result: {go_type}"


def test_objects_have_a_response_of_their_own_even_if_it_is_empty() -> None:
    assert shown(decided(allowed=True)) == {"status": {}, "ok_response": {}}
    assert shown(decided(allowed=False)) == {"status": {"code": 7}, "denied_response": {"status": {"code": "Forbidden"}}}


def test_allow_carries_all_its_changes() -> None:
    decision = decided(
        allowed=True,
        headers={"x-b": ["1", "2"], "x-a": "é\tz"},
        response_headers_to_add=[{"x-c": "1"}, {"x-c": "2"}],
        request_headers_to_remove=["authorization", "x-envoy-original-path"],
        query_parameters_to_remove=["p"],
        query_parameters_to_set={"q": ["1", "2"], "r": ""},
        dynamic_metadata={"n": 1, "l": [None, {"k": True}], "o": {}},
    )
    assert shown(decision) == {
        "status": {},
        "ok_response": {
            "headers": [{"header": {"key": "x-a", "value": "é\tz"}}, *({"header": {"key": "x-b", "value": n}} for n in "12")],
            "response_headers_to_add": [{"header": {"key": "x-c", "value": n}} for n in "12"],
            "headers_to_remove": ["authorization", "x-envoy-original-path"],
            "query_parameters_to_remove": ["p"],
            "query_parameters_to_set": [{"key": "q", "value": "1"}, {"key": "q", "value": "2"}, {"key": "r"}],
        },
        "dynamic_metadata": {"n": 1.0, "l": [None, {"k": True}], "o": {}},
    }


def test_deny_carries_status_headers_body_and_metadata() -> None:
    decision = decided(allowed=False, http_status=429, headers={"retry-after": "1"}, body="slow down", dynamic_metadata={"a": "b"})
    assert shown(decision) == {
        "status": {"code": 7},
        "denied_response": {
            "status": {"code": "TooManyRequests"},
            "headers": [{"header": {"key": "retry-after", "value": "1"}}],
            "body": "slow down",
        },
        "dynamic_metadata": {"a": "b"},
    }


def test_sets_are_lists_in_order_and_keys_are_texts() -> None:
    decision = Object({"allowed": TRUE, "request_headers_to_remove": Set(["b", "a"]), "headers": Object({"x": Set(["2", "1"]), 7: "n"})})
    response = response_to(decision).ok_response
    assert list(response.headers_to_remove) == ["a", "b"]
    assert [(option.header.key, option.header.value) for option in response.headers] == [("7", "n"), ("x", "1"), ("x", "2")]
    metadata = Object({"allowed": TRUE, "dynamic_metadata": Object({1: Set([2, 1]), (NULL,): FALSE})})
    assert shown(metadata)["dynamic_metadata"] == {"1": [1.0, 2.0], "[null]": False}


def test_keys_of_the_other_branch_and_unknown_keys_are_not_looked_at() -> None:
    assert shown(decided(allowed=True, body=7, http_status="x", reason=1)) == {"status": {}, "ok_response": {}}
    other = decided(
        allowed=False, request_headers_to_remove="foo", response_headers_to_add=7, query_parameters_to_set=7, query_parameters_to_remove=7
    )
    assert shown(other)["denied_response"] == {"status": {"code": "Forbidden"}}


STATUS, HEADERS, METADATA = "failed to get response status: ", "failed to get response headers: ", "failed to get dynamic metadata: "
REMOVE, ADD = "failed to get request headers to remove: ", "failed to get response headers to send to client: "
UNSET, SET = "failed to get request query parameters to remove: ", "failed to get request query parameters to set: "
BODY, HTTP = "failed to get response body: ", "failed to get response http status: "
NUMBER, STRING, ARRAY, OBJECT, BOOL, NIL = "json.Number", "string", "[]interface {}", "map[string]interface {}", "bool", "<nil>"
NAMES, PARAMETERS = "request_headers_to_remove", "query_parameters_to_remove"


def wrong(expected: str, got: str) -> str:
    return f"type assertion error, expected {expected} but got '{got}'"


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({}, STATUS + 'unable to determine evaluation result due to missing "allowed" key'),
        ({"allowed": 1}, STATUS + wrong("allowed to be of type 'boolean'", NUMBER)),
        ({"allowed": None}, STATUS + wrong("allowed to be of type 'boolean'", NIL)),
        ({"allowed": "true"}, STATUS + wrong("allowed to be of type 'boolean'", STRING)),
        ({"headers": "test"}, HEADERS + wrong("headers to be of type 'object'", STRING)),
        ({"headers": None}, HEADERS + wrong("headers to be of type 'object'", NIL)),
        ({"headers": [1]}, HEADERS + wrong("headers to be of type 'object'", NUMBER)),
        ({"headers": {"a": 1}}, HEADERS + "type assertion error for header 'a'"),
        ({"headers": {"a": ["x", 1]}}, HEADERS + "invalid value type json.Number for header 'a'"),
        ({"dynamic_metadata": 1}, METADATA + wrong("dynamic_metadata to be of type 'object'", NUMBER)),
        ({"dynamic_metadata": []}, METADATA + wrong("dynamic_metadata to be of type 'object'", ARRAY)),
        ({NAMES: "a"}, REMOVE + wrong(f"{NAMES} to be of type '[]string'", STRING)),
        ({NAMES: [{}]}, REMOVE + wrong(f"{NAMES} value to be of type 'string'", OBJECT)),
        ({"response_headers_to_add": True}, ADD + wrong("headers to be of type 'object'", BOOL)),
        ({PARAMETERS: {}}, UNSET + wrong(f"{PARAMETERS} to be of type '[]string'", OBJECT)),
        ({"query_parameters_to_set": []}, SET + wrong("query_parameters_to_set to be a map", ARRAY)),
        ({"query_parameters_to_set": {"a": 1}}, SET + wrong("value to be string or array", NUMBER)),
        ({"query_parameters_to_set": {"a": [1]}}, SET + f"type assertion error: expected array element to be string but got '{NUMBER}'"),
        ({"allowed": False, "body": 1}, BODY + wrong("body to be of type 'string'", NUMBER)),
        ({"allowed": False, "http_status": "301"}, HTTP + wrong("http_status to be of type 'number'", STRING)),
        ({"allowed": False, "http_status": True}, HTTP + wrong("http_status to be of type 'number'", BOOL)),
        (
            {"allowed": False, "http_status": 301.5},
            HTTP + 'error converting JSON number to int: strconv.ParseInt: parsing "301.5": invalid syntax',
        ),
    ],
)
def test_wrong_types_are_refused_in_opas_words(members: dict[str, Any], error: str) -> None:
    decision = decided(**({"allowed": True, **members} if members else {}))
    assert error_of(decision) == error


def test_first_error_in_opas_order_is_the_one_that_is_told() -> None:
    everything = decided(
        allowed=True, query_parameters_to_set=1, response_headers_to_add=1, request_headers_to_remove=1, dynamic_metadata=1, headers=1
    )
    assert error_of(everything).startswith(HEADERS)
    assert error_of(decided(allowed=False, http_status=1, body=1)).startswith(BODY)


@pytest.mark.parametrize("status", [0, 1, 99, 101, 103, 306, 418, 425, 451, 509, 600, 999, 9999, -403, 2**40])
def test_status_that_go_or_envoy_does_not_know_is_refused(status: int) -> None:
    assert error_of(decided(allowed=False, http_status=status)) == f"{HTTP}invalid HTTP status code {status}"


def test_informational_status_is_refused_though_opa_takes_it() -> None:
    assert error_of(decided(allowed=False, http_status=100)) == f"{HTTP}invalid HTTP status code 100"


@pytest.mark.parametrize("status", sorted(HTTP_STATUSES))
def test_every_other_status_is_sent_as_it_is(status: int) -> None:
    response = response_to(decided(allowed=False, http_status=status))
    assert (response.status.code, response.denied_response.status.code) == (7, status)


@pytest.mark.parametrize("status", [204, 205, 304])
def test_status_without_content_has_no_body(status: int) -> None:
    """Envoy would write it behind the header fields, and the client would read it as the next response."""
    answer = response_to(decided(allowed=False, http_status=status, body="HTTP/1.1 200 OK\r\n\r\n"))
    assert (answer.denied_response.status.code, answer.denied_response.body) == (status, "")


def test_remembered_answers_are_the_same_answers_and_stay_few() -> None:
    answers = Answers()
    for status in (403, 404, 403):
        assert answers.encode(decided(allowed=False, http_status=status)) == encode_answer(decided(allowed=False, http_status=status))
    assert answers.encode(decided(allowed=True)) is answers.encode(decided(allowed=True))
    for number in range(2 * MEMO_ENTRIES):
        answers.encode(decided(allowed=True, headers={"x-n": str(number)}))
        assert len(answers) <= MEMO_ENTRIES
    assert (answers.encode(TRUE), answers.encode(FALSE)) == (ALLOWED, DENIED)


def test_large_answers_are_not_remembered() -> None:
    answers = Answers()
    before = len(answers)
    assert not answers.encode(decided(allowed=False, body="b" * MEMO_RESPONSE_BYTES)).allowed
    assert len(answers) == before


KEYS = ["headers", "response_headers_to_add", "dynamic_metadata", "query_parameters_to_set", "body", "http_status", NAMES, PARAMETERS]
members = st.one_of(json_values, st.dictionaries(st.sampled_from(["x-a", "x-b", "Host", "a b"]), json_values, max_size=2))
objects = st.fixed_dictionaries({"allowed": st.one_of(st.booleans(), json_values)}, optional=dict.fromkeys(KEYS, members))


@given(st.one_of(json_values, objects))
def test_any_decision_is_refused_or_says_what_it_decided(document: Any) -> None:
    decision = from_json(document)
    try:
        answer = encode_answer(decision)
    except BadDecisionError:
        return
    response = CheckResponse.FromString(answer.response)
    assert response.HasField("status")
    assert answer.allowed == (response.status.code == 0)
    assert answer.allowed == (decision is TRUE or (isinstance(decision, Object) and decision["allowed"] is TRUE))
    assert (
        (response.WhichOneof("http_response") != "denied_response")
        if answer.allowed
        else (response.WhichOneof("http_response") != "ok_response")
    )
