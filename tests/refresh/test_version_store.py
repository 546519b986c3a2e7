"""Versions on disk are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from authz.refresh import version_store
from authz.refresh.version_store import StoredBundle, StoreError, Version, VersionStore, version_id


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def store(directory: Path) -> Iterator[VersionStore]:
    opened = VersionStore.open(directory, keep=3)
    yield opened
    opened.close()


def version(number: int, **archives: bytes) -> tuple[Version, dict[str, bytes]]:
    digests = {name: (digest(content),) for name, content in archives.items()}
    bundles = tuple(StoredBundle(name, f"r{number}", each) for name, each in digests.items())
    return Version(version_id(digests), f"r{number}", number, bundles), {digest(content): content for content in archives.values()}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def contents(store: VersionStore, found: Version) -> dict[str, list[bytes]]:
    archives = store.archives(found)
    return {bundle.name: [archives[each] for each in bundle.digests] for bundle in found.bundles}


def save(store: VersionStore, number: int, **archives: bytes) -> Version:
    made, by_digest = version(number, **archives)
    store.save(made, by_digest)
    return made


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def test_what_was_saved_is_there_after_a_restart(store: VersionStore, directory: Path) -> None:
    first, second = save(store, 1, a=b"A1", b=b"B1"), save(store, 2, a=b"A2", b=b"B1")
    store.close()
    again = VersionStore.open(directory, keep=3)
    assert again.versions() == [second, first]
    assert contents(again, second) == {"a": [b"A2"], "b": [b"B1"]}
    store._lock = again._lock


def test_deltas_are_kept_in_their_order_and_make_a_version_of_their_own(store: VersionStore) -> None:
    snapshot, first, second = (digest(content) for content in (b"S", b"D1", b"D2"))
    chains = [(snapshot,), (snapshot, first, second), (snapshot, second, first)]
    made = [Version(version_id({"a": chain}), "r", number, (StoredBundle("a", "r", chain),)) for number, chain in enumerate(chains)]
    assert len({each.id for each in made}) == 3
    for each in made:
        store.save(each, {snapshot: b"S", first: b"D1", second: b"D2"})
    assert [contents(store, each)["a"] for each in made] == [[b"S"], [b"S", b"D1", b"D2"], [b"S", b"D2", b"D1"]]


def test_a_version_remembers_when_it_was_last_confirmed(store: VersionStore) -> None:
    saved = save(store, 1, a=b"A")
    store.confirm(saved.id, 5_000_000_000)
    assert store.confirmed_ns(saved.id) == 5_000_000_000
    assert store.confirmed_ns("0") == 0


def test_only_the_owner_may_read_it(store: VersionStore, directory: Path) -> None:
    save(store, 1, a=b"A")
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.rglob("*") if path.is_file()} == {0o600}


def test_a_directory_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(StoreError, match="others have access"):
        VersionStore.open(tmp_path, keep=3)


def test_a_directory_is_held_by_one_process(store: VersionStore, directory: Path) -> None:
    with pytest.raises(StoreError, match="another process holds it"):
        VersionStore.open(directory, keep=3)


def test_the_last_versions_are_kept_and_blobs_that_no_version_has_are_dropped(store: VersionStore, directory: Path) -> None:
    saved = [save(store, number, a=b"A%d" % number, b=b"B") for number in range(6)]
    assert store.versions() == saved[:2:-1]
    assert len([name for name in files(directory) if name.startswith("blobs/")]) == 4


def test_a_pinned_version_is_kept_however_old_it_is(store: VersionStore) -> None:
    oldest = save(store, 0, a=b"A")
    store.pin(oldest.id)
    for number in range(1, 6):
        save(store, number, a=b"A%d" % number)
    assert store.pinned() == oldest.id
    assert store.versions()[-1] == oldest
    assert contents(store, oldest) == {"a": [b"A"]}
    store.pin(None)
    assert store.pinned() is None
    save(store, 6, a=b"A6")
    assert oldest not in store.versions()


def test_what_is_activated_again_is_the_newest_and_there_once(store: VersionStore) -> None:
    first, second = save(store, 1, a=b"A1"), save(store, 2, a=b"A2")
    again = save(store, 3, a=b"A1")
    assert [found.id for found in store.versions()] == [first.id, second.id]
    assert store.versions()[0] == again


@pytest.mark.parametrize("damage", [b"", b"A", b"AAA", b"XX"])
def test_a_damaged_archive_is_not_returned(store: VersionStore, directory: Path, damage: bytes) -> None:
    saved = save(store, 1, a=b"AA")
    (directory / "blobs" / saved.bundles[0].digests[0]).write_bytes(damage)
    with pytest.raises(StoreError, match="does not have the digest"):
        store.archives(saved)


def test_a_damaged_archive_is_written_anew(store: VersionStore, directory: Path) -> None:
    saved = save(store, 1, a=b"AA")
    (directory / "blobs" / saved.bundles[0].digests[0]).write_bytes(b"XX")
    assert contents(store, save(store, 2, a=b"AA")) == {"a": [b"AA"]}


def test_a_version_file_that_is_cut_or_edited_anywhere_is_no_version(store: VersionStore, directory: Path) -> None:
    older = save(store, 1, a=b"A1")
    save(store, 2, a=b"A2")
    newest = max((directory / "versions").iterdir())
    text = newest.read_bytes()
    for length in range(len(text)):
        newest.write_bytes(text[:length])
        assert store.versions() == [older]
    for place in range(len(text)):
        newest.write_bytes(text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :])
        assert store.versions() == [older]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_directory_without_permission_is_an_error_that_names_it(directory: Path) -> None:
    directory.mkdir(mode=0o500)
    with pytest.raises(StoreError, match=str(directory)):
        VersionStore.open(directory, keep=3)


def test_a_disk_that_is_full_loses_nothing(store: VersionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = save(store, 1, a=b"A1")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="no space left"):
        save(store, 2, a=b"A2")
    monkeypatch.undo()
    assert store.versions() == [kept]
    assert contents(store, kept) == {"a": [b"A1"]}


def test_what_was_written_of_a_version_that_found_no_room_is_dropped(
    store: VersionStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each attempt would leave some, until there is no room for anything."""
    kept = save(store, 1, a=b"A1")
    synced: list[int] = []

    def full_soon(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) > 2:  # the first archive, and its directory
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full_soon)
    with pytest.raises(StoreError, match="no space left"):
        save(store, 2, a=b"A2", b=b"B2")
    assert len(synced) == 3
    assert {name for name in files(directory) if name.startswith("blobs/")} == {f"blobs/{kept.bundles[0].digests[0]}"}


