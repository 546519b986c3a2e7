"""Checks whose policy asks others, on both transports: every bound, every way to give up, and one snapshot from beginning to end."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from aiohttp import web
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from authz import rego
from authz.errors import Reason
from authz.identity import IdentityConfig
from authz.outbound.sender import Sender
from authz.pdp import PDP, CacheConfig
from authz.refresh.activation import SnapshotBuilder, SnapshotSettings
from authz.refresh.messages import Compiled
from authz.server import GrpcServer, serve, waiting_checks
from authz.server.address import parse_address
from authz.server.check import CHECK_METHOD, CheckService
from authz.server.grpcio_transport import serve_grpcio
from authz.server.rpc import Call
from authz.server.waiting_checks import WaitingChecks
from authz.telemetry.counters import CheckCounters
from tests.outbound.upstream import Gate, Upstream, run, settings, text, until, upstream
from tests.server.test_transports import Serve, connect
from tests.serving import check_request

ALLOWED, DENIED = 0, 7


def policy(url: str, condition: str = "status_code == 200", more: str = "") -> str:
    send = f'http.send({{"method": "get", "url": sprintf("{url}%s", [input.attributes.request.http.path]){more}}})'
    return f'package envoy.authz\n\nallow if input.attributes.request.http.method == "POST"\n\nallow if {send}.{condition}\n'


class Scene:
    """A check service whose policy asks an upstream, behind a transport with a client."""

    def __init__(self, at: Upstream, sender: Sender) -> None:
        self.at = at
        self.sender = sender
        self.pdp = PDP()
        self.counters = CheckCounters()
        self.waiting = WaitingChecks(self.pdp, sender)
        self.service = CheckService(self.pdp, self.counters, self.waiting)
        self.builder = SnapshotBuilder(SnapshotSettings("envoy/authz/allow", IdentityConfig(), CacheConfig(), sender))
        self.channel: Any = None
        self.server: GrpcServer

    async def activate(self, source: str, revision: str = "r1") -> None:
        self.pdp.activate(await self.builder.build(Compiled(revision, rego.compile({"p.rego": source}).to_bytes())))

    async def check(self, path: str = "/x", method: str = "GET", timeout_s: float | None = None) -> CheckResponse:
        call = self.channel.unary_unary(CHECK_METHOD, None, CheckResponse.FromString)
        response = await call(check_request(method, path), timeout=timeout_s)
        assert isinstance(response, CheckResponse)
        return response

    def reasons(self) -> dict[str, int]:
        return {reason.value: count for reason, count in self.counters.by_reason.items() if count}


@pytest.fixture(params=["ngh2", "grpcio"])
def transport(request: pytest.FixtureRequest) -> Serve:
    return serve if request.param == "ngh2" else serve_grpcio


@asynccontextmanager
async def serving(transport: Serve, handler: Any, source: str | None = None, **bounds: Any) -> AsyncIterator[Scene]:
    """Serve checks of a policy that asks a server with this handler; `{url}` in the source is the server's."""
    async with upstream(handler) as at, Sender(settings(**bounds)) as sender:
        scene = Scene(at, sender)
        await scene.activate(policy(at.url) if source is None else source.replace("{url}", at.url))
        scene.server = await transport(scene.service.service(), [parse_address("127.0.0.1:0")], None)
        try:
            async with connect(scene.server.addresses[0]) as scene.channel:
                yield scene
        finally:
            await scene.server.drain(0)


def test_a_check_waits_for_the_answer_that_its_policy_needs(transport: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=200 if request.path == "/good" else 404)

    async def test() -> None:
        async with serving(transport, handler) as scene:
            assert [(await scene.check(path)).status.code for path in ("/good", "/bad")] == [ALLOWED, DENIED]
            assert scene.reasons() == {"allowed": 1, "undefined": 1}
            assert scene.waiting.count == 0
            assert scene.counters.latency.sum_ns > 0

    run(test())


def test_a_check_that_asks_nobody_is_answered_on_the_spot(transport: Serve) -> None:
    async def test() -> None:
        async with serving(transport, Gate()) as scene:
            assert isinstance(scene.service.check(check_request("POST", "/x"), Call(None, "test")), bytes)
            assert (await scene.check(method="POST")).status.code == ALLOWED
            assert scene.at.asked == []

    run(test())


def test_an_answer_in_the_cache_is_used_on_the_spot(transport: Serve) -> None:
    source = policy("{url}", more=', "force_cache": true, "force_cache_duration_seconds": 60')

    async def test() -> None:
        async with serving(transport, text, source) as scene:
            assert (await scene.check()).status.code == ALLOWED
            assert isinstance(scene.service.check(check_request("GET", "/x"), Call(None, "test")), bytes)
            assert (len(scene.at.asked), scene.sender.counters.by_cache["hit"]) == (1, 1)

    run(test())


