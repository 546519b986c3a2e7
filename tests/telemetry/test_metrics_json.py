"""Metrics as Go's protobuf library writes them in JSON."""

from __future__ import annotations

import math
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, SummaryMetricFamily

from authz.telemetry.metrics_json import families_json


def one(family: Metric) -> Any:
    """Return the only family."""
    ((name, document),) = families_json([family]).items()
    assert document["name"] == name
    return document


def test_a_counter_has_the_name_of_the_text_format() -> None:
    family = CounterMetricFamily("checks", "Checks.", labels=["outcome"])
    family.add_metric(["b"], 2)
    family.add_metric(["a"], 1)
    assert one(family) == {
        "name": "checks_total",
        "help": "Checks.",
        "type": "COUNTER",
        "metric": [
            {"label": [{"name": "outcome", "value": "b"}], "counter": {"value": 2}},
            {"label": [{"name": "outcome", "value": "a"}], "counter": {"value": 1}},
        ],
    }


def test_a_histograms_counts_are_text_and_its_last_bucket_is_left_out() -> None:
    family = HistogramMetricFamily("d", "D.", buckets=[("0.5", 1), ("1.0", 3), ("+Inf", 4)], sum_value=2.5)
    buckets = [{"cumulativeCount": "1", "upperBound": 0.5}, {"cumulativeCount": "3", "upperBound": 1.0}]
    document = one(family)
    assert (document["type"], document["metric"]) == (
        "HISTOGRAM",
        [{"histogram": {"sampleCount": "4", "sampleSum": 2.5, "bucket": buckets}}],
    )


def test_a_summary_without_quantiles_is_count_and_sum() -> None:
    assert one(SummaryMetricFamily("s", "S.", count_value=2, sum_value=3.0))["metric"] == [
        {"summary": {"sampleCount": "2", "sampleSum": 3.0}}
    ]


@pytest.mark.parametrize(("value", "text"), [(math.inf, "Infinity"), (-math.inf, "-Infinity"), (math.nan, "NaN"), (0.25, 0.25)])
def test_what_is_no_number_in_json_is_text(value: float, text: object) -> None:
    assert one(GaugeMetricFamily("g", "G.", value=value))["metric"] == [{"gauge": {"value": text}}]


def test_a_type_that_protobuf_has_no_name_for_is_untyped() -> None:
    family = Metric("u", "U.", "untyped")
    family.add_sample("u", {}, 1)
    assert (one(family)["type"], one(family)["metric"]) == ("UNTYPED", [{"untyped": {"value": 1}}])


def test_a_family_without_metrics_is_left_out() -> None:
    assert families_json([GaugeMetricFamily("g", "G.", labels=["x"])]) == {}
