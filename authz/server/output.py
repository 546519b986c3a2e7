"""What one connection has still to send: written as the link and the peer's credit allow, bounded when they do not.

It knows when to write, never what.
"""

import asyncio

from authz.server.connection import NO_ERROR, Http2Connection, WireError
from authz.server.limits import STREAM_HIGH_WATER_BYTES
from authz.server.runtime import Link, Runtime


class Output:
    """The way from the HTTP/2 engine to the link.

    Answers are queued in the engine and leave it all at once, in `flush`: one write per read, however many calls it
    answered.
    """

    __slots__ = ("_failures", "_http2", "_is_full", "_link", "_max_queued", "_unread", "_waiting")

    def __init__(self, http2: Http2Connection, link: Link, runtime: Runtime) -> None:
        self._http2 = http2
        self._link = link
        self._failures = runtime.failures
        self._max_queued = runtime.limits.buffered_response_bytes
        self._is_full = False
        self._unread: set[int] = set()
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def is_blocked(self) -> bool:
        """Whether the peer has answers to read before it gets more."""
        return self._is_full or self._http2.queued_bytes() > 0

    def flush(self) -> None:
        """Write what may be written; nothing while the link is full."""
        if not (self._is_full or self._http2.is_closed):
            try:
                output = self._take()
            except WireError as error:
                self.give_up(error)
                return
            if output:
                self._link.write(output)
            if self._waiting:
                self._wake()
            if self._http2.is_closed:
                self._link.close()
        if self._http2.queued_bytes() > self._max_queued:
            self._link.drop("unread", "it does not read its answers")

    def pause(self) -> None:
        """Hold everything back: the link is full."""
        self._is_full = True

    def resume(self) -> None:
        """Write what was held back."""
        self._is_full = False
        self.flush()

    def give_up(self, error: WireError) -> None:
        """End a connection whose peer is beyond repair."""
        self._failures.peer_failed(self._link.peer, "wire", error.message)
        if error.last_words:
            self._link.write(error.last_words)
        self._link.close()

    def abandon(self) -> None:
        """Let nobody wait any more: the link is lost."""
        self._http2.is_closed = True
        self._wake()

    # Streams

    def stop_reading(self, stream_id: int) -> None:
        """Tell the peer, after what is queued, not to send the rest of an answered request (RFC 9113, 8.1)."""
        self._unread.add(stream_id)

    def was_read(self, stream_id: int) -> None:
        """Note that the peer ended its side of a stream by itself."""
        if self._unread:
            self._unread.discard(stream_id)

    async def room(self, stream_id: int) -> None:
        """Wait until another message may be queued for a stream, or the connection is over."""
        await asyncio.sleep(0)  # a handler that never waits must not keep the loop
        while not self._http2.is_closed and (self._is_full or self._http2.queued_bytes(stream_id) > STREAM_HIGH_WATER_BYTES):
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter

    def _take(self) -> bytes:
        output = self._http2.take_output()
        if self._unread:
            for stream_id in self._unread:
                self._http2.reset(stream_id, NO_ERROR)  # only now: a reset overtakes what is queued for its stream
            self._unread = set()
            output += self._http2.take_output()
        return output

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
