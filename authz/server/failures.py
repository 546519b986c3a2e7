"""What the server logs of peers and handlers that misbehave: the first of its kind, then a count.

A peer can fail as often as it likes, so a log line per failure would be a way to fill a disk. This module decides what
is said, never what a failure means.
"""

import logging
import time
from collections.abc import Callable

from authz.telemetry.logs import log
from authz.telemetry.repeats import RepeatFilter

logger = logging.getLogger(__name__)


class FailureLog:
    """Logs each kind of failure once a period, with the number of those that were left out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._repeats = RepeatFilter()

    def handler_failed(self, path: str, error: BaseException) -> None:
        """Report a handler that raised what it should not, with its traceback."""
        held_back = self._repeats.admit(f"{path} {type(error).__name__}", self._clock())
        if held_back is not None:
            logger.error("call handler failed", exc_info=error, extra={"fields": {"method": path, "repeated": held_back}})

    def peer_failed(self, peer: str, kind: str, cause: str) -> None:
        """Report a connection that was ended for what its peer did."""
        held_back = self._repeats.admit(kind, self._clock())
        if held_back is not None:
            log(logger, "warn", "connection ended", peer=peer, kind=kind, cause=cause, repeated=held_back)
