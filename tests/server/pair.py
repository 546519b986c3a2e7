"""A client and a session in one process, with a link between them that records instead of sending.

The client is the `h2` package: somebody else's reading of RFC 9113.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import hpack

from authz.server.failures import FailureLog
from authz.server.limits import Limits
from authz.server.rpc import Service
from authz.server.runtime import Runtime
from authz.server.session import GrpcSession

ECHO = "/test.Service/Echo"
Feed = Callable[[GrpcSession, bytes], None]
# A PING acknowledgement, its first bytes fed behind one case and its last before the next.
_PING_ACK = b"\x00\x00\x08\x06\x01\x00\x00\x00\x00trailing"
_PART = 4


def feed_whole(session: GrpcSession, data: bytes) -> None:
    session.receive(data)


def feed_bytewise(session: GrpcSession, data: bytes) -> None:
    for index in range(len(data)):
        session.receive(data[index : index + 1])


class TrailingBytes:
    """Feeds everything together with the beginning of the next frame."""

    __name__ = "feed_with_trailing_bytes"

    def __init__(self) -> None:
        self._owed = b""

    def __call__(self, session: GrpcSession, data: bytes) -> None:
        session.receive(self._owed + data + _PING_ACK[:_PART])
        self._owed = _PING_ACK[_PART:]


FEEDS: list[Callable[[], Feed]] = [lambda: feed_whole, lambda: feed_bytewise, TrailingBytes]
FEED_NAMES = ["whole", "bytewise", "with trailing bytes"]


def message(payload: bytes, flag: int = 0) -> bytes:
    return bytes([flag]) + len(payload).to_bytes(4, "big") + payload


def frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big") + payload


class FakeLink:
    """A link that remembers what was written, and whether it was ended."""

    peer = "ipv4:192.0.2.1:5000"

    def __init__(self) -> None:
        self.unread = bytearray()
        self.writes = 0
        self.is_closed = False
        self.dropped: str | None = None
        self.tasks: list[asyncio.Task[None]] = []

    def write(self, data: bytes) -> None:
        assert not self.is_closed, "written after the close"
        self.unread += data
        self.writes += 1

    def close(self) -> None:
        self.is_closed = True

    def drop(self, kind: str, reason: str) -> None:
        assert reason
        self.dropped = kind

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.append(task)
        return task


@dataclass
class Answer:
    """What a client saw of one call."""

    headers: dict[str, str] = field(default_factory=dict)
    trailers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    has_ended: bool = False
    reset: int | None = None

    @property
    def grpc_status(self) -> int | None:
        status = (self.trailers or self.headers).get("grpc-status")
        return None if status is None else int(status)


def runtime_of(service: Service, limits: Limits | None = None, clock: Callable[[], float] = lambda: 0.0) -> Runtime:
    return replace(Runtime.of(service, limits or Limits()), clock=clock, failures=FailureLog(lambda: 0.0))


def new_client() -> h2.connection.H2Connection:
    config = h2.config.H2Configuration(header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False)
    client = h2.connection.H2Connection(config)
    client.initiate_connection()
    return client


class Pair:
    """A client and a session. Nothing reaches the session before `deliver`, nothing the client before `collect`."""

    def __init__(self, runtime: Runtime, feed: Feed = feed_whole) -> None:
        self.link = FakeLink()
        self.session = GrpcSession(runtime, self.link)
        self.client = new_client()
        self.feed = feed
        self.answers: dict[int, Answer] = {}
        self.goaways: list[h2.events.ConnectionTerminated] = []
        self.events: list[h2.events.Event] = []

    def establish(self) -> "Pair":
        """Exchange preface and SETTINGS."""
        self.session.receive(self.client.data_to_send())
        self.collect()
        self.session.receive(self.client.data_to_send())
        self.link.writes = 0
        return self

    def call(self, body: bytes | None = None, *, path: str = ECHO, ended: bool = True, **fields: str) -> int:
        """Queue a request with `body` (framed by the caller) and return its stream id; None is no DATA frame at all."""
        headers = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "test", "te": "trailers"}
        headers |= {"content-type": "application/grpc"}
        headers |= {(":" + name[7:] if name.startswith("pseudo_") else name.replace("_", "-")): value for name, value in fields.items()}
        stream_id = self.client.get_next_available_stream_id()
        self.client.send_headers(stream_id, [(name, value) for name, value in headers.items() if value], end_stream=ended and body is None)
        if body is not None:
            self.client.send_data(stream_id, body, end_stream=ended)
        return stream_id

    def deliver(self) -> None:
        """Bring what the client has sent to the session, in the way of this pair's feed."""
        self.feed(self.session, self.client.data_to_send())

    def collect(self) -> None:
        """Bring what the session has written to the client."""
        data = bytes(self.link.unread)
        self.link.unread.clear()
        for event in self.client.receive_data(data):
            self.events.append(event)
            self._note(event)

    def exchange(self) -> None:
        """Deliver, then collect."""
        self.deliver()
        self.collect()

    def answer_to(self, stream_id: int) -> Answer:
        return self.answers.setdefault(stream_id, Answer())

    def unary(self, body: bytes | None, **fields: Any) -> Answer:
        """Make one call and return its answer."""
        stream_id = self.call(body, **fields)
        self.exchange()
        return self.answer_to(stream_id)

    def _note(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                self.answer_to(event.stream_id).headers = {str(name): str(value) for name, value in event.headers}
            case h2.events.DataReceived():
                self.answer_to(event.stream_id).body += event.data
                self.client.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
            case h2.events.TrailersReceived():
                self.answer_to(event.stream_id).trailers = {str(name): str(value) for name, value in event.headers}
            case h2.events.StreamEnded():
                self.answer_to(event.stream_id).has_ended = True
            case h2.events.StreamReset():
                self.answer_to(event.stream_id).reset = int(event.error_code or 0)
            case h2.events.ConnectionTerminated():
                self.goaways.append(event)
            case _:
                return


def header_block(path: str = ECHO, **fields: str) -> bytes:
    """Return an HPACK block that refers to no dynamic entry, so that it can be sent any number of times."""
    headers = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "test", "content-type": "application/grpc"}
    return bytes(hpack.Encoder().encode(list({**headers, **fields}.items())))


DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b"")
SETTINGS_ACK = frame(SETTINGS, ACK, 0, b"")
BLOCK = header_block()


def raw_call(stream_id: int, payload: bytes = b"a") -> bytes:
    """Return the frames of a call, without the cost of a client."""
    return frame(HEADERS, END_HEADERS, stream_id, BLOCK) + frame(DATA, END_STREAM, stream_id, message(payload))


def frames_in(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """Return kind, flags, stream id and payload of every frame."""
    found = []
    while data:
        length = int.from_bytes(data[:3], "big")
        found.append((data[3], data[4], int.from_bytes(data[5:9], "big"), data[9 : 9 + length]))
        data = data[9 + length :]
    return found
