"""The asyncio side of one connection: reads go to its session, output to the transport, back-pressure both ways.

It knows transports and tasks; it knows neither HTTP/2 nor gRPC.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

from authz.server.limits import WRITE_HIGH_WATER_BYTES
from authz.server.runtime import Runtime
from authz.server.session import GrpcSession


class Connections:
    """The open connections and running handlers of one server."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.open: set[GrpcProtocol] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.is_draining = False
        self._all_closed: asyncio.Event = asyncio.Event()

    def admit(self, protocol: "GrpcProtocol") -> bool:
        """Take a new connection, or not: when the server is full or draining."""
        if self.is_draining or len(self.open) >= self.runtime.limits.connections:
            return False
        self.open.add(protocol)
        return True

    def remove(self, protocol: "GrpcProtocol") -> None:
        """Forget a connection that is lost."""
        self.open.discard(protocol)
        if not self.open:
            self._all_closed.set()

    async def wait_closed(self) -> None:
        """Return once no connection is open."""
        while self.open:
            self._all_closed.clear()
            await self._all_closed.wait()


class GrpcProtocol(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self.session: GrpcSession | None = None
        self.peer = ""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.peer = peer_name(transport.get_extra_info("peername"))
        if not self._connections.admit(self):
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_WATER_BYTES)
        self.session = GrpcSession(self._connections.runtime, self)

    def data_received(self, data: bytes) -> None:
        if self.session is not None:
            self.session.receive(data)

    def pause_writing(self) -> None:
        if self.session is None or self._transport is None:
            return
        self.session.pause()
        if self._transport.get_write_buffer_size() > self._connections.runtime.limits.buffered_response_bytes:
            self.drop("unread", "it does not read its answers")
        elif not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self.session is None or self._transport is None:
            return
        self.session.resume()
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio.Protocol
        self._connections.remove(self)
        if self.session is not None:
            self.session.abandon()
            self.session = None  # the two refer to each other
        self._transport = None

    # Link of the session

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def drop(self, kind: str, reason: str) -> None:
        self._connections.runtime.failures.peer_failed(self.peer, kind, reason)
        self.abort()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        tasks = self._connections.tasks
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    # Server

    def drain(self) -> None:
        """Begin to end the connection."""
        if self.session is not None:
            self.session.drain()

    def abort(self) -> None:
        """Drop the connection without a word."""
        if self._transport is not None:
            self._transport.abort()


def peer_name(address: object) -> str:
    """Return a peer as grpcio names it: `ipv4:127.0.0.1:5000`, `ipv6:[::1]:5000`, `unix:`."""
    match address:
        case (str(host), int(port)):
            return f"ipv4:{host}:{port}"
        case (str(host), int(port), _, _):
            return f"ipv6:[{host}]:{port}"
        case str(path):
            return f"unix:{path}"
        case _:
            return "unix:"
