import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.server.framing import check_start, frame, sole_message
from authz.server.rpc import RpcError, Status

LIMIT = 100


@given(st.binary(max_size=LIMIT))
def test_a_framed_message_is_read_back(payload: bytes) -> None:
    assert sole_message(frame(payload), LIMIT) == payload
    assert sole_message(bytearray(frame(payload)), LIMIT) == payload


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", Status.INTERNAL),
        (b"\x00\x00", Status.INTERNAL),
        (b"\x00\x00\x00\x00\x02x", Status.INTERNAL),
        (b"\x00\x00\x00\x00\x01xy", Status.INTERNAL),
        (frame(b"a") + frame(b"b"), Status.INTERNAL),
        (b"\x01\x00\x00\x00\x01x", Status.INTERNAL),
        (b"\x02\x00\x00\x00\x01x", Status.INTERNAL),
        (b"\x00\x00\x00\x00\x65" + bytes(101), Status.RESOURCE_EXHAUSTED),
        (b"\x00\xff\xff\xff\xff", Status.RESOURCE_EXHAUSTED),
    ],
    ids=["empty", "part of a prefix", "truncated", "surplus", "two messages", "compressed", "unknown flag", "oversize", "absurd length"],
)
def test_a_body_that_is_not_one_message_is_refused(body: bytes, status: Status) -> None:
    with pytest.raises(RpcError) as refusal:
        sole_message(body, LIMIT)
    assert refusal.value.status is status


def test_an_oversize_message_is_refused_at_its_prefix() -> None:
    check_start(b"\x00\x00\x00\x00", LIMIT)
    check_start(frame(bytes(LIMIT))[:5], LIMIT)
    with pytest.raises(RpcError, match="message of 101 bytes exceeds the limit of 100"):
        check_start(frame(bytes(LIMIT + 1))[:5], LIMIT)


@given(st.binary(max_size=20))
def test_any_body_is_a_message_or_an_rpc_error(body: bytes) -> None:
    try:
        payload = sole_message(body, LIMIT)
    except RpcError:
        return
    assert frame(payload) == body


@given(st.binary(max_size=20), st.integers(0, 20))
def test_a_beginning_is_only_refused_if_the_whole_is(body: bytes, length: int) -> None:
    try:
        sole_message(body, LIMIT)
    except RpcError:
        return
    check_start(body[:length], LIMIT)
