"""OPA's metrics of what its status reports say (`status.prometheus`). Counts reports; sends none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from authz.services.client import OPA_VERSION
from authz.services.downloads import BundleState
from authz.services.status import Status, bundle_document, timer_of
from authz.telemetry.histogram import Histogram

MAX_FAILURES: Final = 64
"""Distinct failures that are counted by their message; OPA counts all that ever were."""

OTHER: Final = "(other errors)"
_BUCKETS_S: Final = tuple(1e-6 * 2**power for power in range(20))  # OPA's, which it gives in nanoseconds

_TIMES: Final = (
    ("last_bundle_request", "When the bundle was last asked for.", "requested_ns"),
    ("last_success_bundle_request", "When a request for the bundle was last answered.", "answered_ns"),
    ("last_success_bundle_download", "When the bundle was last downloaded.", "downloaded_ns"),
)


class StatusMetrics(Collector):
    """The metrics of all reports since the start. They are shown while `is_on`."""

    def __init__(self) -> None:
        self.is_on = False
        self._status = Status({})
        self._loaded: dict[str, int] = {}
        self._failed: dict[tuple[str, str, str], int] = {}
        self._durations: dict[tuple[str, str], Histogram] = {}
        self._seen_ns: dict[tuple[str, str], int] = {}

    def note(self, status: Status) -> None:
        """Count a report."""
        self._status = status
        for name, state in status.bundles.items():
            if state.is_ok:
                self._loaded[name] = self._loaded.get(name, 0) + 1
            else:
                key = self._failure(state)
                self._failed[key] = self._failed.get(key, 0) + 1
            self._note_stages(state)

    def _note_stages(self, state: BundleState) -> None:
        """Count each stage of an attempt once, however many reports tell of it, and however early the first of them."""
        for stage, duration_ns in state.stages_ns.items():
            key = (state.name, timer_of(stage))
            if self._seen_ns.get(key) != state.answered_ns:
                self._seen_ns[key] = state.answered_ns
                self._durations.setdefault(key, Histogram(_BUCKETS_S)).observe(duration_ns)

    def _failure(self, state: BundleState) -> tuple[str, str, str]:
        document = bundle_document(state)
        key = (state.name, document.get("code", ""), document.get("message", ""))
        return key if key in self._failed or len(self._failed) < MAX_FAILURES else (state.name, key[1], OTHER)

    def describe(self) -> Iterator[Metric]:
        """Name nothing ahead: what there is depends on the configuration."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield OPA's families."""
        if not self.is_on:
            return
        status = self._status
        yield _gauges("opa_info", "The OPA whose interfaces these are; always 1.", ("version",), {(OPA_VERSION,): 1})
        plugins = {(name, plugin.state): 1 for name, plugin in status.plugins.items()}
        yield _gauges("plugin_status_gauge", "1 for the state of each part.", ("name", "status"), plugins)
        yield _counts(
            "bundle_loaded_counter", "Reports of a bundle without an error.", ("name",), {(k,): n for k, n in self._loaded.items()}
        )
        yield _counts("bundle_failed_load_counter", "Reports of a bundle with an error.", ("name", "code", "message"), self._failed)
        for family, help, field in _TIMES:
            yield _gauges(family, help, ("name",), {(name,): getattr(state, field) for name, state in status.bundles.items()})
        activated = {(name, state.revision or ""): state.activated_ns for name, state in status.bundles.items()}
        yield _gauges("last_success_bundle_activation", "When the bundle was last activated.", ("name", "active_revision"), activated)
        yield self._loading()

    def _loading(self) -> Metric:
        family = HistogramMetricFamily("bundle_loading_duration_ns", "How long loading a bundle took.", labels=["name", "stage"])
        for key, histogram in self._durations.items():
            total, buckets = 0, []
            for bound_ns, count in zip(histogram.bounds_ns, histogram.counts, strict=False):
                total += count
                buckets.append((str(float(bound_ns)), float(total)))
            buckets.append(("+Inf", float(sum(histogram.counts))))
            family.add_metric(list(key), buckets, histogram.sum_ns)
        return family


def _gauges(name: str, help: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(name, help, labels=labels)
    for key, value in values.items():
        family.add_metric(list(key), value)
    return family


def _counts(name: str, help: str, labels: tuple[str, ...], values: Mapping[Any, int]) -> Metric:
    """Return counters whose names have no `_total` at their end, which the library gives to what it calls a counter."""
    family = Metric(name, help, "untyped")
    for key, value in values.items():
        family.add_sample(name, dict(zip(labels, key, strict=True)), value)
    return family
