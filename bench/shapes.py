"""Rules of one test each, few and many: whether a decision's cost depends on their number, shape by shape."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Final

from bench.compiling import measured, require_right
from bench.contenders import policy_take
from bench.families import LAST, MISS, SHAPES, Family
from bench.measure import Take, by_turns, last_core, pinned, ratio, summary
from bench.record import Figures

FEW, MANY = 10, 4_000

_NAMES: Final = {LAST: "hit", MISS: "miss"}


def run(*, is_quick: bool = False) -> Figures:
    """Measure every shape with few and with many rules: microseconds a decision, and what many cost times what few do."""
    return measure(SHAPES, FEW, 400 if is_quick else MANY, rounds=10 if is_quick else 200)


def measure(families: Sequence[Family], few: int, many: int, rounds: int) -> Figures:
    """Measure some shapes. A hit is one of the last rule, the median of batches; the ratio is that of pairs of batches."""
    with pinned(last_core()):
        return {"shapes": {family.name: _shape(family, few, many, rounds) for family in families}, "few": few, "many": many}


def _shape(family: Family, few: int, many: int, rounds: int) -> dict[str, float]:
    takes: dict[tuple[str, int], Take] = {}
    policies = []
    for size in (few, many):
        case = family.build(size)
        policy, seconds = measured(case)
        require_right(policy, case)
        policies.append(policy)
        takes |= {(kind, size): policy_take(policy, case.requests[kind]) for kind in (LAST, MISS)}
    gc.freeze()
    samples = by_turns(takes, rounds)
    for policy in policies:
        policy.retire()
    figures = {"compile_s": round(seconds["cpu_s"], 2)}
    for kind, name in _NAMES.items():
        for size, label in ((few, "few"), (many, "many")):
            figures[f"{name}_{label}_us"] = summary(samples[kind, size])["median_us"]
        figures[f"{name}_ratio"] = ratio(samples[kind, many], samples[kind, few])
    return figures
