"""The process's signals: stop, stop now, reload. Knows what was asked for, not how it is done."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Final

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """Handles signals on the running loop from its making on.

    The first SIGTERM or SIGINT sets `stop`; the second calls `abort`: whoever asks twice does not want to wait.
    """

    def __init__(self, abort: Callable[[], None], reload: Callable[[], None]) -> None:
        self.stop = asyncio.Event()
        self._abort = abort
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._on_stop)
        loop.add_signal_handler(signal.SIGHUP, reload)

    def _on_stop(self) -> None:
        if self.stop.is_set():
            self._abort()
        self.stop.set()
