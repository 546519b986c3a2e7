"""Bytes in files without names: whole, each from its beginning, and gone whatever happens."""

from __future__ import annotations

import asyncio
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from authz.control_plane import spool
from authz.control_plane.spool import SpoolError, spooled
from tests.outbound.upstream import run, until


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@contextmanager
def few_descriptors(more: int) -> Iterator[None]:
    """Let this process open only so many more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, descriptors())) + 1 + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_what_was_written_is_read_from_the_descriptors_and_then_they_are_closed() -> None:
    async def test() -> None:
        contents = [b"first", b"", os.urandom(3 * 2**20)]
        before = descriptors()
        async with spooled(contents) as found:
            assert [os.pread(each, 2**22, 0) for each in found] == contents
        assert descriptors() <= before

    run(test())


def test_where_there_are_no_more_descriptors_it_fails_and_leaves_none() -> None:
    async def test() -> None:
        await asyncio.to_thread(str)  # the thread is there from now on
        before = descriptors()
        with few_descriptors(2), pytest.raises(SpoolError, match="open files"):
            async with spooled([b"x"] * 2000):
                pytest.fail("there were not so many")
        assert descriptors() <= before

    run(test())


def test_a_descriptor_is_not_closed_while_it_is_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number would be another file's at once: a bundle written into a connection, say."""
    has_begun, may_go_on = threading.Event(), threading.Event()
    kinds: list[str] = []
    write = spool._write

    def slow(found: list[int], contents: list[bytes]) -> None:
        has_begun.set()
        may_go_on.wait()
        kinds.extend(os.readlink(f"/proc/self/fd/{each}") if str(each) in descriptors() else "closed" for each in found)
        write(found, contents)

    monkeypatch.setattr(spool, "_write", slow)

    async def test() -> None:
        async def use() -> None:
            async with spooled([b"x"]):
                pytest.fail("it was cancelled")

        task = asyncio.create_task(use())
        await until(has_begun.is_set)
        task.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        may_go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert kinds == ["/memfd:bundle (deleted)"]

    run(test())
