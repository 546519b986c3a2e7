"""Prometheus metrics of the process: one registry, filled when it is scraped.

Names and labels are an interface (README, "Metrics"); every label's values are a closed set, but for the
revision and the entry point, of which there is one at a time, and the numbers of the workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from authz import __version__
from authz.errors import Reason
from authz.telemetry.counters import ActivationCounters
from authz.telemetry.histogram import CHECK_BUCKETS_S, LAG_BUCKETS_S, PAUSE_BUCKETS_S, SEND_BUCKETS_S, family
from authz.telemetry.metrics_json import families_json
from authz.telemetry.stats import ActivePolicy, Counts, State, Stats, total

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class BundleStats:
    """What is known of the bundles: their ages and staleness by name, requests for them by outcome, and whether versions reach the disk."""

    ages_s: Mapping[str, float | None]
    stale: Mapping[str, bool]
    downloads: Mapping[str, int]
    is_persistence_ok: bool
    is_pinned: bool


@dataclass(frozen=True, slots=True)
class Scrape:
    """What a scrape finds: the processes that decide, and what the one that is asked knows besides.

    `retired` is what processes that are gone have counted.
    """

    processes: Sequence[Stats]
    last_refresh_ok: bool
    is_draining: bool
    worker_restarts: int = 0
    retired: Counts = field(default_factory=Counts)
    bundles: BundleStats | None = None

    @property
    def counts(self) -> Counts:
        return total((each.counts for each in self.processes), self.retired)

    @property
    def state(self) -> State:
        return total((each.state for each in self.processes), State())

    @property
    def policy(self) -> ActivePolicy | None:
        """The active policy: of processes that disagree for a moment, the older one."""
        active = [each.policy for each in self.processes if each.policy is not None]
        return min(active, key=lambda policy: policy.activated_ns, default=None)


class Metrics(Collector):
    """The registry; what it shows is handed to it."""

    def __init__(self, activations: ActivationCounters) -> None:
        self._activations = activations
        self._scrape = Scrape((), last_refresh_ok=False, is_draining=False)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def render(self, scrape: Scrape) -> bytes:
        """Return every metric in Prometheus' text format (CONTENT_TYPE)."""
        self._scrape = scrape
        return generate_latest(self._registry)

    def as_json(self, scrape: Scrape) -> dict[str, Any]:
        """Return every metric as OPA's status reports have them."""
        self._scrape = scrape
        return families_json(self._registry.collect())

    def add(self, collector: Collector) -> None:
        """Show the metrics of a collector, too."""
        self._registry.register(collector)

    def describe(self) -> Iterator[Metric]:
        """Name nothing ahead: asked when the process is not built yet."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield our families."""
        scrape = self._scrape
        counts, state = scrape.counts, scrape.state
        yield _info("authz_build_info", "Version of authz; always 1.", {"version": __version__})
        yield from _check_families(counts)
        yield from self._policy_families(scrape, counts, state)
        yield from _process_families(scrape, counts, state)
        yield from _send_families(counts, state)
        help = "How late the event loop ran a timer, sampled four times a second."
        yield family("authz_event_loop_lag_seconds", help, LAG_BUCKETS_S, counts.lag.counts, counts.lag.sum_ns)
        help = "How long a collection of Python's garbage collector stopped the process."
        yield family("authz_gc_pause_seconds", help, PAUSE_BUCKETS_S, counts.pauses.counts, counts.pauses.sum_ns)
        yield from _worker_families(scrape)
        if scrape.bundles is not None:
            yield from _bundle_families(scrape.bundles)

    def _policy_families(self, scrape: Scrape, counts: Counts, state: State) -> Iterator[Metric]:
        yield _counters("authz_policy_refreshes", "Attempts to refresh the policy by outcome.", "outcome", self._activations.by_outcome)
        policy = scrape.policy
        yield _gauge("authz_policy_active", "1 if a policy is active; without one every check is denied.", float(policy is not None))
        yield _gauge(
            "authz_policy_last_refresh_ok", "1 if the last attempt to refresh the policy succeeded.", float(scrape.last_refresh_ok)
        )
        if policy is not None:
            yield from _active_policy_families(policy, counts, state)


def _check_families(counts: Counts) -> Iterator[Metric]:
    latency = counts.checks
    help = "Time from the decoded gRPC frame to the encoded CheckResponse."
    yield family("authz_check_duration_seconds", help, CHECK_BUCKETS_S, latency.counts, latency.sum_ns)
    help = "authz_check_duration_seconds by the name opa-envoy-plugin gives it."
    yield family("grpc_request_duration_seconds", help, CHECK_BUCKETS_S, latency.counts, latency.sum_ns, {"handler": "check"})
    decisions = CounterMetricFamily("authz_decisions", "Answered checks by outcome and closed reason.", labels=["outcome", "reason"])
    for reason, count in counts.by_reason.items():
        decisions.add_metric(["allow" if reason == Reason.ALLOWED.value else "deny", reason], count)
    yield decisions
    help = "Checks that a new policy was to shadow before it decides, by what became of them."
    yield _counters("authz_canary_checks", help, "result", counts.canary)
    yield _counters("authz_decision_cache_lookups", "Answered checks by what the decision cache did.", "result", counts.by_cache)


