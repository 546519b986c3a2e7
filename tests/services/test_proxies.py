"""Proxies of the environment: by Go's rules, and through a real one."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from authz.services.errors import Failure
from authz.services.proxies import Proxies, proxies_of
from bench.lab.pki import Authority
from tests.outbound.upstream import Upstream, run, upstream
from tests.services.control_plane import ARCHIVE, archive, client, got, refused

PROXY = "http://proxy.test:3128"


@pytest.mark.parametrize(
    ("url", "is_proxied"),
    [
        ("http://acme.test", True),
        ("http://localhost:80", False),
        ("http://127.0.0.1", False),
        ("http://[::1]", False),
        ("http://169.254.169.254", False),
        ("http://inner.test", False),
        ("http://a.inner.test", False),
        ("http://xinner.test", True),
        ("http://below.test", True),
        ("http://a.below.test", False),
        ("http://port.test:8080", False),
        ("http://port.test:8081", True),
        ("http://10.1.2.3", False),
        ("http://11.1.2.3", True),
        ("http://192.0.2.1", False),
    ],
)
def test_some_hosts_are_asked_directly(url: str, is_proxied: bool) -> None:
    exceptions = "inner.test, .below.test,port.test:8080,10.0.0.0/8,192.0.2.1"
    found = proxies_of({"HTTP_PROXY": PROXY, "no_proxy": exceptions}).proxy_for(URL(url))
    assert found == (URL(PROXY) if is_proxied else None)


def test_each_scheme_has_its_own_variable() -> None:
    proxies = proxies_of({"https_proxy": "proxy.test:1", "HTTP_PROXY": ""})
    assert proxies.proxy_for(URL("http://acme.test")) is None
    assert proxies.proxy_for(URL("https://acme.test")) == URL("http://proxy.test:1")


def test_a_star_excepts_everything() -> None:
    assert proxies_of({"HTTP_PROXY": PROXY, "NO_PROXY": "*"}).proxy_for(URL("http://acme.test")) is None


def test_the_variable_that_a_cgi_client_can_set_is_ignored() -> None:
    assert proxies_of({"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}) == Proxies({"http": "", "https": ""})


def test_a_value_that_is_no_proxy_is_an_error_without_the_value() -> None:
    async def test() -> None:
        error = await refused("http://acme.test", environment={"HTTP_PROXY": "socks5://user:secret@proxy"})
        assert (error.failure, error.message) == (Failure.PROXY, "the value of HTTP_PROXY is not the URL of a proxy")

    run(test())


def test_plain_requests_go_to_the_proxy_whole() -> None:
    async def test() -> None:
        async with upstream(archive) as proxy:
            environment = {"HTTP_PROXY": proxy.url.replace("://", "://me:pass@")}
            async with client("http://acme.test/v1", environment=environment) as asker:
                assert (await got(asker)).body == ARCHIVE
            request = proxy.asked[0]
            assert request._message.url == URL("http://acme.test/v1/bundle")
            assert (request.host, request.headers["Proxy-Authorization"]) == ("acme.test", "Basic bWU6cGFzcw==")

    run(test())


@asynccontextmanager
async def tunnel(target: Upstream, answer: bytes = b"200 OK") -> AsyncIterator[tuple[str, list[bytes]]]:
    """Be a proxy that connects to one server whatever it is asked for; yield its URL and what it was asked."""
    heads: list[bytes] = []
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 " + answer + b"\r\n\r\n")
        if not answer.startswith(b"200"):
            writer.close()
            return
        onward = await asyncio.open_connection("127.0.0.1", target.port)
        for pair in ((reader, onward[1]), (onward[0], writer)):
            task = asyncio.create_task(pump(*pair))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads
    finally:
        server.close()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_tls_goes_through_a_tunnel_to_the_server_itself(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca", "root")
    identity = authority.issue("server", None, dns=("acme.test",))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(identity.certificate, identity.key)

    async def who(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.host} {request.headers['Authorization']}")

    async def test() -> None:
        async with upstream(who, tls=tls) as server, tunnel(server) as (proxy, heads):
            fields: dict[str, Any] = {"tls": {"ca_cert": str(authority.certificate)}, "credentials": {"bearer": {"token": "secret"}}}
            async with client("https://acme.test", environment={"HTTPS_PROXY": proxy}, **fields) as asker:
                assert (await got(asker)).body == b"acme.test Bearer secret"
            assert heads[0].startswith(b"CONNECT acme.test:443 HTTP/1.1\r\n")
            assert b"secret" not in heads[0]

    run(test())


def test_a_proxy_that_refuses_is_told_apart_from_the_server(tmp_path: Path) -> None:
    async def test() -> None:
        async with upstream(archive) as server, tunnel(server, b"407 Proxy Authentication Required") as (proxy, _):
            error = await refused("https://acme.test", environment={"HTTPS_PROXY": proxy})
            assert (error.failure, error.message) == (Failure.PROXY, "the proxy replied with 407 Proxy Authentication Required")
        error = await refused("https://acme.test", environment={"HTTPS_PROXY": proxy.replace("://", "://me:pass@")})
        assert error.failure is Failure.PROXY
        assert "connection refused" in error.message
        assert "pass" not in error.message

    run(test())