def test_checks_that_wait_do_not_hold_up_others(transport: Serve) -> None:
    async def test() -> None:
        gate = Gate()
        async with serving(transport, gate) as scene:
            waiting = [asyncio.create_task(scene.check(f"/{number}")) for number in range(20)]
            await until(lambda: len(scene.at.asked) == 20)
            assert scene.waiting.count == 20
            assert scene.server.in_flight == 20
            assert (await scene.check(method="POST")).status.code == ALLOWED
            gate.opened.set()
            assert {(await one).status.code for one in waiting} == {ALLOWED}

    run(test())


# Giving up


def test_a_check_is_denied_in_band_before_its_deadline(transport: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_checks, "MARGIN", 0.7)
    monkeypatch.setattr(waiting_checks, "MAX_MARGIN_S", 10.0)

    async def test() -> None:
        gate = Gate()
        async with serving(transport, gate) as scene:
            response = await scene.check(timeout_s=1.0)
            assert (response.status.code, response.denied_response.status.code) == (DENIED, 503)
            assert scene.reasons() == {"deadline_exceeded": 1}
            await gate.left.wait()

    run(test())


def test_a_check_without_a_deadline_waits_no_longer_than_it_may(transport: Serve) -> None:
    async def test() -> None:
        gate = Gate()
        async with serving(transport, gate, check_timeout_s=0.1) as scene:
            assert (await scene.check()).denied_response.status.code == 503
            assert scene.reasons() == {"deadline_exceeded": 1}
            await gate.left.wait()

    run(test())


def test_the_bound_holds_for_all_requests_of_a_check_together(transport: Serve) -> None:
    source = policy("{url}", more=', "max_retry_attempts": 1000000, "timeout": "20ms"')

    async def test() -> None:
        async with serving(transport, Gate(), source, check_timeout_s=0.3) as scene:
            assert (await scene.check()).status.code == DENIED
            assert scene.reasons() == {"deadline_exceeded": 1}

    run(test())


def test_a_check_that_is_cancelled_cancels_its_request(transport: Serve) -> None:
    async def test() -> None:
        gate = Gate()
        async with serving(transport, gate) as scene:
            check = asyncio.create_task(scene.check())
            await gate.asked.wait()
            check.cancel()
            await gate.left.wait()
            await until(lambda: scene.waiting.count == 0)
            assert scene.sender.counters.by_outcome["cancelled"] == 1
            assert scene.reasons() == {}

    run(test())


def test_more_waiting_checks_than_may_wait_are_denied_at_once(transport: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        gate = Gate()
        async with serving(transport, gate, max_waiting_checks=2) as scene:
            waiting = [asyncio.create_task(scene.check(f"/{number}")) for number in range(2)]
            await until(lambda: len(scene.at.asked) == 2)
            refused = await scene.check()
            assert (refused.status.code, refused.denied_response.status.code) == (DENIED, 503)
            assert (await scene.check(method="POST")).status.code == ALLOWED
            gate.opened.set()
            assert {(await one).status.code for one in waiting} == {ALLOWED}
            assert (await scene.check()).status.code == ALLOWED
            assert scene.reasons() == {"allowed": 4, "overloaded": 1}

    run(test())
    assert [record.fields["error"] for record in caplog.records] == ["http.send: 2 checks are waiting already"]  # type: ignore[attr-defined]


def test_a_check_that_asks_too_often_is_denied(transport: Serve) -> None:
    rules = 'every i in numbers.range(1, 4) { http.send({"method": "get", "url": sprintf("{url}/%d", [i])}).status_code == 200 }'

    async def test() -> None:
        async with serving(transport, text, f"package envoy.authz\n\nallow if {rules}\n", max_requests_per_check=3) as scene:
            assert (await scene.check()).status.code == DENIED
            assert (scene.reasons(), len(scene.at.asked)) == ({"eval_error": 1}, 3)
        async with serving(transport, text, f"package envoy.authz\n\nallow if {rules}\n", max_requests_per_check=4) as scene:
            assert (await scene.check()).status.code == ALLOWED

    run(test())


@pytest.mark.parametrize(
    "rule", ["allow if not http.send({send}).status_code == 403", "default allow := true\n\nallow := false if http.send({send}).x"]
)
def test_no_policy_allows_because_an_answer_was_too_large(transport: Serve, rule: str) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 2000)

    async def test() -> None:
        source = f"package envoy.authz\n\n{rule}\n".replace("{send}", '{"method": "get", "url": "{url}/", "raise_error": false}')
        async with serving(transport, handler, source, max_response_bytes=1000) as scene:
            assert (await scene.check()).status.code == DENIED
            assert scene.reasons() == {"eval_error": 1}

    run(test())