def test_the_archives_of_a_version_that_cannot_be_read_just_now_are_kept(
    store: VersionStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are no more descriptors, or the disk hangs: that is no reason to forget what is on it."""
    kept = save(store, 1, a=b"A1")
    name = next(iter((directory / "versions").iterdir())).name

    def unreadable(path: Path | int, mode: str) -> object:
        if isinstance(path, Path) and path.name == name:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return open(path, mode)

    monkeypatch.setattr(version_store, "open", unreadable, raising=False)
    with pytest.raises(StoreError, match="too many open files"):
        save(store, 2, a=b"A2")
    monkeypatch.undo()
    assert contents(store, kept) == {"a": [b"A1"]}
    assert [found.revision for found in store.versions()] == ["r2", "r1"]


WRITER = """
import hashlib, os, sys
from pathlib import Path
from authz.refresh import version_store
from authz.refresh.version_store import *
store = version_store.VersionStore.open(Path(sys.argv[1]), keep=2)
steps = int(sys.argv[2])
def counted(call):
    def wrapped(*args, **kwargs):
        global steps
        steps -= 1
        if steps < 0:
            os.kill(os.getpid(), 9)
        return call(*args, **kwargs)
    return wrapped
for name in ("open", "fsync", "replace", "unlink", "listdir"):
    setattr(os, name, counted(getattr(os, name)))
for number in range(4):
    content = b"archive %d" % number
    digest = hashlib.sha256(content).hexdigest()
    bundle = version_store.StoredBundle("a", str(number), (digest,))
    store.save(version_store.Version(version_store.version_id({"a": (digest,)}), str(number), number, (bundle,)), {digest: content})
    print(number, flush=True)
"""


def test_a_kill_at_any_step_of_writing_leaves_whole_versions(tmp_path: Path) -> None:
    for steps in range(1, 80, 3):
        directory = tmp_path / str(steps)
        done = subprocess.run([sys.executable, "-c", WRITER, directory, str(steps)], capture_output=True, text=True, check=False)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        acknowledged = [int(line) for line in done.stdout.split()]
        store = VersionStore.open(directory, keep=2)
        found = store.versions()
        assert all(contents(store, each) == {"a": [b"archive %s" % each.revision.encode()]} for each in found)
        assert not acknowledged or int(found[0].revision) >= acknowledged[-1]
        save(store, 9, a=b"next")
        assert store.versions()[0].revision == "r9"
        store.close()
        if done.returncode == 0:
            return
    pytest.fail("no run came to its end: the test does not cover the whole of writing")
