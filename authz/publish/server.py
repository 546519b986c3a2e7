"""OPA's bundle API over a catalogue: ETags, long polls, deltas, a bearer token. Packs and reads nothing."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from contextlib import suppress
from typing import Final

from aiohttp import web

from authz.publish.catalogue import Catalogue
from authz.publish.requests import Asked
from authz.publish.scan import SUFFIX
from authz.publish.shelf import Shelf
from authz.services.downloader import LONG_POLL_TYPE

MAX_WAITING: Final = 4_096
RETRY_AFTER_S: Final = 10
SEND_S: Final = 300.0
"""How long a client may take to read an answer."""

_STEP_BYTES: Final = 2**16
"""An answer is handed out in pieces: thousands of slow readers must not each have a copy of it in memory."""


class BundleServer:
    """The routes of a catalogue's bundles, `/bundles/NAME[.tar.gz]`."""

    def __init__(self, catalogue: Catalogue, token: str = "", max_waiting: int = MAX_WAITING) -> None:
        self._catalogue = catalogue
        self._authorization = hashlib.sha256(f"Bearer {token}".encode()).digest() if token else b""
        self._max_waiting = max_waiting
        self._is_closing = False
        self.waiting = 0

    def runner(self, shutdown_timeout_s: float = 2.0) -> web.AppRunner:
        """Return what runs the application. On its shutdown, requests that wait are answered; one whose client leaves ends."""
        app = web.Application(client_max_size=1024)
        app.router.add_get("/bundles/{name:.+}", self.answer)
        app.on_shutdown.append(self.close)
        return web.AppRunner(app, access_log=None, shutdown_timeout=shutdown_timeout_s, handler_cancellation=True)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer with the bundle, or what makes it of the one that is known; 304 if that is it, at once or after the wait asked for."""
        given = hashlib.sha256(request.headers.get("Authorization", "").encode("utf-8", "replace")).digest()
        if self._authorization and not hmac.compare_digest(given, self._authorization):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        name = request.match_info["name"].removesuffix(SUFFIX)
        shelf = self._catalogue.find(name)
        if shelf is None:
            return web.Response(status=404)
        asked = Asked.of(request.headers)
        if asked.wait_s and _is_known(shelf, asked) and not self._is_closing:
            if self.waiting >= self._max_waiting:
                return web.Response(status=503, text="too many requests wait already\n", headers={"Retry-After": str(RETRY_AFTER_S)})
            await self._wait(shelf, asked)
        version = shelf.current
        if version is None:
            return _without_version(shelf)
        headers = {"ETag": f'"{version.etag}"', "Content-Type": LONG_POLL_TYPE, "Cache-Control": "no-cache", "Vary": "Prefer"}
        if asked.knows(version.etag):
            return web.Response(status=304, headers=headers)
        delta = None if asked.base is None else await shelf.delta_from(asked.base)
        if delta is None:
            return await _send(request, headers, version.snapshot)
        return await _send(request, headers | {"Cache-Control": "no-store"}, delta)  # of no use to who has another base

    async def _wait(self, shelf: Shelf, asked: Asked) -> None:
        """Wait until there is another version than the client has, or its time is over."""
        self.waiting += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(asked.wait_s):
                    while _is_known(shelf, asked) and not self._is_closing:
                        await shelf.change()
        finally:
            self.waiting -= 1

    async def close(self, _app: web.Application | None = None) -> None:
        """Answer the requests that wait; later ones do not wait."""
        self._is_closing = True
        self._catalogue.wake()


def _is_known(shelf: Shelf, asked: Asked) -> bool:
    return shelf.current is not None and asked.knows(shelf.current.etag)


def _without_version(shelf: Shelf) -> web.Response:
    if shelf.is_withdrawn:
        return web.Response(status=404)
    text = f"{shelf.error or 'the bundle is being packed'}\n"
    return web.Response(status=503, text=text, headers={"Retry-After": str(RETRY_AFTER_S)})


async def _send(request: web.Request, headers: dict[str, str], content: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers=headers)
    response.content_length = len(content)
    pieces = memoryview(content)
    try:
        async with asyncio.timeout(SEND_S):
            await response.prepare(request)
            if request.method != "HEAD":
                for start in range(0, len(pieces), _STEP_BYTES):
                    await response.write(pieces[start : start + _STEP_BYTES])
                await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    return response
