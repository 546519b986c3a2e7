"""The bundles below one directory, kept up to date while it changes: a keeper and a shelf for each. Knows no HTTP."""

from __future__ import annotations

import asyncio
import logging
from asyncio import TaskGroup
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Final

from authz.bundle.directory import SourceError
from authz.publish.keeper import Keeper
from authz.publish.packer import Packer
from authz.publish.scan import Scan, scan
from authz.publish.shelf import Shelf
from authz.telemetry.documents import printable
from authz.telemetry.logs import log
from authz.watcher import Watcher

logger = logging.getLogger(__name__)

POLL_S: Final = 1.0
"""How often the directory is looked at besides the kernel's notifications."""

PACKED_AT_ONCE: Final = 4


class Catalogue:
    """The bundles of a directory, by name. `start` it, then `follow` it."""

    def __init__(self, root: Path, packer: Packer) -> None:
        self._root = root
        self._packer = packer
        self._keepers: dict[str, Keeper] = {}
        self._slots = asyncio.Semaphore(PACKED_AT_ONCE)
        self._seen = Scan()
        self._known = Scan()
        self._watcher: Watcher | None = None
        self._group: TaskGroup | None = None

    def find(self, name: str) -> Shelf | None:
        """Return a bundle's shelf; None if there is no such bundle."""
        keeper = self._keepers.get(name)
        return None if keeper is None else keeper.shelf

    def wake(self) -> None:
        """Have everybody who waits for a bundle look again."""
        for keeper in self._keepers.values():
            keeper.shelf.wake()

    async def start(self) -> None:
        """Pack everything once. Raises SourceError if the directory is itself a policy, or cannot be read; what fails later is logged."""
        self._watcher = await Watcher.start([self._root], POLL_S, self._look)
        if self._seen.failure:
            raise SourceError(self._seen.failure)
        if self._seen.strays:
            advice = "each folder in the directory is a bundle: move the files into one called as the bundle, or name the folder above"
            raise SourceError(f"{self._seen.strays[0]}: stands where only bundles do, so it would be in none", help=advice)
        self._update()
        await asyncio.gather(*(keeper.refresh() for keeper in self._keepers.values()))

    async def follow(self) -> None:
        """Keep up with the directory until cancelled."""
        assert self._watcher is not None
        async with TaskGroup() as self._group:
            for keeper in self._keepers.values():
                self._group.create_task(keeper.run())
            async for _ in self._watcher.changes():
                self._update()

    def _look(self, _paths: Sequence[Path]) -> Hashable:
        self._seen = scan(self._root)
        return self._seen

    def _update(self) -> None:
        """Tell the keepers what was seen; a directory that cannot be read is no news of any bundle."""
        seen, known, self._known = self._seen, self._known, self._seen
        if seen.failure:
            if seen.failure != known.failure:
                log(logger, "error", "the directory cannot be read, the bundles are served on", error=printable(seen.failure))
            return
        for stray in set(seen.strays) - set(known.strays):
            log(logger, "error", "a policy file beside the bundles is in none of them", file=printable(stray))
        origins = dict(seen.origins)
        for name in origins.keys() - self._keepers.keys():
            self._keepers[name] = keeper = Keeper(Shelf(name, self._packer.delta), self._packer.pack, self._slots, self._keepers.pop)
            if self._group is not None:
                self._group.create_task(keeper.run())
        for name, keeper in self._keepers.items():
            keeper.tell(origins.get(name))
