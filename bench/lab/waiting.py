"""Waiting for a condition with a deadline. Knows no condition by name."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

POLL_S: Final = 0.01
"""Pause between two looks: below what a person or a bench notices, above what costs a core."""

DEFAULT_TIMEOUT_S: Final = 30.0
"""Generous on purpose: a deadline that a busy machine can miss is a flaky test."""


class NotReadyError(Exception):
    """A condition did not come true in time."""


def wait_until(probe: Callable[[], T | None], what: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> T:
    """Return the first truthy answer of `probe`; raise NotReadyError naming `what` after the deadline."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise NotReadyError(f"{what}: not so after {timeout_s:g} s")
        time.sleep(POLL_S)
