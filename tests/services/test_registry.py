"""Bundles in a registry: what is asked, when it is news, and every way in which a registry can have no bundle for us."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from authz.services.downloader import Fetched
from authz.services.errors import Failure, ServiceError
from authz.services.registry import LAYER_TYPE, MAX_MANIFEST_BYTES, RegistrySource
from authz.services.resolution import DownloadSettings
from tests.outbound.upstream import Upstream, run, upstream
from tests.services.control_plane import ANOTHER, ARCHIVE, client
from tests.services.registry import REPOSITORY, Registry, digest, layer, manifest
from tests.services.scene import Scene

TAG = "v1"
MAX_BYTES = 10_000


@asynccontextmanager
async def of(server: Upstream, version: str = f":{TAG}", host: str | None = None, **fields: Any) -> AsyncIterator[RegistrySource]:
    """Have a source of an artifact in a registry that runs."""
    resource = f"{host or f'127.0.0.1:{server.port}'}/{REPOSITORY}{version}"
    async with client(server.url, type="oci", **fields) as asker:
        yield RegistrySource(DownloadSettings("authz", "acme", resource), asker, max_bytes=MAX_BYTES)


async def fetched(source: RegistrySource, etag: str = "") -> Fetched:
    return await source.fetch(etag, None)


async def failed(source: RegistrySource) -> ServiceError:
    try:
        found = await source.fetch("", None)
    except ServiceError as error:
        return error
    raise AssertionError(f"it fetched {found}")


def etag_of(content: bytes) -> str:
    return digest(content).removeprefix("sha256:")


def test_a_bundle_is_the_first_gzipped_layer_and_its_digest_the_etag() -> None:
    async def test() -> None:
        registry = Registry()
        registry.push(TAG, ARCHIVE)
        described = layer(b"# policies", "text/markdown")
        registry.push_manifest(TAG, manifest(described, layer(ARCHIVE), layer(ANOTHER)))
        async with upstream(registry) as server, of(server) as bundle:
            found = await fetched(bundle)
            assert (found.content, found.etag, found.is_conditional) == (ARCHIVE, etag_of(ARCHIVE), False)
            assert registry.asked == [f"GET manifests/{TAG}", f"GET blobs/{digest(ARCHIVE)}"]
            assert server.asked[0].path == f"/v2/{REPOSITORY}/manifests/{TAG}"

    run(test())


def test_what_is_known_costs_one_head_and_a_tag_that_moved_is_news() -> None:
    async def test() -> None:
        registry = Registry()
        registry.push(TAG, ARCHIVE)
        async with upstream(registry) as server, of(server) as bundle:
            etag = (await fetched(bundle)).etag
            registry.asked.clear()
            assert await fetched(bundle, etag) == Fetched(None, etag)
            assert registry.asked == [f"HEAD manifests/{TAG}"]
            registry.push(TAG, ANOTHER)
            assert (await fetched(bundle, etag)).content == ANOTHER

    run(test())


def test_another_manifest_of_the_same_layer_is_no_news() -> None:
    async def test() -> None:
        registry = Registry()
        registry.push(TAG, ARCHIVE)
        async with upstream(registry) as server, of(server) as bundle:
            etag = (await fetched(bundle)).etag
            registry.push_manifest(TAG, manifest(layer(ARCHIVE), annotations={"built": "again"}))
            registry.asked.clear()
            assert await fetched(bundle, etag) == Fetched(None, etag)
            assert await fetched(bundle, etag) == Fetched(None, etag)
            assert registry.asked == [f"HEAD manifests/{TAG}", f"GET manifests/{TAG}", f"HEAD manifests/{TAG}"]

    run(test())


def test_after_a_restart_the_etag_on_disk_saves_the_layer() -> None:
    async def test() -> None:
        registry = Registry()
        registry.push(TAG, ARCHIVE)
        async with upstream(registry) as server, of(server) as bundle:
            assert await fetched(bundle, etag_of(ARCHIVE)) == Fetched(None, etag_of(ARCHIVE))
            assert registry.asked == [f"GET manifests/{TAG}"]

    run(test())


def test_what_was_not_activated_is_fetched_again() -> None:
    async def test() -> None:
        registry = Registry()
        registry.push(TAG, ARCHIVE)
        async with upstream(registry) as server, of(server) as bundle:
            assert [(await fetched(bundle)).content for _ in range(2)] == [ARCHIVE] * 2

    run(test())


def test_a_registry_without_digests_in_its_headers_is_asked_for_the_manifest() -> None:
    async def test() -> None:
        registry = Registry()
        registry.gives_digests = False
        registry.push(TAG, ARCHIVE)
        async with upstream(registry) as server, of(server) as bundle:
            etag = (await fetched(bundle)).etag
            assert await fetched(bundle, etag) == Fetched(None, etag)
            registry.push(TAG, ANOTHER)
            assert (await fetched(bundle, etag)).content == ANOTHER

    run(test())


def test_an_artifact_may_be_named_by_its_digest_which_is_verified() -> None:
    async def test() -> None:
        registry = Registry()
        name = registry.push(TAG, ARCHIVE)
        async with upstream(registry) as server, of(server, f":{TAG}@{name}") as bundle:
            assert (await fetched(bundle)).content == ARCHIVE
            registry.manifests[f"{REPOSITORY}/{name}"] = manifest(layer(ANOTHER))
            error = await failed(bundle)
            assert (error.failure, error.message) == (Failure.TRUNCATED, f"the manifest that came for {REPOSITORY}@{name} is not {name}")

    run(test())


@pytest.mark.parametrize(("host", "query"), [(None, ""), ("ghcr.io", "ns=ghcr.io"), ("localhost", "ns=localhost")])
def test_a_mirror_is_told_whose_repository_is_meant(host: str | None, query: str) -> None:
    async def test() -> None:
        registry = Registry()
        registry.push(TAG, ARCHIVE)
        async with upstream(registry) as server, of(server, host=host) as bundle:
            assert (await fetched(bundle)).content == ARCHIVE
            assert [request.query_string for request in server.asked] == [query] * 2

    run(test())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "no bundle, but not a manifest: input data was truncated"),
        (b"\xff\xfe", "not a manifest"),
        (b"[" * 100_000, "not a manifest"),
        (b"null", "not a manifest: expected `object`, got `null`"),
        (json.dumps({"layers": [{"mediaType": LAYER_TYPE, "digest": 1, "size": 1}]}).encode(), "expected `str`, got `int`"),
        (json.dumps({"layers": [layer(ARCHIVE, size=-1)]}).encode(), "expected `int` >= 0"),
        (json.dumps({"manifests": []}).encode(), "an index of several manifests"),
        (json.dumps({"config": {}}).encode(), "a manifest without layers"),
        (manifest(), "a manifest without layers"),
        (manifest(layer(b"{}", "application/json")), f"a manifest without a layer of type {LAYER_TYPE}: has `application/json`"),
        (manifest(layer(ARCHIVE, digest="sha512:ab")), "whose layer has the digest `sha512:ab`, which is not SHA-256"),
        (manifest(layer(ARCHIVE, digest="sha256:../../../../etc")), "which is not SHA-256"),
    ],
)
def test_what_is_no_bundle_is_named(content: bytes, message: str) -> None:
    async def test() -> None:
        registry = Registry()
        registry.push_manifest(TAG, content)
        async with upstream(registry) as server, of(server) as bundle:
            error = await failed(bundle)
            assert error.failure is Failure.NOT_AN_ARCHIVE
            assert message in error.message
            assert error.message.startswith(f"{REPOSITORY}:{TAG} is ")
            assert LAYER_TYPE in (error.help or "")

    run(test())


def test_a_tag_that_does_not_exist_says_where_to_look() -> None:
    async def test() -> None:
        async with upstream(Registry()) as server, of(server) as bundle:
            error = await failed(bundle)
            assert (error.failure, error.http_code, error.message) == (
                Failure.STATUS,
                404,
                f"{REPOSITORY}:{TAG}: server replied with Not Found",
            )
            assert "see `resource`" in (error.help or "")

    run(test())


def test_a_registry_that_has_had_enough_is_left_alone_for_as_long_as_it_says() -> None:
    async def busy(_: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "17"})

    async def test() -> None:
        async with upstream(busy) as server, of(server) as bundle:
            assert (await failed(bundle)).retry_after_s == 17

    run(test())


def test_a_layer_that_is_not_what_its_digest_says_is_refused() -> None:
    async def test() -> None:
        registry = Registry()
        registry.push(TAG, ARCHIVE)
        registry.blobs[digest(ARCHIVE)] = ANOTHER
        async with upstream(registry) as server, of(server) as bundle:
            error = await failed(bundle)
            assert error.failure is Failure.TRUNCATED
            assert error.message == f"what came for the layer of {REPOSITORY}:{TAG} is not {digest(ARCHIVE)}"

    run(test())


def test_a_layer_that_is_too_large_is_not_fetched_and_one_that_lied_is_cut_off() -> None:
    async def test() -> None:
        registry = Registry()
        registry.push(TAG, b"\x1f\x8b" + b"x" * MAX_BYTES)
        async with upstream(registry) as server, of(server) as bundle:
            assert "bytes, more than 10000" in (await failed(bundle)).message
            assert registry.asked == [f"GET manifests/{TAG}"]
            registry.push_manifest(TAG, manifest(layer(b"\x1f\x8b" + b"x" * MAX_BYTES, size=1)))
            assert (await failed(bundle)).failure is Failure.TOO_LARGE

    run(test())


def test_a_manifest_that_is_too_large_is_cut_off() -> None:
    async def test() -> None:
        registry = Registry()
        registry.push_manifest(TAG, b" " * (MAX_MANIFEST_BYTES + 1))
        async with upstream(registry) as server, of(server) as bundle:
            assert (await failed(bundle)).failure is Failure.TOO_LARGE

    run(test())


def test_a_layer_may_be_stored_elsewhere_which_does_not_learn_who_we_are() -> None:
    async def test() -> None:
        registry = Registry()
        registry.push(TAG, ARCHIVE)

        async def stored(_: web.Request) -> web.Response:
            return web.Response(body=ARCHIVE)

        fields: dict[str, Any] = {"credentials": {"bearer": {"token": "secret"}}, "headers": {"X-Tenant": "7"}}
        async with upstream(registry) as server, upstream(stored) as other, of(server, **fields) as bundle:
            registry.blobs_elsewhere = other.url
            assert (await fetched(bundle)).content == ARCHIVE
            assert server.asked[-1].headers["X-Tenant"] == "7"
            assert "Authorization" in server.asked[-1].headers
            for name in ("Authorization", "X-Tenant"):
                assert name not in other.asked[0].headers

    run(test())


def test_who_leads_elsewhere_and_back_gets_no_credentials_any_more() -> None:
    async def test() -> None:
        registry = Registry()
        registry.push(TAG, ARCHIVE)

        async with upstream(registry) as server:

            async def back(_: web.Request) -> web.Response:
                registry.blobs_elsewhere = None
                return web.Response(status=307, headers={"Location": f"{server.url}/v2/{REPOSITORY}/blobs/{digest(ARCHIVE)}"})

            async with upstream(back) as other, of(server, credentials={"bearer": {"token": "secret"}}) as bundle:
                registry.blobs_elsewhere = other.url
                assert (await fetched(bundle)).content == ARCHIVE
                assert ["Authorization" in request.headers for request in server.asked] == [True, True, False]

    run(test())


def test_from_tls_nothing_leads_to_where_there_is_none(scene: Scene, https: ssl.SSLContext) -> None:
    async def test() -> None:
        registry = Registry()
        registry.push(TAG, ARCHIVE)
        registry.blobs_elsewhere = "http://127.0.0.1:1"
        tls = {"ca_cert": str(scene.authority.certificate)}
        async with upstream(registry, tls=https) as server, of(server, tls=tls) as bundle:
            assert (await failed(bundle)).message == "the server redirects from https to http://127.0.0.1:1: not followed"

    run(test())


def test_a_manifest_may_not_be_elsewhere() -> None:
    async def elsewhere(_: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "http://elsewhere.test/"})

    async def test() -> None:
        async with upstream(elsewhere) as server, of(server) as bundle:
            error = await failed(bundle)
            assert error.failure is Failure.REDIRECT
            assert "http://elsewhere.test: not followed" in error.message

    run(test())
