"""Real HTTP servers on loopback that policies ask, and senders that may ask them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

import uvloop
from aiohttp import web

from authz.outbound.allowlist import AllowList
from authz.outbound.sender import Sender
from authz.outbound.settings import SendSettings
from authz.rego.builtins.http_request import read_request
from authz.rego.pending import HttpRequest
from authz.rego.values import Object, from_json, to_json

PATIENCE_S: Final = 30.0  # for what must happen; nothing waits so long unless it is broken
NOW_NS: Final = 1_700_000_000_000_000_000

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Upstream:
    """A server that answers every path with one handler, and keeps what it was asked."""

    def __init__(self, handler: Handler) -> None:
        self.url = ""
        self.port = 0
        self.asked: list[web.BaseRequest] = []
        self._handler = handler

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        return await self._handler(request)


@asynccontextmanager
async def upstream(handler: Handler, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Upstream]:
    """Serve on a free port of loopback."""
    server = Upstream(handler)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, host, 0, ssl_context=tls)
    await site.start()
    server.port = runner.addresses[0][1]
    server.url = f"{'https' if tls else 'http'}://{host}:{server.port}"
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_upstream(answer: bytes) -> AsyncIterator[str]:
    """Serve bytes as they are, to be able to break HTTP; yield the URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


def settings(*hosts: str, **bounds: Any) -> SendSettings:
    """Return settings that allow loopback without TLS, and more hosts."""
    return SendSettings(AllowList(["127.0.0.1:*", *hosts]), **{"allow_http": True, **bounds})


def request(url: str, **parameters: Any) -> HttpRequest:
    """Return the request of `http.send` with these parameters, a GET that answers with its error unless they say otherwise."""
    operand = from_json({"method": "get", "url": url, "raise_error": False, **parameters})
    assert isinstance(operand, Object)
    return read_request(operand)


async def answer(sender: Sender, url: str, *, now_ns: int = NOW_NS, **parameters: Any) -> Any:
    """Return the answer to a request as JSON."""
    return to_json(await sender.send(request(url, **parameters), now_ns))


async def error(sender: Sender, url: str, **parameters: Any) -> tuple[str, str]:
    """Return code and message of the error that a request is answered with."""
    found = await answer(sender, url, **parameters)
    assert found["status_code"] == 0
    return found["error"]["code"].removeprefix("eval_http_send_"), found["error"]["message"]


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine, as the process runs: on uvloop."""

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test

    uvloop.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    """Let others run until a condition holds."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
        await asyncio.sleep(0.001)


async def text(request: web.Request) -> web.Response:
    """Answer the path."""
    return web.Response(text=request.raw_path)


async def echo(request: web.Request) -> web.Response:
    """Answer what was asked, as JSON."""
    headers = sorted([name.decode().lower(), value.decode()] for name, value in request.raw_headers if name.lower() != b"host")
    body = (await request.read()).decode()
    return web.json_response({"method": request.method, "target": request.raw_path, "host": request.host, "headers": headers, "body": body})


class Gate:
    """A handler that answers once it is let through, and tells that it was asked and that its client has gone."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.opened = asyncio.Event()
        self.left = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.Response:
        self.asked.set()
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.left.set()
            raise
        return web.Response(text="late")
