"""One worker as its supervisor sees it: a process, and a channel on which answers are waited for.

Owns starting, feeding and ending it. What it is told, and when, is the pool's.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from asyncio import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Self, TypeAlias, TypeVar

import msgspec

from authz.errors import AuthzError, ErrorCode
from authz.server.address import BoundSocket
from authz.telemetry.stats import Stats
from authz.workers.messages import HEADER, MAX_MESSAGE_BYTES, FromWorker, Tell, Told, ToWorker, decode_from_worker, encode

# -P: as for the compiler, a module in the directory that `authz` was started from is not part of the worker.
WORKER: Final = (sys.executable, "-P", "-m", "authz.workers.worker")

START_S: Final = 30.0
ANSWER_S: Final = 120.0
"""How long a worker may take to build a policy: beyond any that could be compiled."""

STATS_S: Final = 1.0

T = TypeVar("T")


class WorkerError(AuthzError):
    """A worker ended, or does not answer."""

    code = ErrorCode.ACTIVATION


_Key: TypeAlias = tuple[type[Any], int | None]


def _key(kind: type[Any], message: ToWorker | FromWorker) -> _Key:
    """Return what an answer is known by: an answer about a swap that nobody wants any more may still be on its way."""
    return kind, getattr(message, "swap", None)


class Connection:
    """A worker. `stats` is what it said last, `heard_at` when it said anything (the loop's time)."""

    def __init__(self, process: subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.stats: Stats | None = None
        self.heard_at = asyncio.get_running_loop().time()
        self._process = process
        self._reader = reader
        self._writer = writer
        self._question = 0
        self._waiting: dict[_Key, list[asyncio.Future[Any]]] = {}
        self._ended = asyncio.Event()
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._wait())]

    @classmethod
    async def start(cls, sockets: Sequence[BoundSocket]) -> Self:
        """Start a process that inherits the sockets. Raises WorkerError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *WORKER,
                    str(theirs.fileno()),
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(), *(each.socket.fileno() for each in sockets)),
                    start_new_session=True,  # Ctrl-C in our terminal is for us to handle
                )
            except OSError as error:
                ours.close()
                raise WorkerError(f"a worker could not be started: {error.strerror or error}") from error
        reader, writer = await asyncio.open_connection(sock=ours)
        return cls(process, reader, writer)

    @property
    def pid(self) -> int:
        return self._process.pid

    # Talking

    def send(self, message: ToWorker, blob: bytes = b"") -> None:
        """Say something; a worker that is gone does not hear it."""
        if self._writer.transport.is_closing():  # nobody read what was said before; uvloop's write would raise
            return
        self._writer.write(encode(message, blob))
        if blob:
            self._writer.write(blob)

    async def request(self, message: ToWorker, kind: type[T], blob: bytes = b"", longest_s: float = ANSWER_S) -> T:
        """Say something and return the answer: the next message of a kind, about the same swap. Raises WorkerError."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(_key(kind, message), [])
        waiting.append(future)
        try:
            if self._ended.is_set():
                raise WorkerError(f"worker {self.pid} ended")
            self.send(message, blob)
            async with asyncio.timeout(longest_s):
                return await future  # type: ignore[no-any-return]
        except TimeoutError:
            raise WorkerError(f"worker {self.pid} does not answer") from None
        finally:
            with suppress(ValueError):
                waiting.remove(future)

    async def ask(self, longest_s: float = STATS_S) -> None:
        """Ask for the stats, and wait for them as long as is reasonable."""
        self._question += 1
        with suppress(WorkerError):
            await self.request(Tell(self._question), Told, longest_s=longest_s)

    def ask_soon(self) -> None:
        """Ask for the stats, and go on."""
        self._question += 1
        self.send(Tell(self._question))

    async def _read(self) -> None:
        try:
            while True:
                message_size, _ = HEADER.unpack(await self._reader.readexactly(HEADER.size))
                if message_size > MAX_MESSAGE_BYTES:
                    return
                self._hear(decode_from_worker(await self._reader.readexactly(message_size)))
        except (asyncio.IncompleteReadError, OSError, msgspec.MsgspecError):
            return  # it is gone, or talks nonsense: the pool ends it
        finally:
            self._fail()

    def _hear(self, message: FromWorker) -> None:
        self.heard_at = asyncio.get_running_loop().time()
        if isinstance(message, Told):
            self.stats = message.stats
        for future in self._waiting.pop(_key(type(message), message), ()):
            if not future.done():
                future.set_result(message)

    def _fail(self) -> None:
        """Tell whoever waits that nothing will come."""
        for future in (each for waiting in self._waiting.values() for each in waiting):
            if not future.done():
                future.set_exception(WorkerError(f"worker {self.pid} ended"))

    # Ending

    async def _wait(self) -> None:
        await self._process.wait()
        self._ended.set()
        self._fail()

    async def wait_ended(self, longest_s: float, *, kill: bool = True) -> bool:
        """Wait for the end of the process; return whether it came in time, end it if not and `kill`."""
        try:
            async with asyncio.timeout(longest_s):
                await self._ended.wait()
        except TimeoutError:
            if kill:
                await self.end()
            return False
        return True

    async def end(self) -> str:
        """End the process if it lives; return how it ended."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        for task in self._tasks:
            task.cancel()
        self._writer.close()
        code = self._process.returncode
        return f"signal {-code}" if code is not None and code < 0 else f"status {code}"
