"""Both transports behave alike towards real clients: one suite, each case over TCP and over a Unix socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest
import uvloop
from grpc_health.v1 import health_pb2

from authz.server import (
    Address,
    AddressError,
    Call,
    GrpcServer,
    HealthRegistry,
    HealthStatus,
    Limits,
    RpcError,
    Service,
    Status,
    TcpAddress,
    UnixAddress,
    parse_address,
    serve,
)
from authz.server.grpcio_transport import serve_grpcio
from authz.server.health import CHECK, WATCH

Serve: TypeAlias = Callable[[Service, Sequence[Address], Limits | None], Awaitable[GrpcServer]]
LIMITS = Limits(message_bytes=10_000)
PATIENCE_S = 20.0  # for what must happen; nothing waits so long unless it is broken


@dataclass
class Setup:
    """A transport and the kind of address to serve on."""

    serve: Serve
    address: str

    @asynccontextmanager
    async def channel(self, service: Service) -> AsyncIterator[tuple[GrpcServer, Any]]:
        """Serve, connect a real client, and drain at the end."""
        server = await self.serve(service, [parse_address(self.address)], LIMITS)
        try:
            async with connect(server.addresses[0]) as channel:
                yield server, channel
        except BaseException:
            await server.drain(0)
            raise
        await server.drain(PATIENCE_S)


@pytest.fixture(params=["ngh2", "grpcio"])
def transport(request: pytest.FixtureRequest) -> Serve:
    return serve if request.param == "ngh2" else serve_grpcio


@pytest.fixture(params=["tcp", "unix", "abstract"])
def setup(request: pytest.FixtureRequest, transport: Serve, tmp_path: Path) -> Setup:
    addresses = {"tcp": "127.0.0.1:0", "unix": f"unix://{tmp_path}/s.sock", "abstract": f"unix://@authz-test-{tmp_path.name}"}
    return Setup(transport, addresses[request.param])


def connect(address: Address) -> Any:
    """Return a channel with a connection of its own: grpcio would share it between channels to one address."""
    return grpc.aio.insecure_channel(target(address), options=[("grpc.use_local_subchannel_pool", 1)])


def target(address: Address) -> str:
    """Return an address in grpcio's words."""
    if isinstance(address, TcpAddress):
        return str(address)
    return f"unix-abstract:{address.path[1:]}" if address.is_abstract else f"unix:{address.path}"


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test

    uvloop.run(bounded())


async def call(channel: Any, path: str, request: bytes = b"", **options: Any) -> bytes:
    return bytes(await channel.unary_unary(path)(request, **options))


async def status_of(work: Awaitable[object]) -> tuple[Status, str]:
    """Return status and message that a call ends with."""
    try:
        await work
    except grpc.aio.AioRpcError as error:
        return Status(error.code().value[0]), error.details() or ""
    return Status.OK, ""


def echo(request: bytes, _call: Call) -> bytes:
    return request


async def echo_later(request: bytes, _call: Call) -> bytes:
    await asyncio.sleep(0)
    return request


