"""A bundle server on loopback for tests, what it serves, and how it is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web

from authz.bundle.keys import Key, Keys
from authz.bundle.signatures import Verification
from authz.publish.catalogue import Catalogue
from authz.publish.packer import Packer, Signer
from authz.publish.server import BundleServer

POLICY: Final = "package envoy.authz\n\ndefault allow := false\n\nallow if input.user in data.users\n"
USERS: Final = [f"user-{number * 7919 % 10007}" for number in range(300)]
"""So many that a delta of one is smaller than all."""

SECRET: Final = Key("release", "a secret that is long enough for HS256", "HS256")
SIGNER: Final = Signer(SECRET, {"scope": "read"})


def verification(**changes: Any) -> Verification:
    return Verification(**{"keys": Keys({SECRET.id: SECRET}), "now_s": 0.0, "key_id": SECRET.id, "scope": "read", **changes})


def put(directory: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files, each at once, as editors and `git` do."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        new.write_bytes(content if isinstance(content, bytes) else content.encode())
        new.rename(path)


def users(*more: str) -> str:
    """Return a data file that lets the usual users in, and some more."""
    return json.dumps({"users": {name: {"name": name} for name in (*USERS, *more)}})


def app(*more: str) -> dict[str, str | bytes]:
    """Return the files of the bundle `app`, whose users may be changed."""
    return {"app/allow.rego": POLICY, "app/data.json": users(*more)}


class Client:
    """Asks a bundle server."""

    def __init__(self, session: aiohttp.ClientSession, server: BundleServer) -> None:
        self.session = session
        self.server = server

    async def ask(self, name: str = "app", known: str = "", prefer: str = "", method: str = "GET") -> tuple[aiohttp.ClientResponse, bytes]:
        headers = {"If-None-Match": known} if known else {}
        async with self.session.request(method, f"bundles/{name}", headers=headers | ({"Prefer": prefer} if prefer else {})) as response:
            return response, await response.read()

    async def etag(self, name: str = "app") -> str:
        return (await self.ask(name))[0].headers["ETag"]

    async def news(self, known: str, name: str = "app", prefer: str = "") -> tuple[aiohttp.ClientResponse, bytes]:
        """Return the answer of a long poll."""
        return await self.ask(name, known, f"{prefer or 'modes=snapshot'};wait=25")


@asynccontextmanager
async def serving(directory: Path, packer: Packer | None = None, **options: Any) -> AsyncIterator[tuple[str, BundleServer]]:
    """Serve a directory's bundles on a free port; yield the URL and the server."""
    catalogue = Catalogue(directory, packer or Packer())
    await catalogue.start()
    server = BundleServer(catalogue, **options)
    runner = server.runner(1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    following = asyncio.create_task(catalogue.follow())
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", server
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await runner.cleanup()


@asynccontextmanager
async def asking(directory: Path, packer: Packer | None = None, **options: Any) -> AsyncIterator[Client]:
    """Serve a directory's bundles, and have a client of them."""
    connector = aiohttp.TCPConnector(limit=0)
    async with serving(directory, packer, **options) as (url, server), aiohttp.ClientSession(f"{url}/", connector=connector) as session:
        yield Client(session, server)
