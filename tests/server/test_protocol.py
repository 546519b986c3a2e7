"""The asyncio side of a connection, on a transport that is not a socket."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from authz.server.limits import Limits
from authz.server.protocol import Connections, GrpcProtocol, peer_name
from authz.server.rpc import Call, Service
from tests.server.pair import ECHO, PREFACE, SETTINGS_ACK, frame, message, raw_call, runtime_of


class FakeTransport(asyncio.Transport):
    """A transport whose peer reads when told to."""

    def __init__(self, protocol: GrpcProtocol) -> None:
        super().__init__({"peername": ("127.0.0.1", 5000)})
        self._protocol = protocol
        self._high = 0
        self.buffered = bytearray()
        self.is_reading_paused = False
        self.ending: str | None = None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high is not None
        self._high = high

    def get_write_buffer_size(self) -> int:
        return len(self.buffered)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        was_full = len(self.buffered) > self._high
        self.buffered += data
        if len(self.buffered) > self._high and not was_full:
            self._protocol.pause_writing()

    def read_everything(self) -> bytes:
        """Be the peer."""
        data = bytes(self.buffered)
        self.buffered.clear()
        if len(data) > self._high:
            self._protocol.resume_writing()
        return data

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False

    def is_closing(self) -> bool:
        return self.ending is not None

    def close(self) -> None:
        self.ending = self.ending or "closed"

    def abort(self) -> None:
        self.ending = "aborted"


def connect(connections: Connections) -> tuple[GrpcProtocol, FakeTransport]:
    protocol = GrpcProtocol(connections)
    transport = FakeTransport(protocol)
    protocol.connection_made(transport)
    return protocol, transport


def connections_of(size: int = 1, bounds: Limits | None = None) -> Connections:
    def answer(_request: bytes, _call: Call) -> bytes:
        return bytes(size)

    return Connections(runtime_of(Service({ECHO: answer}), bounds))


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_a_peer_that_does_not_read_is_not_read_either() -> None:
    protocol, transport = connect(connections_of(100_000))
    protocol.data_received(PREFACE + SETTINGS_ACK + frame(8, 0, 0, b"\x0f\x00\x00\x00") + frame(4, 0, 0, b"\x00\x04\x0f\x00\x00\x00"))
    for number in range(4):
        protocol.data_received(raw_call(2 * number + 1))
    assert transport.is_reading_paused
    held_back = len(transport.buffered)
    protocol.data_received(raw_call(9))
    assert len(transport.buffered) == held_back
    assert transport.read_everything().count(message(bytes(100_000))[:5]) == 3
    assert not transport.is_reading_paused
    assert transport.read_everything()


def test_a_peer_that_never_reads_is_dropped_at_the_bound() -> None:
    connections = connections_of(200_000, Limits(buffered_response_bytes=300_000))
    protocol, transport = connect(connections)
    protocol.data_received(PREFACE + SETTINGS_ACK + frame(8, 0, 0, b"\x0f\x00\x00\x00") + frame(4, 0, 0, b"\x00\x04\x0f\x00\x00\x00"))
    protocol.data_received(raw_call(1))
    assert transport.ending is None
    protocol.data_received(raw_call(3))
    assert transport.ending == "aborted"
    protocol.data_received(raw_call(5))
    protocol.connection_lost(None)
    assert not connections.open


def test_connections_beyond_the_bound_are_dropped() -> None:
    connections = connections_of(bounds=Limits(connections=2))
    first, _ = connect(connections)
    connect(connections)
    third, transport = connect(connections)
    assert transport.ending == "aborted"
    third.data_received(PREFACE)
    assert not transport.buffered
    third.connection_lost(None)
    assert len(connections.open) == 2
    first.connection_lost(None)
    _, again = connect(connections)
    assert again.ending is None


def test_a_connection_made_while_draining_is_dropped() -> None:
    connections = connections_of()
    connections.is_draining = True
    _, transport = connect(connections)
    assert transport.ending == "aborted"


def test_a_broken_connection_is_closed_after_its_last_words() -> None:
    protocol, transport = connect(connections_of())
    protocol.data_received(b"GET / HTTP/1.1\r\n\r\n")
    assert transport.buffered.startswith(b"HTTP/1.1 400 ")
    assert transport.ending == "closed"


def test_a_lost_connection_cancels_its_handlers_and_forgets_them() -> None:
    cancelled = asyncio.Event()

    async def wait(_request: bytes, _call: Call) -> bytes:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return b""

    async def test() -> None:
        connections = Connections(runtime_of(Service({ECHO: wait})))
        protocol, _ = connect(connections)
        protocol.data_received(PREFACE + SETTINGS_ACK + raw_call(1) + raw_call(3))
        assert len(connections.tasks) == 2
        tasks = list(connections.tasks)
        await asyncio.sleep(0)
        protocol.connection_lost(None)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert cancelled.is_set()
        assert not connections.tasks
        assert not connections.open
        await connections.wait_closed()

    run(test())


def test_an_answer_to_a_lost_connection_goes_nowhere() -> None:
    async def test() -> None:
        opened = asyncio.Event()

        async def stubborn(_request: bytes, _call: Call) -> bytes:
            try:
                await opened.wait()
            except asyncio.CancelledError:
                return b"anyway"
            return b"late"

        connections = Connections(runtime_of(Service({ECHO: stubborn})))
        protocol, transport = connect(connections)
        protocol.data_received(PREFACE + SETTINGS_ACK + raw_call(1))
        await asyncio.sleep(0)
        protocol.connection_lost(None)
        transport.buffered.clear()
        await asyncio.gather(*connections.tasks)
        assert not transport.buffered

    run(test())


def test_answers_that_come_while_the_link_is_full_are_written_when_it_is_not() -> None:
    async def test() -> None:
        opened = asyncio.Event()

        async def later(_request: bytes, _call: Call) -> bytes:
            await opened.wait()
            return b"later"

        connections = Connections(runtime_of(Service({ECHO: later})))
        protocol, transport = connect(connections)
        protocol.data_received(PREFACE + SETTINGS_ACK + raw_call(1))
        transport.buffered.clear()
        protocol.pause_writing()
        opened.set()
        await asyncio.gather(*connections.tasks)
        assert not transport.buffered
        protocol.resume_writing()
        assert message(b"later") in transport.buffered

    run(test())


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (("127.0.0.1", 5000), "ipv4:127.0.0.1:5000"),
        (("::1", 5000, 0, 0), "ipv6:[::1]:5000"),
        ("", "unix:"),
        ("/run/client.sock", "unix:/run/client.sock"),
        (b"\0client", "unix:"),
        (None, "unix:"),
    ],
)
def test_a_peer_is_named_as_grpcio_names_it(address: object, name: str) -> None:
    assert peer_name(address) == name
