"""When decisions are withheld: while something is overdue, once a turn, and for ever if that cannot be told any more."""

from __future__ import annotations

import asyncio
import logging

import pytest

from authz.control_plane.staleness import StalenessGuard
from tests.outbound.upstream import run, until


class Scene:
    """A guard, what it is told, and what it does."""

    def __init__(self) -> None:
        self.overdue: list[str] = []
        self.is_broken = False
        self.withheld: list[bool] = []
        self.fresh = 0
        self.guard = StalenessGuard(self._overdue, self._withhold, self._on_fresh)

    def _overdue(self) -> list[str]:
        if self.is_broken:
            raise RuntimeError("a defect")
        return self.overdue

    async def _withhold(self, is_withheld: bool) -> None:
        self.withheld.append(is_withheld)

    def _on_fresh(self) -> None:
        self.fresh += 1


def test_it_turns_with_what_is_overdue_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def test() -> None:
        scene = Scene()
        task = asyncio.create_task(scene.guard.run())
        await until(lambda: scene.fresh == 1)
        assert scene.withheld == []
        for names in (["a"], ["a", "b"], []):
            scene.overdue = names
            scene.guard.look()
            await asyncio.sleep(0)
            await until(lambda: not scene.guard._look.is_set())
        assert (scene.withheld, scene.fresh) == ([True, False], 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert scene.withheld == [True, False]

    run(test())
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


def test_where_it_cannot_be_told_any_more_nothing_is_decided() -> None:
    async def test() -> None:
        scene = Scene()
        scene.is_broken = True
        with pytest.raises(RuntimeError, match="a defect"):
            await scene.guard.run()
        assert scene.withheld == [True]

    run(test())
