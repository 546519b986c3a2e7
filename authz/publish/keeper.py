"""Keeps one bundle as it stands on disk: packs it whenever it changed, keeps the last good version when that fails, and says so once.

Is told what stands where; looks at no directory itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, TypeAlias

from authz.errors import AuthzError
from authz.publish.packer import Version
from authz.publish.scan import Origin
from authz.publish.shelf import Shelf
from authz.services.downloader import wait_for
from authz.telemetry.documents import printable
from authz.telemetry.logs import log

logger = logging.getLogger(__name__)

Pack: TypeAlias = Callable[[str, Origin], Version]

FIRST_RETRY_S: Final = 15.0
LONGEST_RETRY_S: Final = 600.0
"""What failed is tried again unasked, each time later: it may have been memory or a disk, and then no edit says that it is over."""

GRACE_S: Final = 1.0
"""A bundle that is gone for a shorter time is being replaced: `rm -r app && cp -r new app`."""


class Keeper:
    """Keeps one bundle's shelf. Pack is called in a thread, within one of the `slots` that all keepers share."""

    def __init__(self, shelf: Shelf, pack: Pack, slots: asyncio.Semaphore, on_gone: Callable[[str], object]) -> None:
        self.shelf = shelf
        self._pack = pack
        self._slots = slots
        self._on_gone = on_gone
        self._origin: Origin | None = None
        self._failed: Origin | None = None
        self._is_told = asyncio.Event()

    def tell(self, origin: Origin | None) -> None:
        """Say how the bundle stands on disk; None if it is not there."""
        if origin != self._origin:
            self._origin = origin
            self._is_told.set()

    async def run(self) -> None:
        """Pack whenever told of a change, and by itself after a failure, until the bundle is gone or this is cancelled."""
        retry_s = FIRST_RETRY_S
        while True:
            await wait_for(self._is_told, self._patience_s(retry_s))
            is_told = self._is_told.is_set()
            if self._origin is not None:
                retry_s = FIRST_RETRY_S if is_told else min(2 * retry_s, LONGEST_RETRY_S)
                await self.refresh()
            elif is_told:
                self._is_told.clear()  # and wait whether it comes back
            else:
                self.shelf.withdraw()
                self._on_gone(self.shelf.name)
                log(logger, "info", "bundle withdrawn", bundle=printable(self.shelf.name))
                return

    def _patience_s(self, retry_s: float) -> float | None:
        if self._origin is None:
            return GRACE_S
        return None if self.shelf.error is None else retry_s

    async def refresh(self) -> None:
        """Pack the bundle as it was last told to stand. Whatever goes wrong is on the shelf and in the log."""
        self._is_told.clear()
        origin = self._origin
        assert origin is not None
        async with self._slots:
            try:
                version = await asyncio.to_thread(self._pack, self.shelf.name, origin)
            except AuthzError as error:
                self._fail(printable(error), error.help)
            except Exception as error:  # a defect of ours must not end the service either: the last good version is there
                logger.exception("packing failed unexpectedly")
                self._fail(f"{type(error).__name__}: {error}")
            else:
                self._publish(version)

    def _publish(self, version: Version) -> None:
        had_error = self.shelf.error is not None
        is_new = self.shelf.publish(version)
        if not (is_new or had_error):
            return
        message = "bundle published" if is_new else "bundle is as it was published again"
        name, size = printable(self.shelf.name), len(version.snapshot)
        log(logger, "info", message, bundle=name, revision=version.revision, etag=version.etag, bytes=size)

    def _fail(self, message: str, help: str | None = None) -> None:
        is_news = message != self.shelf.error or self._origin != self._failed
        self.shelf.error, self._failed = message, self._origin
        if is_news:
            consequence = "the last good version is served on" if self.shelf.current else "it is not served"
            log(logger, "error", f"bundle not published, {consequence}", bundle=printable(self.shelf.name), error=message, help=help)
