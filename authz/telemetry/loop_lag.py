"""How late the event loop runs what it was asked to run: the first sign of a blocked loop.

Measures only; what made the loop late is for a profiler.
"""

from __future__ import annotations

import asyncio
from time import perf_counter_ns
from typing import Final

from authz.telemetry.histogram import LAG_BUCKETS_S, Histogram

INTERVAL_S: Final = 0.25
"""Four samples a second cost nothing and still see a stall that a 15 s scrape would average away."""


class LoopLag:
    """Samples the lag of the running loop between `start` and `stop`.

    The clock is perf_counter: uvloop's own time stands still within one turn and has millisecond steps.
    """

    def __init__(self) -> None:
        self.histogram = Histogram(LAG_BUCKETS_S)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to sample the running loop."""
        self._schedule(asyncio.get_running_loop())

    def stop(self) -> None:
        """Sample no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        due_ns = perf_counter_ns() + round(INTERVAL_S * 1e9)
        self._timer = loop.call_later(INTERVAL_S, self._sample, loop, due_ns)

    def _sample(self, loop: asyncio.AbstractEventLoop, due_ns: int) -> None:
        self.histogram.observe(max(0, perf_counter_ns() - due_ns))
        self._schedule(loop)
