"""What callers see while bundles replace each other: through real Envoy over mTLS, from a bundle server by long polls.

Requests come at a constant rate; by turns it is quiet and a bundle is published. Every answer names the revision that decided it,
so that a mixture of two, or an older one after a newer, is counted. Then older bundles are gone back to. What memory many swaps
take is `swap_memory`'s.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final, cast

from bench.families import EQUALITY, LAST
from bench.lab import Lab, LabOptions
from bench.lab.authz_process import AuthzProcess
from bench.lab.bundles import ENTRYPOINT, REVISION_HEADERS, REVISION_OF_METADATA, ControlPlane, telling_bundle
from bench.lab.client import Request
from bench.lab.envoy_config import Variant
from bench.lab.ports import free_port
from bench.lab.revisions import Revisions, behind_s, first_answered
from bench.load import pace, swap_memory
from bench.load.activation import Swap
from bench.load.http import observed_http, paced_http
from bench.load.pace import Answer, Paced, for_seconds, latencies
from bench.messages import CALLER_ID, PROXY_ID, REALISTIC_HEADERS
from bench.record import Figures

RULES: Final = 1_000
RATE: Final = 1_000.0
WATCH_S: Final = 0.005
AFTER_S: Final = 0.5
"""After the first answer of a bundle: the old policy is freed, the version is written to disk."""

_LISTENER: Final = "bundle"
_POLICY: Final = "package envoy.authz\n\nallow := true\n"
"""Of the lab's own `authz`, which is not asked."""


def run(*, is_quick: bool = False) -> Figures:
    """Measure; milliseconds, ratios to the quiet times between the swaps, megabytes."""
    if is_quick:
        return measure(100, 200.0, swaps=3, quiet_s=1.0, rollbacks=3) | {"memory": swap_memory.measure(200, rollbacks=10, bundles=2)}
    under_load = measure(RULES, RATE, swaps=200, quiet_s=1.5, rollbacks=50)
    return under_load | {"memory": swap_memory.measure(swap_memory.RULES, rollbacks=1_000, bundles=60)}


@dataclass(frozen=True, slots=True)
class Scene:
    """Who is asked, for what, and where bundles are published; `archives` are those to come, by revision."""

    lab: Lab
    plane: ControlPlane
    authz: AuthzProcess
    request: Request
    archives: dict[int, bytes]
    revisions: Revisions = field(default_factory=lambda: Revisions(REVISION_HEADERS))


def measure(rules: int, rate: float, *, swaps: int, quiet_s: float, rollbacks: int) -> Figures:
    """Swap bundles with so many rules under load, then go back and forth between the last two."""
    with _scene(rules, swaps) as scene:
        return pace.run(_under_load(scene, rate, quiet_s, rollbacks)) | {"rate": rate, "rules": rules, "swaps": swaps}


async def _under_load(scene: Scene, rate: float, quiet_s: float, rollbacks: int) -> Figures:
    port, context = scene.lab.port(_LISTENER), scene.lab.context("frontend")
    await paced_http(port, scene.request, context, rate, for_seconds(1.0))  # what runs for the first time is not measured

    async def loaded(work: asyncio.Task[Any]) -> Paced:
        return await observed_http(port, scene.request, context, rate, lambda _: not work.done(), scene.revisions.observe)

    swapping = asyncio.create_task(_swap(scene, quiet_s))
    paced = await loaded(swapping)
    swaps, seen = swapping.result(), list(scene.revisions.seen)
    returning = asyncio.create_task(_roll_back(scene, rollbacks, max(scene.archives)))
    paced_back = await loaded(returning)
    first = first_answered(seen)
    took = [first[revision] - swap.saved for revision, swap in zip(scene.archives, swaps, strict=True)]
    rolled_back = returning.result()
    return {
        "checks": _phases(paced.answers, swaps),
        "decides": {"change": _durations(took), "rollback": _durations(took_s for took_s, _ in rolled_back)},
        "failures": paced.failures + paced_back.failures,
        "mixed": len(scene.revisions.mixed),
        "not_monotone": len(behind_s(seen)) + sum(behind for _, behind in rolled_back),
        "answers": len(paced.answers) + len(paced_back.answers),
        "sent_late_p99_ms": round(1000 * statistics.quantiles(paced.late, n=100)[-1], 3),
    }


