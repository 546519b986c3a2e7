"""Times of calls that take microseconds, on a machine that others use, too; and the memory of this process.

What is to be compared is measured in small batches by turns: a slow moment of the machine falls on all of them alike. Times are
processor time: nothing that is measured so waits, and what others take from it is no part of it. Knows nothing of what it calls.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from time import process_time_ns
from typing import Any, Final, TypeAlias, TypeVar

Key = TypeVar("Key", bound=Hashable)

Take: TypeAlias = Callable[[int], float]
"""Make so many calls; return the microseconds that each took."""

BATCH: Final = 64
"""Calls in a batch: enough that reading the clock does not show."""

_UNTIMED_PART: Final = 8

_LONG_US: Final = 50.0
_WARM_CALLS: Final = 5
_SELDOM: Final = 10
"""Calls that take longer are made one by one, and only in every tenth round."""


def timed(work: Callable[..., object], arguments: Iterable[tuple[Any, ...]]) -> float:
    """Call `work` with each tuple of arguments; return the microseconds a call.

    The first calls of a batch bring code and data back that others have driven out of the processor's caches; they are not timed.
    """
    prepared = list(arguments)
    first = len(prepared) // _UNTIMED_PART
    for each in prepared[:first]:
        work(*each)
    rest = prepared[first:]
    started = process_time_ns()
    for each in rest:
        work(*each)
    return (process_time_ns() - started) / len(rest) / 1000


def by_turns(takes: Mapping[Key, Take], rounds: int) -> dict[Key, list[float | None]]:
    """Measure every one once a round, in another order each time; return its times, None for a round that it was left out of."""
    is_long = {key: _warm_us(take) >= _LONG_US for key, take in takes.items()}
    samples: dict[Key, list[float | None]] = {key: [] for key in takes}
    order = list(takes)
    shuffle = Random(rounds).shuffle  # noqa: S311 - no secret: every run has the same orders
    for number in range(rounds):
        shuffle(order)
        for key in order:
            samples[key].append(None if is_long[key] and number % _SELDOM else takes[key](1 if is_long[key] else BATCH))
    return samples


def _warm_us(take: Take) -> float:
    """Return what a call takes that is not the first. One of few may be interrupted, or meet cold caches."""
    take(1)
    return min(take(1) for _ in range(_WARM_CALLS))


def summary(samples: Iterable[float | None]) -> dict[str, float]:
    """Return the median of the batches and the percentiles that show how far it is to be trusted."""
    ordered = sorted(sample for sample in samples if sample is not None)
    figures = {
        "median_us": statistics.median(ordered),
        "p10_us": ordered[len(ordered) // 10],
        "p90_us": ordered[len(ordered) * 9 // 10],
    }
    return {name: round(value, 3) for name, value in figures.items()}


def ratio(samples: Sequence[float | None], base: Sequence[float | None]) -> float:
    """Return the median of the ratios of the pairs that were taken in the same round."""
    pairs = [one / other for one, other in zip(samples, base, strict=True) if one is not None and other is not None]
    return round(statistics.median(pairs), 2)


@contextmanager
def pinned(cores: Sequence[int]) -> Iterator[None]:
    """Keep this process, and those that it starts, on some cores meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def last_core() -> list[int]:
    """Return the core to pin to: the last that this process may use, as most of what an idle machine does is on the first."""
    return sorted(os.sched_getaffinity(0))[-1:]


def resident_mb() -> float:
    """Return the resident memory of this process."""
    return _status_mb("VmRSS")


def peak_mb() -> float:
    """Return the most resident memory that this process has had."""
    return _status_mb("VmHWM")


def _status_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024 / 1e6
