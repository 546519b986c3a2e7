"""The last discovery bundles on disk, for a start without their service. Knows nothing of what they say.

A disk that fails costs that start, and no configuration that is followed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from time import time_ns
from typing import Final

from authz.control_plane.contents import Archive, Parts, id_of
from authz.refresh.version_store import StoreError, Version, VersionStore
from authz.telemetry.logs import log

KEPT: Final = 2
"""Discovery bundles on disk: one more than is needed, for a file that is damaged."""

logger = logging.getLogger(__name__)


class DiscoveryStore:
    """One directory. `error` is what is wrong with it, None if nothing is."""

    def __init__(self, directory: Path) -> None:
        self.error: StoreError | None = None
        self._directory = directory
        self._store: VersionStore | None = None
        self._missing: Parts | None = None
        self._writing = asyncio.Lock()

    async def versions(self) -> Sequence[Version]:
        """Return what is there, newest first; nothing if the directory cannot be used."""
        try:
            return await asyncio.to_thread((await self._opened()).versions)
        except StoreError as error:
            self._note(error)
            return ()

    async def parts(self, name: str, version: Version) -> Parts:
        """Return the bundle of a version. Raises StoreError."""
        blobs = await asyncio.to_thread((await self._opened()).archives, version)
        digests = [digest for bundle in version.bundles for digest in bundle.digests]
        return Parts(name, tuple(Archive(blobs[digest], digest) for digest in digests))

    async def save(self, parts: Parts) -> None:
        """Have a bundle on disk, now or once that is possible."""
        self._missing = parts
        await self.save_again()

    async def save_again(self) -> None:
        """Write what could not be written before."""
        async with self._writing:
            if self._missing is not None:
                await self._write(self._missing)

    async def _write(self, parts: Parts) -> None:
        blobs = {archive.digest: archive.content for archive in parts.archives}
        version = Version(id_of({parts.name: parts}), parts.revision, time_ns(), (parts.stored(),))
        try:
            await asyncio.to_thread((await self._opened()).save, version, blobs)
        except StoreError as error:
            self._note(error)
            return
        self.error = None
        if self._missing is parts:  # else a newer one has come meanwhile
            self._missing = None

    async def _opened(self) -> VersionStore:
        if self._store is None:
            self._store = await asyncio.to_thread(VersionStore.open, self._directory, KEPT)
        return self._store

    def _note(self, error: StoreError) -> None:
        if self.error is None or self.error.message != error.message:
            log(logger, "error", "the discovery bundle is not persisted", error=error.message, help=error.help)
        self.error = error

    def close(self) -> None:
        """Let another process have the directory."""
        if self._store is not None:
            self._store.close()
