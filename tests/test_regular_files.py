"""Only what can be read without waiting for anybody is opened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from authz.regular_files import open_regular, stat_regular


def test_a_file_is_opened_also_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        with open_regular(tmp_path / name) as file:
            assert file.read() == b"content"


@pytest.mark.parametrize(
    ("name", "message"),
    [("fifo", "not a regular file"), ("folder", "is a directory"), ("none", "No such file"), ("a\0b", "path of a file")],
)
def test_anything_else_is_an_error_at_once(tmp_path: Path, name: str, message: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match=message):
        open_regular(tmp_path / name)
    with pytest.raises(OSError, match=message):
        stat_regular(tmp_path / name)
    assert len(os.listdir("/proc/self/fd")) == before
