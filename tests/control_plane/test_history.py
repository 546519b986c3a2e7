"""What is remembered of versions: bounded in memory, whole on disk, and a disk that fails costs no policy."""

from __future__ import annotations

import logging
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from authz.control_plane import history as histories
from authz.control_plane.contents import Archive, Parts, id_of
from authz.control_plane.history import History
from authz.refresh.messages import Compiled
from authz.refresh.version_store import StoreError, VersionStore
from authz.services.downloads import Rejected
from tests.control_plane.words import Bench, bench
from tests.outbound.upstream import run

KEPT = 3


def parts(name: str, text: str) -> Parts:
    return Parts(name, (Archive.of(text.encode()),), f'"{text}"', text.split(maxsplit=1)[0])


def contents(**texts: str) -> dict[str, Parts]:
    return {name: parts(name, text) for name, text in texts.items()}


def policy(revision: str, size: int = 1) -> Compiled:
    return Compiled(revision, b"x" * size, revision)


def revisions(history: History) -> list[str]:
    return [held.version.revision for held in history.held]


@asynccontextmanager
async def on_disk(directory: Path, *persistent: str) -> AsyncIterator[History]:
    """Have what is remembered in a directory, as a process has it that was just started."""
    store = VersionStore.open(directory, KEPT)
    try:
        history = History(store, KEPT, frozenset(persistent))
        await history.open()
        yield history
    finally:
        store.close()


@asynccontextmanager
async def started(directory: Path, *names: str, persistent: tuple[str, ...] | None = None) -> AsyncIterator[Bench]:
    """Have an activator of a process that was just started, with what is on disk."""
    async with (
        on_disk(directory, *(names if persistent is None else persistent)) as history,
        bench(*names, history=history) as made,
    ):
        yield made


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def fields(caplog: pytest.LogCaptureFixture, message: str) -> Mapping[str, str]:
    found: Mapping[str, str] = next(record.__dict__["fields"] for record in caplog.records if record.getMessage() == message)
    return found


# In memory


def test_the_last_versions_are_remembered_and_the_pinned_one() -> None:
    async def test() -> None:
        history = History(None, KEPT)
        first = await history.record(contents(a="0"), policy("0"), 0)
        await history.pin(first.id)
        for number in range(1, 6):
            await history.record(contents(a=str(number)), policy(str(number)), number)
        assert revisions(history) == ["5", "4", "3", "0"]
        await history.pin(None)
        await history.record(contents(a="6"), policy("6"), 6)
        assert revisions(history) == ["6", "5", "4"]

    run(test())


def test_a_version_that_is_activated_again_is_remembered_once() -> None:
    async def test() -> None:
        history = History(None, KEPT)
        for text in ("1", "2", "1"):
            await history.record(contents(a=text), policy(text), 0)
        assert revisions(history) == ["1", "2"]

    run(test())


def test_versions_are_found_by_the_beginning_of_their_id_if_it_is_the_only_one() -> None:
    async def test() -> None:
        history = History(None, KEPT)
        version = await history.record(contents(a="1"), policy("1"), 0)
        await history.record(contents(a="2"), policy("2"), 0)
        for length in (4, 16):
            held = history.find(version.id[:length])
            assert held is not None
            assert held.version == version
        assert (history.find(""), history.find("x")) == (None, None)

    run(test())


def test_older_policies_are_let_go_of_before_they_take_too_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "MAX_HELD_BYTES", 250)

    async def test() -> None:
        history = History(None, 5)
        for number in range(4):
            await history.record(contents(a=str(number)), policy(str(number), 100), number)
        assert [held.compiled is not None for held in history.held] == [True, True, True, False]
        assert all(held.contents is not None for held in history.held)  # nowhere else can they be had from

    run(test())


def test_archives_that_are_on_disk_are_let_go_of_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "MAX_HELD_BYTES", 50)

    async def test() -> None:
        async with on_disk(tmp_path / "state", "a") as history:
            for text in ("1", "2"):
                await history.record(contents(a=text), policy(text, 100), 0)
            older = history.held[1]
            assert (older.compiled, older.contents) == (None, None)
            assert await history.contents(older) == contents(a="1")

    run(test())


# On disk


