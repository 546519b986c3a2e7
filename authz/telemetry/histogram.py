"""A histogram of plain integers: what a hot path can afford, and what a scrape needs.

Not thread-safe: one event loop counts, the same loop renders.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from prometheus_client.core import HistogramMetricFamily

CHECK_BUCKETS_S: Final = (
    *(1e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4),
    *(1e-3, 2.5e-3, 3e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0),
)
"""Holds every bound of opa-envoy-plugin's `grpc_request_duration_seconds`, so its quantile queries keep their meaning."""

SEND_BUCKETS_S: Final = (1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
PAUSE_BUCKETS_S: Final = (1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1)
LAG_BUCKETS_S: Final = (1e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0)


class Histogram:
    """Counts durations in nanoseconds against bounds in seconds."""

    __slots__ = ("bounds_ns", "bounds_s", "counts", "sum_ns")

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self.bounds_s = tuple(bounds_s)
        self.bounds_ns = [round(bound * 1e9) for bound in bounds_s]
        self.counts = [0] * (len(bounds_s) + 1)  # the last is +Inf
        self.sum_ns = 0

    def observe(self, elapsed_ns: int) -> None:
        """Count one duration; a bound belongs to the bucket it closes (`le`)."""
        self.counts[bisect_left(self.bounds_ns, elapsed_ns)] += 1
        self.sum_ns += elapsed_ns


def family(  # noqa: PLR0913 - what a Prometheus family of one series is made of
    name: str, help: str, bounds_s: Sequence[float], counts: Sequence[int], sum_ns: int, labels: dict[str, str] | None = None
) -> HistogramMetricFamily:
    """Return counts by bounds as a Prometheus family of one series."""
    labels = labels or {}
    rendered = HistogramMetricFamily(name, help, labels=list(labels))
    total = 0
    buckets = []
    for bound, count in zip((*map(str, bounds_s), "+Inf"), counts, strict=True):
        total += count
        buckets.append((bound, total))
    rendered.add_metric(list(labels.values()), buckets, sum_value=sum_ns / 1e9)
    return rendered
