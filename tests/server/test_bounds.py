"""What a peer can make one connection do is bounded, and crossing a bound ends in a clean error."""

import logging

import pytest

from authz.server import limits
from authz.server.limits import Limits
from authz.server.rpc import Call, Service, Status
from authz.server.session import GrpcSession
from tests.server.pair import (
    ACK,
    BLOCK,
    CONTINUATION,
    DATA,
    ECHO,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    SETTINGS_ACK,
    WINDOW_UPDATE,
    FakeLink,
    Pair,
    frame,
    frames_in,
    header_block,
    message,
    raw_call,
    runtime_of,
)

ENHANCE_YOUR_CALM = 0xB
LIMITS = Limits(concurrent_streams=10, message_bytes=100_000, buffered_response_bytes=100_000)


def echo(request: bytes, _call: Call) -> bytes:
    return request


def start(bounds: Limits = LIMITS) -> tuple[GrpcSession, FakeLink]:
    """Return an established session."""
    link = FakeLink()
    session = GrpcSession(runtime_of(Service({ECHO: echo}), bounds), link)
    session.receive(PREFACE + SETTINGS_ACK)
    link.unread.clear()
    return session, link


def goaway_code(link: FakeLink) -> int:
    """Return the code of the GOAWAY that ended a connection."""
    assert link.is_closed
    kind, _, _, payload = frames_in(bytes(link.unread))[-1]
    assert kind == GOAWAY
    return int.from_bytes(payload[4:8], "big")


