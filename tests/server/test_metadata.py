from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.server.metadata import (
    METHOD_NOT_ALLOWED,
    UNSUPPORTED_MEDIA_TYPE,
    encode_message,
    maybe_refusal,
    parse_timeout,
    trailers_only,
)
from authz.server.rpc import RpcError, Status

ACCEPTED = {b":method": b"POST", b"content-type": b"application/grpc"}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"1H", 3600), (b"2M", 120), (b"3S", 3), (b"200m", 0.2), (b"5u", 5e-6), (b"7n", 7e-9), (b"99999999S", 99999999), (b"0n", 0)],
)
def test_a_timeout_is_read_in_its_unit(value: bytes, seconds: float) -> None:
    assert parse_timeout(value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value", [b"", b"S", b"1", b"1s", b"-1S", b"+1S", b"1.5S", b" 1S", b"1S ", b"123456789S", b"1SS", b"\xd9\xa1S", b"1S\n"]
)
def test_a_malformed_timeout_is_internal(value: bytes) -> None:
    with pytest.raises(RpcError) as refusal:
        parse_timeout(value)
    assert refusal.value.status is Status.INTERNAL


@given(st.text())
def test_a_status_message_survives_percent_encoding_and_stays_in_its_field(text: str) -> None:
    encoded = encode_message(text)
    assert all(0x20 <= byte <= 0x7E for byte in encoded)
    assert unquote(encoded.decode("ascii")) == text.encode("utf-8", "replace").decode()


def test_percent_encoding_leaves_plain_text_alone() -> None:
    assert encode_message("deadline exceeded: 100 %\r\n") == b"deadline exceeded: 100 %25%0D%0A"


@pytest.mark.parametrize("content_type", [b"application/grpc", b"application/grpc+proto", b"application/grpc;v=1", b"Application/GRPC"])
def test_grpc_content_types_are_accepted(content_type: bytes) -> None:
    assert maybe_refusal(ACCEPTED | {b"content-type": content_type}) is None


@pytest.mark.parametrize(
    "content_type", [b"", b"text/plain", b"application/json", b"application/grpc-web", b"application/grpcx", b" application/grpc"]
)
def test_other_content_types_are_unsupported_media(content_type: bytes) -> None:
    assert maybe_refusal(ACCEPTED | {b"content-type": content_type}) is UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize("method", [b"GET", b"CONNECT", b"post", b""])
def test_only_post_is_a_call(method: bytes) -> None:
    assert maybe_refusal(ACCEPTED | {b":method": method}) is METHOD_NOT_ALLOWED


def test_only_identity_encoding_is_implemented() -> None:
    assert maybe_refusal(ACCEPTED | {b"grpc-encoding": b"identity"}) is None
    refusal = maybe_refusal(ACCEPTED | {b"grpc-encoding": b"gzip"})
    assert refusal is not None
    assert (b"grpc-status", b"12") in refusal
    assert (b"grpc-accept-encoding", b"identity") in refusal


def test_an_error_is_one_header_block() -> None:
    assert trailers_only(RpcError(Status.ABORTED, "a\nb")) == (
        (b":status", b"200"),
        (b"content-type", b"application/grpc"),
        (b"grpc-status", b"10"),
        (b"grpc-message", b"a%0Ab"),
    )
