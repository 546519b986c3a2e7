"""Loads at constant rates: late is late, whoever's fault it is; swaps are watched; the real Envoy is asked at a rate."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from time import perf_counter

import pytest

from bench.load import activation, pace, rates, swap_memory, swaps
from bench.load.pace import Answer, Paced, for_seconds, latencies, medians


def paced(rate: float, goes_on: pace.GoesOn, blocks_s: float = 0.0) -> tuple[list[float], Paced]:
    seen, result = list[float](), Paced()

    async def load() -> None:
        loop = asyncio.get_running_loop()

        def block() -> None:
            end = perf_counter() + blocks_s
            while perf_counter() < end:
                pass

        loop.call_later(0.01, block)
        await pace.pace(seen.append, rate, goes_on, result)

    pace.run(load())
    return seen, result


def test_requests_are_due_evenly_and_never_sent_before() -> None:
    due, result = paced(1000, for_seconds(0.1))
    assert len(due) == 100
    assert all(abs(after - before - 0.001) < 1e-6 for before, after in pairwise(due))
    assert min(result.late) >= 0


def test_a_process_that_was_held_up_sends_everything_it_missed_as_late_as_it_is() -> None:
    due, result = paced(1000, for_seconds(0.1), blocks_s=0.05)
    assert len(due) == 100
    assert max(result.late) > 0.04


def test_a_load_ends_when_it_is_told_to() -> None:
    asked = iter([True, True, False])
    assert len(paced(1000, lambda _: next(asked))[0]) == 2


def test_percentiles_that_too_few_answers_have_are_left_out() -> None:
    answers = [Answer(0.0, number / 1000, True) for number in range(100)]
    assert latencies(answers) == {"p50_ms": 50.0, "p95_ms": 95.0, "p99_ms": 99.0, "max_ms": 99.0}
    assert medians([{"a": 1.0, "b": 5.0}, {"a": 3.0}, {"a": 2.0}]) == {"a": 2.0}


@pytest.mark.parametrize("result", [Paced([Answer(0.0, 1.0, False)], [0.0]), Paced([], [0.0])], ids=["wrong", "missing"])
def test_a_load_with_a_wrong_or_missing_answer_has_no_figures(result: Paced) -> None:
    with pytest.raises(RuntimeError, match="this load: "):
        result.require_right("this load")


def test_checks_are_measured_while_a_policy_is_swapped() -> None:
    figures = activation.activation(50, 200.0, swaps=1, quiet_s=1.0)
    assert figures["quiet"]["p50_ms"] > 0
    assert figures["swap"]["p99_ratio"] > 0
    assert figures["swap"]["seconds"] > 0


def test_memory_is_measured_over_swaps() -> None:
    figures = activation.memory(20, swaps=2)
    assert {"after_0_mb", "after_1_mb", "after_2_mb", "most_of_second_half_mb"} < figures.keys()


def test_envoy_is_asked_at_a_constant_rate_with_the_check_and_without() -> None:
    figures = rates.measure((100,), (100,), rules=20, rounds=1, seconds=0.5)
    names = {f"{transport}-{rules}-rules" for transport in ("ngh2", "grpcio") for rules in (3, 20)} | {rates.NONE}
    assert figures["quiet"].keys() == {f"{name}, 100/s" for name in names}
    assert figures["saturation"].keys() == names
    assert {"p95_ms", "added_p95_ms", "envoy_cores", "authz_cores", "authz_mb"} < figures["quiet"]["ngh2-3-rules, 100/s"].keys()
    assert figures["swaps"].keys() == {f"{name}, 100/s" for name in (rates.NONE, "ngh2-20-rules", "grpcio-20-rules")}


def test_bundles_replace_each_other_at_a_constant_rate_and_all_that_is_promised_is_counted() -> None:
    figures = swaps.measure(20, 200.0, swaps=2, quiet_s=0.5, rollbacks=2)
    assert (figures["failures"], figures["mixed"], figures["not_monotone"]) == (0, 0, 0)
    assert figures["answers"] > 200
    assert figures["checks"]["swap"]["p50_ratio"] > 0
    assert 0 < figures["decides"]["rollback"]["max_ms"] < figures["decides"]["change"]["max_ms"]


def test_memory_is_measured_over_rollbacks_and_over_bundles() -> None:
    figures = swap_memory.measure(20, rollbacks=3, bundles=2)
    assert {"after_0_mb", "after_1_mb", "after_2_mb", "after_3_mb", "most_ratio", "least_ratio"} < figures["rollbacks"].keys()
    assert figures["bundles"]["swaps"] == 2


def test_only_what_was_due_within_a_span_counts_for_it() -> None:
    answers = [Answer(due, 1.0, True) for due in (3.0, 0.0, 1.0, 2.0, 4.0, 5.0)]
    assert [answer.due for answer in swaps.during(answers, [(1.0, 2.5), (4.0, 5.0)])] == [1.0, 2.0, 4.0]
