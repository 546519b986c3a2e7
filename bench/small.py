"""Small policies, which most are: a decision beside the same one by hand."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Final

from authz import rego
from bench.contenders import floor_take, policy_take
from bench.families import ENTRYPOINT, MIXED, Family
from bench.families.example_policies import Example, examples
from bench.measure import by_turns, last_core, pinned, summary
from bench.record import Figures

SIZES: Final = (3, 10, 30)


def run(*, is_quick: bool = False) -> Figures:
    """Measure the policies in files and mixed ones; return medians in microseconds."""
    return measure([*examples(), *(_mixed(MIXED, size) for size in SIZES)], rounds=10 if is_quick else 300)


def _mixed(family: Family, size: int) -> Example:
    case = family.build(size)
    assert case.floor is not None
    return Example(f"{family.name}, {size} rules", {"policy.rego": case.source}, case.requests, case.floor)


def measure(policies: Sequence[Example], rounds: int) -> Figures:
    """Measure some policies with every kind of their requests. Raises RuntimeError where the two ways disagree."""
    takes = {}
    for example in policies:
        policy, floor = rego.compile(example.modules, example.data), example.floor()
        for kind, requests in example.requests.items():
            for request in requests:
                if policy.entrypoint(ENTRYPOINT).decide(request, now_ns=0) != floor(request):
                    raise RuntimeError(f"{example.name}: not decided by hand as by the policy: {request}")
            takes[example.name, kind, "decision"] = policy_take(policy, requests)
            takes[example.name, kind, "by_hand"] = floor_take(floor, requests)
    gc.freeze()
    with pinned(last_core()):
        samples = by_turns(takes, rounds)
    figures: Figures = {}
    for (name, kind, who), values in samples.items():
        measured = summary(values)
        row = figures.setdefault(f"{name}: {kind}", {})
        row |= {f"{who}_us": measured["median_us"], f"{who}_p90_us": measured["p90_us"]}
    return {"policies": figures}
