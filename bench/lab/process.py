"""Child processes that never outlive their starter. Knows nothing of what they run."""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

STOP_TIMEOUT_S: Final = 20.0
_PR_SET_PDEATHSIG: Final = 1  # prctl(2)
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None

_TICKS_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_MB: Final = os.sysconf("SC_PAGE_SIZE") / 1e6

_running: set[ManagedProcess] = set()


def _die_with_parent() -> None:
    assert _LIBC is not None
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class ManagedProcess:
    """A child in a session of its own, its output in one log file.

    INVARIANT: once started it is killed, with every process it forked, by `kill`,
    at interpreter exit, and (Linux) when the thread that started it dies, SIGKILL
    included.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log_path = log
        self._output: IO[bytes] = log.open("ab")
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            start_new_session=True,
            preexec_fn=_before_exec(),  # noqa: PLW1509 (one prctl between fork and exec; nothing else ties a child to a SIGKILLed parent)
        )
        _running.add(self)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self._popen.poll()

    def cpu_s(self) -> float:
        """Return the processor time that it has used, user and system (proc(5), stat)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_S

    def resident_mb(self) -> float:
        """Return its resident memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE_MB

    def signal(self, number: int) -> None:
        """Send a signal to the process itself, not to its children."""
        self._popen.send_signal(number)

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Return the exit code; raise subprocess.TimeoutExpired while it still runs."""
        code = self._popen.wait(timeout_s)
        self._forget()
        return code

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Ask with SIGTERM, return the exit code; one that does not go in time is killed."""
        if self.is_running:
            self.signal(signal.SIGTERM)
        try:
            return self.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """Kill the whole process group at once and return the exit code."""
        if self.is_running:
            os.killpg(self.pid, signal.SIGKILL)
        return self.wait()

    def log(self, lines: int = 40) -> str:
        """Return the tail of what it wrote."""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def require_running(self) -> None:
        """Raise RuntimeError with the log's tail when the process is gone."""
        if not self.is_running:
            raise RuntimeError(f"{self.name} ended with exit code {self.exit_code}:\n{self.log()}")

    def _forget(self) -> None:
        _running.discard(self)
        self._output.close()
        self._kill_leftovers()

    def _kill_leftovers(self) -> None:
        """Kill what the process forked into its group and left behind."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _before_exec() -> Callable[[], None] | None:
    return _die_with_parent if _LIBC is not None else None


def _kill_running() -> None:
    for process in list(_running):
        process.kill()


atexit.register(_kill_running)
