"""Checks a second over gRPC: the same service object on libnghttp2 and on grpc.aio, by turns, on one core.

The server has one core, the load generator another. Besides the rate, the processor
time a check costs the server is reported: it suffers less from other users of the machine.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uvloop

from authz.server.check import CHECK_METHOD
from bench import subject
from bench.grpc_load import Load, run_load
from bench.lab.process import ManagedProcess
from bench.lab.upstream import REPOSITORY
from bench.lab.waiting import wait_until
from bench.measure import pinned
from bench.record import Figures

IN_FLIGHT: Final = 16
TRANSPORTS: Final = ("ngh2", "grpcio")


def run(*, is_quick: bool = False) -> Figures:
    """Load both transports by turns; return rates, latencies, cost a check and the median of the ratios of each pair."""
    pairs, seconds = (3, 1.0) if is_quick else (9, 3.0)
    server_core, *others = sorted(os.sched_getaffinity(0))
    with _served(server_core) as (process, addresses), pinned(others[-1:] or [server_core]):
        rounds = [{name: _round(process, addresses[name], seconds) for name in TRANSPORTS} for _ in range(pairs)]
    figures: Figures = {name: _median([one[name] for one in rounds]) for name in TRANSPORTS}
    ratios = [one["ngh2"]["per_second"] / one["grpcio"]["per_second"] for one in rounds]
    costs = [one["grpcio"]["server_cpu_us"] / one["ngh2"]["server_cpu_us"] for one in rounds]
    figures["ngh2_over_grpcio"] = {"rate_ratio": round(statistics.median(ratios), 2), "cpu_ratio": round(statistics.median(costs), 2)}
    figures["in_flight"], figures["pairs"], figures["seconds_each"] = IN_FLIGHT, pairs, seconds
    return figures


@contextmanager
def _served(core: int) -> Iterator[tuple[ManagedProcess, dict[str, str]]]:
    with tempfile.TemporaryDirectory(prefix="authz-bench-") as name:
        target, log = Path(name) / "addresses.json", Path(name) / "server.log"
        command = [sys.executable, "-m", "bench.serve_both", str(core), str(target)]
        process = ManagedProcess("bench server", command, log, {"PYTHONPATH": str(REPOSITORY)})
        try:
            wait_until(lambda: _is_up(process, target), "the bench server listens")
            yield process, json.loads(target.read_text())
        finally:
            process.kill()


def _is_up(process: ManagedProcess, target: Path) -> bool:
    process.require_running()
    return target.exists()


def _round(process: ManagedProcess, address: str, seconds: float) -> dict[str, float]:
    load = Load(CHECK_METHOD, subject.requests(subject.allowed())[0], in_flight=IN_FLIGHT, seconds=seconds, warm_up_s=0.3)
    before = process.cpu_s()
    result = uvloop.run(run_load(address, load))
    spent_s = process.cpu_s() - before
    if result.failed or not result.calls:
        raise RuntimeError(f"{result.failed} of {result.calls} checks failed at {address}")
    # The warm-up is in the processor time, so it is spread over the calls of the whole run.
    calls = result.calls * (seconds + load.warm_up_s) / seconds
    return {
        "per_second": result.per_second,
        "server_cpu_us": 1e6 * spent_s / calls,
        "p50_ms": result.p50_ms,
        "p95_ms": result.p95_ms,
        "p99_ms": result.p99_ms,
    }


def _median(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(one[name] for one in rounds), 3) for name in rounds[0]}
