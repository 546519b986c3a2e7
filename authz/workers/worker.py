"""One worker: `python -m authz.workers.worker FD`. Answers checks with the policy that its supervisor hands it.

It ends when it is told to, and when its supervisor is gone: a worker that nobody hands policies would decide with old ones
for ever.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import Coroutine
from typing import Final

import uvloop

from authz.config import CanarySettings
from authz.decider import SWITCH_INTERVAL_S, Decider
from authz.errors import AuthzError
from authz.pdp import Snapshot
from authz.refresh.messages import Compiled
from authz.server import parse_address
from authz.server.address import BoundSocket
from authz.server.limits import LISTEN_BACKLOG
from authz.telemetry.logs import LogWriter, configure_logs
from authz.workers.messages import (
    HEADER,
    Commit,
    Committed,
    Conclude,
    Discard,
    Drain,
    FromWorker,
    Listen,
    Listening,
    Prepare,
    Prepared,
    Rehearse,
    Rehearsed,
    Setup,
    Socket,
    Tell,
    Told,
    ToWorker,
    Withheld,
    Withhold,
    decode_to_worker,
    encode,
)  # fmt: skip

GONE: Final = Drain(grace_s=5.0)
"""What the end of the channel means: there is no supervisor any more."""


class Channel:
    """The worker's end. Frames are read by a thread, in which a large policy is received without a step of the event loop."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(True)
        self._connection = connection

    def receive(self) -> tuple[ToWorker, bytes]:
        """Return the next message and its blob; raises EOFError when there is none any more."""
        message_size, blob_size = HEADER.unpack(self._exactly(HEADER.size))
        return decode_to_worker(self._exactly(message_size)), self._exactly(blob_size)

    def send(self, message: FromWorker) -> None:
        """Send a message; one that nobody reads is lost."""
        try:
            self._connection.sendall(encode(message))
        except OSError:
            return  # the reading end says that the supervisor is gone

    def _exactly(self, size: int) -> bytes:
        content = bytearray(size)
        view = memoryview(content)
        while view:
            received = self._connection.recv_into(view)
            if not received:
                raise EOFError
            view = view[received:]
        return bytes(content)


class Worker:
    """Does what its supervisor says, in the order in which it says it."""

    def __init__(self, channel: Channel, decider: Decider, sockets: tuple[Socket, ...]) -> None:
        self._channel = channel
        self._decider = decider
        self._sockets = sockets
        self._wanted_swap: int | None = None
        self._prepared: tuple[int, Snapshot] | None = None
        self._rehearsing: asyncio.Task[None] | None = None
        self._preparing: set[asyncio.Task[None]] = set()
        self._drained: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Answer checks until told to drain, and drain."""
        async with self._decider.running():
            loop = asyncio.get_running_loop()
            threading.Thread(target=self._read, args=(loop,), name="supervisor", daemon=True).start()
            await self._decider.drain(await self._drained)

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            try:
                message, blob = self._channel.receive()
            except (EOFError, OSError):
                message, blob = GONE, b""
            loop.call_soon_threadsafe(self._obey, message, blob)
            if isinstance(message, Drain):
                return

    def _obey(self, message: ToWorker, blob: bytes) -> None:
        match message:
            case Prepare(swap, revision):
                self._forget()
                self._wanted_swap = swap
                self._begin(self._prepare(swap, Compiled(revision, blob)))
            case Rehearse(swap, settings):
                self._rehearsing = self._begin(self._rehearse(swap, settings))
            case Conclude(swap) if swap == self._wanted_swap:
                # A turn later: a rehearsal that was ordered in this one has not begun yet.
                asyncio.get_running_loop().call_soon(self._decider.conclude_rehearsal)
            case Commit(swap):
                self._commit(swap)
            case Discard(swap) if swap == self._wanted_swap:
                self._forget()
            case Withhold(is_withheld):
                self._decider.withhold(is_withheld)
                self._channel.send(Withheld())
            case Listen():
                self._begin(self._listen())
            case Tell(question):
                self._channel.send(Told(question, self._decider.stats()))
            case Drain(grace_s) if not self._drained.done():
                self._drained.set_result(grace_s)

    def _forget(self) -> None:
        """Let go of what is prepared, or of what will be."""
        if self._rehearsing is not None and self._wanted_swap is not None:
            self._rehearsing.cancel()
            self._rehearsing = None
            self._channel.send(Rehearsed(self._wanted_swap, None))
        self._wanted_swap = self._prepared = None

    def _begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._preparing.add(task)
        task.add_done_callback(self._preparing.discard)
        return task

    async def _prepare(self, swap: int, compiled: Compiled) -> None:
        try:
            snapshot = await self._decider.prepare(compiled)
            if swap == self._wanted_swap:
                self._prepared = swap, snapshot
        except AuthzError as error:
            self._channel.send(Prepared(swap, str(error), error.help))
        except Exception as error:
            self._channel.send(Prepared(swap, f"{type(error).__name__}: {error}"))
        else:
            self._channel.send(Prepared(swap))

    async def _rehearse(self, swap: int, settings: CanarySettings) -> None:
        report = None
        if self._prepared is not None and self._prepared[0] == swap:
            report = await self._decider.rehearse(self._prepared[1], settings)
        self._rehearsing = None
        self._channel.send(Rehearsed(swap, report))

    def _commit(self, swap: int) -> None:
        if self._prepared is not None and self._prepared[0] == swap:
            snapshot = self._prepared[1]
            self._forget()
            self._decider.commit(snapshot)
            self._channel.send(Committed(swap))

    async def _listen(self) -> None:
        await self._decider.listen_on([_bound(each) for each in self._sockets])
        self._channel.send(Listening())


def _bound(inherited: Socket) -> BoundSocket:
    listener = socket.socket(fileno=inherited.fd)
    listener.setblocking(False)
    listener.listen(LISTEN_BACKLOG)
    return BoundSocket(listener, parse_address(inherited.address), None)


async def _serve(channel: Channel, setup: Setup, log_writer: LogWriter) -> None:
    await Worker(channel, Decider(setup.config, log_writer), setup.sockets).run()


def main(descriptor: int) -> None:
    """Serve for the supervisor at the other end of a socket."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they are the supervisor's, which drains us
    channel = Channel(socket.socket(fileno=descriptor))
    setup, _ = channel.receive()
    assert isinstance(setup, Setup)
    log_writer = configure_logs(setup.config.log.format, setup.config.log.level)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        uvloop.run(_serve(channel, setup, log_writer))
    finally:
        log_writer.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
