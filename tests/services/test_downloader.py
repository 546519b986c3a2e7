"""Bundles kept up to date from real servers: the ETag's states, delays, long polls, and every kind of failure on the way."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiohttp import web

from authz.services.downloader import DISCOVERY, LONG_POLL_TYPE, MAX_FAILED_DELTAS, Downloader, Fetched
from authz.services.downloads import REQUEST, Activated, BundleState, Download, Outcome, Rejected
from authz.services.errors import Failure, ServiceError
from authz.services.registry import RegistrySource
from authz.services.resolution import DownloadSettings
from authz.services.schedule import after_failure_s, after_success_s
from authz.services.sources import FileSource, ServiceSource, follow
from tests.outbound.upstream import Upstream, run, until, upstream
from tests.services.control_plane import ANOTHER, ARCHIVE, archive, client, scripted
from tests.services.registry import REPOSITORY, Registry
from tests.services.test_client import free_port

NAME = "authz"


class Policy:
    """What activates: keeps the downloads, and answers what it is told to."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.downloads: list[Download] = []
        self._outcomes = list(outcomes)

    async def deliver(self, download: Download) -> Outcome:
        self.downloads.append(download)
        return self._outcomes.pop(0) if self._outcomes else Activated(revision=download.etag)

    @property
    def contents(self) -> list[bytes]:
        return [download.content for download in self.downloads]


class Shelf:
    """A bundle server: what it holds may be changed; requests that know its ETag wait for that, if they may."""

    def __init__(self, content: bytes = ARCHIVE, etag: str = '"1"', content_type: str = "application/gzip", status: int = 200) -> None:
        self.content, self.etag, self.content_type, self.status = content, etag, content_type, status
        self.changed = asyncio.Condition()

    async def put(self, content: bytes, etag: str) -> None:
        async with self.changed:
            self.content, self.etag = content, etag
            self.changed.notify_all()

    async def __call__(self, request: web.Request) -> web.Response:
        known = request.headers.get("If-None-Match", "")
        if known and known == self.etag and "wait=" in request.headers["Prefer"] and self.content_type == LONG_POLL_TYPE:
            async with self.changed:
                await self.changed.wait_for(lambda: known != self.etag)
        if known and known == self.etag:
            return web.Response(status=304)
        headers = {"Content-Type": self.content_type, **({"ETag": self.etag} if self.etag else {})}
        return web.Response(status=self.status, body=self.content, headers=headers)


@asynccontextmanager
async def downloading(
    handler: Any, policy: Policy, *, states: list[BundleState] | None = None, **fields: Any
) -> AsyncIterator[tuple[Downloader, Upstream]]:
    """Have a downloader of a server; `states` gets what it reports."""
    options = {name: fields.pop(name) for name in ("now_ns", "wait", "part") if name in fields}
    settings = DownloadSettings(NAME, "acme", "bundle", **fields)
    async with upstream(handler) as server, client(server.url) as asker:
        report = (states if states is not None else []).append
        yield Downloader(settings, ServiceSource(settings, asker, max_bytes=2**20), policy.deliver, report, **options), server


