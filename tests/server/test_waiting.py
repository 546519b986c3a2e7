"""Handlers that wait, between an h2 client and a session: every end of a call, with no socket in between."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import hpack
import pytest

from authz.server.limits import STREAM_HIGH_WATER_BYTES, Limits
from authz.server.rpc import Call, RpcError, Service, Status
from authz.server.session import GrpcSession
from tests.server.pair import (
    ACK,
    BLOCK,
    DATA,
    ECHO,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    SETTINGS_ACK,
    FakeLink,
    Pair,
    frame,
    frames_in,
    header_block,
    message,
    raw_call,
    runtime_of,
)

STREAM = "/test.Service/Stream"


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await test

    asyncio.run(bounded())


def pair_of(service: Service, limits: Limits | None = None) -> Pair:
    return Pair(runtime_of(service, limits, clock=lambda: asyncio.get_running_loop().time())).establish()


async def settle(pair: Pair) -> None:
    """Wait for all handlers and let the client read."""
    await asyncio.gather(*pair.link.tasks, return_exceptions=True)
    pair.collect()


class Waiting:
    """A handler that waits for its cancellation or an answer."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def __call__(self, _request: bytes, _call: Call) -> bytes:
        answer: bytes = await self.answer
        return answer


def test_an_awaited_answer_is_written_when_it_comes() -> None:
    async def test() -> None:
        waiting = Waiting()
        pair = pair_of(Service({ECHO: waiting}))
        stream_id = pair.call(message(b"a"))
        pair.exchange()
        assert not pair.answer_to(stream_id).has_ended
        assert pair.session.in_flight == 1
        waiting.answer.set_result(b"late")
        await settle(pair)
        assert pair.answer_to(stream_id).body == message(b"late")
        assert pair.answer_to(stream_id).grpc_status == Status.OK
        assert pair.session.in_flight == 0

    run(test())


def test_a_waiting_call_ends_at_its_deadline_and_its_handler_with_it() -> None:
    async def test() -> None:
        waiting = Waiting()
        pair = pair_of(Service({ECHO: waiting}))
        stream_id = pair.call(message(b"a"), grpc_timeout="10m")
        pair.deliver()
        await settle(pair)
        assert pair.answer_to(stream_id).grpc_status == Status.DEADLINE_EXCEEDED
        assert waiting.answer.cancelled()

    run(test())


def test_a_reset_cancels_the_handler_and_nothing_is_answered() -> None:
    async def test() -> None:
        waiting = Waiting()
        pair = pair_of(Service({ECHO: waiting}))
        stream_id = pair.call(message(b"a"))
        pair.exchange()
        await asyncio.sleep(0)
        pair.client.reset_stream(stream_id)
        pair.exchange()
        assert pair.session.in_flight == 0
        await settle(pair)
        assert waiting.answer.cancelled()
        assert pair.link.tasks[0].cancelled()

    run(test())


