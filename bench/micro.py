"""The check without a wire: each stage alone, then bytes in to bytes out.

Times are per call, of batches taken by turns, so that a slow moment of the machine
falls on every stage alike.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns, time_ns
from typing import Any, Final

from authz.extauthz import decode
from authz.server.rpc import Call
from bench import subject
from bench.record import Figures

TARGET_US: Final = 25.0
WHOLE: Final = "check allowed: bytes → bytes"

Work = Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class Stage:
    """A function of one argument and the arguments it is called with, by turns."""

    name: str
    work: Work
    arguments: Sequence[Any]


def stages() -> list[Stage]:
    """Return every stage of an allowed check, then whole checks of each kind."""
    payloads = subject.requests(subject.allowed())
    snapshot = subject.snapshot()
    decoded = [decode(payload) for payload in payloads]
    leaves = [snapshot.projection.leaves(request) for request in decoded]
    documents = [snapshot.projection.document(values) for values in leaves]
    now_ns = time_ns()
    evaluate = snapshot.entry.evaluate
    decisions = [evaluate(document, now_ns) for document in documents]
    return [
        Stage("decode CheckRequest", decode, payloads),
        Stage("identity and projection", snapshot.projection.leaves, decoded),
        Stage("input document", snapshot.projection.document, leaves),
        Stage("decision table", lambda document: evaluate(document, now_ns), documents),
        Stage("encode CheckResponse", snapshot.answers.encode, decisions),
        *_whole_checks(payloads),
    ]


def _whole_checks(payloads: list[bytes]) -> list[Stage]:
    denied = subject.requests(subject.denied())
    certified = subject.requests(subject.certified(subject.allowed()))
    return [
        Stage(WHOLE, _check(is_cached=True), payloads),
        Stage("check allowed, with certificate", _check(is_cached=True), certified),
        Stage("check denied, from the cache", _check(is_cached=True), denied),
        Stage("check denied, evaluated", _check(is_cached=False), denied),
    ]


def _check(*, is_cached: bool) -> Work:
    service, call = subject.check_service(is_cached=is_cached), Call(None, "ipv4:127.0.0.1:1")
    return lambda payload: service.check(payload, call)


def run(*, is_quick: bool = False) -> Figures:
    """Measure every stage; return median, tenth percentile and minimum in microseconds a call."""
    measured = stages()
    batches = 40 if is_quick else 300
    samples: dict[str, list[float]] = {stage.name: [] for stage in measured}
    for stage in measured:
        _batch_us(stage)  # fills caches, as the first checks of a process do
    for _ in range(batches):
        for stage in measured:
            samples[stage.name].append(_batch_us(stage))
    size = len(subject.requests(subject.allowed())[0])
    return {"request_bytes": size, "stages": {name: _summary(values) for name, values in samples.items()}}


def _batch_us(stage: Stage) -> float:
    work, arguments = stage.work, stage.arguments
    started = perf_counter_ns()
    for argument in arguments:
        work(argument)
    return (perf_counter_ns() - started) / len(arguments) / 1000


def _summary(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    figures = {"median_us": statistics.median(ordered), "p10_us": ordered[len(ordered) // 10], "min_us": ordered[0]}
    return {name: round(value, 3) for name, value in figures.items()}
