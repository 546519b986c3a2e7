"""An open loop: requests at a constant rate, whatever the answers take.

A request that is sent late, because everything before it was slow or because this process was, has waited since it was due, and its
latency says so. Knows neither HTTP nor gRPC.
"""

from __future__ import annotations

import asyncio
import gc
import os
import selectors
import statistics
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

Result = TypeVar("Result")

GoesOn: TypeAlias = Callable[[float], bool]
"""Whether a load goes on, given the seconds since its begin at which the next request is due."""

SHARES: Final = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999}


class Answer(NamedTuple):
    """When a request was due, the seconds until it was answered, and whether with what was expected."""

    due: float
    waited: float
    is_right: bool


@dataclass(slots=True)
class Paced:
    """What a paced load has seen. `late` are the seconds by which this process itself sent each request too late."""

    answers: list[Answer] = field(default_factory=list)
    late: list[float] = field(default_factory=list)

    @property
    def failures(self) -> int:
        """How many requests were not answered as expected, or not at all."""
        return len(self.late) - sum(answer.is_right for answer in self.answers)

    def require_right(self, what: str) -> None:
        """Raise RuntimeError if an answer was not as expected, or there was none."""
        wrong = sum(not answer.is_right for answer in self.answers)
        if wrong or len(self.answers) != len(self.late):
            raise RuntimeError(f"{what}: {wrong} wrong answers, {len(self.answers)} answers to {len(self.late)} requests")


def latencies(answers: Iterable[Answer]) -> dict[str, float]:
    """Return percentiles in milliseconds; p99.9 only where there are enough answers to have one."""
    ordered = sorted(answer.waited for answer in answers)
    figures = {
        name: 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]
        for name, share in SHARES.items()
        if len(ordered) * (1 - share) >= 1
    }
    return {name: round(value, 3) for name, value in (figures | {"max_ms": 1000 * ordered[-1]}).items()}


def medians(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the median of every figure that all rows have."""
    return {name: round(statistics.median(row[name] for row in rows), 3) for name in rows[0] if all(name in row for row in rows)}


def for_seconds(seconds: float) -> GoesOn:
    """Return how long a load lasts that lasts so long."""
    return lambda elapsed: elapsed < seconds


async def pace(send: Callable[[float], None], rate: float, goes_on: GoesOn, paced: Paced) -> None:
    """Send at this rate, evenly; what was missed is sent at once."""
    begin = perf_counter()
    for number in count():
        if not goes_on(number / rate):
            break
        due = begin + number / rate
        while (ahead := due - perf_counter()) > 0:  # noqa: ASYNC110 - a timer may come early
            await asyncio.sleep(ahead)
        if number % 64 == 0:
            await asyncio.sleep(0)  # answers are read also while requests are late
        paced.late.append(perf_counter() - due)
        send(due)


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a load on a loop whose timers are exact: select(2) takes microseconds, where epoll and uvloop round up to milliseconds."""
    with (
        _without_collections(),
        _real_time(),
        asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner,
    ):
        return runner.run(main)


@contextmanager
def _real_time() -> Iterator[None]:
    """Run before everybody else, where that is permitted.

    The load stands for callers on other machines. One that waits for a core of this one measures its own lateness, not an answer's.
    """
    before = os.sched_getscheduler(0)
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, before, os.sched_param(0))


@contextmanager
def _without_collections() -> Iterator[None]:
    """Keep the garbage collector of this process out of the figures."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
