from __future__ import annotations

import asyncio
import logging

import pytest

from authz.publish import shelf as shelves
from authz.publish.packer import Version
from authz.publish.shelf import KEPT_VERSIONS, Shelf
from tests.outbound.upstream import run


def version(etag: str, size: int = 1) -> Version:
    return Version(etag, etag, b"x" * size, is_patchable=True)


def delta(_name: str, base: Version, new: Version) -> bytes:
    return f"{base.etag}→{new.etag}".encode()


def shelf(*etags: str) -> Shelf:
    made = Shelf("app", delta)
    for etag in etags:
        assert made.publish(version(etag))
    return made


async def remembered(made: Shelf, *etags: str) -> list[str]:
    return [etag for etag in etags if await made.delta_from(etag) is not None]


def test_the_last_versions_are_remembered() -> None:
    async def test() -> None:
        etags = [str(number) for number in range(KEPT_VERSIONS + 3)]
        made = shelf(*etags)
        assert await remembered(made, *etags) == etags[2:-1]
        assert await made.delta_from("2") == f"2→{etags[-1]}".encode()

    run(test())


def test_so_many_versions_are_remembered_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        monkeypatch.setattr(shelves, "KEPT_BYTES", 10)
        made = Shelf("app", delta)
        for etag, size in (("a", 5), ("b", 4), ("c", 6), ("d", 11), ("e", 1)):
            made.publish(version(etag, size))
        assert await remembered(made, "a", "b", "c", "d", "e") == []
        made.publish(version("f"))
        assert await remembered(made, "a", "b", "c", "d", "e") == ["e"]

    run(test())


def test_a_version_that_comes_back_is_not_remembered_twice() -> None:
    async def test() -> None:
        made = shelf("a", "b", "a", "b", "a")
        assert await remembered(made, "a", "b") == ["b"]
        assert await made.delta_from("b") == "b→a".encode()

    run(test())


def test_the_same_version_again_wakes_nobody() -> None:
    async def test() -> None:
        made = shelf("a")
        made.error = "broken"
        waiting = asyncio.create_task(made.change())
        await asyncio.sleep(0)
        assert not made.publish(version("a"))
        assert made.error is None
        await asyncio.sleep(0)
        assert not waiting.done()
        made.publish(version("b"))
        await waiting

    run(test())


def test_who_asked_for_a_delta_first_may_leave() -> None:
    async def test() -> None:
        made = shelf("a", "b")
        first, second = (asyncio.create_task(made.delta_from("a")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == "a→b".encode()

    run(test())


def test_a_delta_that_cannot_be_made_costs_no_snapshot(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_name: str, _base: Version, _new: Version) -> bytes:
        raise RecursionError("too deep")

    async def test() -> None:
        made = Shelf("app", broken)
        made.publish(version("a"))
        made.publish(version("b"))
        assert await remembered(made, "a") == []
        assert await remembered(made, "a") == []
        assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == ["a delta could not be made"]

    run(test())


def test_of_what_is_withdrawn_nothing_is_left() -> None:
    async def test() -> None:
        made = shelf("a", "b")
        waiting = asyncio.create_task(made.change())
        await asyncio.sleep(0)
        made.withdraw()
        await waiting
        assert (made.current, await made.delta_from("a")) == (None, None)

    run(test())
