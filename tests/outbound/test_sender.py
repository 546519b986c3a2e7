"""What is remembered and shared of answers. What OPA 1.20 does with the same headers is what is expected, unless said otherwise."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from typing import Any, get_args

import pytest
from aiohttp import web

from authz.outbound.errors import Outcome
from authz.outbound.sender import Sender
from authz.rego.errors import EvalError
from authz.rego.values import to_json
from authz.telemetry.counters import SEND_OUTCOMES
from tests.outbound.upstream import Gate, answer, request, run, settings, until, upstream

SECOND_NS = 1_000_000_000
START_NS = time.time_ns()
CACHE = {"cache": True}
FORCE = {"force_cache": True, "force_cache_duration_seconds": 100}


def date(offset_s: int) -> str:
    return formatdate(START_NS // SECOND_NS + offset_s, usegmt=True)


class Counting:
    """Answers how often it was asked; `304` to a condition, if it says so."""

    def __init__(self, headers: dict[str, str], *, status: int = 200, conditional: int | None = None, behind_s: int = 0) -> None:
        self.conditions: list[tuple[str | None, str | None]] = []
        self.second = 0
        self.behind_s = behind_s  # how old its answers are
        self.own_headers = headers
        self.status = status
        self.conditional = conditional

    @property
    def headers(self) -> dict[str, str]:
        return {"Date": date(self.second - self.behind_s)} | self.own_headers

    async def __call__(self, request: web.Request) -> web.Response:
        condition = request.headers.get("If-None-Match"), request.headers.get("If-Modified-Since")
        self.conditions.append(condition)
        if any(condition) and self.conditional is not None:
            return web.Response(status=self.conditional, headers=self.headers)
        return web.Response(status=self.status, text=str(len(self.conditions)), headers=self.headers)


def asked_at(server: Counting, seconds: list[int], **parameters: Any) -> list[str]:
    """Return the answers to equal requests at some times after the start."""
    found: list[str] = []

    async def test() -> None:
        async with upstream(server) as at, Sender(settings()) as sender:
            for server.second in seconds:
                found.append((await answer(sender, at.url, now_ns=START_NS + server.second * SECOND_NS, **parameters))["raw_body"])

    run(test())
    return found


@pytest.mark.parametrize(
    ("headers", "parameters", "expected"),
    [
        ({"Cache-Control": "max-age=100"}, CACHE, "1122"),
        ({"Cache-Control": "max-age=100"}, {}, "1234"),
        ({"Cache-Control": "max-age=100"}, {"cache": False}, "1234"),
        ({"Cache-Control": "private, max-age=100, must-revalidate"}, CACHE, "1122"),
        ({"Cache-Control": "Max-Age=100"}, CACHE, "1122"),  # OPA knows lower case only
        ({"Cache-Control": "max-age=100, no-store"}, CACHE, "1234"),
        ({"Cache-Control": "max-age=100, No-Store"}, CACHE, "1234"),
        ({"Cache-Control": "max-age=100, no-cache"}, CACHE, "1234"),  # OPA does not know the directive
        ({"Cache-Control": "max-age=x"}, CACHE, "1234"),
        ({"Cache-Control": "max-age=-1"}, CACHE, "1234"),
        ({"Cache-Control": 'max-age="100"'}, CACHE, "1234"),
        ({"Cache-Control": "max-age=" + "9" * 5000}, CACHE, "1111"),
        ({"Cache-Control": "max-age=100", "Date": "today"}, CACHE, "1234"),
        ({"Cache-Control": "max-age=0", "Expires": date(1000)}, CACHE, "1234"),
        ({"Expires": date(100)}, CACHE, "1123"),
        ({"Expires": date(-100)}, CACHE, "1234"),
        ({"Expires": "0"}, CACHE, "1234"),
        ({"Expires": time.asctime(time.gmtime(START_NS // SECOND_NS + 100))}, CACHE, "1123"),
        ({}, CACHE, "1234"),
        ({}, FORCE, "1122"),
        ({"Cache-Control": "no-store"}, FORCE, "1122"),
        ({"Cache-Control": "max-age=1000"}, FORCE, "1122"),
        ({"Cache-Control": "max-age=100"}, {"force_cache": True, "force_cache_duration_seconds": 0}, "1122"),
    ],
)
def test_an_answer_is_good_for_as_long_as_server_or_policy_say(headers: dict[str, str], parameters: dict[str, Any], expected: str) -> None:
    assert asked_at(Counting(headers), [0, 60, 110, 120], **parameters) == list(expected)


def test_an_answer_that_was_old_already_is_good_for_less() -> None:
    assert asked_at(Counting({"Cache-Control": "max-age=100"}, behind_s=50), [0, 40, 60, 70], **CACHE) == list("1122")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *((status, "11") for status in (200, 203, 206, 300, 404, 405, 410, 414, 501)),
        *((status, "12") for status in (201, 302, 400, 403, 500, 503)),
    ],
)
@pytest.mark.parametrize("parameters", [CACHE, FORCE])
def test_only_some_statuses_are_remembered(status: int, expected: str, parameters: dict[str, Any]) -> None:
    assert asked_at(Counting({"Cache-Control": "max-age=100"}, status=status), [0, 1], **parameters) == list(expected)


@pytest.mark.parametrize(
    ("headers", "parameters", "condition"),
    [
        ({"ETag": '"v1"'}, CACHE, ('"v1"', None)),
        ({"Last-Modified": date(-500)}, CACHE, (None, date(-500))),
        ({"ETag": "x", "Last-Modified": date(-500), "Cache-Control": "max-age=10"}, CACHE, ("x", date(-500))),
        ({"ETag": "x"}, {"force_cache": True, "force_cache_duration_seconds": 10}, ("x", None)),
        ({"ETag": "x", "Cache-Control": "max-age=100, no-cache"}, CACHE, ("x", None)),
    ],
)
def test_a_stale_answer_is_asked_about_and_serves_on_if_nothing_has_changed(
    headers: dict[str, str], parameters: dict[str, Any], condition: tuple[str | None, str | None]
) -> None:
    server = Counting(headers, conditional=304)
    assert asked_at(server, [0, 20], **parameters) == ["1", "1"]
    assert server.conditions == [(None, None), condition]


def test_a_304_brings_the_headers_up_to_date_and_makes_the_answer_good_again() -> None:
    server = Counting({"ETag": "x", "Cache-Control": "max-age=10", "X-A": "old"}, conditional=304)

    async def test() -> None:
        async with upstream(server) as at, Sender(settings()) as sender:
            await answer(sender, at.url, now_ns=START_NS, **CACHE)
            server.second = 20
            server.own_headers["X-A"] = "new"
            found = await answer(sender, at.url, now_ns=START_NS + 20 * SECOND_NS, **CACHE)
            assert (found["status_code"], found["raw_body"], found["headers"]["x-a"]) == (200, "1", ["new"])
            await answer(sender, at.url, now_ns=START_NS + 25 * SECOND_NS, **CACHE)
            assert len(server.conditions) == 2
            assert sender.counters.by_cache == {"hit": 1, "shared": 0, "revalidated": 1, "miss": 1, "bypass": 0}

    run(test())


@pytest.mark.parametrize(("conditional", "asked"), [(200, 3), (500, 5)])
def test_a_stale_answer_that_has_changed_is_replaced(conditional: int, asked: int) -> None:
    server = Counting({"ETag": "x"}, conditional=None if conditional == 200 else conditional)
    assert asked_at(server, [0, 20, 40], **CACHE)[0] == "1"
    assert len(server.conditions) == asked


def test_requests_that_differ_are_asked_for_each() -> None:
    server = Counting({"Cache-Control": "max-age=100"})

    async def test() -> None:
        async with upstream(server) as at, Sender(settings()) as sender:
            for parameters in ({}, {"headers": {"a": "1"}}, {"headers": {"a": "2"}}, {"raw_body": "x"}, {"timeout": 5 * SECOND_NS}, {}):
                await answer(sender, at.url, now_ns=START_NS, cache=True, **parameters)
            assert len(server.conditions) == 5

    run(test())


def test_an_error_is_not_remembered() -> None:
    async def test() -> None:
        async with Sender(settings()) as sender:
            for _ in range(2):
                assert (await answer(sender, "http://127.0.0.1:1/", now_ns=START_NS, **FORCE))["status_code"] == 0
            assert sender.counters.by_outcome["network"] == 2

    run(test())


def test_an_answer_at_hand_is_one_that_is_good() -> None:
    async def test() -> None:
        async with upstream(Counting({})) as at, Sender(settings()) as sender:
            wanted = request(at.url, **FORCE)
            assert sender.at_hand(wanted, START_NS) is None
            stored = await sender.send(wanted, START_NS)
            assert sender.at_hand(wanted, START_NS + 99 * SECOND_NS) is stored
            assert sender.at_hand(wanted, START_NS + 100 * SECOND_NS) is None
            assert sender.at_hand(request(at.url), START_NS) is None

    run(test())


def test_a_clock_that_was_put_back_makes_nothing_good_for_longer() -> None:
    async def test() -> None:
        async with upstream(Counting({})) as at, Sender(settings()) as sender:
            wanted = request(at.url, **FORCE)
            await sender.send(wanted, START_NS)
            assert sender.at_hand(wanted, START_NS - 10 * SECOND_NS) is not None  # a check that began earlier
            assert sender.at_hand(wanted, START_NS - 3600 * SECOND_NS) is None

    run(test())


# Memory


def remembered(max_bytes: int, size: int, count: int) -> list[int]:
    """Return which of `count` answers of a size are still remembered after all were asked for, and the first once more."""
    kept: list[int] = []

    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * size)

    async def test() -> None:
        async with upstream(handler) as at, Sender(settings(max_cache_bytes=max_bytes)) as sender:
            wanted = [request(f"{at.url}/{number}", **FORCE) for number in range(count)]
            for one in wanted:
                await sender.send(one, START_NS)
                sender.at_hand(wanted[0], START_NS)
                assert sender.cache.used_bytes <= max_bytes
            kept.extend(number for number, one in enumerate(wanted) if sender.at_hand(one, START_NS) is not None)

    run(test())
    return kept


def test_the_answers_that_were_not_used_for_longest_make_room() -> None:
    assert remembered(60_000, 10_000, 10) == [0, 7, 8, 9]


def test_an_answer_that_is_larger_than_the_cache_is_not_remembered() -> None:
    assert remembered(5_000, 10_000, 2) == []
    assert remembered(0, 10, 2) == []


def test_an_answer_that_is_replaced_gives_its_room_back() -> None:
    async def test() -> None:
        async with upstream(Counting({})) as at, Sender(settings()) as sender:
            sizes = []
            for second in (0, 200, 400):
                await answer(sender, at.url, now_ns=START_NS + second * SECOND_NS, **FORCE)
                sizes.append(sender.cache.used_bytes)
            assert len(set(sizes)) == 1
            assert len(sender.cache) == 1

    run(test())


# Together


def together(parameters: dict[str, Any], count: int = 5) -> tuple[int, dict[str, int], set[str]]:
    """Return how often a server was asked by equal requests at the same time, what was counted and what they were answered."""
    found: list[tuple[int, dict[str, int], set[str]]] = []

    async def test() -> None:
        gate = Gate()
        async with upstream(gate) as at, Sender(settings()) as sender:
            waiting = [asyncio.create_task(answer(sender, at.url, now_ns=START_NS, **parameters)) for _ in range(count)]
            await gate.asked.wait()
            await until(lambda: len(at.asked) + sender.counters.by_cache["shared"] == count)
            gate.opened.set()
            answers = await asyncio.gather(*waiting)
            found.append((len(at.asked), sender.counters.by_cache, {one["raw_body"] for one in answers}))

    run(test())
    return found[0]


@pytest.mark.parametrize("parameters", [CACHE, FORCE])
def test_equal_requests_at_the_same_time_are_one(parameters: dict[str, Any]) -> None:
    asked, counted, answers = together(parameters)
    assert (asked, answers) == (1, {"late"})
    assert counted == {"hit": 0, "shared": 4, "revalidated": 0, "miss": 1, "bypass": 0}


def test_requests_that_want_no_cache_are_sent_each() -> None:
    asked, counted, _ = together({})
    assert (asked, counted["bypass"]) == (5, 5)


def test_who_gives_up_does_not_take_the_answer_from_others() -> None:
    async def test() -> None:
        gate = Gate()
        async with upstream(gate) as at, Sender(settings()) as sender:
            first, second = (asyncio.create_task(answer(sender, at.url, now_ns=START_NS, **CACHE)) for _ in range(2))
            await gate.asked.wait()
            await until(lambda: sender.counters.by_cache["shared"] == 1)
            first.cancel()
            await asyncio.wait([first])
            gate.opened.set()
            assert (await second)["raw_body"] == "late"
            assert len(at.asked) == 1

    run(test())


@pytest.mark.parametrize("parameters", [{}, CACHE])
def test_a_request_that_nobody_waits_for_is_given_up(parameters: dict[str, Any]) -> None:
    async def test() -> None:
        gate = Gate()
        async with upstream(gate) as at, Sender(settings()) as sender:
            only = asyncio.create_task(answer(sender, at.url, now_ns=START_NS, **parameters))
            await gate.asked.wait()
            only.cancel()
            await gate.left.wait()
            await until(lambda: sender.counters.in_flight == 0)
            assert sender.counters.by_outcome["cancelled"] == 1
            gate.opened.set()
            assert (await answer(sender, at.url, now_ns=START_NS, **parameters))["raw_body"] == "late"

    run(test())


def test_all_who_share_a_failure_are_told() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 2000)

    async def test() -> None:
        async with upstream(handler) as at, Sender(settings(max_response_bytes=1000)) as sender:
            wanted = request(at.url, **CACHE)
            found = await asyncio.gather(*(sender.send(wanted, START_NS) for _ in range(3)), return_exceptions=True)
            assert [type(one) for one in found] == [EvalError] * 3
            assert len(at.asked) == 1

    run(test())


def test_closing_ends_what_is_under_way() -> None:
    async def test() -> None:
        gate = Gate()
        async with upstream(gate) as at:
            async with Sender(settings()) as sender:
                waiting = asyncio.create_task(sender.send(request(at.url, **CACHE), START_NS))
                await gate.asked.wait()
            await asyncio.wait([waiting])
            assert waiting.cancelled()
            await gate.left.wait()

    run(test())


# Telling


def test_everything_that_can_become_of_a_request_is_counted() -> None:
    assert {*get_args(Outcome), "cancelled"} == set(SEND_OUTCOMES)


def test_who_does_not_answer_is_said_once_without_what_was_asked(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with Sender(settings()) as sender:
            for _ in range(3):
                await answer(sender, "http://user:secret@127.0.0.1:1/secret?secret", headers={"authorization": "secret"})

    run(test())
    fields = [record.fields for record in caplog.records]  # type: ignore[attr-defined]
    assert fields == [{"host": "127.0.0.1", "outcome": "network", "repeated": 0}]
    assert "secret" not in caplog.text


def test_every_answer_is_timed() -> None:
    async def test() -> None:
        async with upstream(Counting({})) as at, Sender(settings()) as sender:
            assert to_json(await sender.send(request(at.url), START_NS))["status_code"] == 200
            assert sum(sender.counters.latency.counts) == 1
            assert sender.counters.latency.sum_ns > 0

    run(test())
