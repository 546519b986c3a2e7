"""Measured times: of the stages of a command, and statistics of repetitions, as OPA reports them.

Owns the clock of `authz eval` and `authz test`; knows nothing of what is measured.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from authz.cli.output import plain_number

_PERCENTILES: Final = {"75%": 0.75, "90%": 0.9, "95%": 0.95, "99%": 0.99, "99.9%": 0.999, "99.99%": 0.9999}


class Timers:
    """Stages by name, each with the nanoseconds that it took."""

    def __init__(self) -> None:
        self._total_ns: dict[str, int] = {}

    @contextmanager
    def measured(self, stage: str) -> Iterator[None]:
        started = time.perf_counter_ns()
        try:
            yield
        finally:
            self._total_ns[stage] = self._total_ns.get(stage, 0) + time.perf_counter_ns() - started

    def metrics(self) -> dict[str, int]:
        """Return the times under the names of OPA's metrics."""
        return {f"timer_{stage}_ns": self._total_ns[stage] for stage in sorted(self._total_ns)}


def statistics(samples: Sequence[int]) -> dict[str, Any]:
    """Return OPA's statistics of measured values, of which there is at least one."""
    mean = math.fsum(samples) / len(samples)
    deviation = math.sqrt(math.fsum((sample - mean) ** 2 for sample in samples) / len(samples))
    found = {name: percentile(samples, share) for name, share in _PERCENTILES.items()}
    found |= {"max": max(samples), "mean": mean, "median": percentile(samples, 0.5), "min": min(samples), "stddev": deviation}
    return {name: plain_number(found[name]) if name in found else len(samples) for name in sorted([*found, "count"])}


def percentile(samples: Sequence[int], share: float) -> float:
    """Return the value below which a share of the samples lies, interpolated between them."""
    ordered = sorted(samples)
    place = share * (len(ordered) + 1)
    if place < 1:
        return ordered[0]
    if place >= len(ordered):
        return ordered[-1]
    lower, upper = ordered[int(place) - 1], ordered[int(place)]
    return lower + (place - int(place)) * (upper - lower)
