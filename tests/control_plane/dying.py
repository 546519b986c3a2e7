"""`authz` that kills itself at the N-th change that it makes to the files below a directory: a script, `dying.py N DIR serve …`.

What is counted: a file opened to be written, a directory opened to be synced, a file renamed or removed.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

CHANGES = {"os.rename", "os.remove"}


def is_change(event: str, args: tuple[Any, ...], directory: str) -> bool:
    if event not in CHANGES and event != "open":
        return False
    path = str(args[0])
    if not path.startswith(directory) or path.endswith("/lock"):
        return False
    return event != "open" or bool(args[2] & (os.O_WRONLY | os.O_RDWR | os.O_DIRECTORY))


def die_at(step: int, directory: str) -> None:
    left = step

    def count(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        if is_change(event, args, directory):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


if __name__ == "__main__":
    del sys.path[0]  # the directory of this file
    die_at(int(sys.argv[1]), sys.argv[2])
    sys.argv[1:3] = []
    from authz.cli.main import main

    main()
