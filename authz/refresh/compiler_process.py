"""Compiles and evaluates in another process, so that no check waits for that, and survives whatever that process does.

Knows how to start, feed, time and end it; what it does is in `compile_worker`.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from typing import Final

import msgspec

from authz.errors import ErrorCode
from authz.refresh.messages import (
    CompileRequest,
    CompileResponse,
    Evaluated,
    EvaluateRequest,
    EvaluateResponse,
    Failed,
    Request,
    Response,
    decode_response,
    encode,
)

# -P: a `yaml.py` in the directory that `authz` was started from is not part of the compiler.
WORKER: Final = (sys.executable, "-P", "-m", "authz.refresh.compile_worker")


async def compile_in_process(
    request: CompileRequest, command: tuple[str, ...] = WORKER, *, descriptors: Sequence[int] = ()
) -> CompileResponse:
    """Return what the worker answers, or Failed if it is too slow, dies or talks nonsense. It inherits the file descriptors."""
    response = await _asked(request, command, descriptors)
    return _nonsense() if isinstance(response, Evaluated) else response


async def evaluate_in_process(request: EvaluateRequest, *, descriptors: Sequence[int] = ()) -> EvaluateResponse:
    """Return what the worker answers, as `compile_in_process` does."""
    response = await _asked(request, WORKER, descriptors)
    return response if isinstance(response, Evaluated | Failed) else _nonsense()


async def _asked(request: Request, command: tuple[str, ...], descriptors: Sequence[int]) -> Response:
    try:
        # Its own session: Ctrl-C in our terminal is for us to handle.
        worker = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            pass_fds=descriptors,
        )
    except OSError as error:  # no process, no memory
        return Failed(ErrorCode.POLICY_COMPILE, f"the compiler could not be started: {error.strerror or error}")
    try:
        async with asyncio.timeout(request.timeout_s):
            output, complaints = await worker.communicate(encode(request))
    except TimeoutError:
        return Failed(
            ErrorCode.POLICY_COMPILE,
            f"the compiler took longer than {request.timeout_s:g} s and was stopped",
            help="raise `reload.compile_timeout_s`, or make the policy or its data smaller",
        )
    finally:
        await _end(worker)
    return _response(worker.returncode, output, complaints)


async def _end(worker: asyncio.subprocess.Process) -> None:
    if worker.returncode is None:
        try:
            worker.kill()
        except ProcessLookupError:
            return  # it ended by itself just now
        await worker.wait()


def _nonsense() -> Failed:
    return Failed(ErrorCode.POLICY_COMPILE, "the compiler answered something else than it was asked")


def _response(returncode: int | None, output: bytes, complaints: bytes) -> Response:
    if returncode:
        return Failed(ErrorCode.POLICY_COMPILE, f"the compiler ended with {_ending(returncode)}{_last_line(complaints)}")
    try:
        return decode_response(output)
    except msgspec.DecodeError as error:
        return Failed(ErrorCode.POLICY_COMPILE, f"the compiler gave no answer: {error}")


def _ending(returncode: int) -> str:
    return f"status {returncode}" if returncode > 0 else f"signal {signal.Signals(-returncode).name}"


def _last_line(complaints: bytes) -> str:
    lines = complaints.decode("utf-8", "replace").strip().splitlines()
    return f": {lines[-1]}" if lines else ""
