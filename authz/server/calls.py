"""The calls of one connection: requests are assembled, handlers called, answers queued.

It owns the streams and what is buffered for them. A handler that returns bytes is answered on the spot; only one that
waits costs an asyncio task. Writing is `output`'s, the connection's life is `session`'s.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from authz.server import framing, metadata
from authz.server.connection import ControlHandler, Http2Connection
from authz.server.limits import SWEEP_INTERVAL_S
from authz.server.metadata import Headers
from authz.server.output import Output
from authz.server.rpc import Call, RpcError, Status
from authz.server.runtime import Link, Method, Runtime
from authz.server.waiting import finish_unary, run_stream

_FAILED: Final = RpcError(Status.INTERNAL, "internal error")
_DRAINING: Final = RpcError(Status.UNAVAILABLE, "server is draining")
_TOO_LATE: Final = RpcError(Status.DEADLINE_EXCEEDED, "deadline exceeded")
_TOO_SLOW: Final = RpcError(Status.DEADLINE_EXCEEDED, "request was not complete in time")
_TOO_MUCH: Final = RpcError(Status.RESOURCE_EXHAUSTED, "too many bytes of incomplete requests")


class Stream:
    """One call, from its header fields to its answer."""

    __slots__ = ("age", "body", "call", "has_headers", "is_streaming", "method", "task")

    def __init__(self, method: Method, call: Call) -> None:
        self.method = method
        self.call = call
        self.body: bytes | bytearray | None = None
        self.age = 0  # sweeps since the request began
        self.task: asyncio.Task[None] | None = None
        self.is_streaming = False
        self.has_headers = False  # the response has begun


class Calls:
    """The streams of one connection.

    INVARIANT: a stream is in `_streams` until it is answered or closed, so each call is answered at most once;
    `_buffered` is the sum of the incomplete bodies in `_streams`, and has its part in the server's budget.
    """

    __slots__ = (
        "_budget",
        "_buffered",
        "_control",
        "_link",
        "_max_buffered",
        "_max_message",
        "_methods",
        "_no_deadline",
        "_runtime",
        "_streams",
        "http2",
        "output",
    )

    def __init__(self, runtime: Runtime, link: Link, control: ControlHandler) -> None:
        self._runtime = runtime
        self._methods = runtime.methods
        self._max_message = runtime.limits.message_bytes
        self._link = link
        self._control = control
        self._no_deadline = Call(None, link.peer)
        self._streams: dict[int, Stream] = {}
        self._buffered = 0
        self._max_buffered = runtime.limits.buffered_request_bytes
        self._budget = runtime.budget
        self.http2 = Http2Connection(self, control, runtime.limits)
        self.output = Output(self.http2, link, runtime)

    @property
    def in_flight(self) -> int:
        return len(self._streams)

    # Requests

    def on_request(self, stream_id: int, headers: Headers, ended: bool, /) -> None:
        fields = dict(headers)
        method = self._methods.get(fields.get(b":path", b""))
        if method is None or fields.get(b"content-type") != metadata.GRPC or fields[b":method"] != b"POST" or b"grpc-encoding" in fields:
            refusal = metadata.maybe_refusal(fields)
            if refusal is not None or method is None:
                self._respond_early(stream_id, refusal or metadata.UNKNOWN_METHOD, ended)
                return
        call = self._no_deadline
        timeout = fields.get(b"grpc-timeout")
        if timeout is not None:
            try:
                call = Call(self._runtime.clock() + metadata.parse_timeout(timeout), self._link.peer)
            except RpcError as error:
                self._respond_early(stream_id, metadata.trailers_only(error), ended)
                return
        self._streams[stream_id] = Stream(method, call)
        if ended:
            self.on_data(stream_id, b"", True)

    def on_data(self, stream_id: int, data: bytes, ended: bool, /) -> None:
        stream = self._streams.get(stream_id)
        if stream is None:
            if ended:
                self.output.was_read(stream_id)
        elif not ended:
            self._buffer(stream_id, stream, data)
        elif stream.body is None:
            self._complete(stream_id, stream, data)
        else:
            body = stream.body
            self._release(stream)
            self._complete(stream_id, stream, body + data if data else body)

    def on_closed(self, stream_id: int, /) -> None:
        stream = self._streams.pop(stream_id, None)
        if stream is not None:
            self._release(stream)
            if stream.task is not None:
                stream.task.cancel()
        self.output.was_read(stream_id)

    def _buffer(self, stream_id: int, stream: Stream, data: bytes) -> None:
        """Keep a part of a request, as long as it can still become one acceptable message."""
        body = stream.body
        if not data:
            self._control.on_control_frame()
        elif body is None:
            stream.body = body = data  # the usual request is one DATA frame and an empty one that ends it: no copy
        elif isinstance(body, bytearray):
            body += data
        else:
            stream.body = body = bytearray(body + data)
        self._buffered += len(data)
        self._budget.used += len(data)
        try:
            framing.check_start(body or b"", self._max_message)
            if self._buffered > self._max_buffered or self._budget.used > self._runtime.limits.total_request_bytes:
                raise _TOO_MUCH
        except RpcError as error:
            self._refuse(stream_id, error, ended=False)

    def _complete(self, stream_id: int, stream: Stream, body: bytes | bytearray) -> None:
        """Call the handler of a request that is complete."""
        call = stream.call
        try:
            message = framing.sole_message(body, self._max_message)
            if call.deadline is not None and self._runtime.clock() >= call.deadline:
                raise _TOO_LATE
            answer = stream.method.handler(message, call)
            if isinstance(answer, bytes):
                self.answer(stream_id, answer)
            elif isinstance(answer, AsyncIterator):
                stream.is_streaming = True
                stream.task = self._link.spawn(run_stream(self, stream_id, answer, call.deadline))
            else:
                stream.task = self._link.spawn(finish_unary(self, stream_id, answer, call.deadline))
        except RpcError as error:
            self.finish(stream_id, error)
        except Exception as error:  # a handler's mistake must not end the other calls of its connection
            self.fail(stream_id, error)

    def _release(self, stream: Stream) -> None:
        if stream.body is not None:
            self._buffered -= len(stream.body)
            self._budget.used -= len(stream.body)
            stream.body = None

    # Answers: queued until the next flush; nothing happens for a call that is over.

    def answer(self, stream_id: int, message: bytes, /) -> None:
        """Answer a unary call."""
        body = framing.frame(message)
        if self._streams.pop(stream_id, None) is not None:
            self.http2.respond(stream_id, metadata.RESPONSE, body, metadata.TRAILERS_OK)

    def send(self, stream_id: int, message: bytes, /) -> None:
        """Send one message of a server stream."""
        body = framing.frame(message)
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        if not stream.has_headers:
            stream.has_headers = True
            self.http2.respond_headers(stream_id, metadata.RESPONSE, ended=False)
        self.http2.send_data(stream_id, body)
        self.output.flush()

    def finish(self, stream_id: int, error: RpcError | None, /) -> None:
        """End a call whose request is complete: with an error, or a server stream that has no more messages."""
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        if error is not None and not stream.has_headers:
            self._refuse(stream_id, error, ended=True)
            return
        del self._streams[stream_id]
        if not stream.has_headers:
            self.http2.respond_headers(stream_id, metadata.RESPONSE, ended=False)
        self.http2.send_trailers(stream_id, metadata.TRAILERS_OK if error is None else metadata.trailers(error))

    def fail(self, stream_id: int, error: Exception, /) -> None:
        """Answer INTERNAL for a handler that raised what it should not."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._runtime.failures.handler_failed(stream.method.path, error)
            self.finish(stream_id, _FAILED)

    def _refuse(self, stream_id: int, error: RpcError, *, ended: bool) -> None:
        self._release(self._streams.pop(stream_id))
        self._respond_early(stream_id, metadata.trailers_only(error), ended)

    def _respond_early(self, stream_id: int, response: Headers, ended: bool) -> None:
        self.http2.respond_headers(stream_id, response, ended=True)
        if not ended:
            self.output.stop_reading(stream_id)

    # All calls at once

    def refuse_stale(self) -> None:
        """End requests that have been incomplete for too long; to be called every SWEEP_INTERVAL_S."""
        max_age = self._runtime.limits.request_timeout_s / SWEEP_INTERVAL_S
        for stream_id, stream in list(self._streams.items()):
            stream.age += 1
            if stream.task is None and stream.age >= max_age:
                self._refuse(stream_id, _TOO_SLOW, ended=False)

    def end_streams(self) -> None:
        """End server streams, which could go on for ever; unary calls are left to finish."""
        for stream_id, stream in list(self._streams.items()):
            if stream.is_streaming and stream.task is not None:
                self.finish(stream_id, _DRAINING)
                stream.task.cancel()

    def abandon(self) -> None:
        """Forget every call: the peer can no longer be reached."""
        for stream_id in list(self._streams):
            self.on_closed(stream_id)
