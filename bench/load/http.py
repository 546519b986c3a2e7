"""HTTP/1.1 requests over a pool of connections, each sent when it is due or, if all connections are busy, once one is free."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from contextlib import suppress
from time import perf_counter
from typing import Final, cast

from bench.lab.client import Request
from bench.lab.load import Observe, encode
from bench.lab.ports import LOOPBACK
from bench.lab.upstream import request_size
from bench.load.pace import Answer, GoesOn, Paced, pace

CONNECTIONS: Final = 32
GRACE_S: Final = 20.0


class _Pool:
    """Connections that are free, and requests that wait for one by when they were due."""

    def __init__(self, request: bytes, paced: Paced, observe: Observe | None) -> None:
        self.request = request
        self.paced = paced
        self.observe = observe
        self.free: list[_Connection] = []
        self.all_answered = asyncio.Event()
        self.waiting: deque[float] = deque()

    def send(self, due: float) -> None:
        if self.free:
            self.free.pop().send(due)
        else:
            self.waiting.append(due)

    def answered(self, connection: _Connection, due: float, status: bytes) -> None:
        self.paced.answers.append(Answer(due, perf_counter() - due, status == b"200"))
        if self.waiting:
            connection.send(self.waiting.popleft())
        else:
            self.free.append(connection)
            self.finish()

    def finish(self) -> None:
        """Say so if everything that was sent is answered."""
        if len(self.paced.answers) == len(self.paced.late):
            self.all_answered.set()


class _Connection(asyncio.Protocol):
    def __init__(self, pool: _Pool) -> None:
        self._pool = pool
        self._buffer = bytearray()
        self._due = self._sent = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._pool.free.append(self)

    def send(self, due: float) -> None:
        assert self._transport is not None
        self._due, self._sent = due, perf_counter()
        self._transport.write(self._pool.request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        size = request_size(self._buffer)  # a response is framed as a request is
        if size is not None:
            status = bytes(self._buffer[9:12])
            if self._pool.observe is not None:
                self._pool.observe(self._sent, perf_counter(), bytes(self._buffer[:size]))
            del self._buffer[:size]
            self._pool.answered(self, self._due, status)

    def abort(self) -> None:
        assert self._transport is not None
        self._transport.abort()


async def paced_http(port: int, request: Request, context: ssl.SSLContext | None, rate: float, goes_on: GoesOn) -> Paced:
    """Send a request at a constant rate; every answer must be a 200. Raises RuntimeError where one is not."""
    paced = await observed_http(port, request, context, rate, goes_on)
    paced.require_right(f"{request.method} {request.path} at {rate:g}/s")
    return paced


async def observed_http(  # noqa: PLR0913 - what is sent, by whom, how often, and who is told
    port: int, request: Request, context: ssl.SSLContext | None, rate: float, goes_on: GoesOn, observe: Observe | None = None
) -> Paced:
    """Send a request at a constant rate; tell of every answer. What is not answered, or not with 200, is for the caller to see."""
    loop, paced = asyncio.get_running_loop(), Paced()
    pool = _Pool(encode(request), paced, observe)
    opened = [(await loop.create_connection(lambda: _Connection(pool), LOOPBACK, port, ssl=context))[1] for _ in range(CONNECTIONS)]
    await pace(pool.send, rate, goes_on, paced)
    pool.all_answered.clear()  # it was so now and then
    pool.finish()
    with suppress(TimeoutError):
        await asyncio.wait_for(pool.all_answered.wait(), GRACE_S)
    for connection in opened:
        connection.abort()
    return paced
