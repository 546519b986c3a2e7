"""A disk that failed is tried again until it works: ever later, and whenever somebody asks. Knows nothing of what is to be written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

from authz.refresh.refresher import LONGEST_RETRY_S
from authz.services.downloader import wait_for

logger = logging.getLogger(__name__)

LOOK_S: Final = 10.0
"""How often it is looked whether a disk has failed, which is the wait before the first try."""

NOT_MENDED: Final = "a defect of authz: a disk that failed is not tried again any more"


async def mend_when_due(is_failing: Callable[[], bool], mend: Callable[[], Awaitable[None]], asked: asyncio.Event) -> None:
    """Call `mend` while the disk is failing, at once if `asked` is set; until cancelled."""
    rest_s, due_s = LOOK_S, 0.0
    while True:
        await wait_for(asked, LOOK_S)
        is_asked = asked.is_set()
        asked.clear()
        if not is_failing():
            rest_s, due_s = LOOK_S, 0.0
        elif is_asked or monotonic() >= due_s:
            try:
                await mend()
            except Exception:  # a defect of ours: it is tried again all the same
                logger.exception("a disk that failed could not be tried again")
            rest_s = min(2 * rest_s, LONGEST_RETRY_S)
            due_s = monotonic() + rest_s
