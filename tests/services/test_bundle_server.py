"""The bundle server by its own client: ETags, long polls, tokens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiohttp import web

from authz.services.bundle_server import BundleServer
from authz.services.downloader import Downloader
from authz.services.errors import ServiceError
from authz.services.resolution import DownloadSettings
from authz.services.sources import ServiceSource
from tests.outbound.upstream import run, until
from tests.services.control_plane import ANOTHER, ARCHIVE, client, got
from tests.services.test_downloader import Policy, running


@asynccontextmanager
async def serving(server: BundleServer) -> AsyncIterator[str]:
    runner = web.AppRunner(server.app(), shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    watching = asyncio.create_task(server.watch())
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        watching.cancel()
        await runner.cleanup()


def put(directory: Path, content: bytes) -> None:
    (directory / "new").write_bytes(content)
    (directory / "new").rename(directory / "authz.tar.gz")


def test_a_change_reaches_a_long_poll_within_a_second(tmp_path: Path) -> None:
    async def test() -> None:
        put(tmp_path, ARCHIVE)
        policy, states = Policy(), []  # type: ignore[var-annotated]
        settings = DownloadSettings("authz", "acme", "bundles/authz.tar.gz", long_polling_s=20.0)
        async with serving(BundleServer(tmp_path)) as url, client(url) as asker:
            downloader = Downloader(settings, ServiceSource(settings, asker), policy.deliver, states.append)
            async with running(downloader):
                await until(lambda: len(policy.downloads) == 1)
                begun_s = monotonic()
                put(tmp_path, ANOTHER)
                await until(lambda: len(policy.downloads) == 2)
                assert monotonic() - begun_s < 1
        assert policy.contents == [ARCHIVE, ANOTHER]

    run(test())


def test_an_archive_that_is_known_is_not_sent_again(tmp_path: Path) -> None:
    async def test() -> None:
        put(tmp_path, ARCHIVE)
        async with serving(BundleServer(tmp_path)) as url, client(url) as asker:
            first = await got(asker, "bundles/authz")
            again = await got(asker, "bundles/authz", **{"If-None-Match": first.headers["ETag"]})
            assert (first.status, first.body, again.status, again.body) == (200, ARCHIVE, 304, b"")
            assert again.headers["ETag"] == first.headers["ETag"]

    run(test())


@pytest.mark.parametrize("name", ["other", "%2e%2e/authz", ".hidden", "a//b", "authz/"])
def test_what_is_no_bundle_is_not_found(tmp_path: Path, name: str) -> None:
    async def test() -> None:
        (tmp_path / "sub").mkdir()
        put(tmp_path, ARCHIVE)
        (tmp_path / ".hidden.tar.gz").write_bytes(ARCHIVE)
        async with serving(BundleServer(tmp_path / "sub" if "%2e" in name else tmp_path)) as url, client(url) as asker:
            with pytest.raises(ServiceError, match="Not Found"):
                await got(asker, f"bundles/{name}x" if name == "authz/" else f"bundles/{name}")

    run(test())


def test_a_token_is_asked_for(tmp_path: Path) -> None:
    async def test() -> None:
        put(tmp_path, ARCHIVE)
        async with serving(BundleServer(tmp_path, "secret")) as url:
            right: dict[str, Any] = {"credentials": {"bearer": {"token": "secret"}}}
            async with client(url, **right) as asker:
                assert (await got(asker, "bundles/authz")).body == ARCHIVE
            async with client(url) as asker:
                with pytest.raises(ServiceError, match="Unauthorized"):
                    await got(asker, "bundles/authz")

    run(test())


def test_a_stop_answers_long_polls(tmp_path: Path) -> None:
    async def test() -> None:
        put(tmp_path, ARCHIVE)
        server = BundleServer(tmp_path)
        async with serving(server) as url, client(url) as asker:
            etag = (await got(asker, "bundles/authz")).headers["ETag"]
            waiting = asyncio.create_task(asker.get("bundles/authz", {"If-None-Match": etag, "Prefer": "wait=200"}, max_bytes=100))
            await until(lambda: server.waiting == 1)
            await server.close()
            assert (await waiting).status == 304

    run(test())
