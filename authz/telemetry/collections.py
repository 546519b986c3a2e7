"""How long the garbage collector stops the process: every thread waits, and so does the check that comes at that moment.

Measures only; what keeps the collector away from a policy is `refresh.activation`.
"""

from __future__ import annotations

import gc
from time import perf_counter_ns
from typing import Any

from authz.telemetry.histogram import PAUSE_BUCKETS_S, Histogram


class CollectorPauses:
    """Measures every collection between `start` and `stop`, of all generations."""

    def __init__(self) -> None:
        self.histogram = Histogram(PAUSE_BUCKETS_S)
        self._began_ns = 0

    def start(self) -> None:
        """Begin to measure."""
        gc.callbacks.append(self._note)

    def stop(self) -> None:
        """Measure no more."""
        gc.callbacks.remove(self._note)

    def _note(self, phase: str, _info: dict[str, Any]) -> None:
        if phase == "start":
            self._began_ns = perf_counter_ns()
        else:
            self.histogram.observe(perf_counter_ns() - self._began_ns)
