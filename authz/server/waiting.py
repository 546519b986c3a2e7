"""The slow path: calls whose handler waits, each in its own asyncio task.

It owns deadline and cancellation of a running handler. It knows neither HTTP/2 nor how an answer is written.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Final, Protocol

from authz.server.rpc import RpcError, Status

_TOO_LATE: Final = RpcError(Status.DEADLINE_EXCEEDED, "deadline exceeded")


class _Output(Protocol):
    def flush(self) -> None: ...
    async def room(self, stream_id: int, /) -> None: ...


class Answering(Protocol):
    """Where a waiting call puts its answer; each method does nothing once the call is over."""

    @property
    def output(self) -> _Output: ...
    def answer(self, stream_id: int, message: bytes, /) -> None: ...
    def send(self, stream_id: int, message: bytes, /) -> None: ...
    def finish(self, stream_id: int, error: RpcError | None, /) -> None: ...
    def fail(self, stream_id: int, error: Exception, /) -> None: ...


async def finish_unary(calls: Answering, stream_id: int, answer: Awaitable[bytes], deadline: float | None) -> None:
    """Await a unary handler and answer with what it returns."""
    scope = asyncio.timeout_at(deadline)
    try:
        async with scope:
            message = await answer
        calls.answer(stream_id, message)
    except Exception as error:
        _end(calls, stream_id, error, scope)
    calls.output.flush()


async def run_stream(calls: Answering, stream_id: int, messages: AsyncIterator[bytes], deadline: float | None) -> None:
    """Send what a streaming handler yields, no faster than the peer takes it."""
    scope = asyncio.timeout_at(deadline)
    try:
        async with scope:
            async for message in messages:
                calls.send(stream_id, message)
                await calls.output.room(stream_id)
        calls.finish(stream_id, None)
    except Exception as error:
        _end(calls, stream_id, error, scope)
    finally:
        close = getattr(messages, "aclose", None)
        if close is not None:
            await close()
    calls.output.flush()


def _end(calls: Answering, stream_id: int, error: Exception, scope: asyncio.Timeout) -> None:
    if isinstance(error, TimeoutError) and scope.expired():
        calls.finish(stream_id, _TOO_LATE)
    elif isinstance(error, RpcError):
        calls.finish(stream_id, error)
    else:
        calls.fail(stream_id, error)
