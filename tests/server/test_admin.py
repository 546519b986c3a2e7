from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from typing import Any

import aiohttp
import pytest

from authz.refresh.status import RefreshError, RefreshStatus
from authz.server.address import TcpAddress, UnixAddress
from authz.server.admin import AdminServer, is_loopback
from authz.server.responses import timestamp

GOOD = RefreshStatus("policies/", "r1", attempted_ns=2_000_000_000, succeeded_ns=2_000_000_000, activated_ns=1_500_000_000)
FAILED = RefreshStatus("policies/", "r1", 3, 2, 1, RefreshError("policy_compile", "a.rego:1:1: bad", 3))
NEVER = RefreshStatus("policies/")


class FakeView:
    def __init__(self, *sources: RefreshStatus, ready: bool = True) -> None:
        self._sources = sources
        self._ready = ready

    async def render_metrics(self) -> bytes:
        return b"authz_policy_active 1.0\n"

    def is_ready(self) -> bool:
        return self._ready

    def sources(self) -> Sequence[RefreshStatus]:
        return self._sources

    async def active_policy(self) -> dict[str, Any]:
        return {"revision": "r1"}

    async def report(self) -> dict[str, Any] | None:
        return {"labels": {"id": "x"}} if self._ready else None


def ask(view: FakeView, path: str, method: str = "GET") -> tuple[int, Any, str]:
    """Ask a real server over TCP; return status, body and content type."""

    async def over_tcp() -> tuple[int, Any, str]:
        server = await AdminServer.start(view, TcpAddress("127.0.0.1", 0))
        async with aiohttp.ClientSession() as session, session.request(method, f"http://{server.address}{path}") as response:
            body = await response.text()
        await server.stop()
        return response.status, json.loads(body) if body[:1] == "{" else body, response.headers["Content-Type"]

    return asyncio.run(over_tcp())


def test_metrics_are_in_the_text_format() -> None:
    assert ask(FakeView(), "/metrics") == (200, "authz_policy_active 1.0\n", "text/plain; version=0.0.4; charset=utf-8")


def test_the_status_report_can_be_asked_for_if_there_is_one() -> None:
    assert ask(FakeView(), "/v1/status")[:2] == (200, {"result": {"labels": {"id": "x"}}})
    answer = {"code": "internal_error", "message": "status plugin not enabled"}
    assert ask(FakeView(ready=False), "/v1/status")[:2] == (500, answer)


@pytest.mark.parametrize("sources", [(GOOD,), (FAILED,), (NEVER,)])
def test_health_alone_says_that_the_process_lives(sources: tuple[RefreshStatus, ...]) -> None:
    assert ask(FakeView(*sources), "/health")[:2] == (200, {})


@pytest.mark.parametrize("query", ["bundles", "bundle", "bundles=true", "bundles="])
@pytest.mark.parametrize(("sources", "status"), [((GOOD,), 200), ((GOOD, FAILED), 500), ((NEVER,), 500)])
def test_health_of_bundles_is_that_of_the_last_attempts(sources: tuple[RefreshStatus, ...], status: int, query: str) -> None:
    got, body, _ = ask(FakeView(*sources), f"/health?{query}")
    assert got == status
    assert ("error" in body) == (status != 200)


def test_health_names_the_sources_that_failed_and_why() -> None:
    _, body, _ = ask(FakeView(GOOD, FAILED), "/health?bundles")
    assert body["error"] == "one or more bundles are not activated"
    assert [source["error"]["message"] for source in body["sources"]] == ["a.rego:1:1: bad"]


def test_a_query_that_is_false_asks_nothing() -> None:
    assert ask(FakeView(FAILED), "/health?bundles=false")[0] == 200


@pytest.mark.parametrize(("path", "ready", "status"), [("/ready", True, 200), ("/ready", False, 503), ("/health?plugins", False, 500)])
def test_readiness_is_a_policy_and_no_drain(path: str, ready: bool, status: int) -> None:
    assert ask(FakeView(GOOD, ready=ready), path)[0] == status


def test_the_active_policy_and_its_sources_are_described() -> None:
    status, body, content_type = ask(FakeView(GOOD), "/v1/policy/active")
    assert (status, content_type, body["revision"]) == (200, "application/json", "r1")
    assert body["sources"] == [
        {
            "name": "policies/",
            "ok": True,
            "revision": "r1",
            "last_attempt": "1970-01-01T00:00:02.000Z",
            "last_success": "1970-01-01T00:00:02.000Z",
            "last_activation": "1970-01-01T00:00:01.500Z",
            "error": None,
        }
    ]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 404), ("POST", "/metrics", 405), ("PUT", "/v1/policy/active", 405)])
def test_nothing_else_is_there_and_nothing_can_be_changed(method: str, path: str, status: int) -> None:
    assert ask(FakeView(), path, method)[0] == status


def test_never_has_no_time() -> None:
    assert timestamp(0) is None


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        (TcpAddress("127.0.0.1", 1), True),
        (TcpAddress("127.8.8.8", 1), True),
        (TcpAddress("::1", 1), True),
        (TcpAddress("localhost", 1), True),
        (UnixAddress("/run/admin.sock"), True),
        (TcpAddress("0.0.0.0", 1), False),  # noqa: S104
        (TcpAddress("", 1), False),
        (TcpAddress("10.0.0.1", 1), False),
        (TcpAddress("::", 1), False),
        (TcpAddress("localhost.example", 1), False),
    ],
)
def test_an_admin_address_that_others_can_reach_is_known(address: TcpAddress | UnixAddress, inside: bool) -> None:
    assert is_loopback(address) is inside


def test_an_admin_address_that_others_can_reach_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    async def start_and_stop() -> None:
        server = await AdminServer.start(FakeView(), TcpAddress("0.0.0.0", 0))  # noqa: S104
        await server.stop()

    with caplog.at_level(logging.WARNING):
        asyncio.run(start_and_stop())
    assert [record.levelname for record in caplog.records if record.name == "authz.server.admin"] == ["WARNING"]
