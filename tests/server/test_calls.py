"""One connection, no event loop: every case whole, byte by byte, and with bytes of the next frame behind it."""

import logging

import pytest

from authz.server.limits import Limits
from authz.server.rpc import Call, RpcError, Service, Status
from tests.server.pair import ECHO, FEED_NAMES, FEEDS, Pair, message, runtime_of

LIMITS = Limits(message_bytes=1000, buffered_request_bytes=2000)


class Handlers:
    """A service that remembers what it was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[bytes, Call]] = []

    def echo(self, request: bytes, call: Call) -> bytes:
        self.calls.append((request, call))
        return request

    def refuse(self, _request: bytes, _call: Call) -> bytes:
        raise RpcError(Status.FAILED_PRECONDITION, "nöt now\n")

    def crash(self, _request: bytes, _call: Call) -> bytes:
        raise ZeroDivisionError("secret")

    def service(self) -> Service:
        return Service({ECHO: self.echo, "/test.Service/Refuse": self.refuse, "/test.Service/Crash": self.crash})


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


@pytest.fixture(params=FEEDS, ids=FEED_NAMES)
def pair(request: pytest.FixtureRequest, handlers: Handlers) -> Pair:
    return Pair(runtime_of(handlers.service(), LIMITS, clock=lambda: 100.0), request.param()).establish()


@pytest.mark.parametrize("payload", [b"", b"x", bytes(1000)], ids=len)
def test_a_call_is_answered_with_headers_message_and_trailers(pair: Pair, payload: bytes) -> None:
    answer = pair.unary(message(payload))
    assert answer.headers == {":status": "200", "content-type": "application/grpc"}
    assert answer.body == message(payload)
    assert answer.trailers == {"grpc-status": "0"}
    assert answer.has_ended
    assert answer.reset is None
    assert pair.session.in_flight == 0


def test_a_handler_learns_peer_and_deadline(pair: Pair, handlers: Handlers) -> None:
    pair.unary(message(b"a"))
    assert (handlers.calls[0][1].deadline, handlers.calls[0][1].peer) == (None, "ipv4:192.0.2.1:5000")


def test_a_timeout_becomes_a_deadline(pair: Pair, handlers: Handlers) -> None:
    pair.unary(message(b"a"), grpc_timeout="200m")
    assert handlers.calls[0][1].deadline == pytest.approx(100.2)


def test_an_end_that_comes_in_its_own_frame_completes_the_call(pair: Pair) -> None:
    stream_id = pair.call(message(b"abc"), ended=False)
    pair.client.end_stream(stream_id)
    pair.exchange()
    assert pair.answer_to(stream_id).body == message(b"abc")


def test_a_message_in_several_frames_is_assembled(pair: Pair) -> None:
    stream_id = pair.call(message(b"abcdef")[:3], ended=False)
    for part in (b"", message(b"abcdef")[3:8], message(b"abcdef")[8:10]):
        pair.client.send_data(stream_id, part)
    pair.client.send_data(stream_id, message(b"abcdef")[10:], end_stream=True)
    pair.exchange()
    assert pair.answer_to(stream_id).body == message(b"abcdef")


def test_trailers_of_the_client_end_the_request(pair: Pair) -> None:
    stream_id = pair.call(message(b"abc"), ended=False)
    pair.client.send_headers(stream_id, [("x-checksum", "1")], end_stream=True)
    pair.exchange()
    assert pair.answer_to(stream_id).body == message(b"abc")


def test_answers_of_one_read_are_one_write(handlers: Handlers) -> None:
    pair = Pair(runtime_of(handlers.service())).establish()
    ids = [pair.call(message(b"%d" % number)) for number in range(50)]
    pair.exchange()
    assert pair.link.writes == 1
    assert [pair.answer_to(stream_id).body for stream_id in ids] == [message(b"%d" % number) for number in range(50)]


def test_calls_may_interleave(pair: Pair) -> None:
    first = pair.call(message(b"first")[:4], ended=False)
    second = pair.call(message(b"second"))
    pair.client.send_data(first, message(b"first")[4:], end_stream=True)
    pair.exchange()
    assert pair.answer_to(first).body == message(b"first")
    assert pair.answer_to(second).body == message(b"second")


@pytest.mark.parametrize("path", ["/test.Service/Nope", "/", "/test.Service/Echo/", "/test.Service/echo", "//test.Service/Echo"])
def test_an_unknown_method_is_unimplemented(pair: Pair, path: str, handlers: Handlers) -> None:
    answer = pair.unary(message(b"a"), path=path)
    assert answer.grpc_status == Status.UNIMPLEMENTED
    assert answer.headers["grpc-message"] == "unknown method"
    assert answer.has_ended
    assert not handlers.calls


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/grpc-web"])
def test_what_is_not_grpc_is_415(pair: Pair, content_type: str) -> None:
    assert pair.unary(message(b"a"), content_type=content_type).headers == {":status": "415"}


def test_what_is_not_post_is_405(pair: Pair) -> None:
    assert pair.unary(message(b"a"), pseudo_method="PUT").headers == {":status": "405", "allow": "POST"}


def test_te_is_tolerated_or_missed(pair: Pair) -> None:
    assert pair.unary(message(b"a"), te="").grpc_status == Status.OK


def test_metadata_of_any_kind_is_tolerated(pair: Pair) -> None:
    answer = pair.unary(message(b"a"), x_request_id="1", traceparent="00-0-0-00", some_bin="AAEC", user_agent="grpc-c++")
    assert answer.grpc_status == Status.OK


def test_an_encoding_is_unimplemented_and_told_which_is(pair: Pair) -> None:
    answer = pair.unary(message(b"a"), grpc_encoding="gzip")
    assert answer.grpc_status == Status.UNIMPLEMENTED
    assert answer.headers["grpc-accept-encoding"] == "identity"
    assert pair.unary(message(b"a"), grpc_encoding="identity").grpc_status == Status.OK


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (None, Status.INTERNAL),
        (b"", Status.INTERNAL),
        (message(b"abc")[:3], Status.INTERNAL),
        (message(b"abc")[:-1], Status.INTERNAL),
        (message(b"a") + message(b"b"), Status.INTERNAL),
        (message(b"a") + b"\x00", Status.INTERNAL),
        (message(b"a", flag=1), Status.INTERNAL),
        (message(b"a", flag=255), Status.INTERNAL),
        (message(bytes(1001)), Status.RESOURCE_EXHAUSTED),
    ],
    ids=["no DATA", "empty", "part of a prefix", "truncated", "two messages", "surplus byte", "compressed", "unknown flag", "oversize"],
)
def test_a_request_that_is_not_one_message_is_refused(pair: Pair, handlers: Handlers, body: bytes | None, status: Status) -> None:
    answer = pair.unary(body)
    assert answer.grpc_status == status
    assert answer.has_ended
    assert not handlers.calls
    assert pair.session.in_flight == 0


def test_an_oversize_message_is_refused_at_its_prefix_and_the_rest_is_not_wanted(pair: Pair) -> None:
    stream_id = pair.call(message(bytes(1001))[:5], ended=False)
    pair.exchange()
    answer = pair.answer_to(stream_id)
    assert answer.headers["grpc-message"] == "message of 1001 bytes exceeds the limit of 1000"
    assert answer.has_ended
    assert answer.reset == 0  # NO_ERROR: RFC 9113, 8.1


def test_an_early_answer_to_a_request_that_ends_meanwhile_is_no_reset(handlers: Handlers) -> None:
    pair = Pair(runtime_of(handlers.service())).establish()
    answer = pair.unary(message(b"a"), path="/nope")
    assert answer.reset is None


@pytest.mark.parametrize("timeout", ["1", "abc", "1000000000S", "-1S", "1x", "1 S"])
def test_a_malformed_timeout_is_internal(pair: Pair, handlers: Handlers, timeout: str) -> None:
    answer = pair.unary(message(b"a"), grpc_timeout=timeout)
    assert answer.grpc_status == Status.INTERNAL
    assert not handlers.calls


def test_a_call_whose_deadline_has_passed_is_not_evaluated(pair: Pair, handlers: Handlers) -> None:
    assert pair.unary(message(b"a"), grpc_timeout="0n").grpc_status == Status.DEADLINE_EXCEEDED
    assert not handlers.calls


def test_a_refusal_reaches_the_caller_with_its_message(pair: Pair) -> None:
    answer = pair.unary(message(b"a"), path="/test.Service/Refuse")
    assert answer.grpc_status == Status.FAILED_PRECONDITION
    assert answer.headers["grpc-message"] == "n%C3%B6t now%0A"


def test_a_crash_is_internal_and_logged_once_and_harms_no_other_call(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="authz.server"):
        crashes = [pair.call(message(b"a"), path="/test.Service/Crash") for _ in range(3)]
        alive = pair.call(message(b"a"))
        pair.exchange()
    for stream_id in crashes:
        assert pair.answer_to(stream_id).grpc_status == Status.INTERNAL
        assert "secret" not in str(pair.answer_to(stream_id))
    assert pair.answer_to(alive).grpc_status == Status.OK
    assert [record.exc_info is not None and record.exc_info[0] for record in caplog.records] == [ZeroDivisionError]


@pytest.mark.parametrize("body", [message(b"abc")[:4], b""], ids=["incomplete", "not begun"])
def test_a_reset_before_the_end_forgets_the_request(pair: Pair, handlers: Handlers, body: bytes) -> None:
    stream_id = pair.call(body, ended=False)
    pair.client.reset_stream(stream_id)
    pair.exchange()
    assert pair.session.in_flight == 0
    assert not handlers.calls
    assert not pair.goaways


def test_a_reset_right_behind_a_request_does_no_harm(pair: Pair) -> None:
    stream_id = pair.call(message(b"a"))
    pair.client.reset_stream(stream_id)
    alive = pair.call(message(b"b"))
    pair.exchange()
    assert pair.answer_to(alive).grpc_status == Status.OK
    assert pair.session.in_flight == 0


def test_a_request_the_engine_rejects_is_reset_and_forgotten(pair: Pair, handlers: Handlers) -> None:
    # content-length that disagrees with the DATA frames: RFC 9113, 8.1.1
    answer = pair.unary(message(b"a"), content_length="3")
    assert answer.reset == 1
    assert pair.session.in_flight == 0
    assert not handlers.calls


def test_buffered_bytes_of_a_connection_are_bounded(pair: Pair) -> None:
    ids = [pair.call(message(bytes(900))[:800], ended=False) for _ in range(3)]
    pair.exchange()
    assert [pair.answer_to(stream_id).grpc_status for stream_id in ids] == [None, None, Status.RESOURCE_EXHAUSTED]
    for stream_id in ids[:2]:
        pair.client.send_data(stream_id, bytes(105), end_stream=True)
    pair.exchange()
    assert [pair.answer_to(stream_id).grpc_status for stream_id in ids[:2]] == [Status.OK, Status.OK]
    again = pair.unary(message(bytes(900)))
    assert again.grpc_status == Status.OK


def test_buffered_bytes_of_all_connections_are_bounded(handlers: Handlers) -> None:
    runtime = runtime_of(handlers.service(), Limits(total_request_bytes=1000))
    pairs = [Pair(runtime).establish() for _ in range(3)]
    ids = [pair.call(message(bytes(900))[:400], ended=False) for pair in pairs]
    for pair in pairs:
        pair.exchange()
    assert [pair.answer_to(stream_id).grpc_status for pair, stream_id in zip(pairs, ids, strict=True)] == [
        None,
        None,
        Status.RESOURCE_EXHAUSTED,
    ]
    pairs[0].session.abandon()
    pairs[1].client.reset_stream(ids[1])
    pairs[1].exchange()
    assert runtime.budget.used == 0
    again = pairs[2].call(message(bytes(900))[:800], ended=False)
    pairs[2].exchange()
    assert pairs[2].answer_to(again).grpc_status is None


def test_a_service_cannot_have_two_handlers_for_a_method(handlers: Handlers) -> None:
    with pytest.raises(ValueError, match=r"two handlers for /test\.Service/Crash, /test\.Service/Echo"):
        handlers.service() | handlers.service()
