"""What is sent, what is followed and what is refused, against real servers. Texts and shapes are those of OPA 1.20."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from typing import Any

import hypothesis
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from authz import __version__
from authz.outbound.allowlist import AllowList
from authz.outbound.sender import Sender
from authz.outbound.settings import SendSettings
from authz.rego.errors import EvalError
from tests.outbound.upstream import Gate, answer, echo, error, raw_upstream, run, settings, text, upstream


def ask(*, userinfo: str = "", path: str = "/x", **parameters: Any) -> Any:
    """Return what `echo` was asked by one request."""
    asked: list[Any] = []

    async def test() -> None:
        async with upstream(echo) as server, Sender(settings()) as sender:
            url = server.url.replace("://", f"://{userinfo}")
            asked.append((await answer(sender, url + path, **parameters))["body"])

    run(test())
    return asked[0]


OURS = ["user-agent", f"authz/{__version__}"]


def test_a_get_has_no_more_headers_than_opas() -> None:
    asked = ask(path="/a%2Fb?c=%2F&d")
    assert (asked["method"], asked["target"], asked["body"]) == ("GET", "/a%2Fb?c=%2F&d", "")
    assert asked["headers"] == [["accept-encoding", "gzip"], OURS]


def test_a_post_has_its_body_as_go_writes_json() -> None:
    asked = ask(method="post", body={"b": [1, 2.5], "a": "<"})
    assert asked["body"] == '{"a":"\\u003c","b":[1,2.5]}'
    assert ["content-length", str(len(asked["body"]))] in asked["headers"]
    assert not any(name == "content-type" for name, _ in asked["headers"])


def test_a_post_without_a_body_says_so() -> None:
    assert ["content-length", "0"] in ask(method="post")["headers"]


def test_headers_are_the_policys() -> None:
    asked = ask(
        headers={"x-a": " 1 ", "user-agent": "me", "Host": "b.test", "accept-encoding": "br", "content-type": "text/x"}, raw_body="b"
    )
    assert asked["host"] == "b.test"
    assert asked["headers"] == [
        ["accept-encoding", "br"],
        ["content-length", "1"],
        ["content-type", "text/x"],
        ["user-agent", "me"],
        ["x-a", "1"],
    ]


def test_an_empty_user_agent_is_none() -> None:
    assert ask(headers={"User-Agent": ""})["headers"] == [["accept-encoding", "gzip"]]


def test_credentials_of_the_url_are_sent_unless_the_policy_sets_its_own() -> None:
    assert ["authorization", "Basic dTpw"] in ask(userinfo="u:p@")["headers"]
    assert ["authorization", "mine"] in ask(userinfo="u:p@", headers={"Authorization": "mine"})["headers"]


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"a b": "1"}, 'net/http: invalid header field name "a b"'),
        ({"": "1"}, 'net/http: invalid header field name ""'),
        ({"x-a": "1\r\nX-B: 2"}, 'net/http: invalid header field value for "X-A"'),
        ({"x-a": "\x00"}, 'net/http: invalid header field value for "X-A"'),
        ({"host": "a\r\nX-B: 2"}, 'net/http: invalid header field value for "Host"'),
    ],
)
def test_no_header_breaks_out_of_the_message(headers: dict[str, str], message: str) -> None:
    async def test() -> None:
        async with upstream(echo) as server, Sender(settings()) as sender:
            assert await error(sender, server.url, headers=headers) == ("network_error", f'Get "{server.url}": {message}')
            assert server.asked == []

    run(test())


# Answers


def test_an_answer_has_every_header_but_those_of_the_connection() -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        response = web.Response(status=299, reason="", text="x")
        response.headers.extend([("X-A", "1"), ("x-a", "2"), ("Pragma", "no-cache"), ("Date", "today"), ("Server", "s")])
        response.enable_chunked_encoding()
        return response

    async def test() -> None:
        async with upstream(handler) as server, Sender(settings()) as sender:
            assert await answer(sender, server.url) == {
                "status": "299 ",
                "status_code": 299,
                "body": None,
                "raw_body": "x",
                "headers": {
                    "x-a": ["1", "2"], "pragma": ["no-cache"], "cache-control": ["no-cache"], "date": ["today"], "server": ["s"],
                    "content-type": ["text/plain; charset=utf-8"],
                },
            }  # fmt: skip

    run(test())


def gzipped(data: bytes) -> Any:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=data, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})

    return handler


def test_a_packed_answer_is_unpacked_unless_the_policy_speaks_of_encodings() -> None:
    data = gzip.compress(b'{"a":') + gzip.compress(b"1}")

    async def test() -> None:
        async with upstream(gzipped(data)) as server, Sender(settings()) as sender:
            unpacked = await answer(sender, server.url)
            assert (unpacked["body"], unpacked["raw_body"]) == ({"a": 1}, '{"a":1}')
            assert unpacked["headers"].keys().isdisjoint({"content-encoding", "content-length"})
            as_sent = await answer(sender, server.url, headers={"Accept-Encoding": "gzip"})
            assert (as_sent["body"], as_sent["headers"]["content-encoding"]) == (None, ["gzip"])
            assert (await answer(sender, server.url, method="head"))["raw_body"] == ""

    run(test())


def test_an_answer_that_is_packed_in_many_pieces_is_unpacked_in_little_time() -> None:
    data = gzip.compress(b"") * 50_000 + gzip.compress(b"x")

    async def test() -> None:
        async with upstream(gzipped(data)) as server, Sender(settings(max_response_bytes=2**21)) as sender:
            assert (await answer(sender, server.url))["raw_body"] == "x"

    run(test())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no gzip", "gzip: invalid header"),
        (gzip.compress(b"x" * 100)[:-9], "unexpected EOF"),
        (gzip.compress(b"x") + b"tail", "gzip: invalid checksum"),
    ],
)
def test_what_is_badly_packed_is_no_answer(data: bytes, message: str) -> None:
    async def test() -> None:
        async with upstream(gzipped(data)) as server, Sender(settings()) as sender:
            assert await error(sender, server.url) == ("internal_error", f"eval_builtin_error: http.send: {message}")

    run(test())


def body_of(size: int, *, chunked: bool = False) -> Any:
    async def handler(_: web.Request) -> web.Response:
        response = web.Response(body=b"x" * size)
        if chunked:
            response.enable_chunked_encoding()
        return response

    return handler


@pytest.mark.parametrize("handler", [body_of(1001), body_of(1001, chunked=True), gzipped(gzip.compress(b"x" * 50_000_000))])
def test_an_answer_that_is_too_large_ends_the_evaluation(handler: Any) -> None:
    async def test() -> None:
        async with upstream(handler) as server, Sender(settings(max_response_bytes=1000)) as sender:
            with pytest.raises(EvalError, match=r"eval_cancel_error: http\.send: the answer of `127\.0\.0\.1` is larger than 1000 bytes"):
                await answer(sender, server.url)
            assert sender.counters.by_outcome["too_large"] == 1

    run(test())


def test_an_answer_may_be_as_large_as_the_bound() -> None:
    async def test() -> None:
        async with upstream(body_of(1000)) as server, Sender(settings(max_response_bytes=1000)) as sender:
            assert len((await answer(sender, server.url))["raw_body"]) == 1000

    run(test())


# Failures


def test_a_refused_connection_is_a_network_error() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"

        async def test() -> None:
            async with Sender(settings()) as sender:
                expected = f'Get "http://{address}/": dial tcp {address}: connect: connection refused'
                assert await error(sender, f"http://{address}/") == ("network_error", expected)
                assert sender.counters.by_outcome["network"] == 1

        run(test())


@pytest.mark.parametrize(
    ("answer_", "kind", "message"),
    [
        (b"", "network_error", 'Get "{url}": EOF'),
        (b"nonsense\r\n\r\n", "network_error", 'Get "{url}": net/http: HTTP/1.x transport connection broken'),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "internal_error", "eval_builtin_error: http.send: unexpected EOF"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc",
            "internal_error",
            "eval_builtin_error: http.send: unexpected EOF",
        ),
        (b"HTTP/1.1 200 OK\r\nX-A: " + b"x" * 100_000 + b"\r\n\r\n", "network_error", 'Get "{url}": net/http'),
        (b"HTTP/1.1 200 OK\r\n" + b"X-A: x\r\n" * 1000 + b"\r\n", "network_error", 'Get "{url}": net/http'),
    ],
)
def test_an_answer_that_is_broken_off_or_no_http_is_a_failure(answer_: bytes, kind: str, message: str) -> None:
    async def test() -> None:
        async with raw_upstream(answer_) as url, Sender(settings()) as sender:
            found, said = await error(sender, url)
            assert found == kind
            assert said.startswith(message.format(url=url))

    run(test())


STATUS_LINES = (
    b"HTTP/1.1 200 OK",
    b"HTTP/1.0 302 Found",
    b"HTTP/1.1 101 Up",
    b"HTTP/1.1 100 Go on",
    b"HTTP/1.1 204 \xff",
    b"HTTP/9 x",
    b"",
)
LINES = (
    *(b"Content-Length: 3", b"Content-Length: -1", b"Content-Length: 99", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip"),
    *(b"Content-Encoding: gzip", b"Content-Type: application/json", b"Content-Type: application/yaml", b"Connection: upgrade"),
    *(b"Location: /x", b"Location: http://[::1", b"Location: \xff", b"Upgrade: x", b"ETag: x", b" folded"),
    *(b"", b"3", b"abc", b"0", b"{", b"&a [*a, *a]"),
)


@hypothesis.settings(deadline=None, max_examples=150)
@given(st.sampled_from(STATUS_LINES), st.lists(st.sampled_from(LINES) | st.binary(max_size=20), max_size=8))
def test_whatever_a_server_says_is_an_answer_or_a_failure(status: bytes, lines: list[bytes]) -> None:
    async def test() -> None:
        async with raw_upstream(b"\r\n".join((status, *lines))) as url, Sender(settings()) as sender:
            for _ in range(2):
                found = await answer(sender, url, timeout="50ms", enable_redirect=True, cache=True)
                assert found.keys() in ({"status_code", "error"}, {"status", "status_code", "body", "raw_body", "headers"})
                json.dumps(found, ensure_ascii=False).encode()

    run(test())


@pytest.mark.parametrize(
    ("raises", "message"),
    [
        (False, 'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'),
        (True, "Get {url}: request timed out"),
    ],
)
def test_a_server_that_is_slow_to_answer_times_out(raises: bool, message: str) -> None:
    async def test() -> None:
        gate = Gate()
        async with upstream(gate) as server, Sender(settings()) as sender:
            found = await error(sender, server.url, timeout="50ms", raise_error=raises)
            assert found == ("network_error", message.format(url=server.url))
            await gate.left.wait()
            assert sender.counters.by_outcome["timeout"] == 1

    run(test())


def test_a_server_that_is_slow_to_end_its_answer_times_out() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"abc")
        await asyncio.Event().wait()
        return response

    async def test() -> None:
        async with upstream(handler) as server, Sender(settings()) as sender:
            expected = (
                "eval_builtin_error: http.send: context deadline exceeded (Client.Timeout or context cancellation while reading body)"
            )
            assert await error(sender, server.url, timeout="50ms") == ("internal_error", expected)

    run(test())


@pytest.mark.parametrize("timeout", ["1h", 0, "-1s"])
def test_no_request_takes_longer_than_the_configuration_allows(timeout: Any) -> None:
    async def test() -> None:
        async with upstream(Gate()) as server, Sender(settings(timeout_s=0.05)) as sender:
            assert "Client.Timeout" in (await error(sender, server.url, timeout=timeout))[1]

    run(test())


@pytest.mark.parametrize(("retries", "asked"), [(0, 1), (1, 2), (2, 3)])
def test_what_fails_on_the_way_is_tried_again_as_often_as_asked_for(retries: int, asked: int) -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async def test() -> None:
        async with upstream(handler) as server, Sender(settings()) as sender:
            # aiohttp itself repeats a GET on a connection that it kept; a POST is sent as often as it is told to.
            assert (await error(sender, server.url, method="post", max_retry_attempts=retries))[1] == f'Post "{server.url}": EOF'
            assert len(server.asked) == asked

    run(test())


def test_an_answer_of_any_status_is_not_tried_again() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=503)

    async def test() -> None:
        async with upstream(handler) as server, Sender(settings()) as sender:
            assert (await answer(sender, server.url, max_retry_attempts=3))["status_code"] == 503
            assert len(server.asked) == 1

    run(test())


# Where requests may go


def test_a_host_that_is_not_allowed_is_not_asked() -> None:
    async def test() -> None:
        async with upstream(text) as server, Sender(settings("other.test")) as sender:
            url = f"http://localhost:{server.port}/"
            expected = f"eval_builtin_error: http.send: unallowed host: localhost:{server.port}"
            assert await error(sender, url) == ("internal_error", expected)
            assert server.asked == []
            assert sender.counters.by_outcome["refused"] == 1

    run(test())


def test_a_name_that_stands_for_loopback_is_asked_only_if_loopback_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with upstream(text) as server:
            resolve_as(monkeypatch, "127.0.0.1")
            url = f"http://api.test:{server.port}/"
            async with Sender(only("api.test:*")) as sender:
                expected = f'Get "{url}": dial tcp: api.test stands for an address that may not be asked'
                assert await error(sender, url) == ("network_error", expected)
                assert sender.counters.by_outcome["refused"] == 1
                assert server.asked == []
            async with Sender(only("api.test:*", f"127.0.0.1:{server.port}")) as sender:
                assert (await answer(sender, url))["status_code"] == 200

    run(test())


def test_localhost_is_asked_if_it_is_allowed_by_its_name() -> None:
    async def test() -> None:
        async with upstream(text) as server, Sender(only(f"localhost:{server.port}")) as sender:
            assert (await answer(sender, f"http://localhost:{server.port}/x"))["raw_body"] == "/x"

    run(test())


def test_a_name_that_stands_for_nothing_is_a_network_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        resolve_as(monkeypatch, None)
        async with Sender(only("api.test")) as sender:
            expected = 'Get "http://api.test/": dial tcp: lookup api.test: no such host'
            assert await error(sender, "http://api.test/") == ("network_error", expected)

    run(test())


def only(*hosts: str) -> SendSettings:
    """Return settings that allow some hosts, and loopback only if it is one of them."""
    return SendSettings(AllowList(hosts), allow_http=True)


def resolve_as(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    """Have the running loop's resolver find an address for every name, or none."""

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        if address is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