@pytest.mark.parametrize(
    ("error", "status", "lines"),
    [
        (RpcError(Status.NOT_FOUND, "nothing"), Status.NOT_FOUND, 0),
        (ValueError("secret"), Status.INTERNAL, 1),
        (TimeoutError("its own"), Status.INTERNAL, 1),
    ],
    ids=["RpcError", "crash", "a timeout of its own"],
)
def test_an_awaited_error_is_a_status(error: Exception, status: Status, lines: int, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        waiting = Waiting()
        pair = pair_of(Service({ECHO: waiting}))
        stream_id = pair.call(message(b"a"), grpc_timeout="1H")
        pair.exchange()
        waiting.answer.set_exception(error)
        await settle(pair)
        assert pair.answer_to(stream_id).grpc_status == status
        assert "secret" not in str(pair.answer_to(stream_id))

    with caplog.at_level(logging.ERROR, logger="authz.server"):
        run(test())
    assert len(caplog.records) == lines


@pytest.mark.parametrize("nonsense", [None, "text", 5], ids=repr)
def test_an_answer_that_is_not_bytes_is_internal(nonsense: Any) -> None:
    async def later(_request: bytes, _call: Call) -> Any:
        return nonsense

    async def test() -> None:
        pair = pair_of(Service({ECHO: later, "/test.Service/Now": lambda _request, _call: nonsense}))
        ids = [pair.call(message(b"a")), pair.call(message(b"a"), path="/test.Service/Now")]
        pair.deliver()
        await settle(pair)
        assert [pair.answer_to(stream_id).grpc_status for stream_id in ids] == [Status.INTERNAL, Status.INTERNAL]

    run(test())


def test_a_stream_that_ends_at_once_is_headers_and_trailers() -> None:
    async def nothing(_request: bytes, _call: Call) -> AsyncIterator[bytes]:
        return
        yield b""

    async def test() -> None:
        pair = pair_of(Service(streams={STREAM: nothing}))
        stream_id = pair.call(message(b"a"), path=STREAM)
        pair.deliver()
        await settle(pair)
        answer = pair.answer_to(stream_id)
        assert (answer.headers[":status"], answer.body, answer.trailers) == ("200", b"", {"grpc-status": "0"})

    run(test())


def test_a_stream_past_its_deadline_ends_in_trailers_and_closes_its_handler() -> None:
    async def test() -> None:
        closed = asyncio.Event()

        async def endless(_request: bytes, _call: Call) -> AsyncIterator[bytes]:
            try:
                yield b"first"
                await asyncio.Event().wait()
            finally:
                closed.set()

        pair = pair_of(Service(streams={STREAM: endless}))
        stream_id = pair.call(message(b"a"), path=STREAM, grpc_timeout="10m")
        pair.deliver()
        await settle(pair)
        answer = pair.answer_to(stream_id)
        assert answer.body == message(b"first")
        assert answer.trailers == {"grpc-status": "4", "grpc-message": "deadline exceeded"}
        assert closed.is_set()

    run(test())


def test_a_stream_makes_no_more_than_the_peer_takes() -> None:
    async def test() -> None:
        made = 0
        full = asyncio.Event()

        async def pour(_request: bytes, _call: Call) -> AsyncIterator[bytes]:
            nonlocal made
            while True:
                made += 1
                yield bytes(10_000)
                full.set()

        pair = pair_of(Service(streams={STREAM: pour}))
        stream_id = pair.call(message(b"a"), path=STREAM)
        pair.deliver()
        for _ in range(100):
            await asyncio.sleep(0)
        # The window of the client is 65,535 bytes; beyond that, messages queue up to the high-water mark.
        most = (65_535 + STREAM_HIGH_WATER_BYTES) // 10_000 + 2
        assert 6 < made <= most
        before = made
        pair.collect()
        pair.deliver()
        for _ in range(100):
            await asyncio.sleep(0)
        assert before < made <= before + most
        pair.client.reset_stream(stream_id)
        pair.deliver()
        await settle(pair)
        assert pair.link.tasks[0].cancelled()

    run(test())


class RawClient:
    """A client that, unlike the h2 package, still reads after a GOAWAY."""

    def __init__(self, service: Service) -> None:
        self.link = FakeLink()
        self.session = GrpcSession(runtime_of(service), self.link)
        self.session.receive(PREFACE + SETTINGS_ACK)
        self._decoder = hpack.Decoder()
        self.last_ids: list[int] = []  # of every GOAWAY
        self.bodies: dict[int, bytes] = {}
        self.statuses: dict[int, int] = {}
        self.pings: list[bytes] = []

    def collect(self) -> None:
        for kind, flags, stream_id, payload in frames_in(bytes(self.link.unread)):
            if kind == GOAWAY:
                self.last_ids.append(int.from_bytes(payload[:4], "big"))
            elif kind == PING and not flags:
                self.pings.append(payload)
            elif kind == DATA:
                self.bodies[stream_id] = self.bodies.get(stream_id, b"") + payload
            elif kind == HEADERS:
                fields = dict(self._decoder.decode(payload, raw=True))
                if b"grpc-status" in fields:
                    self.statuses[stream_id] = int(fields[b"grpc-status"])
        self.link.unread.clear()


def test_a_drain_ends_streams_after_a_sweep_and_lets_unary_calls_finish() -> None:
    async def test() -> None:
        async def endless(_request: bytes, _call: Call) -> AsyncIterator[bytes]:
            yield b"first"
            await asyncio.Event().wait()

        waiting = Waiting()
        client = RawClient(Service({ECHO: waiting}, {STREAM: endless}))
        client.session.receive(
            frame(HEADERS, END_HEADERS, 1, header_block(STREAM)) + frame(DATA, END_STREAM, 1, message(b"")) + raw_call(3)
        )
        await asyncio.sleep(0)
        client.session.drain()
        client.collect()
        assert client.last_ids == [2**31 - 1]
        client.session.receive(frame(PING, ACK, 0, client.pings[0]))
        client.collect()
        assert client.last_ids == [2**31 - 1, 3]
        assert not client.statuses
        client.session.sweep()
        client.collect()
        assert client.statuses == {1: Status.UNAVAILABLE}
        waiting.answer.set_result(b"kept")
        await asyncio.gather(*client.link.tasks, return_exceptions=True)
        client.collect()
        assert client.bodies == {1: message(b"first"), 3: message(b"kept")}
        assert client.link.is_closed

    run(test())


def test_a_drain_serves_what_was_sent_before_the_client_knew_and_nothing_later() -> None:
    client = RawClient(Service({ECHO: lambda request, _call: request}))
    client.session.drain()
    client.session.receive(raw_call(1, b"racing"))
    client.session.receive(frame(HEADERS, END_HEADERS, 3, BLOCK))
    client.collect()
    client.session.receive(frame(PING, ACK, 0, client.pings[0]))
    client.session.receive(raw_call(5, b"late"))
    assert client.session.in_flight == 1
    client.session.receive(frame(DATA, END_STREAM, 3, message(b"begun")))
    client.collect()
    assert client.bodies == {1: message(b"racing"), 3: message(b"begun")}
    assert client.last_ids == [2**31 - 1, 3]
    assert client.link.is_closed


def test_a_drain_does_not_wait_for_a_peer_that_ignores_it() -> None:
    pair = Pair(runtime_of(Service({ECHO: lambda request, _call: request}))).establish()
    pair.session.drain()
    assert not pair.link.is_closed
    pair.session.sweep()
    assert pair.link.is_closed


def test_a_drain_closes_a_connection_that_has_not_begun() -> None:
    pair = Pair(runtime_of(Service()))
    pair.session.drain()
    assert pair.link.is_closed
    assert not pair.link.unread
