"""`http.send` answers what real OPA answers, to the same requests of the same server. Skipped where OPA's library is absent."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import Iterator
from itertools import product
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from authz import rego
from authz.outbound.sender import Sender
from authz.rego.errors import EvalError
from authz.rego.pending import asking
from authz.rego.values import to_json
from tests.outbound.threaded import SilentHandler, threaded
from tests.outbound.upstream import settings
from tests.rego.oracle import Oracle, RefusedError, oracle_tool

VALUES: Final[dict[str, list[Any]]] = {
    "method": ["", "post", "PUT", "Options", "G T", 1],
    "raw_body": ['"raw"', "x" * 1000, 1],
    "headers": [[], {"x": 1}, {"a b": "1"}, {"a": "1\r\nX: y"}, {"": "x"}, {"Content-Length": "5", "Transfer-Encoding": "chunked"}],
    "enable_redirect": [1, 0, "true", None, 2],
    "timeout": ["5s", 5_000_000_000, 5e9, 1.5, "1_0", "5d", "x", True, -5, "-1s", "0", 2**64],
    "cache": [1, "x", None, False],
    "force_cache": [1, "x", None, False, True],
    "force_json_decode": [1, "x", None, False],
    "force_yaml_decode": [1, "x", None, False],
    "max_retry_attempts": [0, 2],
    "caching_mode": ["serialized", "x", 1],
    "raise_error": [1],
    "tls_ca_cert": ["x", 1],
    "tls_server_name": [1],
    "other": [1],
    "url": ["", "foo", "ftp://x/", "http:///x", "http://a b/", "URL/%zz", "URL/a%2Fb/../c?d=%2F&e#f", "URL/ä"],
}
BODIES: Final = ('{"a":1.50}', '{"a":', "", "a: [y, 1]", "1 2", "[1]x", "12x", "1.x", "truex", '"\xff"', "\xef\xbb\xbf1")
TYPES: Final = (
    *("Application/JSON", "application/json;", "application/json; charset=utf-8", "application/json; x", "application /json"),
    *("application/json;a=1;A=2", "application/x-yaml; q", "application/jsonp", ""),
)


def body(text: str, content_type: str) -> str:
    """Return the URL of an answer with a body (its characters are bytes) of a type."""
    return f"URL/body?type={quote(content_type)}&body={quote(text, encoding='latin-1')}"


REQUESTS: Final[list[dict[str, Any]]] = [
    {},
    {"method": "get"},
    *({"url": "URL/echo", name: value} for name, values in VALUES.items() for value in values),
    {"url": "URL/echo", "method": "post", "body": {"a": ["<&>", 1.50, None, True], "ä": "\u2028"}},
    {"url": "URL/echo", "method": "post", "body": {"a": 1}, "raw_body": "b"},
    {"url": "URL/echo", "headers": {"x-a": "1", "X-Foo-bar": " 2 ", "accept-encoding": "br", "user-agent": "me", "content-type": "text/x"}},
    *({"url": "URL/echo", "force_cache": True, "force_cache_duration_seconds": value} for value in (60, "60", 1.5, -1, 99999999999, None)),
    *({"url": "URL/echo", "headers": {"a": "b"}, "cache_ignored_headers": value} for value in (1, [1], ["a"], [], None)),
    *({"url": f"URL/status?s={status}"} for status in (200, 204, 299, 304, 404, 500)),
    *(
        {"url": body(text, kind)}
        for kind, text in product(("application/json", "application/problem+json", "text/plain", "application/yaml"), BODIES)
    ),
    *({"url": body("1", kind)} for kind in TYPES),
    *({"url": body(text, "text/plain"), force: True} for force, text in product(("force_json_decode", "force_yaml_decode"), BODIES)),
    *({"url": f"URL/{path}"} for path in ("headers", "gzip", "truncated", "close")),
    {"url": "URL/gzip", "headers": {"Accept-Encoding": "gzip"}},
    {"url": "URL/gzip", "method": "head"},
    *(
        {"url": f"URL/redirect?s={status}&to=/echo", "method": method, "raw_body": "b", "enable_redirect": True}
        for status, method in product((300, 301, 302, 303, 304, 307, 308), ("get", "post"))
    ),
    {"url": "URL/redirect?s=302&to=/echo"},
    *({"url": f"URL/redirect?s=302&to={to}", "enable_redirect": True} for to in ("", "ftp://x/", "/redirect?s=303%26to=/echo")),
    {"url": "URL/redirect?s=302&to=//localhost:PORT/echo", "enable_redirect": True, "headers": {"Authorization": "a", "X-A": "c"}},
]

NOT_OURS: Final = frozenset({"user-agent", "referer", "connection", "host"})
"""Request headers that differ, or that only OPA sends."""


class Handler(SilentHandler):
    """Answers what the path and the query ask for."""

    def answer(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True, encoding="latin-1").items()}
        sent = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        match url.path:
            case "/echo":
                headers = sorted([name.lower(), value] for name, value in self.headers.items() if name.lower() not in NOT_OURS)
                seen = {"method": self.command, "target": self.path, "headers": headers, "body": sent.decode()}
                self.reply(200, json.dumps(seen).encode(), {"Content-Type": "application/json"})
            case "/status":
                self.reply(int(query["s"]), b"" if query["s"] in ("204", "304") else b"x", {})
            case "/body":
                self.reply(200, query["body"].encode("latin-1"), {"Content-Type": query["type"]} if query["type"] else {})
            case "/headers":
                self.reply(200, b"x", {"X-A": "1", "x-a": "2", "Set-Cookie": "a=b", "Pragma": "no-cache"})
            case "/gzip":
                self.reply(200, gzip.compress(b'{"z":1}', mtime=0), {"Content-Type": "application/json", "Content-Encoding": "gzip"})
            case "/truncated":
                self.reply(200, b"abc", {"Content-Length": "100"})
            case "/redirect":
                self.reply(int(query["s"]), b"" if query["s"] == "304" else b"moved", {"Location": query["to"]})
            case "/close":
                self.close_connection = True
            case _:
                self.reply(404, self.path.encode(), {})

    do_GET = do_POST = do_PUT = do_OPTIONS = do_HEAD = answer  # noqa: N815 - the library's names

    def reply(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response_only(status, {299: ""}.get(status))
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def ours(runner: asyncio.Runner, sender: Sender, query: str) -> Any:
    policy = rego.compile({})
    prepared = policy.prepare(policy.parse_query(query))
    context = prepared.context(None, 0, strict_builtin_errors=True)
    context.recall(asking(lambda request: runner.run(sender.send(request, 0))))
    try:
        return to_json(prepared.solutions(context)[0]["x"])
    except EvalError as error:
        return error.code, error.message


def theirs(oracle: Oracle, query: str) -> Any:
    try:
        return oracle.query(query, None)[0]["x"]
    except RefusedError as error:
        (code,) = set(error.codes)
        return code, str(error)


def comparable(found: Any) -> Any:
    """Return an answer without the place in the policy that only OPA names, and an error as its code and what is said."""
    if isinstance(found, tuple):
        return found[0], found[1].rpartition("http.send: ")[2]
    if "error" in found:
        return found["error"]["code"], re.sub(r"^.*http\.send: ", "", found["error"]["message"], flags=re.DOTALL)
    return found


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    tool = oracle_tool()
    if tool is None:
        pytest.skip("real OPA is not available as a library")
    found = Oracle(tool, {}, {})
    yield found
    found.close()


def test_requests_are_answered_as_opa_answers_them(oracle: Oracle) -> None:
    different = []
    with threaded(Handler) as port, asyncio.Runner() as runner:
        sender = runner.run(Sender(settings("localhost:*", "x", "a")).__aenter__())
        for request in REQUESTS:
            for raising in ({}, {"raise_error": False}):
                operand = json.dumps({"method": "get"} | request | raising) if request else "{}"
                query = f"x := http.send({operand.replace('URL', f'http://127.0.0.1:{port}').replace('PORT', str(port))})"
                expected, found = comparable(theirs(oracle, query)), comparable(ours(runner, sender, query))
                if expected != found:
                    different.append((query, expected, found))
        runner.run(sender.__aexit__())
    assert different == [], "\n\n".join(f"{q}\n  opa  {e}\n  ours {f}" for q, e, f in different)
