from __future__ import annotations

from authz.errors import Reason
from authz.telemetry.counters import OUTCOMES, ActivationCounters, CheckCounters
from authz.telemetry.histogram import CHECK_BUCKETS_S, Histogram, family

OPA_BUCKETS_S = (1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 3e-3, 5e-3, 0.1, 1)


def test_the_check_buckets_hold_every_bound_that_opa_dashboards_query() -> None:
    assert set(OPA_BUCKETS_S) <= set(CHECK_BUCKETS_S)
    assert list(CHECK_BUCKETS_S) == sorted(CHECK_BUCKETS_S)


def test_a_duration_on_a_bound_belongs_to_the_bucket_it_closes() -> None:
    histogram = Histogram((1e-6, 1e-3))
    for elapsed_ns in (0, 1_000, 1_001, 1_000_000, 1_000_001):
        histogram.observe(elapsed_ns)
    assert histogram.counts == [2, 2, 1]
    assert histogram.sum_ns == 2_002_002


def test_a_histogram_renders_cumulative_counts_in_seconds() -> None:
    histogram = Histogram((0.001, 1.0))
    for elapsed_ns in (1, 2_000_000, 3_000_000_000):
        histogram.observe(elapsed_ns)
    rendered = family("x_seconds", "X.", histogram.bounds_s, histogram.counts, histogram.sum_ns)
    samples = {(sample.name, sample.labels.get("le")): sample.value for sample in rendered.samples}
    assert samples == {
        ("x_seconds_bucket", "0.001"): 1,
        ("x_seconds_bucket", "1.0"): 2,
        ("x_seconds_bucket", "+Inf"): 3,
        ("x_seconds_count", None): 3,
        ("x_seconds_sum", None): 3.002000001,
    }


def test_observing_a_check_counts_as_its_histogram_would() -> None:
    counters, twin = CheckCounters(), Histogram(CHECK_BUCKETS_S)
    for elapsed_ns in (0, 999, 1_000, 1_001, 5_000_000, 10**12):
        counters.observe(Reason.DENIED, "miss", elapsed_ns)
        twin.observe(elapsed_ns)
    assert (counters.latency.counts, counters.latency.sum_ns) == (twin.counts, twin.sum_ns)
    assert counters.by_reason[Reason.DENIED] == counters.by_cache["miss"] == 6


def test_every_outcome_is_there_from_the_start() -> None:
    counters = ActivationCounters()
    assert counters.by_outcome == dict.fromkeys(OUTCOMES, 0)
    counters.count("activated")
    assert counters.by_outcome["activated"] == 1
