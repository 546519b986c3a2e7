"""A closed-loop HTTP/1.1 load: N connections, each sends again when it is answered.

Measures what a caller sees and counts every status; asserts nothing. Connections
are opened before the clock starts, so TLS handshakes are not in the figures.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import uvloop

from bench.lab.client import Request
from bench.lab.ports import LOOPBACK
from bench.lab.upstream import END_OF_HEAD, request_size

Observe: TypeAlias = Callable[[float, float, bytes], None]
"""Be told of an answer: when its request was sent and when it had come (`perf_counter`), and the whole of it."""


@dataclass(slots=True)
class LoadResult:
    """Latencies in seconds, one for each answer; `failures` are connections that ended early."""

    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def requests(self) -> int:
        return len(self.latencies)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds if self.seconds else 0.0

    def percentile_ms(self, percent: float) -> float:
        """Return the latency in milliseconds that `percent` of the requests did not exceed."""
        ordered = sorted(self.latencies)
        if not ordered:
            return float("nan")
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]

    def add(self, other: LoadResult) -> None:
        """Count the answers of another run in."""
        self.latencies += other.latencies
        self.statuses += other.statuses
        self.failures += other.failures
        self.seconds += other.seconds


def run_load(
    port: int, request: Request, context: ssl.SSLContext | None, *, connections: int = 8, should_stop: Callable[[LoadResult], bool]
) -> LoadResult:
    """Send `request` over and over until `should_stop` says so, asked after each answer.

    Requests already sent are awaited, so no answer is lost at the end.
    """
    return uvloop.run(_run(port, _Work(encode(request), should_stop), context, connections))


def for_seconds(seconds: float) -> Callable[[LoadResult], bool]:
    """Return a condition that holds once that much time has passed since its first use."""
    deadline: list[float] = []

    def should_stop(_: LoadResult) -> bool:
        if not deadline:
            deadline.append(time.perf_counter() + seconds)
        return time.perf_counter() >= deadline[0]

    return should_stop


class BackgroundLoad:
    """A load in a thread of its own, for as long as the `with` block lasts; then `result` is complete."""

    def __init__(  # noqa: PLR0913 - what is sent, by whom, and how
        self,
        port: int,
        request: Request,
        context: ssl.SSLContext | None,
        connections: int = 4,
        *,
        rest_s: float = 0.0,
        observe: Observe | None = None,
    ) -> None:
        """Send `request` over connections that rest between an answer and the next request, so that others get the machine, too."""
        self._stop = threading.Event()
        self._progress = LoadResult()
        self._arguments = (port, _Work(encode(request), self._should_stop, rest_s, observe), context, connections)
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._error: BaseException | None = None
        self.result = LoadResult()

    @property
    def answered(self) -> int:
        """How many answers came so far."""
        return self._progress.requests

    def __enter__(self) -> BackgroundLoad:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self.result = uvloop.run(_run(*self._arguments))
        except BaseException as error:  # raised again where the block ends
            self._error = error

    def _should_stop(self, progress: LoadResult) -> bool:
        self._progress = progress
        return self._stop.is_set()


def encode(request: Request) -> bytes:
    """Return the bytes of an HTTP/1.1 request."""
    lines = [f"{request.method} {request.path} HTTP/1.1", f"host: {request.host}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    if request.body:
        lines.append(f"content-length: {len(request.body)}")
    return "\r\n".join(lines).encode() + END_OF_HEAD + request.body


@dataclass(frozen=True, slots=True)
class _Work:
    """What every connection of a load does."""

    request: bytes
    should_stop: Callable[[LoadResult], bool]
    rest_s: float = 0.0
    observe: Observe | None = None


class _Connection(asyncio.Protocol):
    """One keep-alive connection of the load; `done` completes when it is closed."""

    def __init__(self, work: _Work, result: LoadResult) -> None:
        self._work = work
        self._result = result
        self._buffer = bytearray()
        self._sent_at = 0.0
        self._is_finished = False
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one, but does not inherit

    def start(self) -> None:
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        size = request_size(self._buffer)  # a response is framed as a request is
        if size is None:
            return
        now = time.perf_counter()
        self._result.latencies.append(now - self._sent_at)
        self._result.statuses[int(self._buffer[9:12])] += 1
        if self._work.observe is not None:
            self._work.observe(self._sent_at, now, bytes(self._buffer[:size]))
        del self._buffer[:size]
        if self._work.should_stop(self._result):
            self._finish()
        elif self._work.rest_s:
            asyncio.get_running_loop().call_later(self._work.rest_s, self._send)
        else:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._is_finished:
            self._result.failures.append(f"connection lost: {error}")
        self.done.set_result(None)

    def _send(self) -> None:
        assert self._transport is not None
        self._sent_at = time.perf_counter()
        self._transport.write(self._work.request)

    def _finish(self) -> None:
        """Close without TLS' closing handshake, for which the loop would have to live on."""
        assert self._transport is not None
        self._is_finished = True
        self._transport.abort()


async def _run(port: int, work: _Work, context: ssl.SSLContext | None, connections: int) -> LoadResult:
    result = LoadResult()
    loop = asyncio.get_running_loop()
    opened = [await loop.create_connection(lambda: _Connection(work, result), LOOPBACK, port, ssl=context) for _ in range(connections)]
    started = time.perf_counter()
    for _, connection in opened:
        connection.start()
    await asyncio.gather(*(connection.done for _, connection in opened))
    result.seconds = time.perf_counter() - started
    return result
