from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from authz.bundle.directory import SourceError
from authz.publish import keeper as keepers
from authz.publish.keeper import Keeper
from authz.publish.packer import Version
from authz.publish.scan import Origin
from authz.publish.shelf import Shelf
from tests.outbound.upstream import run, until

GOOD = Version("etag", "1", b"", is_patchable=True)


def origin(stamp: int) -> Origin:
    return Origin((Path("/bundles/app"),), stamp)


class Packing:
    """Packs what it is told to, an error of ours, of a policy, or a version; the last one again and again."""

    def __init__(self, *outcomes: Version | Exception) -> None:
        self.asked: list[Origin] = []
        self._outcomes = list(outcomes)

    def __call__(self, _name: str, stands: Origin) -> Version:
        self.asked.append(stands)
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def keeper(pack: Packing) -> Keeper:
    return Keeper(Shelf("app", lambda *_: None), pack, asyncio.Semaphore(1), lambda _: None)


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_what_failed_is_tried_again_unasked_and_said_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "FIRST_RETRY_S", 0.001)
    caplog.set_level(logging.INFO)

    async def test() -> None:
        full = SourceError("/bundles/app/a.rego: too many open files")
        pack = Packing(full, full, full, GOOD)
        kept = keeper(pack)
        kept.tell(origin(1))
        task = asyncio.create_task(kept.run())
        await until(lambda: kept.shelf.current is GOOD)
        task.cancel()
        assert pack.asked == [origin(1)] * 4
        assert kept.shelf.error is None

    run(test())
    assert logged(caplog) == ["bundle not published, it is not served", "bundle published"]


def test_each_edit_that_fails_is_said_and_a_way_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def test() -> None:
        broken = SourceError("/bundles/app/a.rego: broken")
        pack = Packing(GOOD, broken, broken, GOOD, GOOD)
        kept = keeper(pack)
        for stamp in range(5):
            kept.tell(origin(stamp))
            await kept.refresh()
        assert kept.shelf.current is GOOD

    run(test())
    failure = "bundle not published, the last good version is served on"
    assert logged(caplog) == ["bundle published", failure, failure, "bundle is as it was published again"]


def test_a_defect_of_ours_ends_no_keeper(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        pack = Packing(RecursionError("too deep"), GOOD)
        kept = keeper(pack)
        task = asyncio.create_task(kept.run())
        kept.tell(origin(1))
        await until(lambda: kept.shelf.error == "RecursionError: too deep")
        kept.tell(origin(2))
        await until(lambda: kept.shelf.current is GOOD)
        task.cancel()

    run(test())
    assert "packing failed unexpectedly" in logged(caplog)


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_bundle_that_is_gone_is_given_a_moment_to_come_back(monkeypatch: pytest.MonkeyPatch, comes_back: bool) -> None:
    monkeypatch.setattr(keepers, "GRACE_S", 30.0 if comes_back else 0.001)

    async def test() -> None:
        pack = Packing(GOOD)
        kept = keeper(pack)
        task = asyncio.create_task(kept.run())
        kept.tell(origin(1))
        await until(lambda: kept.shelf.current is GOOD)
        kept.tell(None)
        if comes_back:
            kept.tell(origin(2))
            await until(lambda: len(pack.asked) == 2)
            task.cancel()
        else:
            await task
        assert (kept.shelf.current is GOOD, kept.shelf.is_withdrawn) == (comes_back, not comes_back)

    run(test())
