"""Nothing is decided while a bundle is older than it may be, where an operator wants it so.

Knows when to look. What is too old, and who decides, is not known here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

from authz.telemetry.logs import log

LOOK_S: Final = 1.0
"""No timer of its own for the moment: those stand still while a machine is suspended, and a bundle ages."""

Withhold: TypeAlias = Callable[[bool], Awaitable[None]]
"""Deny every check from now on, whatever is activated meanwhile, or decide again."""

logger = logging.getLogger(__name__)


class StalenessGuard:
    """Has decisions withheld while there are overdue bundles. `on_fresh` is called whenever there are none."""

    def __init__(self, overdue: Callable[[], Sequence[str]], withhold: Withhold, on_fresh: Callable[[], None]) -> None:
        self._overdue = overdue
        self._withhold = withhold
        self._on_fresh = on_fresh
        self._is_withholding = False
        self._look = asyncio.Event()

    def look(self) -> None:
        """Look now: something was activated, or confirmed."""
        self._look.set()

    async def run(self) -> None:
        """Look again and again, until cancelled. If that ends otherwise, nobody knows what is stale, and nothing is decided."""
        try:
            while True:
                await self._turn(self._overdue())
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._look.wait()
                self._look.clear()
        except Exception:
            await self._withhold(True)
            raise

    async def _turn(self, overdue: Sequence[str]) -> None:
        is_stale = bool(overdue)
        if is_stale != self._is_withholding:
            await self._withhold(is_stale)
            self._is_withholding = is_stale
            if is_stale:
                text = "every check is denied: bundles are older than their `max_age_seconds`"
                log(logger, "error", text, bundles=", ".join(overdue), field="activation.deny_when_stale")
            else:
                log(logger, "info", "bundles are fresh again: the policy decides")
        if not is_stale:
            self._on_fresh()
