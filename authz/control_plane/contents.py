"""What bundles are made of, by name: archives as they came. Values; reads none of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from authz.refresh.messages import ReadBundle
from authz.refresh.version_store import StoredBundle, version_id
from authz.services.downloads import COMPILE, LOAD, Activated, Download

MAX_DELTAS: Final = 32
"""Deltas on top of a snapshot, after which a snapshot is wanted: each is read again at every activation."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive's bytes and their SHA-256 (hex). `verified_s`: when its signatures were found good by this process, None for not yet."""

    content: bytes = field(repr=False)
    digest: str
    verified_s: float | None = field(default=None, compare=False)

    @classmethod
    def of(cls, content: bytes) -> Archive:
        """Return the archive of these bytes; reads all of them."""
        return cls(content, hashlib.sha256(content).hexdigest())


@dataclass(frozen=True, slots=True)
class Parts:
    """One bundle: a snapshot and the deltas that came after it, under the ETag that the last one has at its origin.

    `revision` is empty until it was read.
    """

    name: str
    archives: tuple[Archive, ...]
    etag: str = ""
    revision: str = ""
    origin: str = ""

    @property
    def digests(self) -> tuple[str, ...]:
        return tuple(archive.digest for archive in self.archives)

    def followed_by(self, archive: Archive, etag: str) -> Parts:
        """Return the bundle after another archive has come, a snapshot or a delta."""
        return replace(self, archives=(*self.archives, archive), etag=etag, revision="")

    def as_read(self, read: ReadBundle) -> Parts:
        """Return the bundle without what a later snapshot has replaced, and as verified."""
        archives = (
            each if each.verified_s is not None else replace(each, verified_s=read.verified_s) for each in self.archives[read.first :]
        )
        return replace(self, archives=tuple(archives), revision=read.revision)

    def stored(self) -> StoredBundle:
        """Return what a version remembers of it."""
        return StoredBundle(self.name, self.revision, self.digests, self.etag, self.origin)


def received(base: Parts | None, download: Download) -> Parts:
    """Return a bundle as a download makes it: after the one that it was asked on top of, for it may be a delta of that, else by itself."""
    archive = Archive(download.content, download.digest)
    if base is not None and (download.base_etag, download.origin) == (base.etag, base.origin):
        return base.followed_by(archive, download.etag)
    return Parts(download.name, (archive,), download.etag, origin=download.origin)


def activated(parts: Parts, read: ReadBundle, compile_ns: int = 0) -> Activated:
    """Return what is said of a bundle that decides now. The compile is of all bundles together; 0 if there was none."""
    stages_ns = {LOAD: read.read_ns} | ({COMPILE: compile_ns} if compile_ns else {})
    return Activated(read.revision, "delta" if read.is_delta else "snapshot", len(parts.archives) > MAX_DELTAS, stages_ns)


def id_of(contents: Mapping[str, Parts]) -> str:
    """Return the id of the version that these bundles are."""
    return version_id({name: parts.digests for name, parts in contents.items()})
