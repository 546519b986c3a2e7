"""Bytes → a file that a process inherits, so that megabytes reach it without a step of the event loop.

Nothing is left behind, however this process ends: the file has no name.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from io import FileIO

from authz.errors import AuthzError, ErrorCode
from authz.refresh.messages import Span


class SpoolError(AuthzError):
    """There is no room, neither in memory nor on disk."""

    code = ErrorCode.ACTIVATION


class Spool:
    """An empty file without a name, to be written once and read by another process. Raises SpoolError."""

    def __init__(self) -> None:
        try:
            self._file = _file()
        except OSError as error:
            raise _error(error) from error
        self._writing: asyncio.Task[None] | None = None

    @property
    def descriptor(self) -> int:
        """What a process that inherits it reads from."""
        return self._file.fileno()

    async def write(self, contents: Sequence[bytes]) -> None:
        """Write one after the other, in another thread. Raises SpoolError."""
        self._writing = asyncio.ensure_future(asyncio.to_thread(_write, self.descriptor, contents))
        try:
            await asyncio.shield(self._writing)
        except OSError as error:
            raise _error(error) from error

    async def close(self) -> None:
        """Let go of it once nobody writes: a descriptor that is closed while it is written to is another file's next."""
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        self._file.close()


def spans(contents: Sequence[bytes]) -> tuple[Span, ...]:
    """Return where in a spool contents stand that are written one after the other."""
    found = []
    offset = 0
    for content in contents:
        found.append(Span(offset, len(content)))
        offset += len(content)
    return tuple(found)


def _error(error: OSError) -> SpoolError:
    return SpoolError(f"bundles cannot be handed to the compiler: {error.strerror or error}")


def _file() -> FileIO:
    if hasattr(os, "memfd_create"):  # Linux; a container's file system may be read-only
        return FileIO(os.memfd_create("bundle", os.MFD_CLOEXEC), "r+")
    return FileIO(os.dup(tempfile.TemporaryFile().fileno()), "r+")


def _write(descriptor: int, contents: Sequence[bytes]) -> None:
    for content in contents:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
