"""When a candidate shadows checks: after they are answered, between reads, within a bounded part of the event loop's time.

Owns what waits to be shadowed and the pace. What a comparison is, is the PDP's; which checks there are, the check service's.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from time import perf_counter_ns
from typing import Final, TypeAlias

from authz.pdp import Decision, RehearsalReport, Shadow
from authz.pdp.rehearsal import DROPPED, SKIPPED
from authz.telemetry.logs import log

MAX_WAITING: Final = 64
MAX_WAITING_BYTES: Final = 2**22
"""What may wait to be shadowed: enough for a burst, and for one message of the largest size. More is dropped: a rehearsal needs
many checks, not every one."""

SLICE_NS: Final = 200_000
REST: Final = 9
"""After this much work, nine times as long is left to the checks: a rehearsal takes at most a tenth of the event loop's time. One
comparison is made a turn, so a check that arrives meanwhile is held up by one evaluation, as by any other check."""

Clock: TypeAlias = Callable[[], int]


class Shadowing:
    """Works off the checks of one rehearsal on the running loop. `is_over` is done once enough were compared, or it was superseded."""

    def __init__(self, shadow: Shadow, checks: int, clock: Clock = perf_counter_ns) -> None:
        self._loop = asyncio.get_running_loop()
        self.is_over: asyncio.Future[None] = self._loop.create_future()
        self.is_superseded = False
        self._shadow = shadow
        self._checks = checks
        self._clock = clock
        self._waiting: deque[tuple[bytes, int, Decision]] = deque()
        self._waiting_bytes = 0
        self._used_ns = 0
        self._next: asyncio.Handle | None = None

    @property
    def results(self) -> dict[str, int]:
        """What became of the checks so far, by RESULTS."""
        return self._shadow.results

    def offer(self, request: bytes, now_ns: int, decision: Decision | None) -> None:
        """Take a check to be shadowed later, if there is room for it; None is one that is not decided yet. Called on every check."""
        if decision is None:
            self._shadow.results[SKIPPED] += 1
        elif len(self._waiting) >= MAX_WAITING or self._waiting_bytes + len(request) > MAX_WAITING_BYTES:
            self._shadow.results[DROPPED] += 1
        else:
            self._waiting.append((request, now_ns, decision))
            self._waiting_bytes += len(request)
            if self._next is None:
                self._next = self._loop.call_soon(self._work)

    def supersede(self) -> None:
        """End the rehearsal: another policy decides from now on, or is rehearsed."""
        self.is_superseded = True
        self.conclude()

    def conclude(self) -> None:
        """End the rehearsal: enough was seen."""
        if not self.is_over.done():
            self.is_over.set_result(None)

    def close(self) -> RehearsalReport:
        """Shadow no more and let go of everything; return what was seen."""
        if self._next is not None:
            self._next.cancel()
        self._shadow.results[DROPPED] += len(self._waiting)
        self._waiting.clear()
        self._shadow.release()
        return self._shadow.report()

    def _work(self) -> None:
        """Shadow one check, then let the loop read before the next one."""
        request, now_ns, decision = self._waiting.popleft()
        self._waiting_bytes -= len(request)
        began_ns = self._clock()
        try:
            self._shadow.compare(request, now_ns, decision)
        finally:
            self._used_ns += self._clock() - began_ns
            self._go_on()

    def _go_on(self) -> None:
        if self._shadow.checks >= self._checks:
            self.conclude()  # `_next` stays what it is, so that nothing more is begun
        elif self._used_ns >= SLICE_NS:
            rest_s, self._used_ns = REST * self._used_ns / 1e9, 0
            self._next = self._loop.call_later(rest_s, self._rested)
        else:
            self._rested()

    def _rested(self) -> None:
        self._next = self._loop.call_soon(self._work) if self._waiting else None


def log_rehearsal(logger: logging.Logger, revision: str, report: RehearsalReport) -> None:
    """Say how a rehearsal went, also that it saw nothing: a candidate that nobody tried is activated on trust."""
    if report.is_first:
        return
    counts = {**report.results, **{reason: count for reason, count in report.errors.items() if count}}
    log(logger, "info", "policy rehearsed", revision=revision, checks=report.checks, **counts)
    if not report.checks:
        log(logger, "warn", "policy rehearsed on no check: the service was quiet, or every check had to wait", revision=revision)
