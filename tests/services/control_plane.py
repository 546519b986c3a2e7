"""Real servers on loopback that stand for control planes, and clients of them."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from authz.services.client import Expected, ServiceClient
from authz.services.conversion import convert
from authz.services.errors import ServiceError
from authz.services.settings import KeySettings, ServiceSettings
from authz.services.transport import DEFAULT_LIMITS, Answer, Limits

ARCHIVE: Final = gzip.compress(b"no tar, but nobody here looks", mtime=0)
ANOTHER: Final = gzip.compress(b"and another one", mtime=0)
MAX_BYTES: Final = 2**20


def client(
    url: str,
    *,
    keys: Mapping[str, KeySettings] | None = None,
    environment: Mapping[str, str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    **fields: Any,
) -> ServiceClient:
    """Return a client of a service with OPA's fields."""
    return ServiceClient(convert({"name": "acme", "url": url, **fields}, ServiceSettings), keys or {}, environment or {}, limits)


async def got(asker: ServiceClient, path: str = "bundle", **headers: str) -> Answer:
    """Return the answer of a client that is entered."""
    return await asker.get(path, headers, Expected(MAX_BYTES, is_archive=True))


async def refused(url: str, **options: Any) -> ServiceError:
    """Return the error that a request to a service ends with."""
    async with client(url, **options) as asker:
        try:
            answer = await got(asker)
        except ServiceError as error:
            return error
    raise AssertionError(f"it answered {answer.status}")


@asynccontextmanager
async def scripted(*answers: bytes) -> AsyncIterator[str]:
    """Serve bytes as they are, one connection after the other; an answer that ends in `...` leaves its connection open. Yield the URL."""
    waiting = list(answers)
    is_over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            writer.write(answer.removesuffix(b"..."))
            await writer.drain()
            if answer.endswith(b"..."):
                await is_over.wait()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        is_over.set()
        server.close()
        await server.wait_closed()


async def archive(_request: web.Request) -> web.Response:
    """Answer an archive."""
    return web.Response(body=ARCHIVE, content_type="application/gzip", headers={"ETag": '"1"'})


async def asked(request: web.Request) -> web.Response:
    """Answer the headers that came."""
    return web.json_response(dict(request.headers))
