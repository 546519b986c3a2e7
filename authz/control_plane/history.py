"""The versions that were activated last: on disk if they are to outlive the process, in memory so that going back is one swap.

Owns what is kept and which one is pinned. Compiles and activates nothing; a disk that fails costs what is remembered, never a policy.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from authz.control_plane.contents import Archive, Parts, id_of
from authz.refresh.messages import Compiled
from authz.refresh.version_store import StoredBundle, StoreError, Version, VersionStore
from authz.telemetry.logs import log

MAX_HELD_BYTES: Final = 2**26
"""Of versions that are held in memory beside the active one: those that would exceed it are compiled again if they are wanted."""

logger = logging.getLogger(__name__)

_Kept: TypeAlias = Literal["directory", "versions", "pin", "age"]
"""What is on disk, each of which can fail by itself."""


@dataclass(frozen=True, slots=True)
class Held:
    """A version; without `contents` it is on disk only, without `compiled` it has to be compiled."""

    version: Version
    contents: Mapping[str, Parts] | None = None
    compiled: Compiled | None = None
    is_stored: bool = False

    @property
    def size(self) -> int:
        """Bytes that it takes in memory."""
        archives = 0 if self.contents is None else sum(len(a.content) for parts in self.contents.values() for a in parts.archives)
        return archives + (0 if self.compiled is None else len(self.compiled.policy))


class History:
    """The last versions, newest first."""

    def __init__(self, store: VersionStore | None, keep: int, persistent: frozenset[str] = frozenset()) -> None:
        """Remember `keep` versions; on disk, those of their bundles whose names are `persistent`."""
        self.held: list[Held] = []
        self.pinned: str | None = None
        self.persistent = persistent
        self._store = store
        self._keep = keep
        self._is_behind = False
        self._errors: dict[_Kept, StoreError] = {}

    @property
    def error(self) -> StoreError | None:
        """What is wrong with the disk, None if all that is to be there is."""
        return next(iter(self._errors.values()), None)

    @property
    def is_behind(self) -> bool:
        """Whether something is to be on disk and is not."""
        return self._is_behind or bool(self._errors)

    def persist(self, names: frozenset[str]) -> None:
        """Have these bundles on disk from now on."""
        self._is_behind = self._is_behind or not names <= self.persistent
        self.persistent = names
        if not names:
            self._is_behind = False
            self._errors.clear()  # nothing is to be there any more

    def cannot_open(self, error: StoreError) -> None:
        """Be told that there is no disk, because its directory cannot be used."""
        self._fail("directory", error, "versions of bundles are not persisted")

    async def open(self) -> None:
        """Learn what is on disk. Raises StoreError if it cannot be told which version is pinned."""
        if self._store is not None:
            self.held = [Held(version, is_stored=True) for version in await asyncio.to_thread(self._store.versions)]
            for path in await asyncio.to_thread(self._store.damaged):
                advice = "it was tampered with, or its disk fails: remove it"
                log(logger, "error", "a version on disk is damaged and passed over", path=str(path), help=advice)
            self.pinned = await asyncio.to_thread(self._store.pinned)

    def find(self, id: str) -> Held | None:
        """Return the version whose id is, or begins like, this; None if there is none or more than one."""
        found = [held for held in self.held if held.version.id.startswith(id)]
        return found[0] if len(found) == 1 else None

    async def contents(self, held: Held) -> Mapping[str, Parts]:
        """Return what a version is made of, from disk if need be. Raises StoreError."""
        if held.contents is not None:
            return held.contents
        assert self._store is not None
        blobs = await asyncio.to_thread(self._store.archives, held.version)
        return {bundle.name: _parts(bundle, blobs) for bundle in held.version.bundles}

    async def record(self, contents: Mapping[str, Parts], compiled: Compiled, now_ns: int) -> Version:
        """Remember what was activated as the newest version, on disk too; a disk that fails is told of in `error` and the log."""
        bundles = tuple(contents[name].stored() for name in sorted(contents))
        version = Version(id_of(contents), compiled.revision, now_ns, bundles)
        older = [held for held in self.held if held.version.id != version.id]
        kept = [held for position, held in enumerate(older) if position < self._keep - 1 or held.version.id == self.pinned]
        is_stored = await self._save(version, contents)
        self.held = _bounded([Held(version, dict(contents), compiled, is_stored), *kept])
        return version

    def hold(self, id: str, contents: Mapping[str, Parts], compiled: Compiled) -> None:
        """Keep in memory what a version from disk is made of and was compiled to."""
        found = [replace(held, contents=contents, compiled=compiled) if held.version.id == id else held for held in self.held]
        self.held = _bounded(found)

    async def _save(self, version: Version, contents: Mapping[str, Parts]) -> bool:
        """Write the bundles that are to be kept; the version's id stays that of all of them. Return whether all are on disk."""
        stored = tuple(bundle for bundle in version.bundles if bundle.name in self.persistent)
        if self._store is None or not stored:
            return False
        blobs = {archive.digest: archive.content for bundle in stored for archive in contents[bundle.name].archives}
        is_saved = await self._on_disk(
            "versions", self._store.save, Version(version.id, version.revision, version.activated_ns, stored), blobs
        )
        return is_saved and stored == version.bundles

    async def save_again(self) -> None:
        """Have the newest version, and which one is pinned, on disk after all."""
        if self._store is None or not self.is_behind or not self.held:
            return
        newest = self.held[0]
        if (self._is_behind or "versions" in self._errors) and newest.contents is not None:
            self.held[0] = replace(newest, is_stored=await self._save(newest.version, newest.contents))
        if "pin" in self._errors:
            await self.pin(self.pinned)
        self._is_behind = False
        if self.error is None:
            log(logger, "info", "the active version is persisted after all", revision=newest.version.revision)

    async def take_over(self, older: History) -> None:
        """Remember what another history holds in memory, as if it had been activated after all that is here, and its pin."""
        for held in reversed(older.held):
            if held.contents is not None and held.compiled is not None:
                await self.record(held.contents, held.compiled, held.version.activated_ns)
        if older.pinned is not None:
            await self.pin(older.pinned)

    async def confirm(self, id: str, now_ns: int) -> None:
        """Remember that a version was still the newest at this time."""
        if self._store is not None and "versions" not in self._errors:
            await self._on_disk("age", self._store.confirm, id, now_ns)

    def confirmed_ns(self, id: str) -> int:
        """Return when a version on disk was last known to be the newest (UNIX ns), 0 if that is not known."""
        return 0 if self._store is None else self._store.confirmed_ns(id)

    async def pin(self, id: str | None) -> None:
        """Pin a version, or none, on disk too."""
        self.pinned = id
        if self._store is not None:
            await self._on_disk("pin", self._store.pin, id)

    async def _on_disk(self, what: _Kept, write: Callable[..., None], *args: object) -> bool:
        """Write something; return whether it is on disk. A failure is told of once, and lasts until the same is written."""
        try:
            await asyncio.to_thread(write, *args)
        except StoreError as error:
            self._fail(what, error, "policy is active but was not persisted")
            return False
        self._errors.pop(what, None)
        return True

    def _fail(self, what: _Kept, error: StoreError, message: str) -> None:
        known = {each.message for each in self._errors.values()}
        self._errors[what] = error
        if error.message not in known:
            log(logger, "error", message, error=error.message, help=error.help)


def _parts(bundle: StoredBundle, blobs: Mapping[str, bytes]) -> Parts:
    archives = tuple(Archive(blobs[digest], digest) for digest in bundle.digests)
    return Parts(bundle.name, archives, bundle.etag, bundle.revision, bundle.origin)


def _bounded(held: list[Held]) -> list[Held]:
    """Return the versions, of which those that exceed the bound have lost what can be had again; the newest has all."""
    result = held[:1]
    used = 0
    for each in held[1:]:
        used += each.size
        is_light = used > MAX_HELD_BYTES
        result.append(replace(each, compiled=None, contents=None if each.is_stored else each.contents) if is_light else each)
    return result
