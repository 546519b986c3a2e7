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
    except ValueError as error:  # a NUL in the path, which no file has
        raise OSError(errno.EINVAL, "is not the path of a file") from error
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return open(descriptor, "rb")
    os.close(descriptor)
    raise IsADirectoryError(errno.EISDIR, "is a directory") if stat.S_ISDIR(mode) else OSError(errno.EINVAL, "not a regular file")
