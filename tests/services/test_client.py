"""What a service is asked with, and the one error for each way in which it does not answer."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket

import pytest
from aiohttp import web

from authz.services.client import Expected
from authz.services.errors import Failure
from authz.services.transport import Limits
from tests.outbound.upstream import run, upstream
from tests.services.control_plane import ARCHIVE, archive, asked, client, got, refused, scripted

OK = b"HTTP/1.1 200 OK\r\n"
QUICK = Limits(body_timeout_s=0.2, idle_timeout_s=0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_service_is_asked_as_opa_asks_it() -> None:
    async def test() -> None:
        async with upstream(asked) as server, client(f"{server.url}/v1/", headers={"X-Tenant": "7"}) as asker:
            answer = await asker.get(
                "/bundles/a/b.tar.gz?alt=media&x=%2F", {"Prefer": "modes=snapshot,delta"}, Expected(10_000, is_archive=True)
            )
            headers = json.loads(answer.body)
            assert server.asked[0].raw_path == "/v1/bundles/a/b.tar.gz?alt=media&x=%2F"
            assert headers["User-Agent"].startswith("Open Policy Agent/1.")
            assert (headers["Prefer"], headers["X-Tenant"], headers["Accept-Encoding"]) == ("modes=snapshot,delta", "7", "identity")
            assert "Authorization" not in headers

    run(test())


def test_a_password_in_the_url_is_basic_authentication() -> None:
    async def test() -> None:
        async with upstream(asked) as server, client(server.url.replace("://", "://me:pass@")) as asker:
            assert json.loads((await got(asker)).body)["Authorization"] == "Basic bWU6cGFzcw=="

    run(test())


def test_a_services_headers_win() -> None:
    async def test() -> None:
        async with upstream(asked) as server, client(server.url, headers={"user-agent": "mine"}) as asker:
            assert json.loads((await got(asker)).body)["User-Agent"] == "mine"

    run(test())


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "Unauthorized"), (403, "Forbidden"), (404, "Not Found"), (429, "Too Many Requests"), (500, "Internal Server Error")],
)
def test_a_status_that_is_none_of_the_protocol_is_an_error_with_its_code(status: int, message: str) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Retry-After": "7"}, body=ARCHIVE)

    async def test() -> None:
        async with upstream(answer) as server:
            error = await refused(server.url)
            assert (error.failure, error.message, error.http_code) == (Failure.STATUS, f"server replied with {message}", status)
            assert error.retry_after_s == 7

    run(test())


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 302 Found\r\nLocation: /\xff\xfe\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://\xff/\r\n",
        b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm="https://a.test/\xff"\r\n',
        b"HTTP/1.1 503 Busy\r\nRetry-After: Mon, 01 Jan 99999999999999999999 00:00:00 GMT\r\n",
        b"HTTP/1.1 503 Busy\r\nRetry-After: \xff\r\n",
    ],
)
def test_headers_that_mean_nothing_are_an_error_like_any_other(head: bytes) -> None:
    async def test() -> None:
        async with scripted(head + b"Content-Length: 0\r\n\r\n") as url:
            assert (await refused(url, type="oci")).retry_after_s is None

    run(test())


@pytest.mark.parametrize("head", [b"HTTP/1.1 500 Oops\xff\r\n", b"HTTP/1.1 200 OK\r\nContent-Encoding: \xff\r\n"])
def test_what_a_server_says_can_be_told_to_others(head: bytes) -> None:
    async def test() -> None:
        async with scripted(head + b"Content-Length: 0\r\n\r\n") as url:
            assert "\\udcff" in (await refused(url)).message

    run(test())


def test_a_header_may_have_any_name() -> None:
    async def test() -> None:
        async with upstream(asked) as server, client(server.url, headers={"request": "1", "self": "2"}) as asker:
            assert json.loads((await got(asker)).body).items() >= {"request": "1", "self": "2"}.items()

    run(test())


def test_a_date_says_how_long_to_wait_as_well() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"})

    async def test() -> None:
        async with upstream(answer) as server:
            assert ((await refused(server.url)).retry_after_s or 0) > 1e9

    run(test())


def test_a_server_that_is_down_is_named_with_the_reason() -> None:
    async def test() -> None:
        port = free_port()
        error = await refused(f"http://127.0.0.1:{port}")
        assert (error.failure, error.message) == (Failure.UNREACHABLE, f"dial tcp 127.0.0.1:{port}: connect: connection refused")

    run(test())


def test_a_name_that_nobody_has_is_told_apart() -> None:
    async def test() -> None:
        error = await refused("http://nobody.invalid")
        assert (error.failure, error.message) == (Failure.DNS, "dial tcp: lookup nobody.invalid: no such host")

    run(test())


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b"", Failure.UNREACHABLE),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Failure.PROTOCOL),
        (OK + b"Content-Length: 100\r\n\r\nfew", Failure.TRUNCATED),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", Failure.TRUNCATED),
        (OK + b"Content-Length: 3000000\r\n\r\n", Failure.TOO_LARGE),
        (OK + b"\r\n" + b"x" * 2_000_000, Failure.TOO_LARGE),
        (OK + b"Content-Encoding: br\r\n\r\nabc", Failure.ENCODING),
        (OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(gzip.compress(b"abc"))[:-4], Failure.ENCODING),
    ],
)
def test_an_answer_that_is_none_is_one_error(answer: bytes, failure: Failure) -> None:
    async def test() -> None:
        async with scripted(answer) as url:
            error = await refused(url)
            assert (error.failure, error.code) == (failure, failure)
            assert "\n" not in error.message

    run(test())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"...", "no answer within 0.1 s"),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ...", "no answer within 0.1 s"),
        (OK + b"Content-Length: 100\r\n\r\nfew...", "after 3 bytes, the rest of the body did not come in time"),
    ],
)
def test_a_server_that_goes_silent_is_left(answer: bytes, message: str) -> None:
    async def test() -> None:
        async with scripted(answer) as url:
            error = await refused(url, response_header_timeout_seconds=0.1, limits=QUICK)
            assert (error.failure, error.message) == (Failure.TIMEOUT, message)

    run(test())


def test_a_server_that_sends_a_byte_now_and_then_is_left_as_well() -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 1_000_000
        await response.prepare(request)
        while True:  # until the client has gone
            await response.write(b"x")
            await asyncio.sleep(0.01)

    async def test() -> None:
        async with upstream(drip) as server:
            error = await refused(server.url, limits=QUICK)
            assert error.failure is Failure.TIMEOUT

    run(test())


def test_a_bomb_in_the_transports_packing_is_an_error_and_little_memory() -> None:
    bomb = gzip.compress(gzip.compress(b"", mtime=0)[:10] + bytes(50_000_000))

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    async def test() -> None:
        async with upstream(answer) as server:
            error = await refused(server.url)
            assert (error.failure, error.message) == (Failure.TOO_LARGE, "the answer is larger than 1048576 bytes")

    run(test())


@pytest.mark.parametrize("body", [ARCHIVE, gzip.compress(ARCHIVE)])
def test_an_archive_is_unpacked_only_from_what_the_transport_packed(body: bytes) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    async def test() -> None:
        async with upstream(answer) as server, client(server.url) as asker:
            assert (await got(asker)).body == ARCHIVE

    run(test())


def test_credentials_never_reach_the_server_of_a_redirect() -> None:
    async def test() -> None:
        async with upstream(archive) as elsewhere:

            async def lead_away(_request: web.Request) -> web.Response:
                raise web.HTTPFound(f"{elsewhere.url}/bundle")

            async with upstream(lead_away) as server:
                error = await refused(server.url, credentials={"bearer": {"token": "secret"}})
            assert (error.failure, error.http_code) == (Failure.REDIRECT, 302)
            assert error.message == f"the server redirects to another one, {elsewhere.url}: not followed"
            assert elsewhere.asked == []

    run(test())


def test_redirects_on_the_same_server_are_followed_with_credentials() -> None:
    async def lead(request: web.Request) -> web.Response:
        if request.path == "/bundle":
            raise web.HTTPTemporaryRedirect("/moved")
        return await archive(request)

    async def test() -> None:
        async with upstream(lead) as server, client(server.url, credentials={"bearer": {"token": "secret"}}) as asker:
            assert (await got(asker)).body == ARCHIVE
            assert [request.headers["Authorization"] for request in server.asked] == ["Bearer secret"] * 2

    run(test())


def test_redirects_that_never_end_do() -> None:
    async def lead(request: web.Request) -> web.Response:
        raise web.HTTPFound(request.path)

    async def test() -> None:
        async with upstream(lead) as server:
            assert (await refused(server.url)).message == "stopped after 10 redirects"

    run(test())


def test_a_post_is_acknowledged_and_never_becomes_a_get() -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/away":
            raise web.HTTPFound("/status")
        return web.Response(status=204)

    async def test() -> None:
        async with upstream(answer) as server, client(server.url) as asker:
            assert (await asker.post("status", b"{}", {"Content-Type": "application/json"})).status == 204
            with pytest.raises(Exception, match="would make it a GET"):
                await asker.post("away", b"{}", {})

    run(test())
