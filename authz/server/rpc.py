"""What a gRPC service is to us: bytes in, bytes out, and the status codes.

Both transports serve these objects. This module knows neither HTTP/2 nor asyncio, nor any protobuf message.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias


class Status(IntEnum):
    """gRPC status codes (grpc/doc/statuscodes.md)."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class RpcError(Exception):
    """End a call with `status`. The message is sent to the caller: no secrets, no request text."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Call:
    """What a handler may know of the call besides its message.

    `deadline` is in seconds of `time.monotonic()`, None without one. One object may serve many calls: never modify it.
    """

    __slots__ = ("deadline", "peer")

    def __init__(self, deadline: float | None, peer: str) -> None:
        self.deadline = deadline
        self.peer = peer


Unary: TypeAlias = Callable[[bytes, Call], bytes | Awaitable[bytes]]
ServerStream: TypeAlias = Callable[[bytes, Call], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Service:
    """Handlers by full method name (`/pkg.Service/Method`).

    `on_drain` is called once when a server of this service begins to drain, so that long-lived streams can end themselves.
    """

    unary: Mapping[str, Unary] = field(default_factory=dict)
    streams: Mapping[str, ServerStream] = field(default_factory=dict)
    on_drain: tuple[Callable[[], None], ...] = ()

    def __or__(self, other: "Service") -> "Service":
        """Return one service with the methods of both; ValueError where both have the same method."""
        ours = self.unary.keys() | self.streams.keys()
        clash = ours & (other.unary.keys() | other.streams.keys())
        if clash:
            raise ValueError(f"two handlers for {', '.join(sorted(clash))}")
        return Service({**self.unary, **other.unary}, {**self.streams, **other.streams}, self.on_drain + other.on_drain)
