"""A rehearsal over real sockets: this process and two workers, under load, with every way in which it can end."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import signal
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import grpc
import pytest
from aiohttp import web
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse

from authz import rego
from authz.app import Answering, InProcess
from authz.config import CanarySettings, Config, HttpSendSettings
from authz.decider import Decider
from authz.errors import AuthzError
from authz.pdp import RehearsalError, RehearsalReport, verdict
from authz.refresh.messages import Compiled
from authz.server import parse_address
from authz.server.check import CHECK_METHOD
from authz.telemetry.logs import LogWriter
from authz.telemetry.stats import total
from authz.workers.pool import Pool
from tests.outbound.upstream import upstream
from tests.serving import ALLOW_GET, check_request

ALLOWED, DENIED = 0, 7
PATIENCE_S = 60.0
PATHS = ("/", "/orders", "/admin", "/admin/users?token=SECRET")
HTTP = "input.attributes.request.http"
NOT_ADMIN = f"""package envoy.authz

default allow := false

allow if {{
	{HTTP}.method == "GET"
	not startswith({HTTP}.path, "/admin")
}}
"""
CONFLICT = "package envoy.authz\n\nallow := true if input.attributes\n\nallow := false if input.attributes\n"

both = pytest.mark.parametrize("workers", [1, 2], ids=["this process", "two workers"])


def compiled(text: str, revision: str) -> Compiled:
    return Compiled(revision, rego.compile({"p.rego": text}, entrypoints=["envoy/authz/allow"]).to_bytes())


@dataclass
class Scene:
    answering: Answering
    address: str
    answers: Counter[tuple[str, int]]

    async def revisions(self) -> set[str | None]:
        return {None if each.policy is None else each.policy.revision for each in await self.answering.stats()}

    async def canary_counts(self) -> dict[str, int]:
        counts = total((each.counts for each in await self.answering.stats()), self.answering.retired)
        return {result: count for result, count in counts.canary.items() if count}

    async def check(self, path: str = "/") -> int:
        async with grpc.aio.insecure_channel(self.address) as channel:
            return await _ask(channel, check_request("GET", path))

    @asynccontextmanager
    async def under_load(self, connections: int = 8) -> AsyncIterator[None]:
        """Ask for all paths on several connections meanwhile, without a pause."""
        tasks = [asyncio.create_task(self._ask_on()) for _ in range(connections)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(each, asyncio.CancelledError) for each in done), done

    async def _ask_on(self) -> None:
        async with grpc.aio.insecure_channel(self.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            while True:
                for path in PATHS:
                    request = CheckRequest.FromString(check_request("GET", path))
                    request.attributes.source.principal = "spiffe://corp.test/ns/a/sa/b"
                    # A worker that is killed takes its calls with it; Envoy would ask again.
                    with suppress(grpc.aio.AioRpcError):
                        self.answers[path, await _ask(channel, request.SerializeToString())] += 1


async def _ask(channel: grpc.aio.Channel, request: bytes) -> int:
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, CheckResponse] = channel.unary_unary(CHECK_METHOD, None, CheckResponse.FromString)
    return int((await call(request, timeout=PATIENCE_S, wait_for_ready=True)).status.code)


@asynccontextmanager
async def serving(workers: int, active: str | None = ALLOW_GET, http_send: HttpSendSettings | None = None) -> AsyncIterator[Scene]:
    config = Config(workers=workers, drain_s=0.1, http_send=http_send or HttpSendSettings())
    addresses = [parse_address("127.0.0.1:0")]
    log_writer = LogWriter(io.StringIO())
    answering: Answering
    answering = InProcess(Decider(config, log_writer), addresses, config.drain_s) if workers == 1 else Pool(config, addresses)
    try:
        async with answering.running():
            if active is not None:
                await answering.activate(compiled(active, "r1"))
            async with answering.listening() as bound:
                yield Scene(answering, str(bound[0]), Counter())
    finally:
        log_writer.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test()

    asyncio.run(bounded())


async def until(probe: Callable[[], Awaitable[object]]) -> None:
    while not await probe():  # noqa: ASYNC110 - another process is asked, which tells nobody by itself
        await asyncio.sleep(0.01)


LONG = CanarySettings(seconds=PATIENCE_S, checks=1_000_000)


@both
def test_flips_of_live_checks_are_counted_and_shown_while_the_active_policy_answers(workers: int) -> None:
    async def test() -> None:
        async with serving(workers) as scene, scene.under_load():
            settings = CanarySettings(seconds=PATIENCE_S, checks=400)
            report = await scene.answering.rehearse(compiled(NOT_ADMIN, "r2"), settings)
            assert 400 <= report.checks <= 401
            assert report.results["deny_to_allow"] == report.results["deny_to_error"] == 0
            assert 0.2 < report.flip_rate < 0.8  # two paths of four, as they came
            assert {example.path for example in report.examples} <= {"/admin", "/admin/users"}
            assert {example.principal for example in report.examples} == {"spiffe://corp.test/ns/a/sa/b"}
            assert {(example.before, example.after) for example in report.examples} == {("allowed", "denied")}
            reason = verdict(report, settings)
            assert reason is not None
            assert "SECRET" not in reason
            assert "GET example.test/admin" in reason
            counts = await scene.canary_counts()
            assert counts["allow_to_deny"] == report.results["allow_to_deny"]
        assert {code for _, code in scene.answers} == {ALLOWED}
        assert {path for path, _ in scene.answers} == set(PATHS)

    run(test)


@both
def test_a_candidate_that_decides_alike_has_no_flips_and_is_activated_as_it_was_built(workers: int) -> None:
    async def test() -> None:
        async with serving(workers, NOT_ADMIN) as scene:
            candidate, settings = compiled(NOT_ADMIN + "\n# the same\n", "r2"), CanarySettings(seconds=PATIENCE_S, checks=200)
            async with scene.under_load():
                report = await scene.answering.rehearse(candidate, settings)
            assert report.checks >= 200
            assert (report.flips, verdict(report, settings)) == (0, None)
            assert await scene.revisions() == {"r1"}
            await scene.answering.activate(candidate)
            assert await scene.revisions() == {"r2"}
            # It was not built again: it remembers the denials that it made as a candidate.
            assert any(each.state.cache_entries for each in await scene.answering.stats())
            assert [await scene.check("/"), await scene.check("/admin")] == [ALLOWED, DENIED]

    run(test)


@both
def test_what_is_activated_may_be_another_policy_than_was_rehearsed(workers: int) -> None:
    async def test() -> None:
        async with serving(workers) as scene:
            await scene.answering.rehearse(compiled(ALLOW_GET, "r2"), CanarySettings(seconds=0.01))
            await scene.answering.activate(compiled(NOT_ADMIN, "r3"))
            assert await scene.revisions() == {"r3"}
            assert await scene.check("/admin") == DENIED

    run(test)


@both
def test_a_candidate_that_fails_is_counted_and_no_check_notices(workers: int) -> None:
    async def test() -> None:
        async with serving(workers) as scene:
            async with scene.under_load():
                report = await scene.answering.rehearse(compiled(CONFLICT, "r2"), CanarySettings(seconds=PATIENCE_S, checks=100))
            assert report.checks >= 100
            assert report.results["allow_to_deny"] == report.errors["eval_error"] == report.checks
            assert {code for _, code in scene.answers} == {ALLOWED}

    run(test)


@both
def test_a_quiet_service_rehearses_nothing_and_says_so(workers: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "authz")

    async def test() -> None:
        async with serving(workers) as scene:
            report = await scene.answering.rehearse(compiled(NOT_ADMIN, "r2"), CanarySettings(seconds=0.05))
            assert report == RehearsalReport()
            assert verdict(report, CanarySettings()) is None
            assert verdict(report, CanarySettings(min_checks=1)) is not None

    run(test)
    assert [record.message for record in caplog.records if "rehearsed" in record.message] == [
        "policy rehearsed",
        "policy rehearsed on no check: the service was quiet, or every check had to wait",
    ]


@both
def test_the_first_policy_is_not_rehearsed(workers: int) -> None:
    async def test() -> None:
        async with serving(workers, active=None) as scene:
            report = await scene.answering.rehearse(compiled(ALLOW_GET, "r1"), LONG)
            assert (report.is_first, report.checks, verdict(report, CanarySettings(min_checks=5))) == (True, 0, None)
            await scene.answering.activate(compiled(ALLOW_GET, "r1"))
            assert await scene.check() == ALLOWED

    run(test)


@both
def test_a_cancelled_rehearsal_ends_at_once_and_the_next_one_begins(workers: int) -> None:
    async def test() -> None:
        async with serving(workers) as scene, scene.under_load():
            rehearsal = asyncio.create_task(scene.answering.rehearse(compiled(NOT_ADMIN, "r2"), LONG))
            await until(scene.canary_counts)
            rehearsal.cancel()
            with pytest.raises(asyncio.CancelledError):
                await rehearsal
            report = await scene.answering.rehearse(compiled(ALLOW_GET, "r3"), CanarySettings(seconds=PATIENCE_S, checks=100))
            assert (report.checks >= 100, report.flips) == (True, 0)
            assert await scene.revisions() == {"r1"}
        assert {code for _, code in scene.answers} == {ALLOWED}

    run(test)


@both
@pytest.mark.parametrize("turns", [1, 3, 10, 30])
def test_a_rehearsal_that_is_cancelled_while_its_policy_is_built_leaves_nothing_behind(workers: int, turns: int) -> None:
    async def test() -> None:
        async with serving(workers) as scene:
            table = {f"key{number}": [f"value{number}"] * 5 for number in range(20_000)}  # so that it takes a while
            text = f"package envoy.authz\n\ndefault allow := false\n\nallow if data.table[{HTTP}.path]\n"
            large = Compiled("r2", rego.compile({"p.rego": text}, {"table": table}, entrypoints=["envoy/authz/allow"]).to_bytes())
            rehearsal = asyncio.create_task(scene.answering.rehearse(large, LONG))
            for _ in range(turns):
                await asyncio.sleep(0.001)
            rehearsal.cancel()
            await asyncio.wait((rehearsal,))
            await scene.answering.activate(compiled(NOT_ADMIN, "r3"))
            assert await scene.revisions() == {"r3"}
            assert [await scene.check("/"), await scene.check("/admin")] == [ALLOWED, DENIED]

    run(test)


@both
def test_a_policy_that_is_activated_during_a_rehearsal_does_not_wait_and_ends_it(workers: int) -> None:
    async def test() -> None:
        async with serving(workers) as scene, scene.under_load():
            candidate = compiled(NOT_ADMIN, "r2")
            rehearsal = asyncio.create_task(scene.answering.rehearse(candidate, LONG))
            await until(scene.canary_counts)
            await scene.answering.activate(compiled(ALLOW_GET + "\n# rolled back\n", "r3"))
            assert await scene.revisions() == {"r3"}
            with pytest.raises(RehearsalError, match="another policy was activated or rehearsed meanwhile"):
                await rehearsal
            await scene.answering.activate(candidate)
            assert await scene.revisions() == {"r2"}

    run(test)


@both
def test_a_second_rehearsal_takes_the_place_of_the_first(workers: int) -> None:
    async def test() -> None:
        async with serving(workers) as scene, scene.under_load():
            first = asyncio.create_task(scene.answering.rehearse(compiled(NOT_ADMIN, "r2"), LONG))
            await until(scene.canary_counts)
            report = await scene.answering.rehearse(compiled(ALLOW_GET, "r3"), CanarySettings(seconds=PATIENCE_S, checks=50))
            assert (report.checks >= 50, report.flips) == (True, 0)
            with pytest.raises(RehearsalError):
                await first

    run(test)


@both
def test_a_candidate_that_cannot_be_built_is_refused_like_any_policy(workers: int) -> None:
    async def test() -> None:
        async with serving(workers) as scene:
            other = Compiled("r2", rego.compile({"p.rego": "package other\n\nx := 1\n"}).to_bytes())
            with pytest.raises(AuthzError, match="is not a rule of the policy"):
                await scene.answering.rehearse(other, LONG)
            assert await scene.check() == ALLOWED

    run(test)


@both
def test_a_candidate_sends_nothing(workers: int) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"allow": True})

    async def test() -> None:
        async with upstream(answer) as server:
            send = f'package envoy.authz\n\nallow if http.send({{"method": "get", "url": "{server.url}/"}}).body.allow\n'
            allowed = HttpSendSettings(allow_hosts=(f"127.0.0.1:{server.port}",), allow_http=True)
            async with serving(workers, http_send=allowed) as scene:
                async with scene.under_load():
                    report = await scene.answering.rehearse(compiled(send, "r2"), CanarySettings(seconds=0.3))
                assert report.checks == 0
                assert report.results["skipped"] > 0
                assert server.asked == []
                await scene.answering.activate(compiled(send, "r2"))
                assert await scene.check() == ALLOWED
                assert len(server.asked) == 1
                # Now the active policy waits, and what it waits for is not compared either.
                async with scene.under_load():
                    report = await scene.answering.rehearse(compiled(ALLOW_GET, "r3"), CanarySettings(seconds=0.3))
                assert report.checks == 0
                assert report.results["skipped"] > 0

    run(test)


def test_a_worker_that_dies_during_a_rehearsal_is_left_out() -> None:
    async def test() -> None:
        async with serving(2) as scene, scene.under_load():
            settings = CanarySettings(seconds=PATIENCE_S, checks=1000)
            candidate = compiled(ALLOW_GET, "r2")
            rehearsal = asyncio.create_task(scene.answering.rehearse(candidate, settings))
            await until(scene.canary_counts)
            victim = (await scene.answering.stats())[0].pid
            os.kill(victim, signal.SIGKILL)
            report = await rehearsal
            assert report.checks >= 1000
            assert report.flips == 0
            await scene.answering.activate(candidate)

            async def is_replaced() -> bool:
                pids = [each.pid for each in await scene.answering.stats()]
                return len(pids) == 2 and victim not in pids

            await until(is_replaced)
            assert await scene.revisions() == {"r2"}

    run(test)


@pytest.mark.parametrize("connections", [1, 2, 5])
def test_workers_share_the_checks_however_connections_are_spread(connections: int) -> None:
    async def test() -> None:
        async with serving(2) as scene, scene.under_load(connections):
            for checks in (1, 2, 333):
                settings = CanarySettings(seconds=PATIENCE_S, checks=checks)
                report = await scene.answering.rehearse(compiled(ALLOW_GET, "r2"), settings)
                assert checks <= report.checks <= checks + 1

    run(test)


def test_a_rehearsal_in_which_all_workers_die_is_a_failed_one() -> None:
    async def test() -> None:
        async with serving(2) as scene:
            async with scene.under_load():
                rehearsal = asyncio.create_task(scene.answering.rehearse(compiled(ALLOW_GET, "r2"), LONG))
                await until(scene.canary_counts)
            for each in await scene.answering.stats():
                os.kill(each.pid, signal.SIGKILL)
            with pytest.raises(RehearsalError, match="no worker lived to the end"):
                await rehearsal

    run(test)


@pytest.mark.parametrize("ending", ["flips", "cancelled", "superseded"])
def test_what_was_rehearsed_and_will_not_be_activated_is_freed_without_a_collection(ending: str) -> None:
    async def test() -> None:
        async with serving(1) as scene, scene.under_load():
            settings = CanarySettings(seconds=PATIENCE_S, checks=100) if ending == "flips" else LONG
            rehearsal = asyncio.create_task(scene.answering.rehearse(compiled(NOT_ADMIN, "r2"), settings))
            assert isinstance(scene.answering, InProcess)
            await until(scene.canary_counts)
            kept = scene.answering._rehearsed
            assert kept is not None
            candidate = weakref.ref(kept[1])
            del kept
            if ending == "cancelled":
                rehearsal.cancel()
            elif ending == "superseded":
                await scene.answering.activate(compiled(ALLOW_GET, "r3"))
            await asyncio.wait((rehearsal,))
            assert candidate() is None
            assert rehearsal.done()

    run(test)