class Gate:
    """A handler that waits until it is let through, and tells when it has begun and how it ended."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.opened = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self, request: bytes, _call: Call) -> bytes:
        self.begun.set()
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return request


def test_a_call_is_answered(setup: Setup) -> None:
    async def test() -> None:
        async with setup.channel(Service({"/t.S/Echo": echo, "/t.S/Later": echo_later})) as (server, channel):
            assert await call(channel, "/t.S/Echo", b"abc") == b"abc"
            assert await call(channel, "/t.S/Later", b"abc") == b"abc"
            assert await call(channel, "/t.S/Echo", b"") == b""
            assert server.in_flight == 0

    run(test())


def test_metadata_is_tolerated_and_the_peer_is_named(setup: Setup) -> None:
    def who(_request: bytes, call: Call) -> bytes:
        return call.peer.encode()

    async def test() -> None:
        async with setup.channel(Service({"/t.S/Who": who})) as (_, channel):
            peer = await call(channel, "/t.S/Who", metadata=(("x-request-id", "1"), ("trace-bin", b"\x00\xff"), ("x-request-id", "2")))
            assert peer.startswith(b"ipv4:127.0.0.1:" if setup.address.endswith(":0") else b"unix:")

    run(test())


def test_an_ipv6_peer_is_named_in_brackets(transport: Serve) -> None:
    async def test() -> None:
        service = Service({"/t.S/Who": lambda _request, call: call.peer.encode()})
        async with Setup(transport, "[::1]:0").channel(service) as (_, channel):
            assert (await call(channel, "/t.S/Who")).startswith(b"ipv6:[::1]:")

    run(test())


@pytest.mark.parametrize("path", ["/t.S/Nope", "/t.X/Echo", "/"])
def test_an_unknown_method_is_unimplemented(setup: Setup, path: str) -> None:
    async def test() -> None:
        async with setup.channel(Service({"/t.S/Echo": echo})) as (_, channel):
            assert (await status_of(call(channel, path)))[0] is Status.UNIMPLEMENTED

    run(test())


def test_an_oversize_message_is_exhausting_and_the_largest_is_not(setup: Setup) -> None:
    async def test() -> None:
        async with setup.channel(Service({"/t.S/Echo": echo})) as (_, channel):
            assert (await status_of(call(channel, "/t.S/Echo", bytes(10_001))))[0] is Status.RESOURCE_EXHAUSTED
            assert (await status_of(call(channel, "/t.S/Echo", bytes(3_000_000))))[0] is Status.RESOURCE_EXHAUSTED
            assert len(await call(channel, "/t.S/Echo", bytes(10_000))) == 10_000

    run(test())


def test_a_compressed_request_is_answered_or_refused_but_never_misread(setup: Setup) -> None:
    async def test() -> None:
        async with setup.channel(Service({"/t.S/Echo": echo})) as (_, channel):
            work = call(channel, "/t.S/Echo", bytes(5000), compression=grpc.Compression.Gzip)
            expected = Status.UNIMPLEMENTED if setup.serve is serve else Status.OK
            assert (await status_of(work))[0] is expected

    run(test())


def test_errors_of_a_handler_are_statuses(setup: Setup) -> None:
    def refuse(_request: bytes, _call: Call) -> bytes:
        raise RpcError(Status.PERMISSION_DENIED, "nöt\tnow")

    async def refuse_later(_request: bytes, _call: Call) -> bytes:
        raise RpcError(Status.DATA_LOSS, "gone")

    def crash(_request: bytes, _call: Call) -> bytes:
        raise KeyError("secret")

    async def crash_later(_request: bytes, _call: Call) -> bytes:
        raise TimeoutError("of something else")

    service = Service({"/t.S/R": refuse, "/t.S/RL": refuse_later, "/t.S/C": crash, "/t.S/CL": crash_later, "/t.S/Echo": echo})

    async def test() -> None:
        async with setup.channel(service) as (_, channel):
            assert await status_of(call(channel, "/t.S/R")) == (Status.PERMISSION_DENIED, "nöt\tnow")
            assert await status_of(call(channel, "/t.S/RL")) == (Status.DATA_LOSS, "gone")
            assert await status_of(call(channel, "/t.S/C")) == (Status.INTERNAL, "internal error")
            assert await status_of(call(channel, "/t.S/CL", timeout=PATIENCE_S)) == (Status.INTERNAL, "internal error")
            assert await call(channel, "/t.S/Echo", b"alive") == b"alive"

    run(test())


def test_a_waiting_handler_is_cancelled_at_its_deadline(setup: Setup) -> None:
    async def test() -> None:
        gate = Gate()
        async with setup.channel(Service({"/t.S/Gate": gate})) as (_, channel):
            status, _ = await status_of(call(channel, "/t.S/Gate", timeout=0.05))
            assert status is Status.DEADLINE_EXCEEDED
            await gate.cancelled.wait()

    run(test())


def test_a_handler_sees_the_deadline(setup: Setup) -> None:
    seen: list[float | None] = []

    def look(_request: bytes, call: Call) -> bytes:
        seen.append(call.deadline)
        return b""

    async def test() -> None:
        async with setup.channel(Service({"/t.S/Look": look})) as (_, channel):
            await call(channel, "/t.S/Look", timeout=30)
            await call(channel, "/t.S/Look")
            now = asyncio.get_running_loop().time()
            assert seen[0] is not None
            assert 25 < seen[0] - now < 31
            assert seen[1] is None

    run(test())


def test_a_cancelled_call_cancels_its_handler(setup: Setup) -> None:
    async def test() -> None:
        gate = Gate()
        async with setup.channel(Service({"/t.S/Gate": gate})) as (_, channel):
            cancelled = channel.unary_unary("/t.S/Gate")(b"")
            await gate.begun.wait()
            cancelled.cancel()
            await gate.cancelled.wait()

    run(test())


def test_many_calls_at_once_are_answered_each_with_its_own(setup: Setup) -> None:
    async def test() -> None:
        async with setup.channel(Service({"/t.S/Echo": echo, "/t.S/Later": echo_later})) as (server, channel):
            requests = [b"%d" % number * (1 + number % 500) for number in range(300)]
            paths = ["/t.S/Later" if number % 3 else "/t.S/Echo" for number in range(300)]
            answers = await asyncio.gather(*[call(channel, path, request) for path, request in zip(paths, requests, strict=True)])
            assert answers == requests
            assert server.in_flight == 0

    run(test())


async def numbers(request: bytes, _call: Call) -> AsyncIterator[bytes]:
    for number in range(int(request)):
        yield b"%d" % number


def test_a_stream_arrives_in_order(setup: Setup) -> None:
    async def test() -> None:
        async with setup.channel(Service(streams={"/t.S/N": numbers})) as (_, channel):
            assert [item async for item in channel.unary_stream("/t.S/N")(b"100")] == [b"%d" % number for number in range(100)]
            assert [item async for item in channel.unary_stream("/t.S/N")(b"0")] == []

    run(test())


def test_a_stream_may_end_in_an_error(setup: Setup) -> None:
    async def break_off(_request: bytes, _call: Call) -> AsyncIterator[bytes]:
        yield b"one"
        raise RpcError(Status.ABORTED, "enough")

    async def crash(_request: bytes, _call: Call) -> AsyncIterator[bytes]:
        yield b"one"
        raise ValueError("secret")

    async def test() -> None:
        async with setup.channel(Service(streams={"/t.S/A": break_off, "/t.S/C": crash})) as (_, channel):
            for path, expected in (("/t.S/A", (Status.ABORTED, "enough")), ("/t.S/C", (Status.INTERNAL, "internal error"))):
                stream = channel.unary_stream(path)(b"")
                assert await stream.read() == b"one"
                assert await status_of(stream.read()) == expected

    run(test())


def test_a_stream_waits_for_a_slow_reader_and_ends_when_it_goes(setup: Setup) -> None:
    sent = 0
    ended = asyncio.Event()

    async def pour(_request: bytes, _call: Call) -> AsyncIterator[bytes]:
        nonlocal sent
        try:
            while True:
                sent += 1
                yield bytes(100_000)
        finally:
            ended.set()

    async def test() -> None:
        async with setup.channel(Service({"/t.S/Echo": echo}, {"/t.S/Pour": pour})) as (_, channel):
            stream = channel.unary_stream("/t.S/Pour")(b"")
            for _ in range(3):
                await stream.read()
            for _ in range(20):
                await call(channel, "/t.S/Echo")
            assert sent < 1000  # 100 MB
            stream.cancel()
            await ended.wait()

    run(test())


def health_request(service: str) -> bytes:
    return bytes(health_pb2.HealthCheckRequest(service=service).SerializeToString())


def health_status(response: bytes) -> HealthStatus:
    return HealthStatus(health_pb2.HealthCheckResponse.FromString(response).status)


def test_health_is_checked_and_watched(setup: Setup) -> None:
    async def test() -> None:
        registry = HealthRegistry()
        registry.set("", HealthStatus.SERVING)
        async with setup.channel(registry.service()) as (_, channel):
            assert health_status(await call(channel, CHECK, health_request(""))) is HealthStatus.SERVING
            assert (await status_of(call(channel, CHECK, health_request("t.S"))))[0] is Status.NOT_FOUND
            assert (await status_of(call(channel, CHECK, b"\xff")))[0] is Status.INTERNAL
            watch = channel.unary_stream(WATCH)(health_request("t.S"))
            seen = [health_status(await watch.read())]
            for status in (HealthStatus.NOT_SERVING, HealthStatus.SERVING):
                registry.set("t.S", status)
                seen.append(health_status(await watch.read()))
            assert seen == [HealthStatus.SERVICE_UNKNOWN, HealthStatus.NOT_SERVING, HealthStatus.SERVING]

    run(test())


def test_a_drain_tells_watchers_and_ends_them(setup: Setup) -> None:
    async def test() -> None:
        registry = HealthRegistry()
        registry.set("", HealthStatus.SERVING)
        async with setup.channel(registry.service()) as (server, channel):
            watch = channel.unary_stream(WATCH)(health_request(""))
            seen: list[HealthStatus] = []
            told = asyncio.Event()

            async def listen() -> None:
                # Always waiting for the next message: grpcio forgets one that nobody waits for when the call ends.
                async for message in watch:
                    seen.append(health_status(message))
                    told.set()

            listening = asyncio.ensure_future(listen())
            await told.wait()
            await server.drain(PATIENCE_S)
            await listening
            assert seen == [HealthStatus.SERVING, HealthStatus.NOT_SERVING]
            assert (await watch.code()) is grpc.StatusCode.OK

    run(test())


def test_a_drain_lets_a_call_in_flight_finish_and_starts_nothing_new(setup: Setup) -> None:
    async def test() -> None:
        gate = Gate()
        async with setup.channel(Service({"/t.S/Gate": gate, "/t.S/Echo": echo})) as (server, channel):
            in_flight = asyncio.ensure_future(call(channel, "/t.S/Gate", b"kept"))
            await gate.begun.wait()
            assert server.in_flight == 1
            assert server.open_connections == 1
            draining = asyncio.ensure_future(server.drain(PATIENCE_S))
            await asyncio.sleep(0)
            async with connect(server.addresses[0]) as late:
                assert (await status_of(call(late, "/t.S/Echo")))[0] is Status.UNAVAILABLE
            assert not draining.done()
            gate.opened.set()
            assert await in_flight == b"kept"
            await draining
            assert server.in_flight == 0
            assert server.open_connections == 0

    run(test())


def test_a_drain_aborts_what_outlives_its_grace(setup: Setup) -> None:
    async def test() -> None:
        gate = Gate()
        async with setup.channel(Service({"/t.S/Gate": gate})) as (server, channel):
            in_flight = asyncio.ensure_future(status_of(call(channel, "/t.S/Gate")))
            await gate.begun.wait()
            await server.drain(0.05)
            assert (await in_flight)[0] in {Status.UNAVAILABLE, Status.CANCELLED}
            assert gate.cancelled.is_set()

    run(test())


def test_a_socket_file_has_its_mode_and_is_removed(transport: Serve, tmp_path: Path) -> None:
    path = tmp_path / "s.sock"

    async def test() -> None:
        server = await transport(Service({"/t.S/Echo": echo}), [UnixAddress(str(path))], None)
        assert path.stat().st_mode & 0o777 == 0o660
        await server.drain(PATIENCE_S)
        assert not path.exists()

    run(test())


def test_several_addresses_are_served_and_named(transport: Serve, tmp_path: Path) -> None:
    async def test() -> None:
        wanted = [parse_address(text) for text in ("127.0.0.1:0", "[::1]:0", ":0", f"unix://{tmp_path}/s.sock")]
        server = await transport(Service({"/t.S/Echo": echo}), wanted, None)
        assert [type(address) for address in server.addresses] == [TcpAddress, TcpAddress, TcpAddress, UnixAddress]
        for address in server.addresses:
            if isinstance(address, TcpAddress):
                assert address.port > 0
            reachable = TcpAddress("127.0.0.1", address.port) if isinstance(address, TcpAddress) and not address.host else address
            async with connect(reachable) as channel:
                assert await call(channel, "/t.S/Echo", b"x") == b"x"
        await server.drain(PATIENCE_S)

    run(test())


@pytest.mark.parametrize("kind", ["tcp", "unix", "abstract"])
def test_a_busy_address_is_an_error_that_leaves_nothing_behind(transport: Serve, tmp_path: Path, kind: str) -> None:
    free = UnixAddress(f"{tmp_path}/free.sock")
    texts = {"tcp": "127.0.0.1:0", "unix": f"unix://{tmp_path}/s.sock", "abstract": f"unix://@authz-busy-{tmp_path.name}"}

    async def test() -> None:
        async with Setup(serve, texts[kind]).channel(Service({"/t.S/Echo": echo})) as (first, channel):
            with pytest.raises(AddressError) as refusal:
                await transport(Service({"/t.S/Echo": echo}), [free, first.addresses[0]], None)
            assert str(first.addresses[0]) in refusal.value.message
            assert "address already in use" in refusal.value.message
            assert refusal.value.help
            assert not Path(free.path).exists()
            assert await call(channel, "/t.S/Echo", b"still") == b"still"

    run(test())
