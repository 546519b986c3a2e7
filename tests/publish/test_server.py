"""The bundle server by sockets: ETags, long polls, deltas, tokens, and edits of every kind meanwhile."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from authz.bundle.bundle import parse_bundle
from authz.bundle.delta import apply_delta
from authz.bundle.errors import SignatureError
from authz.publish import packing
from authz.publish.packer import Packer, Version
from authz.publish.scan import Origin
from authz.services.downloader import LONG_POLL_TYPE, Downloader
from authz.services.errors import ServiceError
from authz.services.resolution import DownloadSettings
from authz.services.sources import ServiceSource
from tests.bundle.archives import archive
from tests.outbound.upstream import run, until
from tests.publish.publishing import POLICY, SIGNER, app, asking, put, serving, users, verification
from tests.services.control_plane import client, got
from tests.services.test_downloader import Policy, running

DELTAS = "modes=snapshot,delta"


def is_delta(content: bytes) -> bool:
    return parse_bundle("app", content).is_delta


def test_a_folder_is_served_as_the_bundle_of_its_name(tmp_path: Path) -> None:
    async def test() -> None:
        put(tmp_path, app())
        async with asking(tmp_path) as asker:
            for name in ("app", "app.tar.gz"):
                response, content = await asker.ask(name)
                served = parse_bundle("app", content)
                assert (response.status, response.headers["Content-Type"]) == (200, LONG_POLL_TYPE)
                assert served.modules == {"allow.rego": POLICY}
                assert served.data == json.loads(users())
                assert len(served.revision) == 16

    run(test())


def test_an_archive_is_served_as_it_is(tmp_path: Path) -> None:
    async def test() -> None:
        content = archive({"data.json": "{}"})
        put(tmp_path, {"team/other.tar.gz": content})
        async with asking(tmp_path) as asker:
            assert (await asker.ask("team/other"))[1] == content

    run(test())


@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', 'W/"other",W/{}', "*"])
def test_a_bundle_that_is_known_is_not_sent_again(tmp_path: Path, known: str) -> None:
    async def test() -> None:
        put(tmp_path, app())
        async with asking(tmp_path) as asker:
            etag = await asker.etag()
            response, content = await asker.ask(known=known.format(etag))
            assert (response.status, content, response.headers["ETag"]) == (304, b"", etag)

    run(test())


def test_a_bundle_of_another_tag_is_sent(tmp_path: Path) -> None:
    async def test() -> None:
        put(tmp_path, app())
        async with asking(tmp_path) as asker:
            for known in ('"other"', "nonsense", (await asker.etag()).strip('"'), ""):
                assert (await asker.ask(known=known, prefer=f"{DELTAS};wait=20"))[0].status == 200

    run(test())


def test_a_head_has_the_headers_of_a_get_and_no_body(tmp_path: Path) -> None:
    async def test() -> None:
        put(tmp_path, app())
        async with asking(tmp_path) as asker:
            whole, content = await asker.ask()
            head, nothing = await asker.ask(method="HEAD")
            assert (head.status, nothing) == (200, b"")
            for name in ("ETag", "Content-Type", "Content-Length", "Cache-Control", "Vary"):
                assert head.headers[name] == whole.headers[name]
            assert head.headers["Content-Length"] == str(len(content))
            assert (await asker.ask(method="HEAD", known=whole.headers["ETag"]))[0].status == 304

    run(test())


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_bundles_can_only_be_got(tmp_path: Path, method: str) -> None:
    async def test() -> None:
        put(tmp_path, app())
        async with asking(tmp_path) as asker:
            response, _ = await asker.ask(method=method)
            assert (response.status, response.headers["Allow"]) == (405, "GET,HEAD")

    run(test())


@pytest.mark.parametrize("name", ["other", "%2e%2e/app", ".hidden", "a//b", "app/", "app/data.json", "empty"])
def test_what_is_no_bundle_is_not_found(tmp_path: Path, name: str) -> None:
    async def test() -> None:
        put(tmp_path, {**app(), ".hidden/a.rego": POLICY, "empty/README.md": "nothing"})
        async with serving(tmp_path) as (url, _), client(url) as asker:
            with pytest.raises(ServiceError, match="Not Found"):
                await got(asker, f"bundles/{name}x" if name == "app/" else f"bundles/{name}")

    run(test())


def test_a_token_is_asked_for(tmp_path: Path) -> None:
    async def test() -> None:
        put(tmp_path, app())
        async with serving(tmp_path, token="secret") as (url, _):
            right: dict[str, Any] = {"credentials": {"bearer": {"token": "secret"}}}
            async with client(url, **right) as asker:
                assert (await got(asker, "bundles/app")).status == 200
            others: list[dict[str, Any]] = [{}, {"credentials": {"bearer": {"token": "secrets"}}}]
            for wrong in others:
                async with client(url, **wrong) as asker:
                    with pytest.raises(ServiceError, match="Unauthorized"):
                        await got(asker, "bundles/app")

    run(test())


def test_a_change_reaches_a_long_poll_within_a_second(tmp_path: Path) -> None:
    """The bound is generous, for machines that are busy: on a quiet one it is a tenth, of which half is waiting for files to settle."""

    async def test() -> None:
        put(tmp_path, app())
        policy, states = Policy(), []  # type: ignore[var-annotated]
        settings = DownloadSettings("app", "acme", "bundles/app", long_polling_s=20.0)
        async with serving(tmp_path) as (url, server), client(url) as asker:
            downloader = Downloader(settings, ServiceSource(settings, asker), policy.deliver, states.append)
            async with running(downloader):
                for number in range(1, 4):
                    await until(lambda: len(policy.downloads) == number and server.waiting == 1)  # noqa: B023
                    begun_s = monotonic()
                    put(tmp_path, app(f"new-{number}"))
                    await until(lambda: len(policy.downloads) > number)  # noqa: B023
                    assert monotonic() - begun_s < 1
        served = parse_bundle("app", policy.contents[0])
        for content in policy.contents[1:]:
            served = apply_delta(served, parse_bundle("app", content))
        assert served.data == json.loads(users("new-3"))

    run(test())


def test_a_delta_makes_the_snapshot_of_any_version_that_is_remembered(tmp_path: Path) -> None:
    async def test() -> None:
        put(tmp_path, app())
        async with asking(tmp_path) as asker:
            response, content = await asker.ask()
            known = [(response.headers["ETag"], content)]
            for name in ("ann", "ben"):
                put(tmp_path, app(name))
                response, content = await asker.news(known[-1][0])
                known.append((response.headers["ETag"], content))
            newest = parse_bundle("app", content)
            for etag, base in known[:-1]:
                response, content = await asker.ask(known=etag, prefer=DELTAS)
                delta = parse_bundle("app", content)
                assert delta.is_delta
                assert response.headers["ETag"] == known[-1][0]
                assert response.headers["Cache-Control"] == "no-store"
                applied = apply_delta(parse_bundle("app", base), delta)
                assert (applied.digest, applied.data, applied.revision) == (newest.digest, newest.data, newest.revision)

    run(test())


def test_a_client_that_does_not_take_deltas_gets_none(tmp_path: Path) -> None:
    async def test() -> None:
        put(tmp_path, app())
        async with asking(tmp_path) as asker:
            first = await asker.etag()
            put(tmp_path, app("ann"))
            second = (await asker.news(first))[0].headers["ETag"]
            for known, prefer in ((first, "modes=snapshot"), (first, ""), ("", DELTAS), ('"other"', DELTAS), (f'{first}, "other"', DELTAS)):
                response, content = await asker.ask(known=known, prefer=prefer)
                assert (response.headers["ETag"], is_delta(content)) == (second, False)

    run(test())


@pytest.mark.parametrize("edit", [{"app/allow.rego": f"{POLICY}\nlater := 1\n"}, {"app/.manifest": '{"roots": ["envoy", "users"]}'}])
def test_where_more_than_data_changes_the_snapshot_is_sent(tmp_path: Path, edit: dict[str, str]) -> None:
    async def test() -> None:
        put(tmp_path, app())
        async with asking(tmp_path) as asker:
            etag = await asker.etag()
            put(tmp_path, edit)
            response, content = await asker.news(etag, prefer=DELTAS)
            assert (response.status, is_delta(content)) == (200, False)

    run(test())


def test_a_delta_that_would_be_larger_than_the_snapshot_is_not_sent(tmp_path: Path) -> None:
    async def test() -> None:
        put(tmp_path, {"app/data.json": json.dumps({"a": {str(number): 0 for number in range(1000)}})})
        async with asking(tmp_path) as asker:
            etag = await asker.etag()
            put(tmp_path, {"app/data.json": json.dumps({"a": {str(number): 1 for number in range(1000)}})})
            response, content = await asker.news(etag, prefer=DELTAS)
            assert (response.status, is_delta(content)) == (200, False)

    run(test())


def test_snapshots_and_deltas_are_signed(tmp_path: Path) -> None:
    async def test() -> None:
        put(tmp_path, app())
        async with asking(tmp_path, Packer(SIGNER)) as asker:
            response, content = await asker.ask()
            base = parse_bundle("app", content, verification=verification())
            put(tmp_path, app("ann"))
            _, content = await asker.news(response.headers["ETag"], prefer=DELTAS)
            delta = parse_bundle("app", content, verification=verification())
            assert delta.is_delta
            assert delta.signature is not None
            assert delta.signature.is_verified
            assert {file.path for file in delta.files} == {"patch.json", ".manifest", ".signatures.json"}
            assert apply_delta(base, delta).data == json.loads(users("ann"))
            with pytest.raises(SignatureError, match="scope mismatch"):
                parse_bundle("app", content, verification=verification(scope="write"))

    run(test())


BROKEN: dict[str, tuple[dict[str, str | bytes], str]] = {
    "json": ({"app/data.json": '{"users": '}, "data.json:1:"),
    "rego": ({"app/allow.rego": "package envoy.authz\n\nallow if\n"}, "allow.rego:"),
    "compile": ({"app/allow.rego": f"{POLICY}\nallow if nobody(input)\n"}, "undefined function nobody"),
    "conflict": ({"app/envoy/data.yaml": "authz: {allow: true}"}, "conflicting rule for data path envoy/authz/allow"),
    "twice": ({"app/users/data.json": '{"ann": 1}', "app/data.json": '{"users": {"ann": 2}}'}, "is already set by"),
    "roots": ({"app/.manifest": '{"roots": ["a", "a/b"]}'}, "manifest has overlapped roots"),
    "outside": ({"app/.manifest": '{"roots": ["envoy"]}'}, "do not permit data at path '/users"),
    "signed": ({"app/.signatures.json": '{"signatures": ["e30.e30.e30"]}'}, "is signed, and would be served without its signature"),
    "both": ({"app.tar.gz": archive({"data.json": "{}"})}, "app.tar.gz both would be the bundle `app`"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_edit_that_cannot_be_packed_leaves_the_last_good_version(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    edit, message = BROKEN[name]

    def failures() -> list[Any]:
        return [record.fields for record in caplog.records if record.levelno == logging.ERROR]  # type: ignore[attr-defined]

    async def test() -> None:
        put(tmp_path, app())
        async with asking(tmp_path) as asker:
            first = await asker.etag()
            news = asyncio.create_task(asker.news(first))
            put(tmp_path, edit)
            await until(lambda: len(failures()) >= 1)
            assert await asker.etag() == first
            assert not news.done()
            for path in edit:
                (tmp_path / path).unlink()
            put(tmp_path, app("ann"))
            assert (await news)[0].headers["ETag"] != first
        assert len(failures()) <= 1 + len(edit)  # a mended half may have been looked at, too
        assert failures()[0]["bundle"] == "app"
        assert message in failures()[0]["error"]
        assert str(tmp_path / "app") in failures()[0]["error"]

    run(test())


def test_a_bundle_that_never_could_be_packed_says_why(tmp_path: Path) -> None:
    async def test() -> None:
        put(tmp_path, {"app/a.rego": "package a", "app.tar.gz": archive({}), "other/a.rego": "package b"})
        async with asking(tmp_path) as asker:
            response, text = await asker.ask()
            assert (response.status, response.headers["Retry-After"]) == (503, "10")
            assert text.decode() == f"{tmp_path}/app and {tmp_path}/app.tar.gz both would be the bundle `app`\n"
            assert (await asker.ask("other"))[0].status == 200
            (tmp_path / "app.tar.gz").unlink()
            while (await asker.ask())[0].status == 503:  # noqa: ASYNC110 - there is nothing yet to wait for
                await asyncio.sleep(0.01)
            assert (await asker.ask())[0].status == 200

    run(test())


def test_a_bundle_that_is_gone_is_not_found_and_one_that_is_replaced_is(tmp_path: Path) -> None:
    async def test() -> None:
        put(tmp_path, {**app(), "new/a.rego": "package a"})
        async with asking(tmp_path) as asker:
            etag, other = await asker.etag(), await asker.etag("new")
            news = asyncio.create_task(asker.news(etag))
            gone = asyncio.create_task(asker.news(other, "new"))
            await until(lambda: asker.server.waiting == 2)
            (tmp_path / "app").rename(tmp_path / ".app")
            (tmp_path / "new/a.rego").unlink()
            assert (await gone)[0].status == 404
            put(tmp_path, app("ann"))
            assert (await news)[0].status in (200, 404)  # whether it was back in time
            put(tmp_path, {"new/a.rego": "package a"})
            await until_found(asker, "new", other)
            await until_found(asker, "app", None)

    async def until_found(asker: Any, name: str, etag: str | None) -> None:
        while (response := (await asker.ask(name))[0]).status != 200:  # noqa: ASYNC110 - there is nothing yet to wait for
            await asyncio.sleep(0.01)
        assert etag in (None, response.headers["ETag"])

    run(test())


def test_many_edits_at_once_end_with_what_stands_there(tmp_path: Path) -> None:
    async def test() -> None:
        put(tmp_path, {**app(), "other/a.rego": "package a"})
        async with asking(tmp_path) as asker:
            known = await asker.etag()
            data = json.loads(users())

            def edit() -> None:
                for number in range(200):
                    put(tmp_path, {**app(f"n{number}"), "other/a.rego": f"package a\n\nx := {number}"})

            edits = asyncio.create_task(asyncio.to_thread(edit))
            served = parse_bundle("app", (await asker.ask())[1])
            while data != json.loads(users("n199")):
                response, content = await asker.news(known, prefer=DELTAS)
                known = response.headers["ETag"]
                news = parse_bundle("app", content)
                served = apply_delta(served, news) if news.is_delta else news
                data = dict(served.data)
            await edits
            etag = await asker.etag("other")
            while b"x := 199" not in b"".join(file.content for file in parse_bundle("o", (await asker.ask("other"))[1]).files):
                etag = (await asker.news(etag, "other"))[0].headers["ETag"]

    run(test())


def test_however_many_wait_a_change_is_packed_once(tmp_path: Path) -> None:
    class Counting(Packer):
        packed, deltas = 0, 0

        def pack(self, name: str, origin: Origin) -> Version:
            self.packed += 1
            return super().pack(name, origin)

        def delta(self, name: str, base: Version, new: Version) -> bytes | None:
            self.deltas += 1
            return super().delta(name, base, new)

    async def test() -> None:
        put(tmp_path, app())
        packer = Counting()
        async with asking(tmp_path, packer) as asker:
            etag = await asker.etag()
            waiting = [asyncio.create_task(asker.news(etag, prefer=DELTAS)) for _ in range(300)]
            await until(lambda: asker.server.waiting == 300)
            packer.packed = 0
            put(tmp_path, app("ann"))
            answers = await asyncio.gather(*waiting)
            assert {(response.status, is_delta(content)) for response, content in answers} == {(200, True)}
            assert len({content for _, content in answers}) == 1
            assert (packer.packed <= 2, packer.deltas) == (True, 1)  # two files changed, perhaps seen one after the other

    run(test())


def test_more_may_not_wait_than_are_allowed(tmp_path: Path) -> None:
    async def test() -> None:
        put(tmp_path, app())
        async with asking(tmp_path, max_waiting=1) as asker:
            etag = await asker.etag()
            first = asyncio.create_task(asker.news(etag))
            await until(lambda: asker.server.waiting == 1)
            response, text = await asker.news(etag)
            assert (response.status, response.headers["Retry-After"], text) == (503, "10", b"too many requests wait already\n")
            assert (await asker.ask(known=etag))[0].status == 304
            assert (await asker.ask())[0].status == 200
            first.cancel()  # who leaves makes room
            await until(lambda: asker.server.waiting == 0)

    run(test())


def test_a_wait_that_is_over_is_answered(tmp_path: Path) -> None:
    async def test() -> None:
        put(tmp_path, app())
        async with asking(tmp_path) as asker:
            etag = await asker.etag()
            assert (await asker.ask(known=etag, prefer="modes=snapshot;wait=0.01"))[0].status == 304
            assert asker.server.waiting == 0

    run(test())


def test_a_stop_answers_long_polls(tmp_path: Path) -> None:
    async def test() -> None:
        put(tmp_path, app())
        async with asking(tmp_path) as asker:
            etag = await asker.etag()
            waiting = asyncio.create_task(asker.news(etag))
            await until(lambda: asker.server.waiting == 1)
            await asker.server.close()
            assert (await waiting)[0].status == 304
            assert (await asker.news(etag))[0].status == 304

    run(test())


def test_a_change_that_is_under_way_is_not_served_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second file of an edit is written while the first one is read."""
    read = packing.read_bundle_at
    edits = [{"app/b.rego": "package b\n\ny := 1\n"}]

    def read_then_edit(*args: Any, **options: Any) -> Any:
        found = read(*args, **options)
        if edits and "package a" in found.modules.get("a.rego", ""):
            put(tmp_path, edits.pop())
        return found

    async def test() -> None:
        put(tmp_path, app())
        async with asking(tmp_path) as asker:
            etag = await asker.etag()
            monkeypatch.setattr("authz.publish.packer.read_bundle_at", read_then_edit)
            put(tmp_path, {"app/a.rego": "package a\n\nx := data.b.y\n"})
            _, content = await asker.news(etag)
            assert parse_bundle("app", content).modules.keys() == {"allow.rego", "a.rego", "b.rego"}

    run(test())


def test_a_large_bundle_arrives_whole(tmp_path: Path) -> None:
    async def test() -> None:
        noise = "".join(f"{number * 2654435761 % 2**32:08x}" for number in range(200_000))
        put(tmp_path, {"app/data.json": json.dumps({"noise": noise})})
        async with asking(tmp_path) as asker:
            response, content = await asker.ask()
            assert response.content_length == len(content) > 2**19
            assert parse_bundle("app", content).data == {"noise": noise}

    run(test())