@asynccontextmanager
async def running(downloader: Downloader) -> AsyncIterator[None]:
    task = asyncio.create_task(downloader.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def known_etags(server: Upstream) -> list[str | None]:
    return [request.headers.get("If-None-Match") for request in server.asked]


def test_a_bundle_is_handed_on_once_and_then_only_asked_about() -> None:
    async def test() -> None:
        policy = Policy()
        async with downloading(Shelf(), policy) as (downloader, server):
            for _ in range(3):
                await downloader.refresh()
            assert known_etags(server) == [None, '"1"', '"1"']
            assert server.asked[0].headers["Prefer"] == "modes=snapshot,delta"
            assert policy.contents == [ARCHIVE]
            download, state = policy.downloads[0], downloader.state
            assert (download.name, download.etag, download.size, download.base_etag) == (NAME, '"1"', len(ARCHIVE), None)
            assert (state.revision, state.size, state.is_ok) == ('"1"', len(ARCHIVE), True)
            assert state.requested_ns > state.downloaded_ns > 0
            assert state.answered_ns >= state.requested_ns

    run(test())


@pytest.mark.parametrize("fault", ["status", "rejected"])
def test_a_discovery_bundle_is_asked_for_as_a_whole_after_a_failure(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        policy, shelf = Policy(Activated(), Rejected("no", is_final=False, code="config")), Shelf()
        async with downloading(shelf, policy, part=DISCOVERY) as (downloader, server):
            await downloader.refresh()
            if fault == "status":
                shelf.etag, shelf.status = '"2"', 500
            else:
                await shelf.put(ANOTHER, '"2"')
            await downloader.refresh()
            assert downloader.state.code == ("" if fault == "status" else "config")
            shelf.status = 200
            await shelf.put(ARCHIVE, '"1"')
            await downloader.refresh()
            assert known_etags(server) == [None, '"1"', None]
            assert (downloader.state.is_ok, downloader.state.code, len(policy.downloads)) == (True, "", 1 if fault == "status" else 2)

    with caplog.at_level("INFO", logger="authz"):
        run(test())
    phrase = "Discovery download failed" if fault == "status" else "Discovery reconfiguration error occurred"
    assert [record.getMessage() for record in caplog.records] == ["Discovery update processed successfully.", phrase]


def test_what_was_asked_for_is_settled_when_it_was_answered_and_not_before() -> None:
    async def test() -> None:
        policy = Policy()
        async with downloading(Shelf(), policy, is_manual=True) as (downloader, server), running(downloader):
            await downloader.settle()
            assert server.asked == []
            for count in (1, 2):
                downloader.trigger()
                await downloader.settle()
                assert (len(server.asked), downloader.state.is_ok) == (count, True)

    run(test())


def test_the_etag_of_what_was_not_activated_is_not_remembered() -> None:
    async def test() -> None:
        policy = Policy(Activated(), Rejected("no", is_final=False), Activated())
        shelf = Shelf()
        async with downloading(shelf, policy) as (downloader, server):
            await downloader.refresh()
            await shelf.put(ANOTHER, '"2"')
            await downloader.refresh()
            assert (downloader.state.error is not None, downloader.state.is_ok) == (True, False)
            await downloader.refresh()
            await downloader.refresh()
            assert known_etags(server) == [None, '"1"', '"1"', '"2"']
            assert policy.contents == [ARCHIVE, ANOTHER, ANOTHER]
            assert [download.base_etag for download in policy.downloads] == [None, '"1"', None]
            assert downloader.state.error is None

    run(test())


def test_bytes_that_were_rejected_for_good_are_not_handed_on_again_until_triggered() -> None:
    async def test() -> None:
        policy = Policy(Rejected("does not compile", errors=({"code": "rego_parse_error"},)))
        async with downloading(Shelf(), policy) as (downloader, server):
            for _ in range(3):
                await downloader.refresh()
            error = downloader.state.error
            assert error is not None
            assert (error.failure, error.message, downloader.state.errors) == (
                Failure.REJECTED,
                "does not compile",
                ({"code": "rego_parse_error"},),
            )
            assert (len(policy.downloads), known_etags(server)) == (1, [None] * 3)
            downloader.trigger()
            await downloader.refresh()
            assert (len(policy.downloads), downloader.state.error, downloader.state.errors) == (2, None, ())

    run(test())


def test_an_activation_that_breaks_ends_no_downloads() -> None:
    class Broken(Policy):
        async def deliver(self, download: Download) -> Outcome:
            await super().deliver(download)
            if len(self.downloads) == 1:
                raise RuntimeError("out of memory")
            return Activated()

    async def test() -> None:
        policy = Broken()
        async with downloading(Shelf(), policy) as (downloader, _):
            await downloader.refresh()
            assert downloader.state.error is not None
            await downloader.refresh()
            assert downloader.state.is_ok

    run(test())


@pytest.mark.parametrize("etag", ["", 'W/"weak"', "not quoted"])
def test_a_wrong_etag_or_none_costs_a_download_and_no_activation(etag: str) -> None:
    """A server that never answers 304: the same bytes are not activated again."""

    async def always(_request: web.Request) -> web.Response:
        return web.Response(body=ARCHIVE, headers={"ETag": etag} if etag else {})

    async def test() -> None:
        policy = Policy()
        async with downloading(always, policy) as (downloader, server):
            for _ in range(3):
                await downloader.refresh()
            assert known_etags(server) == [None, etag or None, etag or None]
            assert (len(policy.downloads), downloader.state.is_ok) == (1, True)

    run(test())


def test_an_etag_from_before_a_restart_is_sent_at_once() -> None:
    async def test() -> None:
        policy = Policy()
        async with downloading(Shelf(), policy) as (downloader, server):
            downloader.adopt(Activated("r"), '"1"')
            await downloader.refresh()
            assert (known_etags(server), policy.downloads, downloader.state.error) == (['"1"'], [], None)

    run(test())


def test_an_etag_that_cannot_be_sent_is_none() -> None:
    async def test() -> None:
        policy = Policy()
        answer = b'HTTP/1.1 200 OK\r\nETag: "\xff"\r\nContent-Length: %d\r\n\r\n%s' % (len(ARCHIVE), ARCHIVE)
        async with scripted(answer) as url, client(url) as asker:
            settings = DownloadSettings(NAME, "acme", "bundle")
            downloader = Downloader(settings, ServiceSource(settings, asker), policy.deliver)
            for _ in range(2):
                await downloader.refresh()
            assert ([download.etag for download in policy.downloads], downloader.state.error) == ([""], None)

    run(test())


def test_a_304_that_nobody_asked_for_is_an_error() -> None:
    async def test() -> None:
        async with downloading(Shelf(status=304), Policy()) as (downloader, _):
            await downloader.refresh()
            assert downloader.state.error is not None
            assert downloader.state.error.http_code == 304

    run(test())


def preferences(server: Upstream) -> list[str]:
    return [request.headers["Prefer"] for request in server.asked]


def test_what_was_refused_and_may_have_been_a_delta_is_asked_for_as_a_snapshot_then_without_an_etag() -> None:
    async def test() -> None:
        policy = Policy(Activated(), Rejected("no", is_final=False), Rejected("no", is_final=False), Activated())
        shelf = Shelf()
        async with downloading(shelf, policy) as (downloader, server):
            await downloader.refresh()
            await shelf.put(ANOTHER, '"2"')
            for _ in range(4):
                await downloader.refresh()
            assert known_etags(server) == [None, '"1"', '"1"', None, '"2"']
            both, only = "modes=snapshot,delta", "modes=snapshot"
            assert preferences(server) == [both, both, only, only, both]

    run(test())


def test_a_server_whose_deltas_are_refused_again_and_again_is_asked_for_snapshots_until_it_is_triggered() -> None:
    async def test() -> None:
        answers = [answer for _ in range(MAX_FAILED_DELTAS) for answer in (Rejected("no", is_final=False), Activated())]
        policy = Policy(Activated(), *answers)
        shelf = Shelf()
        async with downloading(shelf, policy) as (downloader, server):
            await downloader.refresh()
            for number in range(MAX_FAILED_DELTAS):
                await shelf.put(gzip.compress(b"%d" % number, mtime=0), f'"{number + 2}"')
                await downloader.refresh()
                await downloader.refresh()
            await downloader.refresh()
            assert preferences(server)[-1] == "modes=snapshot"
            downloader.trigger()
            await downloader.refresh()
            assert preferences(server)[-1] == "modes=snapshot,delta"

    run(test())


def test_a_snapshot_is_wanted_after_many_deltas() -> None:
    async def test() -> None:
        policy = Policy(Activated(), Activated(type="delta", wants_snapshot=True), Activated())
        shelf = Shelf()
        async with downloading(shelf, policy) as (downloader, server):
            await downloader.refresh()
            for content, etag in ((ANOTHER, '"2"'), (ARCHIVE, '"3"')):
                await shelf.put(content, etag)
                await downloader.refresh()
            await downloader.refresh()
            both, only = "modes=snapshot,delta", "modes=snapshot"
            assert preferences(server) == [both, both, only, both]

    run(test())


def test_what_was_activated_without_being_handed_on_is_what_is_asked_about_next() -> None:
    async def test() -> None:
        policy = Policy(Activated())
        async with downloading(Shelf(), policy) as (downloader, server):
            await downloader.refresh()
            downloader.adopt(Activated("old"), '"0"')
            assert downloader.state.revision == "old"
            await downloader.refresh()
            assert known_etags(server) == [None, '"0"']

    run(test())


@pytest.mark.parametrize("body", [b"", b"<html>sign in</html>", b"\x1f"])
def test_what_is_no_archive_is_told_by_type_and_first_bytes(body: bytes) -> None:
    async def page(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="text/html")

    async def test() -> None:
        policy = Policy()
        async with downloading(page, policy) as (downloader, _):
            await downloader.refresh()
            error = downloader.state.error
            assert error is not None
            assert (error.failure, policy.downloads) == (Failure.NOT_AN_ARCHIVE, [])
            assert error.message.startswith("not a gzip archive (content type `text/html`, starts with `")

    run(test())


def test_an_oversized_body_is_never_held() -> None:
    async def test() -> None:
        policy = Policy()
        async with downloading(Shelf(ARCHIVE + bytes(2**20)), policy) as (downloader, _):
            await downloader.refresh()
            assert downloader.state.error is not None
            assert (downloader.state.error.failure, policy.downloads) == (Failure.TOO_LARGE, [])

    run(test())


def test_a_truncated_download_is_repeated_whole() -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(ARCHIVE)

    async def test() -> None:
        policy = Policy()
        settings = DownloadSettings(NAME, "acme", "bundle")
        async with scripted(head + ARCHIVE[:-1], head + ARCHIVE) as url, client(url) as asker:
            downloader = Downloader(settings, ServiceSource(settings, asker), policy.deliver)
            await downloader.refresh()
            assert downloader.state.error is not None
            assert (downloader.state.error.failure, policy.downloads) == (Failure.TRUNCATED, [])
            await downloader.refresh()
            assert (policy.contents, downloader.state.is_ok) == ([ARCHIVE], True)

    run(test())


def test_a_server_that_is_down_at_the_start_is_waited_for() -> None:
    async def test() -> None:
        policy, port = Policy(), free_port()
        settings = DownloadSettings(NAME, "acme", "bundle", 0.01, 0.01)
        async with client(f"http://127.0.0.1:{port}") as asker:
            downloader = Downloader(settings, ServiceSource(settings, asker), policy.deliver)
            async with running(downloader):
                await until(lambda: downloader.state.error is not None)
                runner = web.AppRunner(web.Application(), shutdown_timeout=0.1)
                runner.app.router.add_get("/bundle", archive)
                await runner.setup()
                await web.TCPSite(runner, "127.0.0.1", port).start()
                await until(lambda: downloader.state.is_ok)
                await runner.cleanup()

    run(test())


class Pauses:
    """A clock that runs as fast as it is asked to: keeps the delays, and ends after some."""

    def __init__(self, most: int) -> None:
        self.delays: list[float | None] = []
        self.is_over = asyncio.Event()
        self._most = most

    async def __call__(self, event: asyncio.Event, seconds: float | None) -> None:
        self.delays.append(seconds)
        if len(self.delays) == self._most:
            self.is_over.set()
            await asyncio.Event().wait()


def test_the_back_off_grows_and_a_success_resets_it() -> None:
    async def test() -> None:
        pauses, answers = Pauses(9), [500, 500, 500, 500, 500, 500, 200, 500, 500]

        async def moody(_request: web.Request) -> web.Response:
            return web.Response(status=answers.pop(0), body=ARCHIVE)

        fields: dict[str, Any] = {"wait": pauses, "min_delay_s": 50, "max_delay_s": 60}
        async with downloading(moody, Policy(), **fields) as (downloader, _), running(downloader):
            await pauses.is_over.wait()
        delays = [delay for delay in pauses.delays if delay is not None]
        for delay, nominal in zip(delays[:6], [0, 0.16, 0.256, 0.41, 0.655, 1.05], strict=True):
            assert 0.79 * nominal <= delay <= 1.21 * nominal
        assert 50 <= delays[6] <= 60
        assert (delays[7], 0.12 < delays[8] < 0.2) == (0, True)

    run(test())


def test_delays_are_bounded_and_servers_may_ask_for_more() -> None:
    settings = DownloadSettings(NAME, "acme", "bundle", 10, 20)
    down = ServiceError(Failure.UNREACHABLE, "down")
    assert all(15 < after_failure_s(settings, 50, down) < 25 for _ in range(100))
    assert after_failure_s(settings, 1, down) == 0
    assert after_failure_s(settings, 1, ServiceError(Failure.REJECTED, "no")) == 1
    assert after_failure_s(settings, 1, ServiceError(Failure.STATUS, "busy", retry_after_s=7)) == 7
    assert after_failure_s(settings, 1, ServiceError(Failure.STATUS, "busy", retry_after_s=1e9)) == 20
    assert after_failure_s(settings, 10_000_000, down) > 15
    assert all(10 <= after_success_s(settings, is_long_polling=False, is_news=True, took_s=0) <= 20 for _ in range(100))


def test_a_trigger_does_not_wait_for_a_long_poll_that_is_under_way() -> None:
    async def test() -> None:
        policy, shelf = Policy(), Shelf(content_type=LONG_POLL_TYPE)
        async with downloading(shelf, policy, long_polling_s=300.0) as (downloader, server), running(downloader):
            await until(lambda: len(server.asked) == 2)
            answered_ns = downloader.state.answered_ns
            downloader.trigger()
            await until(lambda: len(server.asked) == 3)
            assert downloader.state.answered_ns == answered_ns
            assert known_etags(server) == [None, '"1"', '"1"']

    run(test())


def test_a_long_poll_about_what_is_not_active_any_more_is_given_up() -> None:
    async def test() -> None:
        policy, shelf = Policy(), Shelf(content_type=LONG_POLL_TYPE)
        async with downloading(shelf, policy, long_polling_s=300.0) as (downloader, server), running(downloader):
            await until(lambda: len(server.asked) == 2)
            downloader.adopt(Activated("older"), '"0"')
            await until(lambda: len(policy.downloads) == 2)
            assert known_etags(server)[:3] == [None, '"1"', '"0"']

    run(test())


def test_a_304_about_another_version_than_the_active_one_changes_nothing() -> None:
    async def test() -> None:
        held = asyncio.Event()

        async def slow(request: web.Request) -> web.Response:
            if "If-None-Match" not in request.headers:
                return web.Response(body=ARCHIVE, headers={"ETag": '"1"'})
            await held.wait()
            return web.Response(status=304, headers={"ETag": '"1"'})

        async with downloading(slow, Policy()) as (downloader, server):
            await downloader.refresh()
            asking = asyncio.create_task(downloader.refresh())
            await until(lambda: len(server.asked) == 2)
            downloader.adopt(Activated("older"), '"0"')
            held.set()
            await asking
            await downloader.refresh()
            assert known_etags(server) == [None, '"1"', '"0"']

    run(test())


def test_a_long_poll_delivers_a_change_within_a_second() -> None:
    async def test() -> None:
        policy, shelf = Policy(), Shelf(content_type=LONG_POLL_TYPE)
        async with downloading(shelf, policy, long_polling_s=10.0) as (downloader, server), running(downloader):
            await until(lambda: len(server.asked) == 2)
            assert server.asked[0].headers["Prefer"] == "modes=snapshot,delta;wait=10"
            begun_s = monotonic()
            await shelf.put(ANOTHER, '"2"')
            await until(lambda: len(policy.downloads) == 2)
            assert monotonic() - begun_s < 1

    run(test())


def test_a_server_without_long_polls_is_polled() -> None:
    async def test() -> None:
        async with downloading(Shelf(), Policy(), long_polling_s=10.0) as (downloader, server):
            assert await downloader.refresh() >= 60
            await downloader.refresh()
            assert [request.headers["Prefer"] for request in server.asked] == ["modes=snapshot,delta;wait=10", "modes=snapshot,delta"]

    run(test())


def test_a_long_poll_that_ends_early_without_news_is_no_reason_to_spin() -> None:
    settings = DownloadSettings(NAME, "acme", "bundle", long_polling_s=10.0)
    assert after_success_s(settings, is_long_polling=True, is_news=False, took_s=0.01) == 1
    assert after_success_s(settings, is_long_polling=True, is_news=False, took_s=9) == 0
    assert after_success_s(settings, is_long_polling=True, is_news=True, took_s=0.01) == 0


def test_a_manual_bundle_is_asked_for_when_triggered_only() -> None:
    async def test() -> None:
        policy, pauses = Policy(), Pauses(2)
        async with downloading(Shelf(), policy, is_manual=True, wait=pauses) as (downloader, server), running(downloader):
            await pauses.is_over.wait()
            assert (pauses.delays, len(server.asked)) == ([None, None], 1)
        async with downloading(Shelf(), policy, is_manual=True) as (downloader, server), running(downloader):
            downloader.trigger()
            await until(lambda: downloader.state.is_ok)
            assert len(server.asked) == 1

    run(test())


def test_a_clock_that_is_set_back_is_harmless() -> None:
    async def test() -> None:
        times = iter([10**18, 10**18, 10**18, 5, 6, 7, 10**19, 1])
        policy = Policy()
        async with downloading(Shelf(), policy, now_ns=lambda: next(times)) as (downloader, _):
            assert await downloader.refresh() >= 60
            assert 60 <= await downloader.refresh() <= 120
            assert downloader.state.is_ok

    run(test())


def test_cancellation_leaves_no_task_and_no_connection() -> None:
    async def test() -> None:
        left, asked = asyncio.Event(), asyncio.Event()

        async def silent(_request: web.Request) -> web.Response:
            asked.set()
            try:
                return await asyncio.Event().wait() or web.Response()  # type: ignore[return-value]
            finally:
                left.set()

        async with downloading(silent, Policy()) as (downloader, _):
            async with running(downloader):
                await asked.wait()
            await left.wait()
        assert [task for task in asyncio.all_tasks() if task.get_coro().__qualname__.startswith("Downloader")] == []  # type: ignore[union-attr]

    run(test())


def test_a_file_is_a_source_as_well(tmp_path: Path) -> None:
    file = tmp_path / "bundle.tar.gz"

    async def test() -> None:
        policy = Policy()
        settings = DownloadSettings(NAME, None, str(file))
        downloader = Downloader(settings, FileSource(file, max_bytes=100), policy.deliver)
        await downloader.refresh()
        assert downloader.state.error is not None
        assert downloader.state.error.message == f"{file}: no such file or directory"
        for content in (ARCHIVE, ARCHIVE, ANOTHER, gzip.compress(bytes(range(256)))):
            file.write_bytes(content)
            await downloader.refresh()
        assert policy.contents == [ARCHIVE, ANOTHER]
        assert downloader.state.error.message == f"{file}: larger than 100 bytes"

    run(test())


def test_a_file_that_is_replaced_is_read_again(tmp_path: Path) -> None:
    async def test() -> None:
        file, policy = tmp_path / "bundle.tar.gz", Policy()
        file.write_bytes(ARCHIVE)
        downloader = Downloader(DownloadSettings(NAME, None, str(file)), FileSource(file), policy.deliver)
        following = asyncio.create_task(follow(file, downloader, 0.1))
        async with running(downloader):
            await until(lambda: len(policy.downloads) == 1)
            (tmp_path / "new").write_bytes(ANOTHER)
            (tmp_path / "new").rename(file)
            await until(lambda: len(policy.downloads) == 2)
        following.cancel()
        assert policy.contents == [ARCHIVE, ANOTHER]

    run(test())


def test_a_defect_in_a_source_does_not_end_the_downloads(caplog: pytest.LogCaptureFixture) -> None:
    class Defective(FileSource):
        async def fetch(self, etag: str, wait_s: float | None, *, takes_deltas: bool = True) -> Fetched:
            raise ZeroDivisionError("oops")

    async def test() -> None:
        downloader = Downloader(DownloadSettings(NAME, None, "/none"), Defective(Path("/none")), Policy().deliver)
        await downloader.refresh()
        assert downloader.state.error is not None
        assert (downloader.state.error.failure, downloader.state.error.message) == (Failure.PROTOCOL, "ZeroDivisionError: oops")
        assert caplog.records[0].exc_info is not None

    run(test())


def test_durations_are_those_of_the_last_attempt() -> None:
    async def test() -> None:
        shelf = Shelf()
        async with downloading(shelf, Policy(), now_ns=count(1).__next__) as (downloader, _):
            await downloader.refresh()
            assert downloader.state.stages_ns.keys() == {REQUEST}
            shelf.etag, shelf.status = '"2"', 500
            await downloader.refresh()
            assert downloader.state.stages_ns == {}

    run(test())


def test_after_the_same_bytes_under_another_etag_no_delta_may_come_for_nobody_goes_by_that_etag() -> None:
    async def test() -> None:
        shelf = Shelf()
        async with downloading(shelf, Policy()) as (downloader, server):
            await downloader.refresh()
            await shelf.put(ARCHIVE, '"2"')
            await downloader.refresh()
            await shelf.put(ANOTHER, '"3"')
            for _ in range(2):
                await downloader.refresh()
            modes = ["snapshot,delta", "snapshot,delta", "snapshot", "snapshot,delta"]
            assert preferences(server) == [f"modes={mode}" for mode in modes]

    run(test())


def test_a_source_that_cannot_hold_a_request_is_asked_at_the_pace_of_polls() -> None:
    async def test() -> None:
        registry = Registry()
        registry.push("live", ARCHIVE)
        async with upstream(registry) as server, client(server.url, type="oci") as asker:
            settings = DownloadSettings(NAME, "acme", f"r.test/{REPOSITORY}:live", 60, 120, long_polling_s=30)
            downloader = Downloader(settings, RegistrySource(settings, asker, max_bytes=2**20), Policy().deliver)
            downloader.adopt(Activated("r"), sha256(ARCHIVE).hexdigest())
            assert await downloader.refresh() >= 60
            assert await downloader.refresh() >= 60

    run(test())


def test_what_would_have_to_be_waited_for_is_no_bundle(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    async def test() -> None:
        with pytest.raises(ServiceError, match="not a regular file"):
            await FileSource(tmp_path / "fifo").fetch("", None)

    run(test())
