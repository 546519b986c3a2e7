"""Bytes → file descriptors that a process can inherit, so that megabytes reach it without a step of the event loop.

Nothing is left behind, however this process ends: the files have no names.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from io import FileIO

from authz.errors import AuthzError, ErrorCode


class SpoolError(AuthzError):
    """There is no room, neither in memory nor on disk."""

    code = ErrorCode.ACTIVATION


@asynccontextmanager
async def spooled(contents: Sequence[bytes]) -> AsyncIterator[list[int]]:
    """Have the contents in files meanwhile, each from its beginning; yield their descriptors. Raises SpoolError."""
    with ExitStack() as stack:
        try:
            descriptors = [stack.enter_context(closing(_file())).fileno() for _ in contents]
            await _finished(asyncio.to_thread(_write, descriptors, contents))
        except OSError as error:
            raise SpoolError(f"bundles cannot be handed to the compiler: {error.strerror or error}") from error
        yield descriptors


async def _finished(work: Coroutine[None, None, None]) -> None:
    """Wait for work of another thread, also when cancelled: a descriptor that is closed while it is written to is another file's next."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise


def _file() -> FileIO:
    if hasattr(os, "memfd_create"):  # Linux; a container's file system may be read-only
        return FileIO(os.memfd_create("bundle", os.MFD_CLOEXEC), "r+")
    return FileIO(os.dup(tempfile.TemporaryFile().fileno()), "r+")


def _write(descriptors: Sequence[int], contents: Sequence[bytes]) -> None:
    for descriptor, content in zip(descriptors, contents, strict=True):
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
