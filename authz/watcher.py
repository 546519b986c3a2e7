"""Says when the files below some paths may have changed.

Prompt by the kernel's notifications, certain by a slow look at the files: notifications end when a watched
directory is deleted, do not cross links out of it, and do not exist on every file system. What a change means
is for others.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Hashable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeAlias

from watchfiles import Change, awatch

from authz.bundle.manifest import MANIFEST_NAME

QUIET_MS: Final = 50
"""A change is reported once nothing has changed for this long: editors and `git` write in bursts."""

LONGEST_BURST_MS: Final = 1_000
MISSING_POLL_S: Final = 0.25
"""A path that does not exist is looked for this often; there is nothing else to be told about it by."""

CONFIG_MAP_LINK: Final = "..data"
"""Kubernetes swaps this link when a mounted ConfigMap changes; the files themselves see no event."""

Identity: TypeAlias = tuple[int, int] | None

Fingerprint: TypeAlias = Callable[[Sequence[Path]], Hashable]
"""What tells one state of the files below some paths from the next without reading them."""


@dataclass(frozen=True, slots=True)
class _View:
    roots: tuple[Identity, ...]
    files: Hashable


class Watcher:
    """Watches paths from `start` on: every later change is reported at least once."""

    def __init__(self, paths: Sequence[Path], watched: Sequence[Path], poll_s: float, fingerprint: Fingerprint, seen: _View) -> None:
        self._paths = paths
        self._watched = watched
        self._fingerprint = fingerprint
        self._poll_s = poll_s
        self._seen = seen

    @classmethod
    async def start(cls, paths: Sequence[Path], poll_s: float, fingerprint: Fingerprint) -> Self:
        """Take the first look, which later ones are compared with."""
        return cls(paths, paths, poll_s, fingerprint, await asyncio.to_thread(_look, paths, paths, fingerprint))

    @classmethod
    async def start_beside(cls, file: Path, poll_s: float, fingerprint: Fingerprint) -> Self:
        """As `start`, for one file by the notifications of its directory: those of a file end when another one takes its place.

        What happens to other files of the directory is a change only if the fingerprint says so.
        """
        return cls((file,), (file.parent,), poll_s, fingerprint, await asyncio.to_thread(_look, (file,), (file.parent,), fingerprint))

    async def changes(self) -> AsyncGenerator[None, None]:
        """Yield whenever something below the paths may have changed; never ends by itself."""
        while True:
            async with aclosing(_ticks(self._watched, self._seen.roots, self._poll_s, is_recursive=self._watched is self._paths)) as ticks:
                async for is_told in ticks:
                    now = await asyncio.to_thread(_look, self._paths, self._watched, self._fingerprint)
                    is_new, is_elsewhere = now != self._seen, now.roots != self._seen.roots
                    self._seen = now
                    if is_new or (is_told and self._watched is self._paths):
                        yield
                    if is_elsewhere:
                        break  # the kernel watches a directory that is not there any more


async def _ticks(paths: Sequence[Path], roots: tuple[Identity, ...], poll_s: float, *, is_recursive: bool) -> AsyncGenerator[bool, None]:
    """Yield true when told of a change, false when it is time to look."""
    if None in roots:
        await asyncio.sleep(min(poll_s, MISSING_POLL_S))
        yield False
        return
    try:
        async for changes in awatch(
            *paths,
            watch_filter=_is_relevant,
            debounce=LONGEST_BURST_MS,
            step=QUIET_MS,
            rust_timeout=round(poll_s * 1000),
            yield_on_timeout=True,
            ignore_permission_denied=True,
            recursive=is_recursive,
        ):
            yield bool(changes)
    except Exception:
        # Gone in between, out of watches, descriptors or threads, or a name that is not UTF-8: looking still works, and a
        # watcher that ends would leave a policy in force that was withdrawn.
        await asyncio.sleep(poll_s)
        yield False


def _is_relevant(_change: Change, path: str) -> bool:
    name = os.path.basename(path)
    return name in (CONFIG_MAP_LINK, MANIFEST_NAME) or not name.startswith(".")


def _look(paths: Sequence[Path], watched: Sequence[Path], fingerprint: Fingerprint) -> _View:
    return _View(tuple(map(_identity, watched)), fingerprint(paths))


def _identity(path: Path) -> Identity:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
