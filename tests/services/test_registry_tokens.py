"""Registries that want a token: where it comes from, who may see our password, and what a token server can do wrong."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from authz.services.client import ServiceClient
from authz.services.downloader import Fetched
from authz.services.errors import Failure, ServiceError
from authz.services.registry import RegistrySource
from authz.services.registry_tokens import bearer_challenge
from authz.services.resolution import DownloadSettings
from tests.outbound.upstream import Upstream, run, upstream
from tests.services.control_plane import ANOTHER, ARCHIVE, client
from tests.services.registry import Registry, TokenRegistry
from tests.services.scene import Scene

TAG, TEAM, OTHERS = "v1", "team/policies", "others/policies"
PASSWORD: dict[str, Any] = {"credentials": {"bearer": {"scheme": "Basic", "token": "me:pass"}}}


def source(asker: ServiceClient, repository: str = TEAM) -> RegistrySource:
    return RegistrySource(DownloadSettings("authz", "acme", f"registry.test/{repository}:{TAG}"), asker, max_bytes=10_000)


@asynccontextmanager
async def asking(registry: Registry, **fields: Any) -> AsyncIterator[tuple[ServiceClient, Upstream]]:
    async with upstream(registry) as server, client(server.url, type="oci", **fields) as asker:
        yield asker, server


async def content(source: RegistrySource) -> bytes | None:
    return (await source.fetch("", None)).content


async def refused(registry: Registry, **fields: Any) -> ServiceError:
    """Return the error of a fetch from a registry."""
    async with asking(registry, **fields) as (asker, _):
        try:
            found = await source(asker).fetch("", None)
        except ServiceError as error:
            return error
    raise AssertionError(f"it fetched {found}")


def basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def test_a_token_is_obtained_with_the_password_and_used_for_its_repository() -> None:
    async def test() -> None:
        registry = TokenRegistry(credentials="me:pass")
        registry.push(TAG, ARCHIVE)
        async with asking(registry, **PASSWORD) as (asker, server):
            bundle = source(asker)
            assert await content(bundle) == ARCHIVE
            assert registry.proofs == [basic("me:pass")]
            assert registry.wanted == [{"service": "registry.test", "scope": f"repository:{TEAM}:pull"}]
            sent = [(request.path.rsplit("/", 2)[-2], request.headers.get("Authorization")) for request in server.asked]
            assert sent == [
                ("manifests", basic("me:pass")),
                ("", basic("me:pass")),
                ("manifests", "Bearer token-1"),
                ("blobs", "Bearer token-1"),
            ]
            await content(bundle)
            assert len(registry.proofs) == 1

    run(test())


def test_without_credentials_a_token_is_asked_for_as_nobody() -> None:
    async def test() -> None:
        registry = TokenRegistry()
        registry.push(TAG, ARCHIVE)
        async with asking(registry) as (asker, _):
            assert await content(source(asker)) == ARCHIVE
            assert registry.proofs == [None]

    run(test())


def test_a_password_in_the_url_counts_for_the_token_server_too() -> None:
    async def test() -> None:
        registry = TokenRegistry(credentials="me:pass")
        registry.push(TAG, ARCHIVE)
        async with upstream(registry) as server, client(server.url.replace("://", "://me:pass@"), type="oci") as asker:
            assert await content(source(asker)) == ARCHIVE

    run(test())


def test_each_repository_has_its_token() -> None:
    async def test() -> None:
        registry = TokenRegistry()
        registry.push(TAG, ARCHIVE)
        registry.push(TAG, ANOTHER, OTHERS)
        async with asking(registry) as (asker, _):
            for _ in range(2):
                assert [await content(source(asker, name)) for name in (TEAM, OTHERS)] == [ARCHIVE, ANOTHER]
            assert len(registry.proofs) == 2

    run(test())


def test_a_token_that_expired_is_replaced_at_once() -> None:
    async def test() -> None:
        registry = TokenRegistry()
        registry.push(TAG, ARCHIVE)
        async with asking(registry) as (asker, _):
            bundle = source(asker)
            etag = (await bundle.fetch("", None)).etag
            registry.expire()
            assert await bundle.fetch(etag, None) == Fetched(None, etag)
            assert len(registry.proofs) == 2

    run(test())


def test_what_is_configured_is_sent_encoded_as_opa_does(tmp_path: Path) -> None:
    async def shown(request: web.Request) -> web.Response:
        return web.Response(status=403, reason=request.headers["Authorization"])

    async def sent(**bearer: str) -> str:
        async with upstream(shown) as server, client(server.url, type="oci", credentials={"bearer": bearer}) as asker:
            with pytest.raises(ServiceError) as caught:
                await content(source(asker))
            return caught.value.message

    async def test() -> None:
        (tmp_path / "token").write_text("me:pass\n")
        assert basic("me:pass") in await sent(scheme="Basic", token="me:pass")
        assert basic("me:pass") in await sent(scheme="Basic", token_path=str(tmp_path / "token"))
        assert f"Bearer {base64.b64encode(b'ghp_secret').decode()}" in await sent(token="ghp_secret")

    run(test())


def test_a_registry_may_take_tokens_of_oauth2_as_they_are(scene: Scene, https: ssl.SSLContext) -> None:
    async def test() -> None:
        registry = Registry()
        registry.push(TAG, ARCHIVE)

        async def guarded(request: web.Request) -> web.StreamResponse:
            if request.path == "/oauth2":
                return web.json_response({"access_token": "granted", "token_type": "Bearer", "expires_in": 3600})
            is_known = request.headers.get("Authorization") == "Bearer granted"
            return await registry(request) if is_known else web.Response(status=401)

        async with upstream(guarded, tls=https) as server:
            settings = {"token_url": f"{server.url}/oauth2", "client_id": "me", "client_secret": "pass"}
            fields: dict[str, Any] = {"tls": {"ca_cert": str(scene.authority.certificate)}, "credentials": {"oauth2": settings}}
            async with client(server.url, type="oci", **fields) as asker:
                assert await content(source(asker)) == ARCHIVE

    run(test())


def test_an_oauth2_token_that_the_token_server_refuses_is_not_used_again(scene: Scene, https: ssl.SSLContext) -> None:
    async def test() -> None:
        registry = TokenRegistry()
        registry.push(TAG, ARCHIVE)
        granted: list[str] = []

        async def guarded(request: web.Request) -> web.StreamResponse:
            if request.path == "/oauth2":
                granted.append(f"granted-{len(granted) + 1}")
                return web.json_response({"access_token": granted[-1], "token_type": "Bearer", "expires_in": 36_000})
            if request.path == "/token" and request.headers["Authorization"] == "Bearer granted-1":
                return web.Response(status=401)
            return await registry(request)

        async with upstream(guarded, tls=https) as server:
            settings = {"token_url": f"{server.url}/oauth2", "client_id": "me", "client_secret": "pass"}
            fields: dict[str, Any] = {"tls": {"ca_cert": str(scene.authority.certificate)}, "credentials": {"oauth2": settings}}
            async with client(server.url, type="oci", **fields) as asker:
                with pytest.raises(ServiceError, match="replied with Unauthorized"):
                    await content(source(asker))
                assert await content(source(asker)) == ARCHIVE
                assert granted == ["granted-1", "granted-2"]

    run(test())


def test_a_token_server_that_does_not_know_us_is_named() -> None:
    async def test() -> None:
        error = await refused(TokenRegistry(credentials="me:other"), **PASSWORD)
        assert (error.failure, error.http_code) == (Failure.CREDENTIALS, 401)
        assert "token server http://127.0.0.1:" in error.message
        assert "replied with Unauthorized" in error.message
        assert error.help == "see the service's `credentials`"
        assert "pass" not in error.message

    run(test())


def test_a_registry_that_believes_no_token_is_asked_twice_and_not_for_ever() -> None:
    class Distrustful(TokenRegistry):
        def _token(self, request: web.Request) -> web.Response:
            answer = super()._token(request)
            self.expire()
            return answer

    async def test() -> None:
        registry = Distrustful()
        registry.push(TAG, ARCHIVE)
        error = await refused(registry)
        assert (error.failure, error.http_code, len(registry.proofs)) == (Failure.STATUS, 401, 1)

    run(test())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({}, "the token is missing"),
        ({"token": ""}, "the token is missing"),
        ({"token": "a\r\nX: y"}, "cannot be sent in a header"),
        ({"token": "ü"}, "cannot be sent in a header"),
        ({"token": "a" * 70_000}, "cannot be sent in a header"),
        ({"token": 1}, "the answer is not a token: expected `str`, got `int`"),
        ([], "the answer is not a token"),
    ],
)
def test_what_is_no_token_is_refused(answer: Any, message: str) -> None:
    async def test() -> None:
        registry = TokenRegistry()
        registry.answer = answer
        error = await refused(registry)
        assert error.failure is Failure.CREDENTIALS
        assert message in error.message

    run(test())


def test_an_access_token_is_a_token() -> None:
    async def test() -> None:
        registry = TokenRegistry()
        registry.answer = {"access_token": "token-1", "expires_in": 300}
        registry.push(TAG, ARCHIVE)
        async with asking(registry) as (asker, _):
            assert await content(source(asker)) == ARCHIVE

    run(test())


@pytest.mark.parametrize(
    ("realm", "message"),
    [
        ("ftp://tokens.test/", "a token server that cannot be asked"),
        ("/token", "a token server that cannot be asked"),
        ("http://", "a token server that cannot be asked"),
        ("http://nobody.invalid/token", "token server http://nobody.invalid: "),
    ],
)
def test_a_realm_that_is_no_server_is_an_error(realm: str, message: str) -> None:
    async def test() -> None:
        assert message in (await refused(TokenRegistry(realm=realm))).message

    run(test())


def test_a_registry_with_tls_gets_nobody_to_send_a_password_without(scene: Scene, https: ssl.SSLContext) -> None:
    async def test() -> None:
        tls = {"ca_cert": str(scene.authority.certificate)}
        async with (
            upstream(TokenRegistry(realm="http://127.0.0.1:1/token"), tls=https) as server,
            client(server.url, type="oci", tls=tls, **PASSWORD) as asker,
        ):
            with pytest.raises(ServiceError, match="a token server without TLS"):
                await content(source(asker))

    run(test())


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (['Bearer realm="https://t.test/a?b",service="s",scope="repository:a:pull"'], ("https://t.test/a?b", "s", "repository:a:pull")),
        (['bearer  scope="repository:a:pull,push" , Realm = "https://t"'], ("https://t", None, "repository:a:pull,push")),
        (["Bearer realm=https://t,service=s"], ("https://t", "s", None)),
        (['Basic realm="r", Bearer realm="https://t"'], ("https://t", None, None)),
        (['Basic realm="r"', 'Bearer realm="https://t"'], ("https://t", None, None)),
        (['Bearer realm="https://t", Basic realm="r"'], ("https://t", None, None)),
        (['Bearer realm="https://t",realm="https://other"'], ("https://t", None, None)),
        (['Basic realm="bearer realm=https://t"'], None),
        (["Bearer"], None),
        (['Bearer service="s"'], None),
        (['Bearer realm=""'], None),
        (['Bearer realm="https://t'], None),
        (["Negotiate"], None),
        ([], None),
    ],
)
def test_challenges_are_read_as_they_are_written(headers: list[str], expected: tuple[str, str | None, str | None] | None) -> None:
    found = bearer_challenge(CIMultiDictProxy(CIMultiDict([("WWW-Authenticate", header) for header in headers])))
    assert (None if found is None else (found["realm"], found.get("service"), found.get("scope"))) == expected
