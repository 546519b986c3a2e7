"""Files that are opened without waiting for anybody. Knows nothing of what is in them."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path


def open_regular(path: str | Path) -> BufferedReader:
    """Open a file for reading. Raises OSError, also for what is no regular file.

    Opening a FIFO waits until somebody writes to it: a thread that does so is lost, and an exit waits for it for ever.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:
        raise _no_path() from error
    try:
        _check(os.fstat(descriptor).st_mode)
    except OSError:
        os.close(descriptor)
        raise
    return open(descriptor, "rb")


def stat_regular(path: str | Path) -> os.stat_result:
    """Return the state of a file that `open_regular` would open. Raises OSError."""
    try:
        found = os.stat(path)
    except ValueError as error:
        raise _no_path() from error
    _check(found.st_mode)
    return found


def _check(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "is a directory")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file")


def _no_path() -> OSError:
    """Return the error for a path with a NUL in it, which no file has."""
    return OSError(errno.EINVAL, "is not the path of a file")
