"""Real file systems that are full or read-only, for one process and its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.serving import AUTHZ

_UNSHARE: Final = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "sh", "-ec"]


def small(directory: Path, size: str) -> list[str]:
    """Return the command that runs `authz` with so little room in a directory, which is empty."""
    return _mounted(f'mount -t tmpfs -o size={size},mode=0700 none "$0"', directory)


def read_only(directory: Path) -> list[str]:
    """Return the command that runs `authz` with a directory in which nothing can be written."""
    return _mounted('mount --bind "$0" "$0" && mount -o remount,ro,bind "$0"', directory)


def _mounted(mount: str, directory: Path) -> list[str]:
    return [*_UNSHARE, f'{mount} && exec "$@"', str(directory), AUTHZ]


def can_mount(directory: Path) -> bool:
    """Whether this user may have mounts of its own here."""
    if shutil.which("unshare") is None:
        return False
    done = subprocess.run([*small(directory, "64k")[:-1], "true"], capture_output=True, check=False)
    return done.returncode == 0
