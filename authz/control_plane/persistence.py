"""Which directory the versions of bundles are kept in, as the configuration says now. Knows no version's contents."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from authz.control_plane.activator import Activator
from authz.control_plane.history import History
from authz.refresh.version_store import StoreError, VersionStore
from authz.services.resolution import ControlPlane

VERSIONS: Final = "versions"
"""Name of the directory below the persistence directory that the versions of the policy are in."""

DEFAULT: Final = ".opa"
"""OPA's, below the working directory."""

logger = logging.getLogger(__name__)


def directory_of(plane: ControlPlane, name: str) -> Path:
    """Return one of our directories below the persistence directory."""
    return Path(plane.persistence_directory or DEFAULT) / name


class Persistence:
    """Opens the store of versions once something is to be persisted, and another one if the directory changes."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._store: VersionStore | None = None
        self._directory: Path | None = None

    async def follow(self, plane: ControlPlane, activator: Activator) -> bool:
        """Have the activator's history on disk as the control plane wants it, if it is not; return whether one was opened.

        A disk that cannot be used is told of, and costs no policy.
        """
        persistent = frozenset(name for name, bundle in plane.bundles.items() if bundle.persist)
        directory = directory_of(plane, VERSIONS)
        activator.history.persist(persistent)
        if not persistent or directory == self._directory:
            return False
        try:
            store = await asyncio.to_thread(VersionStore.open, directory, self._keep)
        except StoreError as error:
            activator.history.cannot_open(error)
            return False
        history = History(store, self._keep, persistent)
        try:
            await history.open()
        except StoreError as error:
            store.close()
            activator.history.cannot_open(error)
            return False
        await activator.remember(history)
        self.close()
        self._store, self._directory = store, directory
        return True

    def close(self) -> None:
        """Let another process hold the directory."""
        if self._store is not None:
            self._store.close()
        self._store = self._directory = None
