"""The same services on `grpc.aio`: the second transport (`--transport grpcio`) and the yardstick of the first.

It translates calls, statuses, limits and addresses; how the wire works is grpcio's.
"""

import inspect
import os
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, NoReturn, TypeAlias
from urllib.parse import unquote

import grpc

from authz.server import limits
from authz.server.address import Address, AddressError, SocketFile, TcpAddress, bind
from authz.server.failures import FailureLog
from authz.server.limits import Limits
from authz.server.listener import GrpcServer
from authz.server.rpc import Call, RpcError, ServerStream, Service, Status, Unary

_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"


async def serve_grpcio(service: Service, addresses: Sequence[Address], bounds: Limits | None = None) -> GrpcServer:
    """Start serving on every address; AddressError when one is unusable."""
    calls = _Calls(service)
    server = grpc.aio.server(handlers=[calls], options=_options(bounds or Limits()))
    files: list[SocketFile] = []
    try:
        bound = [_listen(server, address, files) for address in addresses]
        await server.start()
    except BaseException:
        await server.stop(None)
        for file in files:
            file.remove()
        raise
    return _GrpcioServer(server, calls, tuple(bound), files)


def _options(bounds: Limits) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", bounds.message_bytes),
        ("grpc.max_concurrent_streams", bounds.concurrent_streams),
        ("grpc.max_metadata_size", limits.HEADER_LIST_BYTES),
        ("grpc.absolute_max_metadata_size", limits.MAX_HEADER_LIST_BYTES),
        ("grpc.so_reuseport", 0),  # a second server on the same port is a mistake to report, not load balancing
    ]


def _listen(server: grpc.aio.Server, address: Address, files: list[SocketFile]) -> Address:
    """Let grpcio bind `address`; bound by us for a moment before, so that errors are the same on both transports."""
    bind(address).release()
    try:
        port = server.add_insecure_port(_target(address))
    except RuntimeError as error:
        raise AddressError(f"cannot listen on `{address}`: {error}", help="choose another address") from error
    if isinstance(address, TcpAddress):
        return TcpAddress(address.host, port)
    if not address.is_abstract:
        os.chmod(address.path, limits.UNIX_SOCKET_MODE)
        files.append(SocketFile(address.path))
    return address


def _target(address: Address) -> str:
    if isinstance(address, TcpAddress):
        return str(address) if address.host else f"[::]:{address.port}"
    return f"unix-abstract:{address.path[1:]}" if address.is_abstract else f"unix:{address.path}"


class _Calls(grpc.GenericRpcHandler):
    """Answers calls by method name and counts those in flight."""

    def __init__(self, service: Service) -> None:
        self.on_drain = service.on_drain
        self.failures = FailureLog()
        self.peers: dict[str, int] = {}  # calls in flight per connection
        self._handlers = {path: _unary(handler, self, path) for path, handler in service.unary.items()}
        self._handlers |= {path: _stream(handler, self, path) for path, handler in service.streams.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        return self._handlers.get(handler_call_details.method)

    def begin(self, context: Context) -> Call:
        """Count a call and return what its handler may know; DEADLINE_EXCEEDED if it comes too late."""
        peer = unquote(context.peer())  # grpcio escapes the brackets of an IPv6 address
        self.peers[peer] = self.peers.get(peer, 0) + 1
        remaining = context.time_remaining()
        return Call(None if remaining is None else time.monotonic() + remaining, peer)

    def end(self, call: Call) -> None:
        """Uncount a call."""
        self.peers[call.peer] -= 1
        if not self.peers[call.peer]:
            del self.peers[call.peer]

    async def abort(self, context: Context, path: str, error: Exception) -> NoReturn:
        """End a call with the status of `error`; what is not an RpcError is logged and INTERNAL."""
        if not isinstance(error, RpcError):
            self.failures.handler_failed(path, error)
            error = RpcError(Status.INTERNAL, "internal error")
        await context.abort(_STATUS_CODES[error.status], error.message)
        raise AssertionError("abort returned")


def _unary(handler: Unary, calls: _Calls, path: str) -> Any:
    async def serve_unary(request: bytes, context: Context) -> bytes:
        call = calls.begin(context)
        try:
            _check_deadline(call)
            answer = handler(request, call)
            return await answer if inspect.isawaitable(answer) else answer
        except Exception as error:
            return await calls.abort(context, path, error)
        finally:
            calls.end(call)

    return grpc.unary_unary_rpc_method_handler(serve_unary)


def _stream(handler: ServerStream, calls: _Calls, path: str) -> Any:
    async def serve_stream(request: bytes, context: Context) -> AsyncIterator[bytes]:
        call = calls.begin(context)
        try:
            _check_deadline(call)
            async for message in handler(request, call):
                yield message
        except Exception as error:
            await calls.abort(context, path, error)
        finally:
            calls.end(call)

    return grpc.unary_stream_rpc_method_handler(serve_stream)


def _check_deadline(call: Call) -> None:
    if call.deadline is not None and time.monotonic() >= call.deadline:
        raise RpcError(Status.DEADLINE_EXCEEDED, "deadline exceeded")


class _GrpcioServer:
    def __init__(self, server: grpc.aio.Server, calls: _Calls, addresses: tuple[Address, ...], files: list[SocketFile]) -> None:
        self._server = server
        self._calls = calls
        self._files = files
        self.addresses = addresses

    @property
    def open_connections(self) -> int:
        """Connections with a call in flight: grpcio does not tell of idle ones."""
        return len(self._calls.peers)

    @property
    def in_flight(self) -> int:
        return sum(self._calls.peers.values())

    async def drain(self, grace_s: float) -> None:
        for notify in self._calls.on_drain:
            notify()
        await self._server.stop(grace_s)
        for file in self._files:
            file.remove()
