"""What a caller waits for: real Envoy over mTLS without the check, with it, and with the check on grpc.aio, by turns."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from typing import Final

from bench import subject
from bench.lab import Lab, LabOptions
from bench.lab.authz_process import AuthzProcess
from bench.lab.client import Request
from bench.lab.envoy_config import Variant
from bench.lab.load import LoadResult, for_seconds, run_load
from bench.lab.ports import free_port
from bench.messages import CALLER_ID, PROXY_ID, REALISTIC_HEADERS
from bench.record import Figures

CONNECTIONS: Final = 8
NONE, NGH2, GRPCIO = "no ext_authz", "authz (ngh2)", "authz (grpcio)"
PERCENTS: Final = (50, 95, 99)


def run(*, is_quick: bool = False) -> Figures:
    """Load each way by turns; return medians of the rounds, and what the check adds to the latency."""
    rounds, seconds = (2, 1.0) if is_quick else (7, 3.0)
    port = free_port()
    variants = [
        Variant(NONE, accepts_any_san=True, is_checked=False),
        Variant(NGH2, accepts_any_san=True),
        Variant(GRPCIO, accepts_any_san=True, cluster=GRPCIO),
    ]
    options = LabOptions(PROXY_ID, {"frontend": CALLER_ID}, variants, extra_checks={GRPCIO: [port]})
    with Lab(options, {subject.POLICY.name: subject.POLICY.read_text()}) as lab:
        second = AuthzProcess([lab.policies], lab.directory, ["--transport", "grpcio"], name="grpcio", port=port)
        try:
            second.start()
            _round(lab, 0.5)
            measured = [_round(lab, seconds) for _ in range(rounds)]
        finally:
            second.stop()
    figures: Figures = {
        way: {name: _median(one[way][name] for one in measured) for name in measured[0][way]} for way in (NONE, NGH2, GRPCIO)
    }
    for way in (NGH2, GRPCIO):
        figures[way]["added_p50_ms"] = _median(one[way]["p50_ms"] - one[NONE]["p50_ms"] for one in measured)
    figures["connections"], figures["rounds"], figures["seconds_each"] = CONNECTIONS, rounds, seconds
    return figures


def _round(lab: Lab, seconds: float) -> Mapping[str, Mapping[str, float]]:
    request = Request("GET", "/v1/transactions/1000", list(REALISTIC_HEADERS.items()))
    context = lab.context("frontend")
    results: dict[str, Mapping[str, float]] = {}
    for way in (NONE, NGH2, GRPCIO):
        load = run_load(lab.port(way), request, context, connections=CONNECTIONS, should_stop=for_seconds(seconds))
        _require_allowed(way, load)
        results[way] = {"per_second": load.rate, **{f"p{percent}_ms": load.percentile_ms(percent) for percent in PERCENTS}}
    return results


def _require_allowed(way: str, load: LoadResult) -> None:
    if load.failures or set(load.statuses) != {200}:
        raise RuntimeError(f"{way}: not every request was allowed: {dict(load.statuses)}, {load.failures[:1]}")


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 3)