def test_what_was_activated_is_there_after_a_restart(tmp_path: Path) -> None:
    async def test() -> None:
        async with started(tmp_path / "state", "a", "b") as made:
            await made.both(a="1", b="1")
            await made.deliver("a", "+2 on:1", base="1")
            version = made.activator.version
        async with started(tmp_path / "state", "a", "b") as made:
            assert await made.activator.restore()
            assert (made.deciding, made.activator.version) == ("a=2 b=1", version)
            assert sorted(made.adopted) == [("a", "2"), ("b", "1")]
            await made.deliver("a", "+3 on:2", base="+2 on:1")
            assert made.deciding == "a=3 b=1"
            await made.activator.go_back(None)
            assert made.deciding == "a=2 b=1"

    run(test())


def test_a_version_that_does_not_compile_any_more_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with on_disk(tmp_path / "state", "a") as history:
            for text in ("1", "2 ill"):
                await history.record(contents(a=text), policy(text), 0)
        async with started(tmp_path / "state", "a") as made:
            assert await made.activator.restore()
            assert made.deciding == "a=1"
        assert messages(caplog) == ["a version on disk cannot be activated", "serving the last good version until a service answers"]

    run(test())


@pytest.mark.parametrize("damage", [b"", b"3", b"2 "])
def test_a_version_whose_archive_was_tampered_with_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes) -> None:
    async def test() -> None:
        async with on_disk(tmp_path / "state", "a") as history:
            for text in ("1", "2"):
                await history.record(contents(a=text), policy(text), 0)
        path = tmp_path / "state" / "blobs" / parts("a", "2").digests[0]
        path.write_bytes(damage)
        async with started(tmp_path / "state", "a") as made:
            assert await made.activator.restore()
            assert made.deciding == "a=1"
        told = fields(caplog, "a version on disk cannot be activated")
        assert (told["revision"], "does not have the digest" in told["error"], str(path) in told["error"]) == ("2", True, True)

    run(test())


def test_a_version_file_that_was_tampered_with_is_passed_over_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with on_disk(tmp_path / "state", "a") as history:
            for text in ("1", "2"):
                await history.record(contents(a=text), policy(text), 0)
        path = max((tmp_path / "state" / "versions").iterdir())
        path.write_bytes(path.read_bytes().replace(b'"2"', b'"9"'))
        async with started(tmp_path / "state", "a") as made:
            assert await made.activator.restore()
            assert made.deciding == "a=1"
        assert fields(caplog, "a version on disk is damaged and passed over")["path"] == str(path)

    run(test())


@pytest.mark.parametrize("content", [b'{"sha256":"\xff","version":{}}', b'{"sha256":"a","version":' + b"[" * 100_000, b"", b"\0"])
def test_a_version_file_that_holds_anything_else_is_passed_over_too(tmp_path: Path, content: bytes) -> None:
    async def test() -> None:
        async with on_disk(tmp_path / "state", "a") as history:
            for text in ("1", "2"):
                await history.record(contents(a=text), policy(text), 0)
            max((tmp_path / "state" / "versions").iterdir()).write_bytes(content)
            await history.record(contents(a="3"), policy("3"), 0)
            assert history.error is None
        max((tmp_path / "state" / "versions").iterdir()).write_bytes(content)
        async with started(tmp_path / "state", "a") as made:
            assert await made.activator.restore()
            assert made.deciding == "a=1"

    run(test())


def test_a_directory_whose_name_has_a_nul_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="null byte"):
        VersionStore.open(tmp_path / "a\0b", KEPT)


def test_no_version_is_restored_where_none_can_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with on_disk(tmp_path / "state", "a") as history:
            await history.record(contents(a="1 ill"), policy("1"), 0)
        async with started(tmp_path / "state", "a") as made:
            assert not await made.activator.restore()
            assert (made.deciding, made.activator.version) == (None, None)
            await made.deliver("a", "2")
            assert made.deciding == "a=2"

    run(test())


