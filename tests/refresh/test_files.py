from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from authz.bundle import SourceError
from authz.refresh import files
from authz.refresh.files import fingerprint, read_policy_files
from tests.serving import write


def names(*paths: Path) -> list[str]:
    return [file.path.as_posix() for file in read_policy_files(paths)]


def test_policies_and_data_are_found_at_any_depth_and_nothing_else(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"a.rego": "", "x/y/b.rego": "", "x/data.json": "{}", "data.yml": "", "README.md": "", "other.json": "", "a_test.rego": ""},
    )
    assert names(tmp_path) == ["a.rego", "data.yml", "x/data.json", "x/y/b.rego"]


def test_test_modules_are_read_for_those_who_ask(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": "", "x/a_test.rego": "", "_test.rego.bak": ""})
    found = read_policy_files([tmp_path], with_tests=True)
    assert [file.path.as_posix() for file in found] == ["a.rego", "x/a_test.rego"]
    assert names(tmp_path) == ["a.rego"]


def test_names_that_start_with_a_dot_are_skipped(tmp_path: Path) -> None:
    write(tmp_path, {".git/x.rego": "", ".#a.rego": "", "..2026/a.rego": "", "a.rego": ""})
    assert names(tmp_path) == ["a.rego"]


def test_a_file_that_is_named_is_taken_whatever_its_name(tmp_path: Path) -> None:
    write(tmp_path, {"a_test.rego": "", "roles.json": "{}", "more.yaml": ""})
    assert names(tmp_path / "a_test.rego", tmp_path / "roles.json", tmp_path / "more.yaml") == ["a_test.rego", "data.json", "data.yaml"]


def test_a_path_given_twice_is_read_once(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": ""})
    assert names(tmp_path, tmp_path, tmp_path / "a.rego") == ["a.rego"]


def test_links_are_followed(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", {"real.rego": "", "folder/b.rego": ""})
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "a.rego").symlink_to("../elsewhere/real.rego")
    (policies / "linked").symlink_to("../elsewhere/folder")
    assert names(policies) == ["a.rego", "linked/b.rego"]


def loop(at: Path) -> None:
    (at / "again").symlink_to(at)


def self_link(at: Path) -> None:
    (at / "x.rego").symlink_to("x.rego")


def fifo(at: Path) -> None:
    os.mkfifo(at / "x.rego")


def folder(at: Path) -> None:
    (at / "data.json").mkdir()


def dangling(at: Path) -> None:
    (at / "x.rego").symlink_to("nowhere")


def deep(at: Path) -> None:
    for _ in range(files.MAX_FOLDERS_DEEP + 1):
        at = at / "d"
    at.mkdir(parents=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (loop, "again: symbolic links form a loop"),
        (self_link, "x.rego: too many levels of symbolic links"),
        (fifo, "x.rego: not a regular file"),
        (folder, "data.json: is a directory, not a policy file"),
        (dangling, "x.rego: no such file or directory"),
        (deep, "d: folders are nested deeper than 64 levels"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_names_it(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    make(tmp_path)
    with pytest.raises(SourceError, match=re.escape(message)):
        read_policy_files([tmp_path])
    assert fingerprint([tmp_path]) == fingerprint([tmp_path])


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_read_permission_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": ""})
    (tmp_path / "a.rego").chmod(0)
    with pytest.raises(SourceError, match=r"a\.rego: permission denied"):
        read_policy_files([tmp_path])


@pytest.mark.parametrize(
    ("name", "message"), [("missing", "missing: no such file or directory"), ("notes.txt", "notes.txt: neither a directory nor a `.rego`")]
)
def test_a_path_that_is_no_policy_is_an_error(tmp_path: Path, name: str, message: str) -> None:
    write(tmp_path, {"notes.txt": ""})
    with pytest.raises(SourceError, match=re.escape(message)):
        read_policy_files([tmp_path / name])


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("MAX_FILES", 1, ": more than 1 policy files"),
        ("MAX_FILE_BYTES", 3, "a.rego: larger than 3 bytes"),
        ("MAX_TOTAL_BYTES", 7, "b.rego: policy files are larger than 7 bytes together"),
    ],
)
def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, message: str) -> None:
    write(tmp_path, {"a.rego": "1234", "b.rego": "5678"})
    monkeypatch.setattr(files, limit, value)
    with pytest.raises(SourceError, match=re.escape(message)):
        read_policy_files([tmp_path])


def test_the_fingerprint_tells_changes_apart(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": "1"})
    seen = {fingerprint([tmp_path])}
    for change in (lambda: write(tmp_path, {"a.rego": "22"}), lambda: write(tmp_path, {"b.rego": ""}), (tmp_path / "a.rego").unlink):
        change()
        assert fingerprint([tmp_path]) not in seen
        seen.add(fingerprint([tmp_path]))


def test_a_policy_file_whose_name_is_not_utf8_is_an_error_and_other_files_are_not(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    Path(os.fsdecode(folder + b"/notes\xff")).touch()
    assert names(tmp_path) == []
    Path(os.fsdecode(folder + b"/a\xff.rego")).touch()
    with pytest.raises(SourceError) as caught:
        read_policy_files([tmp_path])
    assert caught.value.message == rf"{tmp_path}/a\udcff.rego: the name is not valid UTF-8"
