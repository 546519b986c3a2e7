"""What checks wait for while a large policy is compiled and activated, beside what they wait for while all is quiet.

`authz serve` gets checks at a constant rate over gRPC, without Envoy, and by turns a policy of which one rule is another. Quiet
time is taken between the swaps, on the same connection, so that whatever else the machine does falls on both. Also: what the
resident memory is after many swaps.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from bench.families import EQUALITY, LAST, Case
from bench.lab.authz_process import AuthzProcess
from bench.lab.ports import LOOPBACK
from bench.load import pace
from bench.load.grpc import paced_checks
from bench.load.pace import Answer, for_seconds, latencies, medians
from bench.messages import Check, realistic
from bench.record import Figures

RULES: Final = 10_000
RATE: Final = 2_000.0
WATCH_S: Final = 0.1
"""How often the process is asked which policy is active."""

TAKE_OVER_S: Final = 1.5
"""Before and after the moment of an activation: a policy is unpacked before it, and the old one freed after it."""

SWAP_RULES: Final = 5_000


@dataclass(frozen=True, slots=True)
class Swap:
    """Moments of one swap, by `perf_counter`: quiet since, the save, the new policy decides, everything is over."""

    quiet: float
    saved: float
    active: float
    over: float


@dataclass(slots=True)
class Swapper:
    """Edits a policy that a process serves: each edit adds one rule to what the file held first."""

    authz: AuthzProcess
    path: Path
    source: str
    edits: int = 0

    def edit(self) -> float:
        """Save another edit; return the moment."""
        self.edits += 1
        draft = self.path.with_suffix(".draft")
        draft.write_text(f'{self.source}\nallow if http.path == "/edited/{self.edits}"\n')
        draft.replace(self.path)
        return perf_counter()

    async def swap(self, quiet_s: float) -> Swap:
        """Let it be quiet, swap, and wait until that is over; the process is asked for its revision all the time alike."""
        quiet = perf_counter()
        await self._watch(lambda _: perf_counter() - quiet >= quiet_s)
        before = self.authz.revision()
        saved = self.edit()
        await self._watch(lambda revision: revision != before)
        active = perf_counter()
        await self._watch(lambda _: perf_counter() - active >= TAKE_OVER_S)
        return Swap(quiet, saved, active, perf_counter())

    async def _watch(self, is_over: Callable[[str], bool]) -> None:
        while not is_over(await asyncio.to_thread(self.authz.revision)):
            self.authz.process.require_running()
            await asyncio.sleep(WATCH_S)


def run(*, is_quick: bool = False) -> Figures:
    """Measure; latencies in milliseconds, ratios of the swaps to the quiet time before each, memory in megabytes."""
    if is_quick:
        return {"activation": activation(500, 200.0, swaps=1, quiet_s=1.0), "memory": memory(200, swaps=3)}
    return {"activation": activation(RULES, RATE, swaps=7, quiet_s=5.0), "memory": memory(SWAP_RULES, swaps=30)}


def activation(rules: int, rate: float, *, swaps: int, quiet_s: float) -> Figures:
    """Swap policies of some size under load; return medians over the swaps."""
    case = EQUALITY.build(rules)
    with tempfile.TemporaryDirectory(prefix="authz-bench-") as name, _served(Path(name), case) as (authz, policy):
        return pace.run(_under_load(Swapper(authz, policy, case.source), case.requests[LAST][0], rate, swaps, quiet_s))


async def _under_load(swapper: Swapper, document: Any, rate: float, swaps: int, quiet_s: float) -> Figures:
    http = document["attributes"]["request"]["http"]
    payload, address = realistic(Check(http["method"], http["path"])).encode(), f"{LOOPBACK}:{swapper.authz.port}"
    await paced_checks(address, payload, rate, for_seconds(1.0))  # what runs for the first time is not measured
    swapping = asyncio.create_task(_swap(swapper, swaps, quiet_s))
    paced = await paced_checks(address, payload, rate, lambda _: not swapping.done())
    rows = [_row(paced.answers, swap) for swap in await swapping]
    pauses = _pauses(swapper.authz)
    late = {"sent_late_p99_ms": round(1000 * statistics.quantiles(paced.late, n=100)[-1], 3)}
    return {phase: medians([row[phase] for row in rows]) for phase in rows[0]} | late | {"gc_pauses": pauses, "rate": rate, "swaps": swaps}


async def _swap(swapper: Swapper, swaps: int, quiet_s: float) -> list[Swap]:
    return [await swapper.swap(quiet_s) for _ in range(swaps)]


def _row(answers: Sequence[Answer], swap: Swap) -> dict[str, dict[str, float]]:
    """Return the figures of one swap: of the quiet time before, of all of the swap, and of the taking over alone."""
    phases = {
        "quiet": (swap.quiet, swap.saved),
        "swap": (swap.saved, swap.over),
        "take-over": (max(swap.saved, swap.active - TAKE_OVER_S), swap.over),
    }
    row = {name: latencies(answer for answer in answers if begin <= answer.due < end) for name, (begin, end) in phases.items()}
    for name in ("swap", "take-over"):
        row[name]["p99_ratio"] = row[name]["p99_ms"] / row["quiet"]["p99_ms"]
    row["swap"]["seconds"] = swap.active - swap.saved
    return row


def _pauses(authz: AuthzProcess) -> dict[str, float]:
    """Return how often the garbage collector has stopped the process so far, for how long together, and the bound of the longest."""
    buckets = authz.histogram("authz_gc_pause_seconds")
    count = max(buckets.values())
    longest_s = min(bound for bound, below in buckets.items() if below == count)
    return {
        "count": count,
        "total_ms": round(1000 * authz.metric("authz_gc_pause_seconds_sum"), 3),
        "longest_below_ms": 1000 * longest_s,
    }


@contextmanager
def _served(directory: Path, case: Case) -> Iterator[tuple[AuthzProcess, Path]]:
    policies = directory / "policies"
    policies.mkdir()
    policy = policies / "policy.rego"
    policy.write_text(case.source)
    authz = AuthzProcess([policies], directory)
    try:
        authz.start()
        yield authz, policy
    finally:
        authz.stop()


def memory(rules: int, *, swaps: int) -> Figures:
    """Swap policies of some size one after the other; return resident megabytes after a tenth of the swaps, half of them, and all."""
    case = EQUALITY.build(rules)
    with tempfile.TemporaryDirectory(prefix="authz-bench-") as name, _served(Path(name), case) as (authz, policy):
        swapper = Swapper(authz, policy, case.source)
        after = {0: authz.process.resident_mb()}
        for number in range(1, swaps + 1):
            before = authz.revision()
            swapper.edit()
            authz.wait_for_other_revision(before)
            after[number] = authz.process.resident_mb()
    figures = {f"after_{number}_mb": round(after[number], 1) for number in (0, max(1, swaps // 10), swaps // 2, swaps)}
    late = list(after.values())[max(1, swaps // 2) :]
    return {**figures, "most_of_second_half_mb": round(max(late), 1), "rules": rules, "swaps": swaps}
