"""What one deciding process has counted and is doing, as a value that can be sent and added up.

Shapes only: who counts, who asks and how it is shown are others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import TypeVar

import msgspec

from authz.errors import Reason
from authz.pdp.rehearsal import RESULTS
from authz.telemetry.counters import CACHE_RESULTS, SEND_CACHE_RESULTS, SEND_OUTCOMES, CheckCounters, SendCounters
from authz.telemetry.histogram import CHECK_BUCKETS_S, LAG_BUCKETS_S, PAUSE_BUCKETS_S, SEND_BUCKETS_S, Histogram

T = TypeVar("T", bound=msgspec.Struct)


class HistogramStats(msgspec.Struct, frozen=True):
    """A histogram's counts, by the bounds that its place implies."""

    counts: tuple[int, ...]
    sum_ns: int = 0

    @classmethod
    def of(cls, histogram: Histogram) -> HistogramStats:
        return cls(tuple(histogram.counts), histogram.sum_ns)

    def __add__(self, other: HistogramStats) -> HistogramStats:
        return HistogramStats(tuple(map(sum, zip(self.counts, other.counts, strict=True))), self.sum_ns + other.sum_ns)


def _none_of(bounds: tuple[float, ...]) -> HistogramStats:
    return HistogramStats((0,) * (len(bounds) + 1))


def _zeros(names: Iterable[str]) -> Mapping[str, int]:
    return dict.fromkeys(map(str, names), 0)


class Counts(msgspec.Struct, frozen=True):
    """What only ever grows in the life of a process, and is still counted when the process is gone."""

    checks: HistogramStats = _none_of(CHECK_BUCKETS_S)
    by_reason: Mapping[str, int] = msgspec.field(default_factory=lambda: _zeros(Reason))
    by_cache: Mapping[str, int] = msgspec.field(default_factory=lambda: _zeros(CACHE_RESULTS))
    sends: HistogramStats = _none_of(SEND_BUCKETS_S)
    sends_by_outcome: Mapping[str, int] = msgspec.field(default_factory=lambda: _zeros(SEND_OUTCOMES))
    sends_by_cache: Mapping[str, int] = msgspec.field(default_factory=lambda: _zeros(SEND_CACHE_RESULTS))
    lag: HistogramStats = _none_of(LAG_BUCKETS_S)
    pauses: HistogramStats = _none_of(PAUSE_BUCKETS_S)
    canary: Mapping[str, int] = msgspec.field(default_factory=lambda: _zeros(RESULTS))
    cache_evictions: int = 0
    log_lines_dropped: int = 0

    @classmethod
    def of(  # noqa: PLR0913 - whoever counts
        cls,
        checks: CheckCounters,
        sends: SendCounters,
        lag: Histogram,
        pauses: Histogram,
        *,
        canary: Mapping[str, int] | None = None,
        cache_evictions: int,
        log_lines_dropped: int,
    ) -> Counts:
        return cls(
            HistogramStats.of(checks.latency),
            {reason.value: count for reason, count in checks.by_reason.items()},
            dict(checks.by_cache),
            HistogramStats.of(sends.latency),
            dict(sends.by_outcome),
            dict(sends.by_cache),
            HistogramStats.of(lag),
            HistogramStats.of(pauses),
            dict(canary or _zeros(RESULTS)),
            cache_evictions,
            log_lines_dropped,
        )


class State(msgspec.Struct, frozen=True):
    """What a process is doing at the moment."""

    in_flight: int = 0
    open_connections: int = 0
    waiting_checks: int = 0
    sends_in_flight: int = 0
    send_cache_bytes: int = 0
    cache_entries: int = 0


class ActivePolicy(msgspec.Struct, frozen=True):
    """The policy that decides in a process."""

    revision: str
    entrypoint: str
    rows: int
    columns: int
    activated_ns: int
    is_cached: bool


class Stats(msgspec.Struct, frozen=True):
    """One process: what it counted, what it is doing, what it decides with, and what it costs."""

    pid: int
    counts: Counts
    state: State
    policy: ActivePolicy | None
    cpu_s: float
    resident_bytes: int


def total(items: Iterable[T], nothing: T) -> T:
    """Return the sum, field by field."""
    return reduce(_added, items, nothing)


def _added(first: T, second: T) -> T:
    fields = {name: _sum(getattr(first, name), getattr(second, name)) for name in first.__struct_fields__}
    return type(first)(**fields)


def _sum(first: object, second: object) -> object:
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return {name: first.get(name, 0) + second.get(name, 0) for name in (*first, *(name for name in second if name not in first))}
    return first + second  # type: ignore[operator]  # numbers and histograms