def test_the_pinned_version_is_restored_and_not_the_newest(tmp_path: Path) -> None:
    async def test() -> None:
        async with started(tmp_path / "state", "a") as made:
            for text in ("1", "2"):
                await made.deliver("a", text)
            await made.activator.go_back(None)
            await made.activator.unpin()
            await made.deliver("a", "3")
            await made.activator.go_back(next(held.version.id for held in made.activator.history.held if held.version.revision == "a=1"))
        async with started(tmp_path / "state", "a") as made:
            assert await made.activator.restore()
            assert made.deciding == "a=1"

    run(test())


@pytest.mark.parametrize("persistent", [("a",), ("a", "b")])
def test_a_pinned_version_that_cannot_be_restored_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, persistent: tuple[str, ...]
) -> None:
    """Its archive is damaged, or one of its bundles is not persisted: no other version takes its place."""

    async def test() -> None:
        async with started(tmp_path / "state", "a", "b", persistent=persistent) as made:
            await made.both(a="1", b="1")
            await made.both(a="2", b="2")
            await made.activator.pin()
        if persistent == ("a", "b"):
            (tmp_path / "state" / "blobs" / parts("b", "2").digests[0]).unlink()
        async with started(tmp_path / "state", "a", "b", persistent=persistent) as made:
            assert not await made.activator.restore()
            assert made.deciding is None
            assert messages(caplog)[-1].startswith("the pinned version cannot be activated")
            await made.activator.unpin()
            await made.both(a="3", b="3")
            assert made.deciding == "a=3 b=3"

    run(test())


def test_a_clock_that_is_set_back_does_not_make_an_older_version_the_newest(tmp_path: Path) -> None:
    async def test() -> None:
        async with on_disk(tmp_path / "state", "a") as history:
            for text, now_ns in (("1", 3 * 10**18), ("2", 10**18), ("3", 2 * 10**18)):
                await history.record(contents(a=text), policy(text), now_ns)
        async with on_disk(tmp_path / "state", "a") as history:
            assert revisions(history) == ["3", "2", "1"]

    run(test())


def test_of_a_version_that_is_only_partly_on_disk_the_rest_is_waited_for(tmp_path: Path) -> None:
    async def test() -> None:
        async with started(tmp_path / "state", "a", "b", persistent=("a",)) as made:
            await made.both(a="1", b="1")
        async with started(tmp_path / "state", "a", "b", persistent=("a",)) as made:
            assert not await made.activator.restore()
            assert not made.decided
            await made.deliver("b", "2")
            assert (made.deciding, made.adopted) == ("a=1 b=2", [("a", "1")])

    run(test())


def test_a_version_of_other_bundles_is_not_restored_as_a_whole(tmp_path: Path) -> None:
    async def test() -> None:
        async with started(tmp_path / "state", "a", "b") as made:
            await made.both(a="1", b="1")
        async with started(tmp_path / "state", "a") as made:
            assert await made.activator.restore()
            assert (made.deciding, made.revisions) == ("a=1", {"a": "1"})

    run(test())


def test_a_disk_that_fails_costs_no_policy_is_told_of_once_and_is_used_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        state = tmp_path / "state"
        async with started(state, "a") as made:
            await made.deliver("a", "1")
            shutil.move(state / "blobs", state / "gone")
            for text in ("2", "3"):
                await made.deliver("a", text)
            history = made.activator.history
            assert made.deciding == "a=3"
            assert history.error is not None
            assert [held.is_stored for held in history.held] == [False, False, True]
            assert messages(caplog) == ["policy is active but was not persisted"]
            await made.activator.go_back(None)  # from memory
            assert made.deciding == "a=2"
            shutil.move(state / "gone", state / "blobs")
            await made.activator.unpin()
            await made.deliver("a", "4")
            assert history.held[0].is_stored
            assert made.activator.history.error is None
        async with started(state, "a") as made:
            assert await made.activator.restore()
            assert made.deciding == "a=4"

    run(test())


