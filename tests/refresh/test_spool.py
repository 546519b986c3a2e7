"""Bytes in a file without a name: whole, each at its place, and gone whatever happens."""

from __future__ import annotations

import asyncio
import os
import resource
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest

from authz.refresh import spool
from authz.refresh.spool import Spool, SpoolError, spans
from tests.outbound.upstream import run, until


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Let this process open no more files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, descriptors())) + 1, before[1]))
    gaps = []
    try:
        with suppress(OSError):
            while True:
                gaps.append(os.open("/dev/null", os.O_RDONLY))
        yield
    finally:
        for gap in gaps:
            os.close(gap)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_what_was_written_is_read_at_its_places_and_then_the_file_is_gone() -> None:
    async def test() -> None:
        contents = [b"first", b"", os.urandom(3 * 2**20)]
        before = descriptors()
        file = Spool()
        await file.write(contents)
        assert [os.pread(file.descriptor, place.size, place.offset) for place in spans(contents)] == contents
        await file.close()
        assert descriptors() <= before

    run(test())


def test_where_there_are_no_more_descriptors_it_says_so() -> None:
    with no_descriptors(), pytest.raises(SpoolError, match="bundles cannot be handed to the compiler: Too many open files"):
        Spool()


def test_where_there_is_no_room_it_says_so() -> None:
    async def test() -> None:
        file = Spool()
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, limit[1]))
        try:
            with pytest.raises(SpoolError, match="bundles cannot be handed to the compiler: File too large"):
                await file.write([bytes(2**17)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
            await file.close()

    run(test())


def test_a_descriptor_is_not_closed_while_it_is_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number would be another file's at once: a bundle written into a connection, say."""
    has_begun, may_go_on = threading.Event(), threading.Event()
    kinds: list[str] = []
    write = spool._write

    def slow(descriptor: int, contents: Sequence[bytes]) -> None:
        has_begun.set()
        may_go_on.wait()
        kinds.append(os.readlink(f"/proc/self/fd/{descriptor}") if str(descriptor) in descriptors() else "closed")
        write(descriptor, contents)

    monkeypatch.setattr(spool, "_write", slow)

    async def test() -> None:
        async def use() -> None:
            file = Spool()
            try:
                await file.write([b"x"])
            finally:
                await file.close()

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
