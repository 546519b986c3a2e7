"""How a decision's cost grows with the number of rules, beside what else could decide: scale curves.

For every family of policies in every size: the decision step of the compiled policy, of the same compiled without tables, of
other engines, and by hand; what it takes to compile; and what the policy adds to the memory of the process that serves.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from authz.rego import Policy
from bench import engines
from bench.compiling import Compiled, compile_apart
from bench.contenders import floor_take, policy_take
from bench.families import KINDS, LAST, MISS, SCALE, Case, Family
from bench.measure import Take, by_turns, last_core, pinned, ratio, summary
from bench.memory import memory_of
from bench.record import Figures

AUTHZ, PLAIN, FLOOR = "authz", "without tables", "by hand"

SIZES: Final = (10, 100, 1_000, 10_000, 100_000)
MOST: Final = {AUTHZ: 100_000, FLOOR: 100_000, PLAIN: 10_000, engines.OPA: 10_000, engines.REGO_CPP: 1_000, engines.REGORUS: 1_000}
"""The largest size that each contender is asked about: beyond it a decision, or the way to it, takes too long to measure many."""

SLOW_KINDS: Final = (LAST, MISS)
"""What the contenders that go through the rules are asked."""


@dataclass(frozen=True, slots=True)
class Series:
    """One point of a curve before it is measured: who is asked what, and at which size."""

    contender: str
    kind: str
    size: int

    @property
    def curve(self) -> str:
        return f"{self.contender}, {self.kind}"


def run(*, is_quick: bool = False) -> Figures:
    """Measure every family; times of a decision in microseconds, of compiling in seconds of processor time, memory in megabytes."""
    return measure(SCALE, (10, 1_000), rounds=10) if is_quick else measure(SCALE, SIZES, rounds=200)


def measure(families: Sequence[Family], sizes: Sequence[int], rounds: int) -> Figures:
    """Measure some families in some sizes, the smallest of which is what the others are compared with."""
    figures: Figures = {"curves": {}, "compile": {}, "memory": {}}
    with tempfile.TemporaryDirectory(prefix="authz-bench-") as name:
        for family in families:
            compiled = {size: compile_apart(family, size, Path(name)) for size in sizes}
            for size, one in compiled.items():
                figures["compile"][f"{family.name}, {size}"] = one.figures
                figures["memory"][f"{family.name}, {size}"] = memory_of(one.path)
            plain = {size: compile_apart(family, size, Path(name), optimize=False) for size in sizes if size <= MOST[PLAIN]}
            figures["curves"][family.name] = _curves(family, {AUTHZ: compiled, PLAIN: plain}, rounds)
    return figures


def _curves(family: Family, compiled: Mapping[str, Mapping[int, Compiled]], rounds: int) -> Figures:
    with pinned(last_core()), ExitStack() as stack:
        takes: dict[Series, Take] = {}
        for size in compiled[AUTHZ]:
            case = family.build(size)
            for contender, policies in compiled.items():
                if size in policies:
                    policy = policies[size].load()
                    stack.callback(policy.retire)
                    takes |= _takes_of_policy(contender, size, policy, case)
            takes |= _takes_of_others(size, case, stack)
        gc.freeze()  # as an activation does: what was loaded is nothing for the garbage collector to look through
        samples = by_turns(takes, rounds)
    curves: Figures = {}
    smallest = min(compiled[AUTHZ])
    for series, values in samples.items():
        base = samples[Series(series.contender, series.kind, smallest)]
        curves.setdefault(series.curve, {})[str(series.size)] = {**summary(values), "ratio": ratio(values, base)}
    return curves


def _takes_of_policy(contender: str, size: int, policy: Policy, case: Case) -> dict[Series, Take]:
    kinds = KINDS if contender == AUTHZ else SLOW_KINDS
    return {Series(contender, kind, size): policy_take(policy, case.requests[kind]) for kind in kinds}


def _takes_of_others(size: int, case: Case, stack: ExitStack) -> dict[Series, Take]:
    assert case.floor is not None
    floor = case.floor()
    takes = {Series(FLOOR, kind, size): floor_take(floor, case.requests[kind]) for kind in KINDS}
    for name in engines.available():
        if size <= MOST[name]:
            asked = stack.enter_context(engines.engine(name, case, SLOW_KINDS))
            takes |= {Series(name, kind, size): take for kind, take in asked.items()}
    return takes
