"""The pace of a rehearsal: after the answer, one check a turn, a tenth of the time, and bounded in what waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from authz import rego
from authz.errors import Reason
from authz.pdp import PDP, Decision, Shadow, Snapshot
from authz.server.check import CheckService
from authz.server.rpc import Call
from authz.server.shadowing import MAX_WAITING, MAX_WAITING_BYTES, REST, SLICE_NS, Shadowing
from authz.telemetry.counters import CheckCounters
from tests.serving import ALLOW_GET, ALLOW_POST, check_request

NO_DEADLINE = Call(None, "test")
ALLOWED = Decision(b"", True, Reason.ALLOWED)
GET = check_request("GET", "/")


def snapshot(text: str = ALLOW_GET, revision: str = "r") -> Snapshot:
    return Snapshot.build(rego.compile({"p.rego": text}), entrypoint="envoy/authz/allow", revision=revision)


class Work:
    """A clock on which each comparison takes a set time."""

    def __init__(self, took_ns: int) -> None:
        self.took_ns = took_ns
        self.now_ns = 0
        self.asked = 0

    def __call__(self) -> int:
        self.asked += 1
        if self.asked % 2 == 0:
            self.now_ns += self.took_ns
        return self.now_ns


def run(scene: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scene()

    asyncio.run(bounded())


async def turn() -> None:
    await asyncio.sleep(0)


def test_a_check_is_shadowed_after_the_turn_in_which_it_was_answered() -> None:
    async def scene() -> None:
        shadowing = Shadowing(Shadow(snapshot()), 100, Work(0))
        for _ in range(3):
            shadowing.offer(GET, 7, ALLOWED)
        seen = [shadowing.results["same"]]
        for _ in range(4):
            await turn()
            seen.append(shadowing.results["same"])
        assert seen == [0, 1, 2, 3, 3]
        assert shadowing.close().checks == 3

    run(scene)


def test_after_a_slice_of_work_the_checks_have_the_loop_for_nine_times_as_long() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        took_ns = 50 * SLICE_NS  # 10 ms a comparison: 90 ms of rest
        shadowing = Shadowing(Shadow(snapshot()), 2, Work(took_ns))
        shadowing.offer(GET, 7, ALLOWED)
        shadowing.offer(GET, 7, ALLOWED)
        await turn()
        began_s = loop.time()
        assert shadowing.results["same"] == 1
        await shadowing.is_over
        assert loop.time() - began_s >= REST * took_ns / 1e9 - 0.002
        assert shadowing.close().checks == 2

    run(scene)


def test_more_than_may_wait_is_dropped_and_counted() -> None:
    async def scene() -> None:
        shadowing = Shadowing(Shadow(snapshot()), 1000)
        for _ in range(MAX_WAITING + 7):
            shadowing.offer(GET, 7, ALLOWED)
        assert shadowing.results["dropped"] == 7
        report = shadowing.close()
        assert (report.checks, report.results["dropped"]) == (0, MAX_WAITING + 7)

    run(scene)


def test_few_large_checks_wait_and_one_of_the_largest_size_does() -> None:
    async def scene() -> None:
        shadowing = Shadowing(Shadow(snapshot()), 1000, Work(0))
        large = bytes(MAX_WAITING_BYTES)
        shadowing.offer(large, 7, ALLOWED)
        shadowing.offer(GET, 7, ALLOWED)
        assert shadowing.results["dropped"] == 1
        await turn()
        shadowing.offer(GET, 7, ALLOWED)
        await turn()
        assert (shadowing.results["allow_to_deny"], shadowing.results["same"], shadowing.results["dropped"]) == (1, 1, 1)

    run(scene)


def test_no_more_checks_are_compared_than_were_asked_for() -> None:
    async def scene() -> None:
        shadowing = Shadowing(Shadow(snapshot()), 2, Work(0))
        for _ in range(10):
            shadowing.offer(GET, 7, ALLOWED)
        await shadowing.is_over
        for _ in range(10):
            shadowing.offer(GET, 7, ALLOWED)
            await turn()
        report = shadowing.close()
        assert (report.checks, sum(report.results.values())) == (2, 20)

    run(scene)


def test_nothing_happens_after_the_end() -> None:
    async def scene() -> None:
        shadowing = Shadowing(Shadow(snapshot()), 100)
        shadowing.offer(GET, 7, ALLOWED)
        report = shadowing.close()
        await turn()
        await turn()
        assert (report.checks, shadowing.results["same"], shadowing.results["dropped"]) == (0, 0, 1)

    run(scene)


class Service:
    """A check service and who is told of its checks."""

    def __init__(self) -> None:
        self.pdp = PDP()
        self.pdp.activate(snapshot(ALLOW_GET, "r1"))
        self.service = CheckService(self.pdp, CheckCounters())
        self.told: list[tuple[bytes, bool | None]] = []

    def note(self, request: bytes, now_ns: int, decision: Decision | None) -> None:
        self.told.append((request, None if decision is None else decision.allowed))


def test_a_check_service_tells_of_every_check_as_long_as_somebody_wants_to_know() -> None:
    scene = Service()
    post = check_request("POST", "/")
    silent = scene.service.check(GET, NO_DEADLINE)
    scene.service.shadow(scene.note)
    assert scene.service.check(GET, NO_DEADLINE) == silent
    scene.service.check(post, NO_DEADLINE)
    scene.service.shadow(None)
    scene.service.check(GET, NO_DEADLINE)
    assert scene.told == [(GET, True), (post, False)]


def test_without_a_rehearsal_a_check_is_decided_by_the_very_function_of_the_pdp() -> None:
    scene = Service()
    before = scene.service._decide
    assert before == scene.pdp.decide
    scene.service.shadow(scene.note)
    assert scene.service._decide != before
    scene.service.shadow(None)
    assert scene.service._decide == before


def test_a_swap_during_a_rehearsal_is_seen_by_the_next_check() -> None:
    scene = Service()
    scene.service.shadow(scene.note)
    scene.pdp.activate(snapshot(ALLOW_POST, "r2"))
    scene.service.check(GET, NO_DEADLINE)
    assert scene.told == [(GET, False)]


@pytest.mark.parametrize("text", [ALLOW_GET, ALLOW_POST])
def test_answers_are_the_same_bytes_with_a_candidate_and_without(text: str) -> None:
    async def scene() -> None:
        service = Service()
        several = [check_request(method, "/") for method in ("GET", "POST", "PUT")] + [b"\xff"]
        without = [service.service.check(each, NO_DEADLINE) for each in several]
        shadowing = Shadowing(Shadow(snapshot(text)), 1000)
        service.service.shadow(shadowing.offer)
        assert [service.service.check(each, NO_DEADLINE) for each in several] == without
        await shadowing_done(shadowing, len(several))
        shadowing.close()

    run(scene)


async def shadowing_done(shadowing: Shadowing, count: int) -> None:
    while sum(shadowing.results.values()) < count:
        await turn()
