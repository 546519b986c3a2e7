"""Where bundles come from: a service asked as OPA asks it, or a file. Knows nothing of what becomes of them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Hashable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

from authz.regular_files import open_regular
from authz.services.client import Expected, ServiceClient
from authz.services.downloader import Downloader, Fetched, origin_of
from authz.services.errors import Failure, ServiceError
from authz.services.resolution import DownloadSettings
from authz.services.transport import Answer
from authz.watcher import Watcher

MAX_ARCHIVE_BYTES: Final = 2**28
"""The most that an archive may take, packed. A larger `size_limit_bytes` that was configured raises it."""

FILE_POLL_S: Final = 5.0
"""How often a file is looked at besides the kernel's notifications."""

_STEP_BYTES: Final = 2**18
_NOT_MODIFIED: Final = 304


class ServiceSource:
    """A bundle below a service's URL (OPA's bundle service API)."""

    can_hold: Final = True

    def __init__(self, settings: DownloadSettings, client: ServiceClient, *, max_bytes: int = MAX_ARCHIVE_BYTES) -> None:
        self.origin = origin_of("service", client.settings.url, settings.resource)
        self._settings = settings
        self._client = client
        self._max_bytes = max_bytes

    async def fetch(self, etag: str, wait_s: float | None, *, takes_deltas: bool = True) -> Fetched:
        """Ask the service. A long poll may take its wait and the service's own time besides, and not for ever as in OPA."""
        modes = "modes=snapshot,delta" if takes_deltas else "modes=snapshot"
        headers = {"Prefer": modes if wait_s is None else f"{modes};wait={wait_s:g}"}
        if etag:
            headers["If-None-Match"] = etag
        timeout_s = self._client.settings.response_header_timeout_seconds + (wait_s or 0.0)
        answer = await self._client.get(self._settings.resource, headers, Expected(self._max_bytes, timeout_s, is_archive=True))
        is_same = answer.status == _NOT_MODIFIED
        if is_same and not etag:
            raise ServiceError(Failure.STATUS, "server replied with Not Modified, but was not asked whether it was", http_code=304)
        may_be_delta = bool(etag) and takes_deltas
        kind = answer.headers.get("Content-Type", "")
        return Fetched(None if is_same else answer.body, _etag_of(answer), kind, may_be_delta)


def _etag_of(answer: Answer) -> str:
    """Return the ETag, empty if it cannot be sent or kept: bytes that are no UTF-8, of which it may consist (RFC 9110 §8.8.3)."""
    etag = answer.headers.get("ETag", "")
    return etag if etag.isprintable() else ""


class FileSource:
    """A bundle in a file. Its ETag is the digest of what is in it."""

    can_hold: Final = False

    def __init__(self, path: Path, *, max_bytes: int = MAX_ARCHIVE_BYTES) -> None:
        self.origin = origin_of("file", str(path))
        self._path = path
        self._max_bytes = max_bytes

    async def fetch(self, etag: str, wait_s: float | None, *, takes_deltas: bool = True) -> Fetched:  # noqa: ARG002 - a file has no news of its own
        """Read the file."""
        content, found = await asyncio.to_thread(self._read)
        return Fetched(None if found == etag else content, found)

    def _read(self) -> tuple[bytes, str]:
        content, digest = BytesIO(), hashlib.sha256()
        try:
            with open_regular(self._path) as file:
                while piece := file.read(_STEP_BYTES):
                    digest.update(piece)
                    content.write(piece)
                    if content.tell() > self._max_bytes:
                        raise ServiceError(Failure.TOO_LARGE, f"{self._path}: larger than {self._max_bytes} bytes")
        except IsADirectoryError:
            raise ServiceError(Failure.FILE, f"{self._path}: is a directory", help="pack it: a bundle is a `.tar.gz`") from None
        except OSError as error:
            raise ServiceError(Failure.FILE, f"{self._path}: {(error.strerror or str(error)).lower()}") from None
        return content.getvalue(), digest.hexdigest()


async def follow(path: Path, downloader: Downloader, poll_s: float = FILE_POLL_S) -> None:
    """Trigger a file's downloader whenever the file may have changed, until cancelled."""
    watcher = await Watcher.start_beside(path, poll_s, file_stamps)
    async for _ in watcher.changes():
        downloader.trigger()


def file_stamps(paths: Sequence[Path]) -> Hashable:
    """Return what tells one state of files from the next, for a watcher of them."""
    return tuple(map(_file_stamp, paths))


def _file_stamp(path: Path) -> Hashable:
    try:
        found = path.stat()
    except OSError as error:
        return error.errno
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