def test_a_failed_request_is_what_the_policy_makes_of_it(transport: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async def test() -> None:
        async with serving(transport, handler) as scene:
            assert (await scene.check()).status.code == DENIED
            await scene.activate(policy(scene.at.url, 'error.code == "eval_http_send_network_error"', ', "raise_error": false'))
            assert (await scene.check()).status.code == ALLOWED
            assert scene.reasons() == {"undefined": 1, "allowed": 1}

    run(test())


def test_a_defect_while_a_check_waits_is_denied_in_band(transport: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    async def defect(*_: object) -> None:
        raise ZeroDivisionError("defect")

    async def test() -> None:
        async with serving(transport, text) as scene:
            monkeypatch.setattr(Sender, "send", defect)
            assert (await scene.check()).denied_response.status.code == 500
            assert (scene.reasons(), scene.waiting.count) == ({"internal_error": 1}, 0)

    run(test())


# Reload and drain


def test_a_check_is_decided_by_the_policy_it_began_with_however_often_it_is_replaced(transport: Serve) -> None:
    async def test() -> None:
        gate = Gate()
        async with serving(transport, gate) as scene:
            check = asyncio.create_task(scene.check())
            await gate.asked.wait()
            for revision in ("r2", "r3"):
                await scene.activate("package envoy.authz\n\nallow := false\n", revision)
            assert (await scene.check()).status.code == DENIED
            gate.opened.set()
            assert (await check).status.code == ALLOWED
            assert scene.reasons() == {"denied": 1, "allowed": 1}

    run(test())


def test_a_replaced_policy_is_freed_when_the_last_check_that_waits_with_it_is_decided(transport: Serve) -> None:
    async def test() -> None:
        gate = Gate()
        async with serving(transport, gate) as scene:
            snapshot = scene.pdp.snapshot
            assert snapshot is not None
            function = weakref.ref(snapshot.entry._entry._function)  # type: ignore[attr-defined]
            del snapshot
            waiting = [asyncio.create_task(scene.check(path)) for path in ("/a", "/b")]
            await until(lambda: len(scene.at.asked) == 2)
            await scene.activate("package envoy.authz\n\nallow := false\n", "r2")
            waiting.pop().cancel()
            await until(lambda: scene.waiting.count == 1)
            assert function() is not None
            gc.disable()
            try:
                gate.opened.set()
                assert (await waiting[0]).status.code == ALLOWED
                await until(lambda: function() is None)
            finally:
                gc.enable()

    run(test())


def test_a_drain_waits_for_checks_that_wait(transport: Serve) -> None:
    async def test() -> None:
        gate = Gate()
        async with serving(transport, gate) as scene:
            check = asyncio.create_task(scene.check())
            await gate.asked.wait()
            drain = asyncio.create_task(scene.server.drain(20))
            await asyncio.sleep(0)
            gate.opened.set()
            assert (await check).status.code == ALLOWED
            await drain

    run(test())


def test_a_drain_gives_up_checks_that_wait_for_too_long(transport: Serve) -> None:
    async def test() -> None:
        gate = Gate()
        async with serving(transport, gate) as scene:
            check = asyncio.create_task(scene.check())
            await gate.asked.wait()
            await scene.server.drain(0.05)
            with pytest.raises(grpc.aio.AioRpcError):
                await check
            await gate.left.wait()
            assert scene.waiting.count == 0

    run(test())


def test_a_check_that_is_dropped_before_it_waits_leaves_nothing_behind() -> None:
    async def test() -> None:
        async with serving(serve, Gate()) as scene:
            answer = scene.service.check(check_request("GET", "/x"), Call(None, "test"))
            assert not isinstance(answer, bytes)
            del answer
            assert (scene.waiting.count, scene.at.asked) == (0, [])

    run(test())


@pytest.mark.parametrize(("left_s", "expected_s"), [(None, 10.0), (0.1, 0.09), (1.0, 0.98), (100.0, 10.0), (-1.0, -0.9)])
def test_a_check_waits_until_shortly_before_its_deadline(left_s: float | None, expected_s: float) -> None:
    async def test() -> None:
        async with Sender(settings()) as sender:
            waiting = WaitingChecks(PDP(), sender)
            deadline = None if left_s is None else asyncio.get_running_loop().time() + left_s
            assert waiting._longest_s(deadline) == pytest.approx(expected_s, abs=0.005)

    run(test())


def test_a_check_that_is_late_already_asks_nobody() -> None:
    async def test() -> None:
        async with serving(serve, Gate()) as scene:
            late = asyncio.get_running_loop().time() - 1
            answer = scene.service.check(check_request("GET", "/x"), Call(late, "test"))
            assert isinstance(answer, bytes)
            assert scene.reasons() == {Reason.DEADLINE_EXCEEDED.value: 1}

    run(test())
