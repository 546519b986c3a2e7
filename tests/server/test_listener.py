"""The server on real sockets, against clients that are no gRPC clients."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from authz.server import AddressError, Call, GrpcServer, Limits, Service, TcpAddress, UnixAddress, parse_address, serve
from bench.grpc_load import Load, run_load
from tests.server.pair import ECHO, PREFACE, SETTINGS_ACK, frame, message, raw_call

Run = Callable[[Coroutine[Any, Any, None]], None]


def echo(request: bytes, _call: Call) -> bytes:
    return request


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a test on either event loop, and never for ever."""
    runner = uvloop.run if request.param == "uvloop" else asyncio.run

    async def bounded(test: Coroutine[Any, Any, None]) -> None:
        async with asyncio.timeout(20):
            await test

    return lambda test: runner(bounded(test))


async def start(bounds: Limits | None = None) -> tuple[GrpcServer, int]:
    server = await serve(Service({ECHO: echo}), [TcpAddress("127.0.0.1", 0)], bounds)
    address = server.addresses[0]
    assert isinstance(address, TcpAddress)
    return server, address.port


async def talk(port: int, data: bytes) -> bytes:
    """Send `data` and return everything up to the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        bytes.fromhex("1603010200010001fc0303") + bytes(500),
        b"\x00" * 10_000,
        PREFACE + b"\xff" * 10_000,
        PREFACE + frame(0, 0, 0, b"x"),
        PREFACE + frame(6, 0, 0, b"12345678") * 5000,
    ],
    ids=["HTTP/1.1", "TLS", "zeros", "preface and garbage", "DATA on stream 0", "PING flood"],
)
def test_garbage_is_sent_away_and_harms_nobody(run: Run, garbage: bytes) -> None:
    async def test() -> None:
        server, port = await start()
        await asyncio.gather(*[talk(port, garbage) for _ in range(20)])
        assert (await call_once(port))[-1:] == b"a"
        await server.drain(5)
        assert server.open_connections == 0

    run(test())


async def call_once(port: int) -> bytes:
    """Make one call and return what comes up to its message."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(PREFACE + SETTINGS_ACK + raw_call(1))
    answer = await reader.readuntil(message(b"a"))
    writer.close()
    return answer


def test_connections_beyond_the_bound_are_closed_at_once(run: Run) -> None:
    async def test() -> None:
        server, port = await start(Limits(connections=1))
        _, first = await asyncio.open_connection("127.0.0.1", port)
        first.write(PREFACE)
        assert await talk(port, PREFACE + SETTINGS_ACK + raw_call(1)) == b""
        assert server.open_connections == 1
        first.close()
        await server.drain(5)

    run(test())


def test_a_drain_closes_idle_and_silent_connections(run: Run) -> None:
    async def test() -> None:
        server, port = await start()
        silent, silent_writer = await asyncio.open_connection("127.0.0.1", port)
        idle, idle_writer = await asyncio.open_connection("127.0.0.1", port)
        idle_writer.write(PREFACE + SETTINGS_ACK + raw_call(1))
        await idle.readuntil(message(b"a"))
        draining = asyncio.ensure_future(server.drain(15))
        assert await silent.read() == b""
        await idle.readuntil(b"authz-dr")
        idle_writer.write(frame(6, 1, 0, b"authz-dr"))
        await idle.read()
        await draining
        assert server.open_connections == 0
        with pytest.raises(OSError, match=r"."):
            await asyncio.open_connection("127.0.0.1", port)
        silent_writer.close()
        idle_writer.close()

    run(test())


def test_a_drain_may_be_asked_for_twice(run: Run) -> None:
    async def test() -> None:
        server, _ = await start()
        await asyncio.gather(server.drain(5), server.drain(5))
        await server.drain(5)

    run(test())


def test_an_unusable_address_gives_the_others_back(run: Run, tmp_path: Path) -> None:
    path = f"{tmp_path}/s.sock"

    async def test() -> None:
        with pytest.raises(AddressError):
            await serve(Service(), [UnixAddress(path), parse_address("192.0.2.1:1")])
        assert not Path(path).exists()
        server = await serve(Service(), [UnixAddress(path)])
        await server.drain(5)

    run(test())


def test_the_load_generator_reports_what_it_got(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        server = await serve(Service({ECHO: echo}), [TcpAddress("127.0.0.1", 0), UnixAddress(f"{tmp_path}/s.sock")])
        for address in server.addresses:
            result = await run_load(str(address), Load(ECHO, bytes(1400), in_flight=4, seconds=0.1, connections=2, warm_up_s=0))
            assert result.calls > 0
            assert result.failed == 0
            assert 0 < result.p50_ms <= result.p95_ms <= result.p99_ms
        unknown = await run_load(str(server.addresses[0]), Load("/nope", b"", seconds=0.05, warm_up_s=0))
        assert unknown.failed == unknown.calls > 0
        await server.drain(5)

    run(test())
