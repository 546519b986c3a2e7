"""A gRPC load generator: unary calls of one payload, a fixed number in flight per connection.

    python bench/grpc_load.py --addr 127.0.0.1:9191 --payload check.bin --method /pkg.S/M --in-flight 16 --seconds 3

It speaks HTTP/2 through libnghttp2 itself, so that it costs less than any server it measures, and prints one JSON
object: calls per second, latency percentiles in milliseconds, and how many calls did not end with grpc-status 0.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import cast

import ngh2
import uvloop

WINDOW_BYTES = 2**30
GRACE_S = 10.0  # for the last answers to arrive


@dataclass(frozen=True, slots=True)
class Load:
    """What to send: `in_flight` calls at a time on each connection."""

    method: str
    payload: bytes
    in_flight: int = 16
    seconds: float = 3.0
    connections: int = 1
    warm_up_s: float = 0.5


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a run has seen; `calls` are those that ended within the measured time."""

    calls: int
    failed: int
    seconds: float
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


class LoadConnection(asyncio.Protocol):
    """One connection that keeps `in_flight` calls open until told to stop."""

    def __init__(self, load: Load) -> None:
        self._headers = [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", load.method.encode()),
            (b":authority", b"bench"),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            (b"grpc-timeout", b"10S"),
        ]
        self._body = b"\0" + len(load.payload).to_bytes(4, "big") + load.payload
        self._in_flight = load.in_flight
        self._started: dict[int, float] = {}
        self._succeeded: set[int] = set()
        self._is_stopping = False
        self._http2 = ngh2.Connection(ngh2.Role.CLIENT)
        self._transport: asyncio.Transport | None = None
        self.finished = asyncio.get_running_loop().create_future()
        self.ended: list[tuple[float, float, bool]] = []  # when, after how long, with status 0?

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._http2.initiate_connection({ngh2.Setting.INITIAL_WINDOW_SIZE: WINDOW_BYTES})
        self._http2.set_local_window_size(WINDOW_BYTES)
        self._fill()

    def data_received(self, data: bytes) -> None:
        self._http2.receive_data(data)
        for event in self._http2.events():
            if isinstance(event, ngh2.TrailersReceived | ngh2.ResponseReceived):
                self._note(event.stream_id, event.headers)
            elif isinstance(event, ngh2.StreamClosed):
                self._end(event.stream_id)
        self._fill()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio.Protocol
        now = perf_counter()
        self.ended += [(now, now - started, False) for started in self._started.values()]
        if not self.finished.done():
            self.finished.set_result(None)

    def call(self, due: float) -> None:
        """Make a call beyond those that are kept open; its latency counts from when it was due."""
        self._begin(due)
        self._flush()

    def stop(self) -> None:
        """Start no more calls; `finished` is set when the last is answered."""
        self._is_stopping = True
        self._fill()

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def _note(self, stream_id: int, headers: tuple[ngh2.Header, ...]) -> None:
        if (b"grpc-status", b"0") in headers:
            self._succeeded.add(stream_id)

    def _end(self, stream_id: int) -> None:
        now = perf_counter()
        self.ended.append((now, now - self._started.pop(stream_id), stream_id in self._succeeded))
        self._succeeded.discard(stream_id)

    def _fill(self) -> None:
        if self._is_stopping and not self._started and not self.finished.done():
            self.finished.set_result(None)
        while not self._is_stopping and len(self._started) < self._in_flight:
            self._begin(perf_counter())
        self._flush()

    def _begin(self, since: float) -> None:
        stream_id = self._http2.send_request(self._headers)
        self._http2.send_data(stream_id, self._body, end_stream=True)
        self._started[stream_id] = since

    def _flush(self) -> None:
        output = self._http2.data_to_send()
        if output and self._transport is not None:
            self._transport.write(output)


async def run_load(address: str, load: Load) -> LoadResult:
    """Load the server at `address` (HOST:PORT or unix:///path) and return what came back."""
    opened = [await connect(address, LoadConnection(load)) for _ in range(load.connections)]
    await asyncio.sleep(load.warm_up_s)
    begin = perf_counter()
    await asyncio.sleep(load.seconds)
    end = perf_counter()
    for one in opened:
        one.stop()
    await asyncio.wait([one.finished for one in opened], timeout=GRACE_S)
    for one in opened:
        one.close()
    return _summary([call for one in opened for call in one.ended if begin <= call[0] < end], end - begin)


async def connect(address: str, connection: LoadConnection) -> LoadConnection:
    """Open a connection to `address` (HOST:PORT or unix:///path)."""
    loop = asyncio.get_running_loop()
    if address.startswith("unix://"):
        path = address.removeprefix("unix://")
        await loop.create_unix_connection(lambda: connection, "\0" + path[1:] if path.startswith("@") else path)
    else:
        host, _, port = address.rpartition(":")
        await loop.create_connection(lambda: connection, host.strip("[]") or "localhost", int(port))
    return connection


def _summary(calls: list[tuple[float, float, bool]], seconds: float) -> LoadResult:
    latencies = sorted(latency for _, latency, _ in calls) or [0.0]

    def percentile(share: float) -> float:
        return round(1000 * latencies[min(len(latencies) - 1, int(share * len(latencies)))], 3)

    return LoadResult(
        calls=len(calls),
        failed=sum(not succeeded for _, _, succeeded in calls),
        seconds=round(seconds, 3),
        per_second=round(len(calls) / seconds, 1),
        p50_ms=percentile(0.50),
        p95_ms=percentile(0.95),
        p99_ms=percentile(0.99),
    )


def main(arguments: list[str]) -> int:
    """Run one load from the command line; 1 if no call succeeded."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--addr", required=True)
    parser.add_argument("--payload", required=True, type=Path)
    parser.add_argument("--method", required=True)
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=1)
    options = parser.parse_args(arguments)
    load = Load(options.method, options.payload.read_bytes(), options.in_flight, options.seconds, options.connections)
    result = uvloop.run(run_load(options.addr, load))
    print(json.dumps(asdict(result)))
    return 0 if result.calls > result.failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
