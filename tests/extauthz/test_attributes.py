"""The reflection walk: `input.attributes`."""

from decimal import Decimal
from typing import Any

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from google.protobuf import json_format
from hypothesis import given

from authz.extauthz import BadRequestError
from authz.extauthz.attributes import message_value, number_value, scalar_value
from authz.rego.values import FALSE, NULL, TRUE, Object, from_json, to_json
from tests.extauthz.requests import check_request, check_requests


def attributes(request: CheckRequest) -> Any:
    return to_json(message_value(request.attributes))


def test_only_populated_fields_appear_under_their_json_names() -> None:
    request = check_request({"id": "1", "method": "GET", "headers": {":path": "/a"}}, {"service": "s", "labels": {"k": "v"}})
    assert attributes(request) == {
        "request": {"http": {"id": "1", "method": "GET", "headers": {":path": "/a"}}},
        "source": {"service": "s", "labels": {"k": "v"}},
    }


def test_numbers_enums_and_bytes_have_opas_forms() -> None:
    request = check_request(
        {"rawBody": "AAEC", "size": "-1"}, {"address": {"socketAddress": {"protocol": "UDP", "portValue": 0, "ipv4Compat": True}}}
    )
    assert attributes(request) == {
        "request": {"http": {"rawBody": "AAEC", "size": -1}},
        "source": {"address": {"socketAddress": {"protocol": 1, "portValue": 0, "ipv4Compat": True}}},
    }


def test_timestamps_and_any_are_messages_like_any_other() -> None:
    request = check_request(
        {},
        None,
        metadataContext={"typedFilterMetadata": {"n": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}}},
        **{"request.time": "2020-11-20T09:47:47.722473Z"},
    )
    assert attributes(request) == {
        "request": {"time": {"seconds": 1605865667, "nanos": 722473000}, "http": {}},
        "metadataContext": {"typedFilterMetadata": {"n": {"typeUrl": "type.googleapis.com/google.protobuf.Duration", "value": "CAE="}}},
    }


def test_struct_is_its_plain_object() -> None:
    document = {"s": "x", "n": None, "t": True, "f": False, "i": 3.0, "d": 1.5, "o": {"k": [1.0, {}]}}
    request = check_request(metadataContext={"filterMetadata": {"jwt": document}})
    assert attributes(request)["metadataContext"] == {"filterMetadata": {"jwt": {**document, "i": 3, "o": {"k": [1, {}]}}}}


def test_struct_member_without_a_kind_is_null() -> None:
    request = check_request()
    request.attributes.metadata_context.filter_metadata["a"].fields["b"].SetInParent()
    assert message_value(request.attributes.metadata_context) == Object({"filterMetadata": Object({"a": Object({"b": NULL})})})


def test_set_but_empty_message_is_an_empty_object() -> None:
    request = CheckRequest()
    request.attributes.metadata_context.SetInParent()
    assert message_value(request) == Object({"attributes": Object({"metadataContext": Object()})})


@pytest.mark.parametrize(
    ("double", "number"),
    [
        (1.0, 1),
        (-0.0, 0),
        (0.1, Decimal("0.1")),
        (2.0**53, 2**53),
        (4.265356931247147e16, 42653569312471470),
        (1e20, 10**20),
        (1e300, Decimal("1e300")),
    ],
)
def test_doubles_are_the_numbers_that_they_print_as(double: float, number: int | Decimal) -> None:
    assert number_value(double) == number
    assert type(number_value(double)) is type(number)


@pytest.mark.parametrize("double", [float("nan"), float("inf"), float("-inf")])
def test_doubles_that_json_does_not_have_are_refused(double: float) -> None:
    with pytest.raises(BadRequestError):
        number_value(double)


@given(check_requests)
def test_agrees_with_protojson_up_to_its_other_forms(request: CheckRequest) -> None:
    """Protojson writes 64-bit numbers as strings, enums as names, Timestamp and Any in forms of their own: those are put aside."""
    request.attributes.request.ClearField("time")
    request.attributes.request.http.ClearField("size")
    for context in (request.attributes.metadata_context, request.attributes.route_metadata_context):
        context.typed_filter_metadata.clear()
    for peer in (request.attributes.source, request.attributes.destination):
        peer.address.socket_address.ClearField("protocol")
    assert message_value(request) == from_json(json_format.MessageToDict(request))


def test_booleans_are_regos() -> None:
    request = check_request(source={"address": {"socketAddress": {"ipv4Compat": True}}})
    value = message_value(request.attributes.source.address.socket_address)
    assert value["ipv4Compat"] is TRUE
    assert (scalar_value(True), scalar_value(False)) == (TRUE, FALSE)
