"""The benches of decisions run, what they measure is what they say, and what is missed is seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as bench_main
from bench import compare, compiling, joins, micro, plot, scale, shapes, small
from bench.families import EQUAL_GRANTS, SHAPES, Family
from bench.families.case import Case
from bench.families.equality import EQUALITY
from bench.families.example_policies import examples
from bench.measure import BATCH, by_turns, pinned, ratio, summary, timed
from bench.memory import memory_of
from bench.record import Figures, Origin, Record
from bench.targets import targets

# Measuring


def test_batches_are_taken_by_turns_and_long_calls_seldom_and_one_by_one() -> None:
    calls: dict[str, list[int]] = {"short": [], "long": []}

    def take(name: str, cost_us: float) -> Callable[[int], float]:
        return lambda count: calls[name].append(count) or cost_us  # type: ignore[func-returns-value]

    samples = by_turns({"short": take("short", 1.0), "long": take("long", 1000.0)}, rounds=20)
    assert calls == {"short": [1, 1, *[BATCH] * 20], "long": [1] * 4}
    assert samples["short"] == [1.0] * 20
    assert [number for number, sample in enumerate(samples["long"]) if sample is not None] == [0, 10]


def test_a_ratio_is_of_pairs_of_one_round() -> None:
    assert ratio([4.0, None, 9.0, 100.0], [2.0, 1.0, 3.0, None]) == 2.5
    assert summary([5.0, None, *map(float, range(10))]) == {"median_us": 5.0, "p10_us": 1.0, "p90_us": 8.0}


def test_every_call_is_made_and_the_first_of_a_batch_are_not_timed() -> None:
    seen: list[int] = []
    assert timed(seen.append, ((number,) for number in range(16))) > 0
    assert seen == list(range(16))
    assert timed(sum, [(range(100_000),), *[((1,),)] * 15]) < 100


def test_pinning_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    import os  # noqa: PLC0415