def test_a_disk_that_is_mended_gets_the_newest_version_and_the_pin_without_another_activation(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        state = tmp_path / "state"
        async with started(state, "a") as made:
            for text in ("1", "2"):
                await made.deliver("a", text)
            shutil.move(state / "blobs", state / "gone")
            await made.deliver("a", "3")
            await made.activator.go_back(None)
            await made.activator.save_again()
            history = made.activator.history
            assert history.error is not None
            assert messages(caplog) == ["policy is active but was not persisted"]
            shutil.move(state / "gone", state / "blobs")
            await made.activator.save_again()
            assert history.error is None
            assert (history.held[0].is_stored, made.deciding) == (True, "a=2")
        async with started(state, "a") as made:
            assert await made.activator.restore()
            assert (made.deciding, made.activator.history.pinned) == ("a=2", made.activator.version)

    run(test())


def test_a_directory_that_comes_late_gets_what_was_activated_meanwhile_and_its_pin(tmp_path: Path) -> None:
    async def test() -> None:
        state = tmp_path / "state"
        async with bench("a") as made:
            for text in ("1", "2"):
                await made.deliver("a", text)
            await made.activator.go_back(None)
            async with on_disk(state, "a") as history:
                await made.activator.remember(history)
                assert isinstance(await made.deliver("a", "2"), Rejected)
                assert (made.deciding, sorted(revisions(history))) == ("a=1", ["a=1", "a=2"])
        async with started(state, "a") as made:
            assert await made.activator.restore()
            assert made.deciding == "a=1"
            assert isinstance(await made.deliver("a", "2"), Rejected)

    run(test())


def test_a_pin_in_a_directory_that_comes_late_is_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        state = tmp_path / "state"
        async with started(state, "a") as made:
            await made.deliver("a", "1")
            await made.activator.pin()
        async with bench("a") as made:
            await made.deliver("a", "2")
            async with on_disk(state, "a") as history:
                await made.activator.remember(history)
                assert (made.deciding, made.adopted[-1]) == ("a=1", ("a", "1"))
                await made.activator.unpin()
                await made.deliver("a", "3")
                assert made.deciding == "a=3"
            assert messages(caplog) == ["serving the last good version until a service answers"]

    run(test())


def test_a_pinned_version_that_comes_late_and_cannot_be_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        state = tmp_path / "state"
        async with started(state, "a") as made:
            await made.deliver("a", "1")
            await made.activator.pin()
        (state / "blobs" / parts("a", "1").digests[0]).unlink()
        async with bench("a") as made:
            await made.deliver("a", "2")
            async with on_disk(state, "a") as history:
                await made.activator.remember(history)
                assert made.deciding == "a=2"
                assert messages(caplog)[-1] == "the pinned version cannot be activated: another one decides until it is unpinned"

    run(test())


def test_a_part_of_the_policy_that_comes_late_from_disk_is_what_the_rest_has_waited_for(tmp_path: Path) -> None:
    async def test() -> None:
        async with started(tmp_path / "state", "a", "b", persistent=("a",)) as made:
            await made.both(a="1", b="1")
        async with bench("a", "b") as made:
            waiting = made.send("b", "2")
            async with on_disk(tmp_path / "state", "a") as history:
                await made.activator.remember(history)
                assert not await made.activator.restore()
                await waiting
                assert made.deciding == "a=1 b=2"

    run(test())


def test_where_nothing_is_to_be_on_disk_any_more_nothing_is_wrong_with_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with started(tmp_path / "state", "a") as made:
            shutil.move(tmp_path / "state" / "blobs", tmp_path / "state" / "gone")
            await made.deliver("a", "1")
            history = made.activator.history
            assert history.is_behind
            history.persist(frozenset())
            assert (history.error, history.is_behind) == (None, False)

    run(test())


def test_a_bundle_that_is_to_be_persisted_too_reaches_the_disk_without_another_activation(tmp_path: Path) -> None:
    async def test() -> None:
        async with started(tmp_path / "state", "a", "b", persistent=("a",)) as made:
            await made.both(a="1", b="1")
            history = made.activator.history
            assert not history.held[0].is_stored
            history.persist(frozenset(("a", "b")))
            await made.activator.save_again()
            assert (history.held[0].is_stored, history.is_behind) == (True, False)

    run(test())


def test_the_id_of_a_version_is_that_of_what_is_in_it() -> None:
    assert id_of(contents(a="1", b="2")) == id_of(dict(reversed(contents(a="1", b="2").items())))
    assert len({id_of(contents(**texts)) for texts in ({"a": "1", "b": "2"}, {"a": "2", "b": "1"}, {"a": "1"}, {"b": "1"})}) == 4
