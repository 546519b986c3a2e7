"""Prometheus metrics of the process: one registry, filled when it is scraped.

Names and labels are an interface (README, "Metrics"); every label's values are a closed set, but for the
revision and the entry point, of which there is one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from authz import __version__
from authz.errors import Reason
from authz.telemetry.counters import ActivationCounters, CheckCounters, SendCounters
from authz.telemetry.histogram import Histogram

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class PolicyGauges:
    """The active policy at the moment of a scrape."""

    revision: str
    entrypoint: str
    rows: int
    columns: int
    activated_s: float
    cache_entries: int
    cache_evictions: int


@dataclass(frozen=True, slots=True)
class Gauges:
    """What is neither counted nor timed: the state of the process at the moment of a scrape."""

    policy: PolicyGauges | None
    last_refresh_ok: bool
    in_flight: int
    open_connections: int
    is_draining: bool
    log_lines_dropped: int
    waiting_checks: int
    send_cache_bytes: int


class Metrics(Collector):
    """The registry and the counters behind it; `read_gauges` is asked at each scrape."""

    def __init__(
        self,
        checks: CheckCounters,
        activations: ActivationCounters,
        sends: SendCounters,
        lag: Histogram,
        read_gauges: Callable[[], Gauges],
    ) -> None:
        self._checks = checks
        self._activations = activations
        self._sends = sends
        self._lag = lag
        self._read_gauges = read_gauges
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def render(self) -> bytes:
        """Return every metric in Prometheus' text format (CONTENT_TYPE)."""
        return generate_latest(self._registry)

    def describe(self) -> Iterator[Metric]:
        """Name nothing ahead: asked when the process is not built yet."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield our families."""
        gauges = self._read_gauges()
        yield _info("authz_build_info", "Version of authz; always 1.", {"version": __version__})
        yield from self._check_families()
        yield from self._policy_families(gauges)
        yield from _process_families(gauges)
        yield from self._send_families(gauges)
        yield self._lag.family("authz_event_loop_lag_seconds", "How late the event loop ran a timer, sampled four times a second.")

    def _check_families(self) -> Iterator[Metric]:
        checks = self._checks
        yield checks.latency.family("authz_check_duration_seconds", "Time from the decoded gRPC frame to the encoded CheckResponse.")
        yield checks.latency.family(
            "grpc_request_duration_seconds", "authz_check_duration_seconds by the name opa-envoy-plugin gives it.", {"handler": "check"}
        )
        decisions = CounterMetricFamily("authz_decisions", "Answered checks by outcome and closed reason.", labels=["outcome", "reason"])
        for reason, count in checks.by_reason.items():
            decisions.add_metric(["allow" if reason is Reason.ALLOWED else "deny", reason.value], count)
        yield decisions
        cache = CounterMetricFamily("authz_decision_cache_lookups", "Answered checks by what the decision cache did.", labels=["result"])
        for result, count in checks.by_cache.items():
            cache.add_metric([result], count)
        yield cache

    def _policy_families(self, gauges: Gauges) -> Iterator[Metric]:
        attempts = CounterMetricFamily("authz_policy_refreshes", "Attempts to refresh the policy by outcome.", labels=["outcome"])
        for outcome, count in self._activations.by_outcome.items():
            attempts.add_metric([outcome], count)
        yield attempts
        yield _gauge("authz_policy_active", "1 if a policy is active; without one every check is denied.", float(gauges.policy is not None))
        yield _gauge(
            "authz_policy_last_refresh_ok", "1 if the last attempt to refresh the policy succeeded.", float(gauges.last_refresh_ok)
        )
        if gauges.policy is not None:
            yield from _active_policy_families(gauges.policy)

    def _send_families(self, gauges: Gauges) -> Iterator[Metric]:
        sends = self._sends
        yield sends.latency.family("authz_http_send_duration_seconds", "Time of one request of a policy, retries and redirects included.")
        requests = CounterMetricFamily("authz_http_send_requests", "Requests of policies by what became of them.", labels=["outcome"])
        for outcome, count in sends.by_outcome.items():
            requests.add_metric([outcome], count)
        yield requests
        cache = CounterMetricFamily("authz_http_send_cache_lookups", "Answers to policies by where they came from.", labels=["result"])
        for result, count in sends.by_cache.items():
            cache.add_metric([result], count)
        yield cache
        yield _gauge("authz_http_send_in_flight", "Requests of policies that are under way.", sends.in_flight)
        yield _gauge("authz_http_send_cache_bytes", "Size of the answers that are remembered.", gauges.send_cache_bytes)
        yield _gauge("authz_http_send_waiting_checks", "Checks that wait for an answer to their policy's request.", gauges.waiting_checks)


def _active_policy_families(policy: PolicyGauges) -> Iterator[Metric]:
    yield _info("authz_policy_info", "The active policy; always 1.", {"revision": policy.revision, "entrypoint": policy.entrypoint})
    yield _gauge("authz_policy_last_activation_timestamp_seconds", "When the active policy became active.", policy.activated_s)
    for name, value in (("rows", policy.rows), ("columns", policy.columns)):
        family = GaugeMetricFamily(f"authz_policy_table_{name}", f"{name.capitalize()} of the decision table.", labels=["entrypoint"])
        family.add_metric([policy.entrypoint], value)
        yield family
    yield _gauge("authz_decision_cache_entries", "Decisions that the cache holds.", policy.cache_entries)
    yield _counter("authz_decision_cache_evictions", "Decisions that left the cache for lack of room.", policy.cache_evictions)


def _process_families(gauges: Gauges) -> Iterator[Metric]:
    yield _gauge("authz_checks_in_flight", "Checks that were received and not answered yet.", gauges.in_flight)
    yield _gauge("authz_open_connections", "Open connections to the check addresses.", gauges.open_connections)
    yield _gauge("authz_draining", "1 while the process finishes what it has and takes nothing new.", float(gauges.is_draining))
    yield _counter("authz_log_lines_dropped", "Log lines lost because stderr was too slow.", gauges.log_lines_dropped)


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help, value=value)


def _counter(name: str, help: str, value: float) -> Metric:
    return CounterMetricFamily(name, help, value=value)


def _info(name: str, help: str, labels: dict[str, str]) -> Metric:
    family = GaugeMetricFamily(name, help, labels=list(labels))
    family.add_metric(list(labels.values()), 1)
    return family
