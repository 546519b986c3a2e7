from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from authz import watcher
from authz.refresh.files import fingerprint
from authz.watcher import Watcher
from tests.serving import replace_atomically, write

PATIENCE_S = 30.0
OFTEN_S = 0.1
NEVER_S = 3600.0
"""A look at the files that does not come: the change has to be told by the kernel."""


def watch_while(paths: list[Path], poll_s: float, *steps: Callable[[], object]) -> None:
    """Take each step and wait for it to be reported."""

    async def take_them() -> None:
        watching = await Watcher.start(paths, poll_s, fingerprint)
        async with aclosing(watching.changes()) as changes:
            for step in steps:
                step()
                async with asyncio.timeout(PATIENCE_S):
                    await anext(changes)

    asyncio.run(take_them())


@pytest.mark.parametrize("name", ["a.rego", ".manifest"])
def test_an_edit_is_told_by_the_kernel(tmp_path: Path, name: str) -> None:
    file = write(tmp_path, {name: ""}) / name
    told = threading.Event()

    async def keep_editing() -> None:
        """Edit until it is told: nobody says when the kernel has begun to watch."""
        while not told.is_set():
            await asyncio.to_thread(replace_atomically, file, "same size")
            await asyncio.to_thread(told.wait, OFTEN_S)

    async def wait_for_news() -> None:
        watching = await Watcher.start([tmp_path], NEVER_S, fingerprint)
        editing = asyncio.create_task(keep_editing())
        async with aclosing(watching.changes()) as changes, asyncio.timeout(PATIENCE_S):
            await anext(changes)
        told.set()
        await editing

    asyncio.run(wait_for_news())


def test_edits_new_files_and_removals_are_reported(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": "", "b/c.rego": ""})
    watch_while(
        [tmp_path],
        OFTEN_S,
        lambda: (tmp_path / "a.rego").write_text("1"),
        lambda: replace_atomically(tmp_path / "a.rego", "22"),
        lambda: write(tmp_path, {"new/folder/d.rego": ""}),
        lambda: write(tmp_path, {"data.json": "{}"}),
        (tmp_path / "b/c.rego").unlink,
    )


def test_a_directory_is_followed_through_deletion_and_return(tmp_path: Path) -> None:
    policies = write(tmp_path / "policies", {"a.rego": ""})
    watch_while(
        [policies],
        OFTEN_S,
        lambda: shutil.rmtree(policies),
        lambda: write(policies, {"a.rego": "1"}),
        lambda: write(policies, {"a.rego": "22"}),
        lambda: policies.rename(tmp_path / "away"),
        lambda: (tmp_path / "away").rename(policies),
    )


def test_a_link_that_is_turned_to_another_directory_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "v1", {"a.rego": "1"})
    write(tmp_path / "v2", {"a.rego": "1"})
    link = tmp_path / "current"
    link.symlink_to("v1")

    def turn() -> None:
        (tmp_path / "next").symlink_to("v2")
        (tmp_path / "next").rename(link)

    watch_while([link], OFTEN_S, turn, lambda: write(tmp_path / "v2", {"a.rego": "22"}))


def test_a_file_behind_a_link_out_of_the_directory_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", {"a.rego": "1"})
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "a.rego").symlink_to("../elsewhere/a.rego")
    watch_while([policies], OFTEN_S, lambda: write(tmp_path / "elsewhere", {"a.rego": "22"}))


def test_a_single_file_is_followed(tmp_path: Path) -> None:
    file = write(tmp_path, {"a.rego": ""}) / "a.rego"
    watch_while([file], OFTEN_S, lambda: replace_atomically(file, "1"), lambda: replace_atomically(file, "22"), file.unlink)


def test_looking_is_enough_where_the_kernel_will_not_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_paths: Path, **_options: object) -> None:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr(watcher, "awatch", refuse)
    write(tmp_path, {"a.rego": ""})
    watch_while([tmp_path], OFTEN_S, lambda: write(tmp_path, {"a.rego": "1"}), lambda: write(tmp_path, {"a.rego": "22"}))


def test_a_file_whose_name_is_not_utf8_does_not_end_the_watch(tmp_path: Path) -> None:
    junk = Path(os.fsdecode(os.fsencode(tmp_path) + b"/junk\xff"))
    write(tmp_path, {"a.rego": ""})

    def touch_and_edit(text: str) -> Callable[[], object]:
        return lambda: (junk.write_text(text), write(tmp_path, {"a.rego": text}))

    watch_while([tmp_path], OFTEN_S, touch_and_edit("1"), touch_and_edit("22"), touch_and_edit("333"))