def _active_policy_families(policy: ActivePolicy, counts: Counts, state: State) -> Iterator[Metric]:
    yield _info("authz_policy_info", "The active policy; always 1.", {"revision": policy.revision, "entrypoint": policy.entrypoint})
    yield _gauge("authz_policy_last_activation_timestamp_seconds", "When the active policy became active.", policy.activated_ns / 1e9)
    for name, value in (("rows", policy.rows), ("columns", policy.columns)):
        sizes = GaugeMetricFamily(f"authz_policy_table_{name}", f"{name.capitalize()} of the decision table.", labels=["entrypoint"])
        sizes.add_metric([policy.entrypoint], value)
        yield sizes
    yield _gauge("authz_decision_cache_entries", "Decisions that the cache holds.", state.cache_entries)
    yield _counter("authz_decision_cache_evictions", "Decisions that left the cache for lack of room.", counts.cache_evictions)


def _send_families(counts: Counts, state: State) -> Iterator[Metric]:
    help = "Time of one request of a policy, retries and redirects included."
    yield family("authz_http_send_duration_seconds", help, SEND_BUCKETS_S, counts.sends.counts, counts.sends.sum_ns)
    yield _counters("authz_http_send_requests", "Requests of policies by what became of them.", "outcome", counts.sends_by_outcome)
    yield _counters("authz_http_send_cache_lookups", "Answers to policies by where they came from.", "result", counts.sends_by_cache)
    yield _gauge("authz_http_send_in_flight", "Requests of policies that are under way.", state.sends_in_flight)
    yield _gauge("authz_http_send_cache_bytes", "Size of the answers that are remembered.", state.send_cache_bytes)
    yield _gauge("authz_http_send_waiting_checks", "Checks that wait for an answer to their policy's request.", state.waiting_checks)


def _process_families(scrape: Scrape, counts: Counts, state: State) -> Iterator[Metric]:
    yield _gauge("authz_checks_in_flight", "Checks that were received and not answered yet.", state.in_flight)
    yield _gauge("authz_open_connections", "Open connections to the check addresses.", state.open_connections)
    yield _gauge("authz_draining", "1 while the process finishes what it has and takes nothing new.", float(scrape.is_draining))
    yield _counter("authz_log_lines_dropped", "Log lines lost because stderr was too slow.", counts.log_lines_dropped)


def _worker_families(scrape: Scrape) -> Iterator[Metric]:
    yield _gauge("authz_workers", "Processes that answer checks.", len(scrape.processes))
    yield _counter("authz_worker_restarts", "Processes that were started anew because one had ended or was stuck.", scrape.worker_restarts)
    cpu = CounterMetricFamily("authz_worker_cpu_seconds", "CPU time of a process that answers checks.", labels=["worker"])
    memory = GaugeMetricFamily("authz_worker_resident_memory_bytes", "Memory of a process that answers checks.", labels=["worker"])
    for number, process in enumerate(scrape.processes):
        cpu.add_metric([str(number)], process.cpu_s)
        memory.add_metric([str(number)], process.resident_bytes)
    yield from (cpu, memory)


def _bundle_families(bundles: BundleStats) -> Iterator[Metric]:
    age = GaugeMetricFamily("authz_bundle_age_seconds", "Time since a bundle was last known to be the newest.", labels=["bundle"])
    stale = GaugeMetricFamily("authz_bundle_stale", "1 if a bundle is older than its max_age_seconds.", labels=["bundle"])
    for name, age_s in bundles.ages_s.items():
        if age_s is not None:
            age.add_metric([name], age_s)
        stale.add_metric([name], float(bundles.stale[name]))
    yield from (age, stale)
    yield _counters("authz_bundle_downloads", "Requests for bundles by what became of them.", "outcome", bundles.downloads)
    help = "1 unless versions of bundles should be on disk and are not."
    yield _gauge("authz_bundle_persistence_ok", help, float(bundles.is_persistence_ok))
    yield _gauge("authz_policy_pinned", "1 if a version is pinned: newer bundles are not activated.", float(bundles.is_pinned))


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help, value=value)


def _counter(name: str, help: str, value: float) -> Metric:
    return CounterMetricFamily(name, help, value=value)


def _counters(name: str, help: str, label: str, values: Mapping[str, int]) -> Metric:
    counters = CounterMetricFamily(name, help, labels=[label])
    for key, count in values.items():
        counters.add_metric([key], count)
    return counters


def _info(name: str, help: str, labels: dict[str, str]) -> Metric:
    info = GaugeMetricFamily(name, help, labels=list(labels))
    info.add_metric(list(labels.values()), 1)
    return info
