"""A gRPC server on our own transport: listen, accept, sweep, drain.

It owns the listening sockets and the life of the server. What happens inside a connection is `protocol`'s.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, Self

from authz.server.address import Address, BoundSocket, bind
from authz.server.limits import CANCEL_TIMEOUT_S, LISTEN_BACKLOG, SWEEP_INTERVAL_S, Limits
from authz.server.protocol import Connections, GrpcProtocol
from authz.server.rpc import Service
from authz.server.runtime import Runtime


class GrpcServer(Protocol):
    """A running server, whichever its transport."""

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens, with the real port where port 0 was asked for."""

    @property
    def open_connections(self) -> int: ...

    @property
    def in_flight(self) -> int:
        """Calls that have begun and are not answered."""

    async def drain(self, grace_s: float) -> None:
        """Accept nothing new, let calls in flight finish for `grace_s`, then abort what is left."""


async def serve(service: Service, addresses: Sequence[Address], bounds: Limits | None = None) -> GrpcServer:
    """Start serving on every address; AddressError, and nothing left behind, when one is unusable."""
    bound: list[BoundSocket] = []
    try:
        bound.extend(bind(address) for address in addresses)
        return await serve_bound(service, bound, bounds)
    except BaseException:
        for one in bound:
            one.release()
        raise


async def serve_bound(service: Service, bound: Sequence[BoundSocket], bounds: Limits | None = None) -> GrpcServer:
    """Start serving on sockets that are bound; they are the server's then, which closes them when it drains."""
    return await _Server.start(service, list(bound), bounds or Limits())


class _Server:
    def __init__(self, service: Service, bound: list[BoundSocket], connections: Connections) -> None:
        self.addresses = tuple(one.address for one in bound)
        self._service = service
        self._bound = bound
        self._connections = connections
        self._listeners: list[asyncio.Server] = []
        self._loop = asyncio.get_running_loop()
        self._sweeper = self._loop.call_later(SWEEP_INTERVAL_S, self._sweep)
        self._drained: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, service: Service, bound: list[BoundSocket], bounds: Limits) -> Self:
        connections = Connections(Runtime.of(service, bounds))
        server = cls(service, bound, connections)
        factory: Callable[[], GrpcProtocol] = lambda: GrpcProtocol(connections)  # noqa: E731 - asyncio wants a factory
        for one in bound:
            server._listeners.append(await server._loop.create_server(factory, sock=one.socket, backlog=LISTEN_BACKLOG))
        return server

    @property
    def open_connections(self) -> int:
        return len(self._connections.open)

    @property
    def in_flight(self) -> int:
        return sum(one.session.in_flight for one in self._connections.open if one.session is not None)

    async def drain(self, grace_s: float) -> None:
        self._connections.is_draining = True
        for listener in self._listeners:
            listener.close()
        for one in self._bound:
            one.release()
        for notify in self._service.on_drain:
            notify()
        for connection in list(self._connections.open):
            connection.drain()
        try:
            async with asyncio.timeout(grace_s):
                await self._connections.wait_closed()
        except TimeoutError:
            for connection in list(self._connections.open):
                connection.abort()
            await self._connections.wait_closed()
        self._sweeper.cancel()
        if self._connections.tasks:  # cancelled with their connections: let them clean up
            await asyncio.wait(self._connections.tasks, timeout=CANCEL_TIMEOUT_S)

    def _sweep(self) -> None:
        self._sweeper = self._loop.call_later(SWEEP_INTERVAL_S, self._sweep)
        for connection in list(self._connections.open):
            if connection.session is not None:
                connection.session.sweep()
