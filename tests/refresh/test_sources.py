from __future__ import annotations

import re
from pathlib import Path

import pytest

from authz.bundle import SourceError
from authz.bundle.errors import BundleError
from authz.refresh.files import fingerprint, read_bundle_directory
from authz.refresh.sources import read_bundle, read_source
from tests.bundle.archives import archive
from tests.serving import ALLOW_GET, write


def packed(path: Path, **contents: str) -> Path:
    path.write_bytes(archive(contents))
    return path


def test_a_directory_is_read_as_ever(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": ALLOW_GET, ".manifest": '{"roots": ["x"]}'})
    assert list(read_source([tmp_path]).modules) == [f"{tmp_path}/a.rego"]


@pytest.mark.parametrize("name", ["b.tar.gz", "b.tgz"])
def test_an_archive_is_a_bundle(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / name, **{"a.rego": ALLOW_GET, "a_test.rego": ALLOW_GET, ".manifest": '{"rego_version": 0}'})
    source = read_source([path, path])
    assert source.rego_versions == {f"{path}/a.rego": 0}
    assert len(read_source([path], with_tests=True).modules) == 2


def test_bundles_and_files_are_one_policy(tmp_path: Path) -> None:
    write(tmp_path / "dir", {"a.rego": ALLOW_GET, "x/data.json": "1"})
    source = read_source([tmp_path / "dir", packed(tmp_path / "b.tar.gz", **{"b.rego": ALLOW_GET, "y/data.json": "2"})])
    assert len(source.modules) == 2
    assert (source.data["x"], source.data["y"]) == (1, 2)


def test_bundles_that_own_the_same_are_refused(tmp_path: Path) -> None:
    paths = [packed(tmp_path / f"{name}.tar.gz", **{f"{name}.rego": ALLOW_GET}) for name in "ab"]
    with pytest.raises(BundleError, match="cannot be activated simultaneously"):
        read_source(paths)


def test_an_archive_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=re.escape(f"{tmp_path}/b.tar.gz: no such file or directory")):
        read_bundle(tmp_path / "b.tar.gz")


def test_an_archive_that_is_replaced_is_noticed(tmp_path: Path) -> None:
    path = packed(tmp_path / "b.tar.gz", **{"a.rego": ALLOW_GET})
    before = fingerprint([path])
    packed(path, **{"a.rego": ALLOW_GET + "\n"})
    assert fingerprint([path]) != before


def test_a_bundles_directory_is_all_its_files_but_hidden_ones(tmp_path: Path) -> None:
    write(tmp_path, {".manifest": "{}", ".signatures.json": "{}", ".git/x": "", ".a.swp": "", "README.md": "", "a/data.json": "{}"})
    found = read_bundle_directory(tmp_path, lambda path: path == "README.md")
    assert [file.path for file in found] == [".manifest", ".signatures.json", "a/data.json"]
