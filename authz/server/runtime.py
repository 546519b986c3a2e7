"""What all connections of one server share, and the transport that each of them has.

Values and interfaces only: this module does nothing itself.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeAlias

from authz.server.failures import FailureLog
from authz.server.limits import Limits
from authz.server.rpc import Call, Service

Handler: TypeAlias = Callable[[bytes, Call], bytes | Awaitable[bytes] | AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a service. What its handler returns tells a unary call from a stream."""

    path: str
    handler: Handler


@dataclass(slots=True)
class Budget:
    """Bytes of incomplete requests, over all connections."""

    used: int = 0


@dataclass(frozen=True, slots=True)
class Runtime:
    """The service, its bounds, and what is counted or reported once per server."""

    methods: dict[bytes, Method]
    limits: Limits
    budget: Budget = field(default_factory=Budget)
    failures: FailureLog = field(default_factory=FailureLog)
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def of(cls, service: Service, bounds: Limits) -> Self:
        """Return the runtime of a server for `service`."""
        handlers: dict[str, Handler] = {**service.unary, **service.streams}
        return cls({path.encode(): Method(path, handler) for path, handler in handlers.items()}, bounds)


class Link(Protocol):
    """The transport of one connection."""

    peer: str

    def write(self, data: bytes, /) -> None: ...

    def close(self) -> None:
        """End the connection once everything is written."""

    def drop(self, kind: str, reason: str, /) -> None:
        """End the connection now, and report why."""

    def spawn(self, work: Coroutine[Any, Any, None], /) -> asyncio.Task[None]:
        """Run a handler that waits."""
