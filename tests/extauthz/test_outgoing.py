"""What may not leave in a response, because of what Envoy would do with it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from hypothesis import given
from hypothesis import strategies as st

from authz.extauthz import BadDecisionError, encode_answer, outgoing
from authz.extauthz.outgoing import MAX_METADATA_BYTES
from authz.rego.values import Object, Value, from_json

UNSAFE_NAMES = ["", "a b", "a:b", ":path", ":status", "a\r\nb", "é", "a\x00"]
FORBIDDEN_NAMES = ["Host", "content-length", "Transfer-Encoding", "connection", "TE", "upgrade", "keep-alive", "proxy-connection"]
UNSAFE_VALUES = ["a\r\nx: y", "a\n", "\r", "\x00", "\x1f", "\x7f", "\ud800"]


def refuse(**members: Any) -> str:
    with pytest.raises(BadDecisionError) as caught:
        encode_answer(from_json(members))
    return caught.value.message


def nested(depth: int, wrap: Callable[[Value], Value]) -> Value:
    value: Value = 1
    for _ in range(depth):
        value = wrap(value)
    return value


@pytest.mark.parametrize("name", [*UNSAFE_NAMES, *FORBIDDEN_NAMES, "x-envoy-original-path", "X-Envoy-Max-Retries"])
@pytest.mark.parametrize("key", ["headers", "response_headers_to_add"])
def test_headers_that_frame_route_or_belong_to_envoy_are_not_set(key: str, name: str) -> None:
    assert refuse(allowed=True, **{key: {name: "v"}}).startswith("failed to get response headers")


@pytest.mark.parametrize("name", [*UNSAFE_NAMES, *FORBIDDEN_NAMES])
def test_headers_that_frame_or_route_are_not_removed(name: str) -> None:
    assert refuse(allowed=True, request_headers_to_remove=[name]).startswith("failed to get request headers to remove")


@pytest.mark.parametrize("value", UNSAFE_VALUES)
def test_header_values_cannot_end_the_header(value: str) -> None:
    assert "does not allow" in refuse(allowed=True, headers={"x-a": value})
    assert "does not allow" in refuse(allowed=False, headers={"x-a": ["fine", value]})
    assert "does not allow" in refuse(allowed=True, response_headers_to_add=[{"x-a": value}])


def test_more_headers_than_envoy_takes_are_refused() -> None:
    full = {f"x-{number}": "v" for number in range(outgoing.MAX_HEADERS)}
    assert encode_answer(from_json({"allowed": True, "headers": full})).allowed
    assert "more than 100 entries" in refuse(allowed=True, headers={**full, "x-more": "v"})
    assert "more than 100 entries" in refuse(allowed=True, request_headers_to_remove=[*full, "x-more"])
    assert "more than 100 entries" in refuse(allowed=True, query_parameters_to_set={**full, "x-more": "v"})


def test_more_header_bytes_than_envoy_takes_are_refused() -> None:
    fitting = "v" * (outgoing.MAX_HEADER_BYTES - 1)
    assert encode_answer(from_json({"allowed": True, "headers": {"x": fitting}})).allowed
    assert "bytes" in refuse(allowed=True, headers={"x": fitting + "v"})
    assert "bytes" in refuse(allowed=True, headers={"x": "é" * (outgoing.MAX_HEADER_BYTES // 2)})


def test_bodies_are_bounded_and_utf8() -> None:
    fitting = "b" * outgoing.MAX_BODY_BYTES
    assert not encode_answer(from_json({"allowed": False, "body": fitting})).allowed
    assert "longer" in refuse(allowed=False, body=fitting + "b")
    assert "longer" in refuse(allowed=False, body="é" * (outgoing.MAX_BODY_BYTES // 2 + 1))
    assert "not valid UTF-8" in refuse(allowed=False, body="\ud800")


@pytest.mark.parametrize("wrap", [lambda value: Object({"k": value}), lambda value: (value,)], ids=["objects", "arrays"])
def test_metadata_is_no_deeper_than_protobuf_readers_go(wrap: Callable[[Value], Value]) -> None:
    deepest = Object({"allowed": from_json(True), "dynamic_metadata": Object({"k": nested(outgoing.MAX_METADATA_DEPTH - 1, wrap)})})
    assert CheckResponse.FromString(encode_answer(deepest).response).HasField("dynamic_metadata")
    deeper = Object({"allowed": from_json(True), "dynamic_metadata": Object({"k": nested(outgoing.MAX_METADATA_DEPTH, wrap)})})
    with pytest.raises(BadDecisionError, match="nested deeper"):
        encode_answer(deeper)


@pytest.mark.parametrize("number", [10**400, Decimal("1e400"), Decimal("-1e999")])
def test_metadata_numbers_that_are_no_double_are_refused(number: int | Decimal) -> None:
    assert "out of a double's range" in refuse(allowed=True, dynamic_metadata={"n": number})


def test_metadata_is_bounded() -> None:
    """A connection ends at 16 MiB of unread answers, and with it every other check on it."""
    half = "x" * (MAX_METADATA_BYTES // 2)
    assert encode_answer(from_json({"allowed": False, "dynamic_metadata": {"a": half}})).response
    assert "larger than" in refuse(allowed=False, dynamic_metadata={"a": half, "b": [half]})


def test_metadata_texts_are_utf8() -> None:
    assert "not valid UTF-8" in refuse(allowed=True, dynamic_metadata={"n": ["\ud800"]})
    assert "not valid UTF-8" in refuse(allowed=True, dynamic_metadata={"\ud800": 1})


@pytest.mark.parametrize(
    ("pair", "encoded"),
    [
        (("a", "plain-1.0_~"), ("a", "plain-1.0_~")),
        (("a", "x y&z#w;v"), ("a", "x%20y%26z%23w%3Bv")),
        (("a", "b=c/d?e:f@g,h+i"), ("a", "b=c/d?e:f@g,h+i")),
        (("a", "100%20 %2 %zz %"), ("a", "100%20%20%252%20%25zz%20%25")),
        (("a", "é\r\n\x00"), ("a", "%C3%A9%0D%0A%00")),
        (("a=b c", ""), ("a%3Db%20c", "")),
        (("", ""), ("", "")),
    ],
)
def test_query_parameters_are_encoded_once(pair: tuple[str, str], encoded: tuple[str, str]) -> None:
    assert outgoing.encode_parameter(*pair) == encoded


@given(st.text(), st.text())
def test_encoded_parameters_stay_one_parameter_of_a_request_line(name: str, value: str) -> None:
    try:
        encoded = outgoing.encode_parameter(name, value)
    except BadDecisionError:
        assert any("\ud800" <= char <= "\udfff" for char in name + value)
        return
    spliced = "=".join(encoded)
    assert spliced.isascii()
    assert spliced.isprintable()
    assert not set(spliced) & set(" &#;")
    assert "=" not in encoded[0]
    assert outgoing.encode_parameter(*encoded) == encoded


def test_surrogates_and_controls_in_parameter_names_are_refused() -> None:
    assert "not valid UTF-8" in refuse(allowed=True, query_parameters_to_set={"a": "\ud800"})
    assert "control character" in refuse(allowed=True, query_parameters_to_remove=["a\n"])


def test_errors_can_be_logged_whatever_the_decision_holds() -> None:
    message = refuse(allowed=True, headers={"\ud800" * 5000: 1})
    assert message.encode().startswith(b"failed to get response headers: ")
    assert len(message) < 10_000
