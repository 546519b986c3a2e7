"""A limit of time for an evaluation, and durations as flags. Knows neither queries nor tests.

The limit is the process's alarm: it interrupts Python code wherever that is, on the main thread, which is the commands'. Code
that the interpreter runs in between, when it frees something, can raise nothing: an alarm that falls into it comes again.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import click

from authz.rego.builtins.go_duration import parse_duration
from authz.rego.errors import EVAL_CANCEL, EvalError

_SOON: Final = 0.001  # seconds, after an alarm that could not be raised
_AGAIN: Final = 1.0  # seconds, after one that was, should it have been lost on its way: what ends the evaluation takes less


def duration(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """Read a duration as Go writes it (`1.5s`, `200ms`, `2m`); return nanoseconds."""
    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}; a duration is, for instance, `1.5s` or `200ms`") from None


@contextmanager
def time_limit(limit_ns: int) -> Iterator[None]:
    """Raise EvalError (eval_cancel_error) in what takes longer; 0 is no limit."""

    def expired(_: int, frame: FrameType | None) -> None:
        if _cannot_raise(frame):
            signal.setitimer(signal.ITIMER_REAL, _SOON, _AGAIN)
            return
        raise EvalError(EVAL_CANCEL, "caller cancelled query execution")

    if limit_ns <= 0:
        yield
        return
    before = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, limit_ns / 1e9, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _cannot_raise(frame: FrameType | None) -> bool:
    """Return whether the interpreter would only print what is raised here: a callback of the collector, or a finalizer."""
    callbacks = {getattr(callback, "__code__", None) for callback in gc.callbacks}
    while frame is not None:
        if frame.f_code in callbacks or frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False
