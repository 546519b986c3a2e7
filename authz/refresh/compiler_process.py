"""Compiles and evaluates in another process, so that no check waits for that, and survives whatever that process does.

Knows how to start, feed, time and end it; what it does is in `compile_worker`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import Final, TypeAlias, cast

import msgspec

from authz.errors import ErrorCode
from authz.refresh.messages import Compiled, CompileRequest, CompileResponse, Failed, Request, Response, Unchanged, decode_response, encode

Command: TypeAlias = tuple[str, ...]

# -P: a `yaml.py` in the directory that `authz` was started from is not part of the compiler.
WORKER: Final[Command] = (sys.executable, "-P", "-m", "authz.refresh.compile_worker")

NICENESS: Final = 5
"""A compile takes a quarter of a core that the old policy needs for its checks. The first one has nobody to give way to."""


class _Conversation(asyncio.SubprocessProtocol):
    """What a process says, until it has ended and all of that has been read.

    Not asyncio's streams: those refer to each other, so they would wait for the garbage collector, which every activation keeps
    away from whatever is there at that moment (`refresh.activation`).
    """

    def __init__(self) -> None:
        self.output = bytearray()
        self.complaints = bytearray()
        self.ended = asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        (self.output if fd == 1 else self.complaints).extend(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self.ended.set()


class CompilerProcess:
    """A process that answers one request. It may be started before there is one: 28 MB that it shares with nobody."""

    def __init__(self, process: asyncio.SubprocessTransport, conversation: _Conversation) -> None:
        self._process = process
        self._conversation = conversation

    @classmethod
    async def start(cls, command: Command = WORKER, *, is_beside_checks: bool, spool: int | None = None) -> CompilerProcess:
        """Start it; `spool` is the descriptor of the file that the archives of its request will be in. Raises OSError."""
        # Its own session: Ctrl-C in our terminal is for us to handle.
        process, conversation = await asyncio.get_running_loop().subprocess_exec(
            _Conversation,
            *command,
            *(() if spool is None else (str(spool),)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            pass_fds=() if spool is None else (spool,),
        )
        if is_beside_checks:
            with suppress(ProcessLookupError):  # it ended by itself just now: whoever asks it will hear
                os.setpriority(os.PRIO_PROCESS, process.get_pid(), NICENESS)
        return cls(process, conversation)

    @property
    def pid(self) -> int:
        return self._process.get_pid()

    @property
    def is_alive(self) -> bool:
        return self._process.get_returncode() is None

    async def ask(self, request: Request) -> Response:
        """Return what it answers, or Failed if it is too slow, dies or talks nonsense; it is gone then."""
        conversation = self._conversation
        try:
            async with asyncio.timeout(request.timeout_s):
                self._say(encode(request))
                await conversation.ended.wait()
        except TimeoutError:
            return Failed(
                ErrorCode.POLICY_COMPILE,
                f"the compiler took longer than {request.timeout_s:g} s and was stopped",
                help="raise `reload.compile_timeout_s`, or make the policy or its data smaller",
            )
        finally:
            await self.end()
        return _response(self._process.get_returncode(), conversation.output, conversation.complaints)

    def _say(self, message: bytes) -> None:
        """Send all there is to say. One that is gone does not hear it, and is found out by its end."""
        pipe = cast(asyncio.WriteTransport, self._process.get_pipe_transport(0))  # uvloop's is none by its class
        if not pipe.is_closing():  # uvloop's write would raise
            pipe.write(message)
            pipe.close()  # after what was written

    async def end(self) -> None:
        """End it, whatever it does."""
        if self.is_alive:
            with suppress(ProcessLookupError):  # it ended by itself just now
                self._process.kill()
        await self._conversation.ended.wait()
        self._process.close()


async def compile_in_process(request: CompileRequest, command: Command = WORKER) -> CompileResponse:
    """Return what a process of its own makes of policy files."""
    try:
        process = await CompilerProcess.start(command, is_beside_checks=request.known_digest is not None)
    except OSError as error:
        return unstarted(error)
    return compile_response(await process.ask(request))


def unstarted(error: OSError) -> Failed:
    """Return what is said where there is no room for another process, or no program."""
    return Failed(ErrorCode.POLICY_COMPILE, f"the compiler could not be started: {error.strerror or error}")


def compile_response(response: Response) -> CompileResponse:
    """Return the answer to a request to compile, Failed if it is another one's."""
    return response if isinstance(response, Compiled | Unchanged | Failed) else nonsense()


def nonsense() -> Failed:
    """Return what is said of an answer to something that was not asked."""
    return Failed(ErrorCode.POLICY_COMPILE, "the compiler answered something else than it was asked")


def _response(returncode: int | None, output: bytearray, complaints: bytearray) -> Response:
    if returncode:
        return Failed(ErrorCode.POLICY_COMPILE, f"the compiler ended with {_ending(returncode)}{_last_line(complaints)}")
    try:
        return decode_response(output)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Failed(ErrorCode.POLICY_COMPILE, f"the compiler gave no answer: {error}")


def _ending(returncode: int) -> str:
    if returncode > 0:
        return f"status {returncode}"
    try:
        return f"signal {signal.Signals(-returncode).name}"
    except ValueError:  # real-time signals have no names
        return f"signal {-returncode}"


def _last_line(complaints: bytearray) -> str:
    lines = complaints.decode("utf-8", "replace").strip().splitlines()
    return f": {lines[-1]}" if lines else ""
