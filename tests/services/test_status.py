"""Reports as OPA's receivers read them, and their way: the newest only, never waited for."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from authz.services.downloads import COMPILE, LOAD, REQUEST, BundleState
from authz.services.errors import Failure, ServiceError
from authz.services.reporter import StatusReporter
from authz.services.resolution import StatusTarget
from authz.services.status import PluginStatus, Status, status_document, timestamp
from tests.outbound.upstream import run, until, upstream
from tests.services.control_plane import client

TARGET = StatusTarget("acme", "status/foo", console=False, prometheus=False, is_manual=False)
SECOND_NS = 10**9
STAGES = {REQUEST: 5, LOAD: 6, COMPILE: 7}


def test_every_field_has_opas_name_and_form() -> None:
    error = ServiceError(Failure.STATUS, "server replied with Not Found", http_code=404)
    state = BundleState("b", "r1", "snapshot", 7, SECOND_NS, 2 * SECOND_NS, 3 * SECOND_NS, 4 * SECOND_NS, STAGES, error, ({"code": "c"},))
    plugins = {"bundle": PluginStatus("OK"), "status": PluginStatus("ERROR", "down")}
    status = Status({"id": "x"}, {"b": state}, BundleState("discovery"), "Keys …", plugins, {}, {"prometheus": {}})
    never = "0001-01-01T00:00:00Z"
    times = ("last_request", "last_successful_request", "last_successful_download", "last_successful_activation")
    assert status_document(status) == {
        "labels": {"id": "x"},
        "bundles": {
            "b": {
                "name": "b",
                "active_revision": "r1",
                "last_request": "1970-01-01T00:00:01Z",
                "last_successful_request": "1970-01-01T00:00:02Z",
                "last_successful_download": "1970-01-01T00:00:03Z",
                "last_successful_activation": "1970-01-01T00:00:04Z",
                "type": "snapshot",
                "size": 7,
                "code": "bundle_error",
                "message": "error(s) occurred while compiling module(s)",
                "http_code": 404,
                "errors": [{"code": "c"}],
                "metrics": {"timer_bundle_request_ns": 5, "timer_rego_load_bundles_ns": 6, "timer_rego_module_compile_ns": 7},
            }
        },
        "discovery": {"name": "discovery", **dict.fromkeys(times, never), "message": "Keys …"},
        "decision_logs": {},
        "plugins": {"bundle": {"state": "OK"}, "status": {"state": "ERROR", "message": "down"}},
        "metrics": {"prometheus": {}},
    }


@pytest.mark.parametrize(
    ("unix_ns", "text"),
    [
        (0, "0001-01-01T00:00:00Z"),
        (1_700_000_000_000_000_000, "2023-11-14T22:13:20Z"),
        (1_700_000_000_120_000_000, "2023-11-14T22:13:20.12Z"),
        (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456789Z"),
    ],
)
def test_times_are_written_as_go_writes_them(unix_ns: int, text: str) -> None:
    assert timestamp(unix_ns) == text


class Reported:
    """A state that counts how often it was asked for."""

    def __init__(self) -> None:
        self.number = 0
        self.asked = 0

    async def __call__(self) -> Status:
        self.asked += 1
        return Status({"number": str(self.number)})


def test_a_slow_receiver_gets_the_newest_state_and_holds_up_nothing() -> None:
    received: list[Any] = []
    gate, asked = asyncio.Event(), asyncio.Event()

    async def receive(request: web.Request) -> web.Response:
        received.append(json.loads(await request.read()))
        asked.set()
        await gate.wait()
        return web.Response(status=200)

    async def test() -> None:
        status = Reported()
        async with upstream(receive) as server, client(server.url) as asker:
            reporter = StatusReporter(TARGET, asker, status)
            task = asyncio.create_task(reporter.run())
            reporter.update()
            await asked.wait()
            for number in range(1, 1000):
                status.number = number
                reporter.update()
            gate.set()
            await until(lambda: reporter.sent == 2)
            task.cancel()
            request = server.asked[0]
            assert (request.path, request.method, request.headers["Content-Type"]) == ("/status/foo", "POST", "application/json")
        assert [each["labels"]["number"] for each in received] == ["0", "999"]
        assert status.asked == 2

    run(test())


def test_a_report_that_fails_is_not_repeated() -> None:
    async def refuse(_request: web.Request) -> web.Response:
        return web.Response(status=500)

    async def test() -> None:
        async with upstream(refuse) as server, client(server.url) as asker:
            reporter = StatusReporter(TARGET, asker, Reported())
            task = asyncio.create_task(reporter.run())
            reporter.update()
            await until(lambda: reporter.failed == 1)
            reporter.update()
            await until(lambda: reporter.failed == 2)
            task.cancel()
            assert len(server.asked) == 2

    run(test())


def test_manual_reports_are_sent_when_triggered(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        status = Reported()
        reporter = StatusReporter(StatusTarget(None, "", console=True, prometheus=False, is_manual=True), None, status)
        task = asyncio.create_task(reporter.run())
        reporter.update()
        await asyncio.sleep(0)
        assert caplog.records == []
        status.number = 1
        reporter.trigger()
        await until(lambda: bool(caplog.records))
        task.cancel()

    with caplog.at_level("INFO", logger="authz"):
        run(test())
    record = caplog.records[0]
    assert record.getMessage() == "Status Log"
    assert record.fields == {"type": "openpolicyagent.org/status", "labels": {"number": "1"}}  # type: ignore[attr-defined]


def test_an_error_that_is_no_compilers_says_its_message() -> None:
    error = ServiceError(Failure.REJECTED, "bundle b: a.rego: not signed")
    document = status_document(Status({}, {"b": BundleState("b", "r1", error=error, code="bundle_signature")}))["bundles"]["b"]
    assert (document["code"], document["message"], document["active_revision"]) == ("bundle_error", error.message, "r1")
    assert document.keys().isdisjoint({"http_code", "errors"})
