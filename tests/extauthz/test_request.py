"""From bytes to a check request."""

import importlib
import warnings
from time import process_time

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from hypothesis import given
from hypothesis import strategies as st

from authz.extauthz import BadRequestError, decode
from tests.extauthz.requests import check_request


def headers_of(*entries: dict[str, str], **http: object) -> dict[str, str]:
    request = check_request({"headerMap": {"headers": list(entries)}, **http})
    return dict(decode(request.SerializeToString()).attributes.request.http.headers)


def test_reads_what_an_independent_codec_wrote() -> None:
    with warnings.catch_warnings(action="ignore"):  # it uses what its own dependencies deprecate
        independent = importlib.import_module("envoy_data_plane.envoy.service.auth.v3")
    http = independent.AttributeContextHttpRequest(method="GET", path="/x", headers={"a": "b"})
    message = independent.CheckRequest(independent.AttributeContext(request=independent.AttributeContextRequest(http=http)))
    decoded = decode(bytes(message)).attributes.request.http
    assert (decoded.method, decoded.path, dict(decoded.headers)) == ("GET", "/x", {"a": "b"})


def test_no_bytes_are_an_empty_request() -> None:
    assert decode(b"") == CheckRequest()


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x05", b"\x0a\x04\x0a\x02\x22\x01" + b"\xff" * 9, b"hello"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BadRequestError, match="not a CheckRequest message"):
        decode(data)


def test_header_map_becomes_headers_as_envoy_would_have_made_them() -> None:
    assert headers_of(
        {"key": ":path", "rawValue": "L3g="},
        {"key": "X-A", "value": "1"},
        {"key": "x-a", "rawValue": "Mg=="},
        {"key": "x-bad", "rawValue": "Yf/+Yg=="},
        {"key": "x-empty"},
    ) == {":path": "/x", "x-a": "1,2", "x-bad": "a!!b", "x-empty": ""}


def test_joining_many_values_of_one_header_costs_no_more_than_their_length() -> None:
    request = CheckRequest()
    for _ in range(100_000):
        request.attributes.request.http.header_map.headers.add(key="x", value="a" * 20)
    data = request.SerializeToString()
    began = process_time()
    assert dict(decode(data).attributes.request.http.headers) == {"x": ",".join(["a" * 20] * 100_000)}
    assert process_time() - began < 1


def test_header_map_adds_nothing_to_headers_that_are_there() -> None:
    assert headers_of({"key": "x-admin", "value": "1"}, headers={"x-user": "2"}) == {"x-user": "2"}


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        decode(data).SerializeToString()
    except BadRequestError:
        return
