"""Metric families → the JSON that OPA's status reports have them in: Go's protobuf messages of Prometheus, written as protobuf writes JSON.

Shapes only: what is measured is `metrics`'.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from prometheus_client import Metric
from prometheus_client.samples import Sample

_TYPES: Final = {"counter": "COUNTER", "gauge": "GAUGE", "summary": "SUMMARY", "histogram": "HISTOGRAM"}
_INFINITY: Final = "+Inf"


def families_json(families: Iterable[Metric]) -> dict[str, Any]:
    """Return the families by their names in the text format."""
    return {name: document for name, document in map(_family, families) if document["metric"]}


def _family(family: Metric) -> tuple[str, dict[str, Any]]:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    by_labels: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for sample in family.samples:
        if sample.name != f"{family.name}_created":
            labels = tuple(sorted((key, value) for key, value in sample.labels.items() if key not in _own_label(family.type)))
            by_labels.setdefault(labels, []).append(sample)
    metrics = [_metric(family, labels, samples) for labels, samples in by_labels.items()]
    return name, {"name": name, "help": family.documentation, "type": _TYPES.get(family.type, "UNTYPED"), "metric": metrics}


def _own_label(type: str) -> tuple[str, ...]:
    """Return the labels by which the text format tells the parts of one metric."""
    return {"histogram": ("le",), "summary": ("quantile",)}.get(type, ())


def _metric(family: Metric, labels: Iterable[tuple[str, str]], samples: list[Sample]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    pairs = [{"name": name, "value": value} for name, value in labels]
    if pairs:
        document["label"] = pairs
    if family.type in ("histogram", "summary"):
        return document | {family.type: _distribution(family.name, samples)}
    kind = family.type if family.type in _TYPES else "untyped"
    return document | {kind: {"value": _number(samples[-1].value)}}


def _distribution(name: str, samples: list[Sample]) -> dict[str, Any]:
    values: Mapping[str, float] = {sample.name: sample.value for sample in samples}
    buckets = [
        {"cumulativeCount": _count(sample.value), "upperBound": float(sample.labels["le"])}
        for sample in samples
        if sample.labels.get("le", _INFINITY) != _INFINITY  # as in Go, the count stands for the last one
    ]
    quantiles = [
        {"quantile": float(sample.labels["quantile"]), "value": _number(sample.value)} for sample in samples if "quantile" in sample.labels
    ]
    parts = {"bucket": buckets, "quantile": quantiles}
    return {
        "sampleCount": _count(values.get(f"{name}_count", 0.0)),
        "sampleSum": _number(values.get(f"{name}_sum", 0.0)),
    } | {key: part for key, part in parts.items() if part}


def _count(value: float) -> str:
    return str(int(value))  # protobuf writes 64-bit integers as text


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
