"""What the request path counts: plain integers, a few dozen nanoseconds each. Rendering is `metrics`' work."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from authz.errors import ErrorCode, Reason
from authz.telemetry.histogram import CHECK_BUCKETS_S, SEND_BUCKETS_S, Histogram

CACHE_RESULTS: Final = ("hit", "miss", "bypass")

ACTIVATED: Final = "activated"
UNCHANGED: Final = "unchanged"
OUTCOMES: Final = (
    ACTIVATED, UNCHANGED, ErrorCode.POLICY_SOURCE, ErrorCode.BUNDLE, ErrorCode.BUNDLE_SIGNATURE, ErrorCode.POLICY_COMPILE,
    ErrorCode.POLICY_TESTS, ErrorCode.CANARY, ErrorCode.ACTIVATION,
)  # fmt: skip
"""What an attempt to refresh the policy can come to."""

DOWNLOADED: Final = "ok"

SEND_OUTCOMES: Final = ("ok", "refused", "timeout", "network", "invalid", "too_large", "cancelled")
"""What can become of a request that a policy makes with `http.send`; a server's error is an answer like any other."""

SEND_CACHE_RESULTS: Final = ("hit", "shared", "revalidated", "miss", "bypass")
"""Where its answer came from: the cache; an equal request under way; the cache, after asking; the server; no cache was wanted."""


class CheckCounters:
    """Counts answered checks. Written from one event loop only."""

    __slots__ = ("_bounds_ns", "_buckets", "by_cache", "by_reason", "latency")

    def __init__(self) -> None:
        self.latency = Histogram(CHECK_BUCKETS_S)
        self.by_reason: dict[Reason, int] = dict.fromkeys(Reason, 0)
        self.by_cache: dict[str, int] = dict.fromkeys(CACHE_RESULTS, 0)
        self._bounds_ns = self.latency.bounds_ns
        self._buckets = self.latency.counts

    def observe(self, reason: Reason, cache: str, elapsed_ns: int) -> None:
        """Count one answered check. `Histogram.observe` written out: a call less on every check."""
        self._buckets[bisect_left(self._bounds_ns, elapsed_ns)] += 1
        self.latency.sum_ns += elapsed_ns
        self.by_reason[reason] += 1
        self.by_cache[cache] += 1


class ActivationCounters:
    """Counts attempts to refresh the policy by outcome (OUTCOMES)."""

    def __init__(self) -> None:
        self.by_outcome: dict[str, int] = dict.fromkeys(OUTCOMES, 0)

    def count(self, outcome: str) -> None:
        """Count one attempt."""
        self.by_outcome[outcome] = self.by_outcome.get(outcome, 0) + 1


class DownloadCounters:
    """Counts requests for bundles by outcome: DOWNLOADED, or a failure out of a closed set."""

    def __init__(self, failures: Iterable[str]) -> None:
        self.by_outcome: dict[str, int] = dict.fromkeys((DOWNLOADED, *failures), 0)

    def count(self, outcome: str) -> None:
        """Count one request."""
        self.by_outcome[outcome] += 1


class SendCounters:
    """Counts requests of policies. Written from one event loop only."""

    def __init__(self) -> None:
        self.latency = Histogram(SEND_BUCKETS_S)
        self.by_outcome: dict[str, int] = dict.fromkeys(SEND_OUTCOMES, 0)
        self.by_cache: dict[str, int] = dict.fromkeys(SEND_CACHE_RESULTS, 0)
        self.in_flight = 0
