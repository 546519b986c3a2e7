"""A bundle server for one team: OPA's bundle API over a directory of archives. Serves bytes; builds and verifies nothing.

Every `NAME.tar.gz` below the directory is the bundle `NAME`. An archive that is replaced (written beside it and renamed)
wakes the requests that wait for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from authz.services.downloader import LONG_POLL_TYPE
from authz.services.errors import ServiceError
from authz.services.sources import FileSource, file_stamps
from authz.watcher import Watcher

SUFFIX: Final = ".tar.gz"
POLL_S: Final = 1.0
"""How often the directory is looked at besides the kernel's notifications."""

MAX_WAIT_S: Final = 300.0
_WAIT: Final = re.compile(r"(?:^|[;, ])wait=(\d{1,9})(?:$|[;, ])")


@dataclass(frozen=True, slots=True)
class _Archive:
    content: bytes
    etag: str


class BundleServer:
    """The routes of a directory's bundles, `/bundles/NAME[.tar.gz]`. Follow its changes with `watch`."""

    def __init__(self, directory: Path, token: str = "") -> None:
        self._directory = directory
        self._authorization = hashlib.sha256(f"Bearer {token}".encode()).digest() if token else b""
        self._changed = asyncio.Condition()
        self._is_closing = False
        self.waiting = 0

    def app(self) -> web.Application:
        """Return the application. On its shutdown, requests that wait are answered."""
        app = web.Application(client_max_size=1024)
        app.router.add_get("/bundles/{name:.+}", self.answer)
        app.on_shutdown.append(self.close)
        return app

    async def watch(self) -> None:
        """Wake waiting requests whenever an archive may have changed, until cancelled."""
        watcher = await Watcher.start([self._directory], POLL_S, _stamps)
        async for _ in watcher.changes():
            await self._wake()

    async def answer(self, request: web.Request) -> web.Response:
        """Answer with the archive; 304 if it is the one that is known, at once or after the wait that was asked for."""
        given = hashlib.sha256(request.headers.get("Authorization", "").encode("utf-8", "replace")).digest()
        if self._authorization and not hmac.compare_digest(given, self._authorization):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        known = request.headers.get("If-None-Match", "")
        name = request.match_info["name"].removesuffix(SUFFIX)
        async with self._changed:
            deadline_s = asyncio.get_running_loop().time() + _wait_s(request)
            while True:
                archive = await self._read(name)
                if archive is None or archive.etag != known or self._is_closing:
                    break
                if not await self._wait(deadline_s):
                    break
        if archive is None:
            return web.Response(status=404)
        headers = {"ETag": archive.etag, "Content-Type": LONG_POLL_TYPE}
        if archive.etag == known:
            return web.Response(status=304, headers=headers)
        return web.Response(body=archive.content, headers=headers)

    async def _wait(self, deadline_s: float) -> bool:
        """Wait for a change; false if the time is over."""
        self.waiting += 1
        try:
            async with asyncio.timeout_at(deadline_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        finally:
            self.waiting -= 1
        return True

    async def _read(self, name: str) -> _Archive | None:
        parts = name.split("/")
        if any(part in ("", ".", "..") or part.startswith(".") or "\0" in part for part in parts):
            return None
        try:
            found = await FileSource(self._directory.joinpath(*parts[:-1], parts[-1] + SUFFIX)).fetch("", None)
        except ServiceError:
            return None
        assert found.content is not None
        return _Archive(found.content, f'"{found.etag}"')

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def close(self, _app: web.Application | None = None) -> None:
        """Answer the requests that wait; later ones do not wait."""
        self._is_closing = True
        await self._wake()


def _wait_s(request: web.Request) -> float:
    found = _WAIT.search(request.headers.get("Prefer", ""))
    return min(float(found[1]), MAX_WAIT_S) if found else 0.0


def _stamps(paths: Sequence[Path]) -> Hashable:
    return file_stamps([file for path in paths for file in sorted(path.rglob(f"*{SUFFIX}"))])