@pytest.mark.parametrize("size", [1, 1000], ids=["bytewise", "whole"])
@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n", b"PUT / HTTP/1.1\r\n\r\n"])
def test_an_http_1_client_is_told_what_this_port_speaks(request_line: bytes, size: int) -> None:
    link = FakeLink()
    session = GrpcSession(runtime_of(Service()), link)
    for begin in range(0, len(request_line), size):
        session.receive(request_line[begin : begin + size])
    head, _, body = bytes(link.unread).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert f"content-length: {len(body)}".encode() in head
    assert link.is_closed


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x00" * 100, b"\r\n"],
    ids=["TLS", "zeros", "empty line"],
)
def test_a_client_of_another_protocol_gets_nothing_and_is_closed(garbage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    link = FakeLink()
    session = GrpcSession(runtime_of(Service()), link)
    with caplog.at_level(logging.WARNING, logger="authz.server"):
        session.receive(garbage)
        session.receive(garbage)
    assert not link.unread
    assert link.is_closed
    assert [record.getMessage() for record in caplog.records] == ["connection ended"]


def test_a_client_that_skips_its_settings_is_sent_away() -> None:
    link = FakeLink()
    session = GrpcSession(runtime_of(Service({ECHO: echo})), link)
    session.receive(PREFACE[:24] + raw_call(1))
    assert goaway_code(link) == 1
    assert session.in_flight == 0


def test_nothing_is_sent_before_the_client_has_spoken() -> None:
    link = FakeLink()
    session = GrpcSession(runtime_of(Service()), link)
    session.sweep()
    assert not link.unread


def test_a_connection_without_preface_is_dropped_after_the_handshake_timeout() -> None:
    link = FakeLink()
    session = GrpcSession(runtime_of(Service(), Limits(handshake_timeout_s=3 * limits.SWEEP_INTERVAL_S)), link)
    session.receive(PREFACE[:24])  # the preface alone, no SETTINGS
    session.sweep()
    session.sweep()
    assert link.dropped is None
    session.sweep()
    assert link.dropped == "handshake"


def test_an_idle_connection_stays() -> None:
    session, link = start()
    for _ in range(1000):
        session.sweep()
    assert link.dropped is None
    assert not link.is_closed


def test_a_request_that_stalls_is_ended() -> None:
    pair = Pair(runtime_of(Service({ECHO: echo}), Limits(request_timeout_s=2 * limits.SWEEP_INTERVAL_S))).establish()
    stalled = pair.call(message(b"abc")[:-1], ended=False)
    pair.exchange()
    pair.session.sweep()
    assert pair.session.in_flight == 1
    pair.session.sweep()
    pair.collect()
    assert pair.answer_to(stalled).grpc_status == Status.DEADLINE_EXCEEDED
    assert pair.answer_to(stalled).reset == 0
    assert pair.session.in_flight == 0
    assert pair.unary(message(b"a")).grpc_status == Status.OK


def test_streams_beyond_the_bound_are_refused_before_the_client_knows_it() -> None:
    link = FakeLink()
    session = GrpcSession(runtime_of(Service({ECHO: echo}), LIMITS), link)
    session.receive(PREFACE + b"".join(frame(HEADERS, END_HEADERS, 2 * number + 1, BLOCK) for number in range(15)))
    assert session.in_flight == 10
    refused = [payload for kind, _, _, payload in frames_in(bytes(link.unread)) if kind == RST_STREAM]
    assert refused == [b"\x00\x00\x00\x07"] * 5  # REFUSED_STREAM: safe to retry


def test_a_client_that_ignores_the_stream_bound_is_ended() -> None:
    session, link = start()
    session.receive(b"".join(frame(HEADERS, END_HEADERS, 2 * number + 1, BLOCK) for number in range(11)))
    assert goaway_code(link) == 1


def test_a_rapid_reset_ends_the_connection() -> None:
    session, link = start()
    resets = limits.STREAM_RESET_BURST + 2 * limits.STREAM_RESETS_PER_S
    for number in range(resets):
        stream_id = 2 * number + 1
        session.receive(frame(HEADERS, END_HEADERS, stream_id, BLOCK) + frame(RST_STREAM, 0, stream_id, b"\x00\x00\x00\x08"))
        if link.is_closed:
            break
    assert goaway_code(link) != 0
    assert session.in_flight == 0


@pytest.mark.parametrize(
    "control",
    [
        frame(PING, 0, 0, b"12345678"),
        frame(PING, ACK, 0, b"12345678"),
        frame(SETTINGS, 0, 0, b""),
        frame(SETTINGS, 0, 0, b"\x00\x04\x00\x00\xff\xff"),
        frame(0x10, 0, 0, b"\x00\x00\x00\x01u=1"),
        frame(DATA, 0, 1, b""),
    ],
    ids=["PING", "PING ack", "empty SETTINGS", "SETTINGS", "PRIORITY_UPDATE", "empty DATA"],
)
def test_a_flood_of_control_frames_ends_the_connection(control: bytes) -> None:
    session, link = start()
    session.receive(frame(HEADERS, END_HEADERS, 1, BLOCK))
    session.sweep()  # the SETTINGS of the handshake no longer count
    for _ in range(limits.CONTROL_FRAMES_PER_SWEEP - 1):
        session.receive(control)
    assert not link.is_closed
    session.receive(control)
    assert goaway_code(link) == ENHANCE_YOUR_CALM


def test_control_frames_at_a_sane_rate_are_welcome() -> None:
    session, link = start()
    for _ in range(5):
        session.receive(frame(PING, 0, 0, b"12345678") * (limits.CONTROL_FRAMES_PER_SWEEP // 2))
        session.sweep()
    assert not link.is_closed
    assert link.unread.count(frame(PING, ACK, 0, b"12345678")) == 5 * limits.CONTROL_FRAMES_PER_SWEEP // 2


def test_acknowledgements_queued_by_one_read_are_bounded() -> None:
    session, link = start()
    session.receive(frame(PING, 0, 0, b"12345678") * (limits.MAX_QUEUED_ACKS + 1))
    assert goaway_code(link) == ENHANCE_YOUR_CALM


def test_a_continuation_flood_ends_the_connection() -> None:
    session, link = start()
    session.receive(frame(HEADERS, 0, 1, BLOCK) + frame(CONTINUATION, 0, 1, b"") * (limits.MAX_CONTINUATIONS + 2))
    assert goaway_code(link) == ENHANCE_YOUR_CALM


@pytest.mark.parametrize(
    "fields",
    [{f"x-{number}": "v" * 1000 for number in range(70)}, {f"x-{number}": "" for number in range(limits.MAX_HEADER_FIELDS + 1)}],
    ids=["bytes", "fields"],
)
def test_a_huge_header_list_ends_the_connection(fields: dict[str, str]) -> None:
    session, link = start()
    block = header_block(**fields)
    parts = [block[begin : begin + 16000] for begin in range(0, len(block), 16000)]
    frames = [
        frame(HEADERS if index == 0 else CONTINUATION, END_HEADERS * (index == len(parts) - 1), 1, part) for index, part in enumerate(parts)
    ]
    session.receive(b"".join(frames))
    assert goaway_code(link) == ENHANCE_YOUR_CALM


def test_a_header_list_of_the_announced_size_is_fine() -> None:
    session, link = start()
    block = header_block(**{f"x-{number}": "v" * 900 for number in range(16)})
    session.receive(frame(HEADERS, END_HEADERS, 1, block) + frame(DATA, 1, 1, message(b"a")))
    assert message(b"a") in link.unread
    assert not link.is_closed


def test_a_protocol_error_is_answered_with_goaway() -> None:
    session, link = start()
    session.receive(raw_call(1) + frame(DATA, 0, 0, b"x"))
    assert goaway_code(link) == 1
    session.receive(raw_call(3))
    session.sweep()


def test_too_many_settings_end_the_connection() -> None:
    session, link = start()
    session.receive(frame(SETTINGS, 0, 0, b"\x00\x04\x00\x00\xff\xff" * (limits.MAX_SETTINGS_ENTRIES + 1)))
    assert goaway_code(link) != 0


def test_a_peer_without_credit_is_dropped_when_it_has_stalled() -> None:
    session, link = start(Limits(write_stall_timeout_s=2 * limits.SWEEP_INTERVAL_S))
    session.receive(frame(SETTINGS, 0, 0, b"\x00\x04\x00\x00\x00\x00") + raw_call(1))
    session.sweep()
    session.receive(frame(WINDOW_UPDATE, 0, 1, b"\x00\x00\x00\x01"))  # one byte is progress
    session.sweep()
    assert link.dropped is None
    session.sweep()
    assert link.dropped == "stalled"


def test_a_peer_that_never_grants_credit_is_dropped_at_the_bound_of_queued_bytes() -> None:
    session, link = start()
    session.receive(frame(SETTINGS, 0, 0, b"\x00\x04\x00\x00\x00\x00"))
    payload = bytes(15_000)
    for number in range(6):
        session.receive(raw_call(2 * number + 1, payload))
    assert link.dropped is None
    session.receive(raw_call(13, payload))
    assert link.dropped == "unread"


def test_nothing_is_written_while_the_link_is_full() -> None:
    session, link = start()
    session.pause()
    session.receive(raw_call(1))
    assert not link.unread
    session.resume()
    assert message(b"a") in link.unread


def test_a_full_link_that_stays_full_is_dropped() -> None:
    session, link = start(Limits(write_stall_timeout_s=2 * limits.SWEEP_INTERVAL_S))
    session.pause()
    session.sweep()
    session.resume()
    session.pause()
    session.sweep()
    assert link.dropped is None
    session.sweep()
    assert link.dropped == "stalled"
