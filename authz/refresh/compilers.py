"""The compile processes of bundles: one is started ahead, so that a bundle that comes finds it ready.

A start is 0.25 s of a core, most of what a small change takes. Which bundles are compiled, and why, is not known here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from authz.refresh.compiler_process import WORKER, Command, CompilerProcess, compile_response, nonsense, unstarted
from authz.refresh.messages import CompileRequest, CompileResponse, Evaluated, EvaluateRequest, EvaluateResponse, Failed, Request, Response
from authz.refresh.spool import Spool, SpoolError

PAUSE_S: Final = 1.0
"""So long after the last request the next process is started: until then the cores are for the policy that came of it."""


class _Compiler:
    """A process and the file of its archives."""

    def __init__(self, process: CompilerProcess, spool: Spool) -> None:
        self.process = process
        self.spool = spool

    async def end(self) -> None:
        try:
            await self.process.end()
        finally:
            await self.spool.close()


class Compilers:
    """Answers requests, each in a process of its own. With `is_ahead` there is mostly one that waits for the next request."""

    def __init__(self, *, is_ahead: bool = True, pause_s: float = PAUSE_S, command: Command = WORKER) -> None:
        self._is_ahead = is_ahead
        self._pause_s = pause_s
        self._command = command
        self._pause: asyncio.TimerHandle | None = None
        self._next: asyncio.Task[_Compiler] | None = None
        self._is_closed = False

    def prepare(self) -> None:
        """Start the first process, while nothing is to be compiled yet and there are no checks that it could hold up."""
        if self._is_ahead:
            self._start_next(is_beside_checks=False)

    async def compile(self, request: CompileRequest, archives: Sequence[bytes]) -> CompileResponse:
        """Return the policy that archives are together, or why they are none. Raises SpoolError."""
        return compile_response(await self._asked(request, archives, is_beside_checks=request.known_digest is not None))

    async def evaluate(self, request: EvaluateRequest, archives: Sequence[bytes]) -> EvaluateResponse:
        """Return the document that is asked for, or why there is none. Raises SpoolError."""
        response = await self._asked(request, archives, is_beside_checks=True)
        return response if isinstance(response, Evaluated | Failed) else nonsense()

    async def close(self) -> None:
        """End the process that waits for a request, and start no other."""
        self._is_closed = True
        self._cancel_pause()
        if self._next is not None:
            await asyncio.wait((self._next,))
            await self._ended(self._next)

    async def _asked(self, request: Request, archives: Sequence[bytes], *, is_beside_checks: bool) -> Response:
        self._cancel_pause()
        try:
            compiler = await self._ready() or await self._started(is_beside_checks=is_beside_checks)
        except OSError as error:
            return unstarted(error)
        try:
            await compiler.spool.write(archives)
            return await compiler.process.ask(request)
        finally:
            await compiler.end()
            self._start_next_later()

    async def _started(self, *, is_beside_checks: bool) -> _Compiler:
        """Start a process. Raises OSError and SpoolError."""
        spool = Spool()
        try:
            return _Compiler(await CompilerProcess.start(self._command, is_beside_checks=is_beside_checks, spool=spool.descriptor), spool)
        except BaseException:
            await spool.close()
            raise

    # Ahead

    async def _ready(self) -> _Compiler | None:
        """Return the process that was started ahead, if there is one and it still waits."""
        task = self._next
        if task is None:
            return None
        await asyncio.wait((task,))  # milliseconds; cancelled here, it is there for the next request
        if self._next is not task:
            return None  # somebody else was as quick
        if task.exception() is None and task.result().process.is_alive:
            self._next = None
            return task.result()
        await self._ended(task)
        return None

    def _start_next_later(self) -> None:
        if self._is_ahead and not self._is_closed and self._next is None and self._pause is None:
            self._pause = asyncio.get_running_loop().call_later(self._pause_s, self._start_next)

    def _start_next(self, *, is_beside_checks: bool = True) -> None:
        self._pause = None
        self._next = asyncio.create_task(self._started(is_beside_checks=is_beside_checks))

    def _cancel_pause(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    async def _ended(self, task: asyncio.Task[_Compiler]) -> None:
        """End what was started ahead. Why it could not be started will be said when that is tried for a request."""
        self._next = None
        with suppress(OSError, SpoolError):
            await task.result().end()
