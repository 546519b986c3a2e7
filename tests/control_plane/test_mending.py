"""A disk that failed is tried again: at once if somebody asks, and whatever comes of it."""

from __future__ import annotations

import asyncio

import pytest

from authz.control_plane import mending
from authz.control_plane.mending import mend_when_due
from tests.outbound.upstream import run


def test_it_is_tried_until_it_works_whatever_happens(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(mending, "LOOK_S", 0.001)
    tries: list[int] = []
    is_over = asyncio.Event()

    async def mend() -> None:
        tries.append(len(tries))
        if len(tries) < 3:
            raise ZeroDivisionError("a defect")
        is_over.set()

    async def test() -> None:
        task = asyncio.create_task(mend_when_due(lambda: not is_over.is_set(), mend, asyncio.Event()))
        await is_over.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(test())
    assert tries == [0, 1, 2]
    assert [record.getMessage() for record in caplog.records] == ["a disk that failed could not be tried again"] * 2


def test_who_asks_does_not_wait_and_what_works_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mending, "LOOK_S", 3600.0)
    asked, looked, mended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    failing = [False, True]

    def is_failing() -> bool:
        looked.set()
        return failing.pop(0)

    async def mend() -> None:
        mended.set()

    async def test() -> None:
        task = asyncio.create_task(mend_when_due(is_failing, mend, asked))
        asked.set()
        await looked.wait()
        assert not mended.is_set()
        asked.set()
        await mended.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(test())
