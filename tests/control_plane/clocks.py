"""A time of day that a test can set for one process and those that it starts, while the clocks that are never set go on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

# Read at every call, as a clock that is set while a process runs. The interpreter imports this module before any other of its user's.
_PATCH: Final = """
import time

_time_ns = time.time_ns

def time_ns():
    with open({file!r}) as shift:
        return _time_ns() + int(shift.read()) * 86_400_000_000_000

time.time_ns = time_ns
time.time = lambda: time_ns() / 1e9
"""


class TimeOfDay:
    """What a process is told the time of day is; `command` runs `authz` so. Nothing that Python does not ask `time` for is moved."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self._file = directory / "days"
        self.shift(0)
        (directory / "sitecustomize.py").write_text(_PATCH.format(file=str(self._file)))

    def shift(self, days: int) -> None:
        """Make it so many days later than it is, or earlier, at once."""
        draft = self._file.with_suffix(".new")
        draft.write_text(str(days))
        os.replace(draft, self._file)

    def command(self, command: Sequence[str]) -> tuple[str, ...]:
        """Return a command whose process sees this time."""
        return ("env", f"PYTHONPATH={self._directory}{os.pathsep}{os.environ.get('PYTHONPATH', '')}", *command)
