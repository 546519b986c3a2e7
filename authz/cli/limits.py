"""A limit of time for an evaluation, and durations as flags. Knows neither queries nor tests.

The limit is the process's alarm: it interrupts Python code wherever that is, on the main thread, which is the commands'.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

import click

from authz.rego.builtins.go_duration import parse_duration
from authz.rego.errors import EVAL_CANCEL, EvalError

_AGAIN: Final = 1.0  # seconds; an alarm that falls into the collection of garbage is lost


def duration(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """Read a duration as Go writes it (`1.5s`, `200ms`, `2m`); return nanoseconds."""
    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}; a duration is, for instance, `1.5s` or `200ms`") from None


@contextmanager
def time_limit(limit_ns: int) -> Iterator[None]:
    """Raise EvalError (eval_cancel_error) in what takes longer; 0 is no limit."""

    def expired(_: int, __: FrameType | None) -> NoReturn:
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
