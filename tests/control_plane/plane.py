"""A control plane on loopback that a test can make good or bad, signed bundles for it, and a sidecar's configuration to ask it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from authz.bundle.archive import write_archive
from authz.bundle.keys import Key
from authz.bundle.signatures import SIGNATURES_NAME, sign
from tests.bundle.archives import files
from tests.control_plane.published import configuration, policy
from tests.services.registry import Registry

TEAM: Final = Key("team", "a secret of the team that is long enough for HS256", "HS256")
STRANGER: Final = Key("stranger", "a secret of somebody else, which is as long as it", "HS256")
POLLING: Final = {"min_delay_seconds": 0.05, "max_delay_seconds": 0.1}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Contents = Mapping[str, str | bytes]


def signed(contents: Contents, key: Key = TEAM, **claims: Any) -> bytes:
    """Return the archive of these files, signed."""
    found = files(contents)
    return write_archive([*found, *files({SIGNATURES_NAME: sign(found, key, claims)})])


def named(revision: str, roots: list[str], **metadata: str) -> str:
    return json.dumps({"revision": revision, "roots": roots, "metadata": metadata})


def allowing(method: str, revision: str, more: Contents | None = None) -> dict[str, str | bytes]:
    """Return the files of a bundle that allows one HTTP method."""
    return {"policy.rego": policy(method), ".manifest": named(revision, ["envoy"]), **(more or {})}


class Plane:
    """What every bundle's path answers; may be changed from the test's thread at any time."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.registry: Handler = Registry()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._answers: dict[str, Handler] = {}
        self._runner: web.AppRunner | None = None
        self._port = 0
        self.up()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def up(self) -> None:
        """Listen, on the port as before."""
        self._do(self._up())

    def down(self) -> None:
        """Refuse connections, and end those that are open."""
        self._do(self._down())

    def close(self) -> None:
        if self._runner is not None:
            self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def put(self, name: str, content: bytes, etag: str | None = None, kind: str = "application/gzip") -> None:
        """Serve an archive; its ETag is its digest unless it is given."""
        tag = f'"{hashlib.sha256(content).hexdigest()}"' if etag is None else etag

        async def answer(request: web.Request) -> web.Response:
            if tag and request.headers.get("If-None-Match") == tag:
                return web.Response(status=304, headers={"ETag": tag})
            return web.Response(body=content, headers={"Content-Type": kind, **({"ETag": tag} if tag else {})})

        self.answer(name, answer)

    def answer(self, name: str, handler: Handler) -> None:
        """Have a bundle's path answered by a handler."""
        self._answers[name] = handler

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _up(self) -> None:
        app = web.Application()
        app.router.add_get("/bundles/{name}", self._handle)
        for path in ("/v2/{path:.*}", "/token"):
            app.router.add_get(path, self._handle_registry)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]

    async def _down(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()
        self._runner = None

    async def _handle_registry(self, request: web.Request) -> web.StreamResponse:
        return await self.registry(request)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.asked.append(name)
        return await self._answers[name](request)


@contextmanager
def control_plane() -> Iterator[Plane]:
    plane = Plane()
    try:
        yield plane
    finally:
        plane.close()


def sidecar(directory: Path, plane: Plane, *names: str, bundle: Mapping[str, Any] | None = None, **fields: Any) -> Path:
    """Write the configuration of a sidecar that asks the plane for bundles and believes the team; return its path."""
    each = {"polling": POLLING, "persist": True, **(bundle or {})}
    fields = {
        "services": {"acme": {"url": plane.url, "response_header_timeout_seconds": 0.5}},
        "keys": {TEAM.id: {"key": TEAM.key, "algorithm": TEAM.algorithm}},
        "activation": {},
        **fields,
    }
    directory.mkdir(exist_ok=True)
    return configuration(directory, dict.fromkeys(names, each), **fields)
