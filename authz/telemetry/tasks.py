"""Work that goes on beside a block, and does not end in silence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from authz.telemetry.logs import telling_of_death


@asynccontextmanager
async def beside(work: Coroutine[None, None, None], logger: logging.Logger, message: str) -> AsyncIterator[None]:
    """Run `work` beside the block and cancel it in the end; if it dies, log the message with its traceback and go on."""
    task = asyncio.create_task(work)
    task.add_done_callback(telling_of_death(logger, message))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
