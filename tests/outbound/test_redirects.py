"""Where redirects lead, and what goes along. Behaviour is that of OPA 1.20, but that a secret never leaves its origin."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from authz.outbound import urls
from authz.outbound.allowlist import AllowList
from authz.outbound.client import MAX_REDIRECTS
from authz.outbound.errors import SendError
from authz.outbound.hop import Hop
from authz.outbound.sender import Sender
from authz.outbound.settings import SendSettings
from tests.outbound.upstream import Upstream, answer, echo, error, request, run, settings, upstream


async def lead(request: web.Request) -> web.Response:
    """Redirect as the query says, else echo."""
    if "to" not in request.query:
        return await echo(request)
    return web.Response(status=int(request.query.get("status", "302")), headers={"Location": request.query["to"]}, text="moved")


def follow(query: str, *, hosts: tuple[str, ...] = (), **parameters: Any) -> Any:
    """Return the answer to a request that follows redirects; `{port}` in the query is the server's."""
    found: list[Any] = []

    async def test() -> None:
        async with upstream(lead) as server, Sender(settings(*hosts)) as sender:
            url = f"{server.url}/x?{query.format(port=server.port)}"
            found.append(await answer(sender, url, **{"enable_redirect": True, **parameters}))

    run(test())
    return found[0]


def test_a_redirect_is_an_answer_unless_it_is_to_be_followed() -> None:
    assert follow("to=/y", enable_redirect=False)["status"] == "302 Found"
    assert follow("to=/y")["body"]["target"] == "/y"


@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [
        ("get", 301, ("GET", "")),
        ("head", 302, ("HEAD", "")),
        ("post", 301, ("GET", "")),
        ("post", 302, ("GET", "")),
        ("put", 303, ("GET", "")),
        ("post", 307, ("POST", "1")),
        ("put", 308, ("PUT", "1")),
    ],
)
def test_method_and_body_go_along_as_the_status_says(method: str, status: int, expected: tuple[str, str]) -> None:
    asked: list[tuple[str, str]] = []

    async def handler(request: web.Request) -> web.Response:
        if "to" not in request.query:
            asked.append((request.method, (await request.read()).decode()))
        return await lead(request)

    async def test() -> None:
        async with upstream(handler) as server, Sender(settings()) as sender:
            parameters: dict[str, Any] = {"raw_body": "1", "headers": {"content-type": "text/x"}} if method not in ("get", "head") else {}
            await answer(sender, f"{server.url}/x?status={status}&to=/y", method=method, enable_redirect=True, **parameters)
            assert ("Content-Type" in server.asked[-1].headers) is (expected[1] == "1")

    run(test())
    assert asked == [expected]


@pytest.mark.parametrize("query", ["to=", "status=300&to=/y", "status=304&to=/y", "status=200&to=/y"])
def test_what_is_no_redirect_is_the_answer(query: str) -> None:
    assert follow(query)["headers"]["location"] == [query.partition("to=")[2]]


HEADERS = {"Authorization": "secret", "Cookie": "secret", "Proxy-Authorization": "secret", "Host": "b.test", "X-A": "1"}


def test_within_an_origin_every_header_goes_along() -> None:
    asked = follow("to=/y", headers=HEADERS)["body"]
    assert asked["host"] == "b.test"
    assert {name for name, _ in asked["headers"]} >= {"authorization", "cookie", "proxy-authorization", "x-a"}


def test_to_another_origin_no_secret_goes_along() -> None:
    asked = follow("to=http://localhost:{port}/y", hosts=("localhost:*",), headers=HEADERS)["body"]
    assert asked["host"].startswith("localhost:")
    assert not {name for name, _ in asked["headers"]} & {"authorization", "cookie", "proxy-authorization"}
    assert ["x-a", "1"] in asked["headers"]


def test_another_port_is_another_origin() -> None:
    async def test() -> None:
        async with upstream(lead) as one, upstream(lead) as other, Sender(settings()) as sender:
            found = await answer(sender, f"{one.url}/x?to={other.url}/y", enable_redirect=True, headers=HEADERS)
            assert "authorization" not in dict(found["body"]["headers"])

    run(test())


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("http://localhost:{port}/y", 'Get "http://localhost:{port}/y": unallowed host: localhost:{port}'),
        ("//evil.test/y", 'Get "http://evil.test/y": unallowed host: evil.test'),
        ("http://127.0.0.1@evil.test/", 'Get "http://127.0.0.1@evil.test/": unallowed host: evil.test'),
        ("http://169.254.169.254/latest/meta-data/", 'Get "http://169.254.169.254/latest/meta-data/": unallowed host: 169.254.169.254'),
        ("http://[::1", 'failed to parse Location header "http://[::1": Invalid IPv6 URL'),
        ("ftp://127.0.0.1/", 'Get "ftp://127.0.0.1/": unsupported protocol scheme "ftp"'),
        ("file:///etc/passwd", 'Get "file:///etc/passwd": unsupported protocol scheme "file"'),
    ],
)
def test_a_redirect_to_where_requests_may_not_go_is_an_error(target: str, message: str) -> None:
    async def test() -> None:
        async with upstream(lead) as server, Sender(settings()) as sender:
            to = target.format(port=server.port)
            found = await error(sender, f"{server.url}/x?to={to}", enable_redirect=True)
            assert found == ("network_error", message.format(port=server.port))
            assert len(server.asked) == 1

    run(test())


def test_a_redirect_from_https_to_http_needs_http_to_be_allowed() -> None:
    following = Hop.first(request("https://a.test/x"), ()).redirected(302, "http://a.test/y")
    assert following is not None
    with pytest.raises(SendError, match="http is not allowed"):
        urls.check(following.url, SendSettings(AllowList(["a.test"])))


def test_redirects_without_end_end_in_an_error() -> None:
    async def test() -> None:
        async with upstream(loop) as server, Sender(settings()) as sender:
            expected = f'Get "{server.url}/x": stopped after {MAX_REDIRECTS} redirects'
            assert await error(sender, f"{server.url}/x", enable_redirect=True) == ("network_error", expected)
            assert len(server.asked) == MAX_REDIRECTS + 1

    async def loop(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/x"})

    run(test())


def test_as_many_redirects_as_there_may_be_are_followed() -> None:
    async def test() -> None:
        server: Upstream

        async def countdown(_: web.Request) -> web.Response:
            left = MAX_REDIRECTS - len(server.asked) + 1
            return web.Response(text="there") if left == 0 else web.Response(status=302, headers={"Location": f"/{left}"})

        async with upstream(countdown) as server, Sender(settings()) as sender:
            assert (await answer(sender, server.url, enable_redirect=True))["raw_body"] == "there"

    run(test())