async def _swap(scene: Scene, quiet_s: float) -> list[Swap]:
    """Publish one bundle after the other, each when the one before decides and it has been quiet."""
    swaps = []
    for revision, archive in scene.archives.items():
        quiet = perf_counter()
        await asyncio.sleep(quiet_s)
        saved = await asyncio.to_thread(scene.plane.publish, archive)
        await _watch(scene, revision)
        active = perf_counter()
        await asyncio.sleep(AFTER_S)
        swaps.append(Swap(quiet, saved, active, perf_counter()))
    return swaps


async def _roll_back(scene: Scene, count: int, newest: int) -> list[tuple[float, int]]:
    """Go back and forth between two versions; return how long each took, and how many answers still were of the one that was left."""
    rows = []
    for number in range(count):
        target = newest - 1 if number % 2 == 0 else newest
        await asyncio.sleep(AFTER_S)
        begun, known = perf_counter(), len(scene.revisions.seen)
        await asyncio.to_thread(scene.authz.change_bundles, "rollback")
        await _watch(scene, target)
        await asyncio.sleep(AFTER_S)
        seen = scene.revisions.seen[known:]
        came = first_answered(seen)[target]
        rows.append((came - begun, sum(each.sent > came and each.revision != target for each in seen)))
    return rows


async def _watch(scene: Scene, revision: int) -> None:
    while scene.revisions.last != revision:
        scene.authz.process.require_running()
        await asyncio.sleep(WATCH_S)


def _phases(answers: Sequence[Answer], swaps: Sequence[Swap]) -> dict[str, dict[str, float]]:
    """Return the figures of all quiet times together, and of all swaps from publishing on."""
    spans: dict[str, Callable[[Swap], tuple[float, float]]] = {
        "quiet": lambda swap: (swap.quiet, swap.saved),
        "swap": lambda swap: (swap.saved, swap.over),
    }
    rows = {name: latencies(during(answers, map(span, swaps))) for name, span in spans.items()}
    ratios = {
        f"{name}_ratio": round(value / rows["quiet"][f"{name}_ms"], 3)
        for name in ("p50", "p95", "p99")
        if (value := rows["swap"].get(f"{name}_ms"))
    }
    rows["swap"] |= ratios
    return rows


def during(answers: Sequence[Answer], spans: Iterable[tuple[float, float]]) -> Iterator[Answer]:
    """Yield the answers to what was due within one of the spans; both are in order of time."""
    due = iter(sorted(answers))
    answer = next(due, None)
    for begin, end in spans:
        while answer is not None and answer.due < end:
            if answer.due >= begin:
                yield answer
            answer = next(due, None)


def _durations(seconds: Iterable[float]) -> dict[str, float]:
    return latencies(Answer(0.0, each, True) for each in seconds)


@contextmanager
def _scene(rules: int, swaps: int) -> Iterator[Scene]:
    """Run Envoy, a bundle server and a sidecar that decides by its first bundle."""
    case, port = EQUALITY.build(rules), free_port()
    http = cast(Any, case.requests[LAST][0])["attributes"]["request"]["http"]
    request = Request(http["method"], http["path"], list(REALISTIC_HEADERS.items()))
    archives = {revision: telling_bundle(revision, _edited(case.source, revision)) for revision in range(2, swaps + 2)}
    variant = Variant(_LISTENER, accepts_any_san=True, cluster=_LISTENER, response_headers=REVISION_OF_METADATA)
    options = LabOptions(PROXY_ID, {"frontend": CALLER_ID}, [variant], extra_checks={_LISTENER: [port]})
    with Lab(options, {"policy.rego": _POLICY}) as lab:
        plane = ControlPlane(lab.directory / "plane")
        plane.publish(telling_bundle(1, case.source))
        authz = AuthzProcess(
            [], lab.directory, ["--config", str(plane.configuration("sidecar")), "--entrypoint", ENTRYPOINT], name="sidecar", port=port
        )
        try:
            plane.start()
            authz.start()
            yield Scene(lab, plane, authz, request, archives)
        finally:
            authz.stop()
            plane.stop()


def _edited(source: str, revision: int) -> str:
    return f'{source}\nallow if http.path == "/edited/{revision}"\n'
