"""One bundle's versions: the one that is served, the last ones before it, the deltas between them, and who waits for the next.

Bounded in number and bytes. Knows neither where versions come from nor HTTP.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

from authz.publish.packer import Version

logger = logging.getLogger(__name__)

KEPT_VERSIONS: Final = 8
KEPT_BYTES: Final = 64 * 2**20
"""What the versions before the one that is served may take together, packed."""

MakeDelta: TypeAlias = Callable[[str, Version, Version], bytes | None]


class Shelf:
    """The versions of one bundle. `current` is None until there is one; `error` says why the last edit is not it."""

    def __init__(self, name: str, make_delta: MakeDelta) -> None:
        self.name = name
        self.current: Version | None = None
        self.error: str | None = None
        self.is_withdrawn = False
        self._make_delta = make_delta
        self._past: deque[Version] = deque()
        self._deltas: dict[str, asyncio.Task[bytes | None]] = {}
        self._changed = asyncio.Event()

    async def change(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

    def wake(self) -> None:
        """Have everybody who waits look again."""
        self._changed.set()
        self._changed = asyncio.Event()  # who waits from now on waits for the next one

    def publish(self, version: Version) -> bool:
        """Serve a version, and remember the one that was served; false if it is that one."""
        self.error = None
        if self.current is not None and self.current.etag == version.etag:
            return False
        if self.current is not None:
            self._remember(self.current, version)
        self.current = version
        self._deltas.clear()
        self.wake()
        return True

    def withdraw(self) -> None:
        """Serve nothing any more."""
        self.current, self.is_withdrawn = None, True
        self.wake()

    def _remember(self, version: Version, new: Version) -> None:
        kept = [each for each in self._past if each.etag not in (version.etag, new.etag)]
        self._past = deque([*kept, version])
        while self._past and (len(self._past) > KEPT_VERSIONS or sum(len(each.snapshot) for each in self._past) > KEPT_BYTES):
            self._past.popleft()

    async def delta_from(self, etag: str) -> bytes | None:
        """Return the delta from a version to the one that is served; None if there is none, or none that would be worth it.

        However many ask for it, it is made once.
        """
        base = next((version for version in self._past if version.etag == etag), None)
        if base is None or self.current is None:
            return None
        task = self._deltas.get(etag)
        if task is None:
            task = self._deltas[etag] = asyncio.create_task(self._delta(base, self.current))
        return await asyncio.shield(task)  # who asked first may leave: the others still want it

    async def _delta(self, base: Version, new: Version) -> bytes | None:
        try:
            return await asyncio.to_thread(self._make_delta, self.name, base, new)
        except Exception:  # whatever is wrong with it, the snapshot does as well
            logger.exception("a delta could not be made")
            return None
