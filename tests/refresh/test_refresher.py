from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from authz.errors import AuthzError, ErrorCode
from authz.refresh.messages import Compiled, CompileResponse, Failed, Unchanged
from authz.refresh.refresher import Decide, Refresher
from authz.telemetry.counters import ActivationCounters

BROKEN = Failed(ErrorCode.POLICY_COMPILE, "a.rego:1:1: nonsense")


class Scene:
    """A refresher between a compiler that answers from a list and an activator that remembers."""

    def __init__(self, *answers: CompileResponse | Exception, activation_error: Exception | None = None) -> None:
        self.answers = list(answers)
        self.known: list[str | None] = []
        self.active: list[str] = []
        self.activation_error = activation_error
        self.counters = ActivationCounters()
        self.now_ns = 0
        self.refresher = Refresher("policies/", self.compile, Decide(self.activate), self.counters, self.clock)

    def clock(self) -> int:
        self.now_ns += 1
        return self.now_ns

    async def compile(self, known_digest: str | None) -> CompileResponse:
        self.known.append(known_digest)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def activate(self, compiled: Compiled) -> None:
        if self.activation_error is not None:
            raise self.activation_error
        self.active.append(compiled.revision)

    def refresh(self, times: int = 1) -> None:
        async def all_of_them() -> None:
            for _ in range(times):
                await self.refresher.refresh()

        asyncio.run(all_of_them())

    def counted(self) -> dict[str, int]:
        return {outcome: count for outcome, count in self.counters.by_outcome.items() if count}


def test_what_compiles_becomes_active() -> None:
    scene = Scene(Compiled("r1", b"", "d1"), Compiled("r2", b"", "d2"))
    scene.refresh(2)
    assert (scene.active, scene.known) == (["r1", "r2"], [None, "d1"])
    status = scene.refresher.status
    assert (status.revision, status.is_ok, status.activated_ns) == ("r2", True, 2)
    assert scene.counted() == {"activated": 2}


def test_a_failure_keeps_what_was_active() -> None:
    scene = Scene(Compiled("r1", b""), BROKEN)
    scene.refresh(2)
    status = scene.refresher.status
    assert (status.revision, status.activated_ns, status.succeeded_ns, status.attempted_ns) == ("r1", 1, 1, 2)
    assert status.error is not None
    assert (status.is_ok, status.error.code, status.error.message) == (False, "policy_compile", BROKEN.message)


def test_the_status_is_not_ok_before_the_first_attempt_has_ended() -> None:
    assert not Scene().refresher.status.is_ok


def test_a_failure_is_tried_again_without_being_asked_and_a_success_is_not() -> None:
    scene = Scene(Compiled("r1", b""), BROKEN, BROKEN, Compiled("r2", b""))

    async def until_it_works() -> None:
        works = asyncio.Event()

        async def activate(compiled: Compiled) -> None:
            await scene.activate(compiled)
            if compiled.revision == "r2":
                works.set()

        refresher = Refresher("policies/", scene.compile, Decide(activate), scene.counters, scene.clock, first_retry_s=0.001)
        await refresher.refresh()
        refresher.request()
        running = asyncio.create_task(refresher.run())
        async with asyncio.timeout(10):
            await works.wait()
        await asyncio.wait({running}, timeout=0.05)
        running.cancel()

    asyncio.run(until_it_works())
    assert scene.counted() == {"activated": 2, "policy_compile": 2}


def test_going_back_to_what_is_active_clears_the_error() -> None:
    scene = Scene(Compiled("r1", b""), BROKEN, Unchanged("r1"))
    scene.refresh(3)
    status = scene.refresher.status
    assert (status.is_ok, status.activated_ns, status.succeeded_ns) == (True, 1, 3)
    assert scene.active == ["r1"]
    assert scene.counted() == {"activated": 1, "policy_compile": 1, "unchanged": 1}


def test_an_error_keeps_the_time_of_its_first_coming() -> None:
    scene = Scene(BROKEN, BROKEN, Failed(ErrorCode.POLICY_SOURCE, "other"))
    scene.refresh(2)
    assert scene.refresher.status.error is not None
    assert scene.refresher.status.error.since_ns == 1
    scene.refresh()
    assert scene.refresher.status.error.since_ns == 3


@pytest.mark.parametrize(
    ("error", "message"), [(AuthzError("does not fit"), "does not fit"), (RecursionError("too deep"), "RecursionError: too deep")]
)
def test_an_activation_that_fails_changes_nothing(error: Exception, message: str, caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(Compiled("r1", b""), activation_error=error)
    with caplog.at_level(logging.CRITICAL):
        scene.refresh()
    status = scene.refresher.status
    assert (status.revision, scene.active) == (None, [])
    assert status.error is not None
    assert (status.error.code, status.error.message) == ("activation", message)


def test_a_compiler_that_raises_is_a_failure_with_a_traceback_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(ZeroDivisionError("oops"))
    scene.refresh()
    assert not scene.refresher.status.is_ok
    assert [record.exc_info is not None for record in caplog.records] == [True]


def run_until(scene: Scene, drive: Callable[[], Awaitable[None]]) -> None:
    async def both() -> None:
        task = asyncio.create_task(scene.refresher.run())
        await drive()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(both())


def test_a_request_during_an_attempt_is_another_attempt_after_it_and_only_one() -> None:
    scene = Scene(Compiled("r1", b""), Compiled("r2", b""))
    running, begun, finish = 0, asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def slow(known_digest: str | None) -> CompileResponse:
        nonlocal running
        running += 1
        assert running == 1
        begun.release()
        await finish.acquire()
        running -= 1
        return await scene.compile(known_digest)

    scene.refresher = Refresher("policies/", slow, Decide(scene.activate), scene.counters, scene.clock)

    async def drive() -> None:
        scene.refresher.request()
        await begun.acquire()
        for _ in range(3):
            scene.refresher.request()
        finish.release()
        await begun.acquire()
        finish.release()
        while len(scene.active) < 2:  # noqa: ASYNC110 - each turn lets the refresher run one step
            await asyncio.sleep(0)

    run_until(scene, drive)
    assert scene.active == ["r1", "r2"]


def test_an_error_is_logged_once_until_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    other = Failed(ErrorCode.POLICY_COMPILE, "a.rego:2:2: worse")
    scene = Scene(BROKEN, BROKEN, other, Unchanged("r1"), BROKEN)

    async def drive() -> None:
        while scene.answers:
            left = len(scene.answers)
            scene.refresher.request()
            while len(scene.answers) == left or scene.refresher.status.attempted_ns != scene.now_ns:  # noqa: ASYNC110
                await asyncio.sleep(0)

    run_until(scene, drive)
    errors = [record.fields["error"] for record in caplog.records if record.levelno == logging.ERROR]  # type: ignore[attr-defined]
    assert errors == [BROKEN.message, other.message, BROKEN.message]
