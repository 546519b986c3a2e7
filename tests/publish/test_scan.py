from __future__ import annotations

import os
from pathlib import Path

import pytest

from authz.publish.scan import scan, stamp_of
from tests.publish.publishing import put


def names(root: Path) -> dict[str, list[str]]:
    return {name: [path.relative_to(root).as_posix() for path in origin.paths] for name, origin in scan(root).origins}


def test_folders_with_policies_and_archives_are_bundles(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "code/deep/er/a.rego": "",
            "data/data.yml": "",
            "promise/.manifest": "",
            "packed.tar.gz": "",
            "team/a.tar.gz": "",
            "team/b/c.tar.gz": "",
            "code/fixtures/d.tar.gz": "",
            "docs/README.md": "",
            "docs/notes.json": "",
            ".git/hooks/a.rego": "",
            "docs/.hidden/a.rego": "",
            "docs/.swap.rego": "",
            ".x.tar.gz": "",
            "other.tgz": "",
        },
    )
    assert names(tmp_path) == {
        "code": ["code"],
        "code/fixtures/d": ["code/fixtures/d.tar.gz"],
        "data": ["data"],
        "packed": ["packed.tar.gz"],
        "promise": ["promise"],
        "team/a": ["team/a.tar.gz"],
        "team/b/c": ["team/b/c.tar.gz"],
    }
    assert scan(tmp_path).strays == ()


def test_a_folder_and_an_archive_of_one_name_are_both_named(tmp_path: Path) -> None:
    put(tmp_path, {"a/a.rego": "", "a.tar.gz": ""})
    assert names(tmp_path) == {"a": ["a", "a.tar.gz"]}


@pytest.mark.parametrize("name", ["a.rego", "a_test.rego", "data.json", ".manifest"])
def test_policy_files_beside_the_bundles_are_told(tmp_path: Path, name: str) -> None:
    put(tmp_path, {name: "", "README.md": "", "a/a.rego": ""})
    assert scan(tmp_path).strays == (tmp_path / name,)


@pytest.mark.parametrize("name", ["a.rego", "x/data.json", ".manifest", "a_test.rego"])
def test_an_edit_of_a_part_changes_the_stamp_of_its_bundle_alone(tmp_path: Path, name: str) -> None:
    put(tmp_path, {f"a/{name}": "", "b/b.rego": "", "a/README.md": ""})
    before, stamp = dict(scan(tmp_path).origins), stamp_of(tmp_path / "a")
    put(tmp_path, {"a/README.md": "more"})
    assert (dict(scan(tmp_path).origins), stamp_of(tmp_path / "a")) == (before, stamp)
    put(tmp_path, {f"a/{name}": " "})
    after = dict(scan(tmp_path).origins)
    assert stamp_of(tmp_path / "a") != stamp
    assert (after["a"] == before["a"], after["b"] == before["b"]) == (False, True)


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    put(tmp_path, {"elsewhere/a.rego": "", "elsewhere/b.tar.gz": ""})
    served = tmp_path / "served"
    served.mkdir()
    (served / "app").symlink_to(tmp_path / "elsewhere")
    (served / "packed.tar.gz").symlink_to(tmp_path / "elsewhere/b.tar.gz")
    (tmp_path / "elsewhere/circle").symlink_to(tmp_path / "elsewhere")
    (served / "self").symlink_to("self")
    assert names(served) == {"app": ["app"], "app/b": ["app/b.tar.gz"], "packed": ["packed.tar.gz"]}


def test_a_directory_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    assert scan(tmp_path / "none").failure == f"{tmp_path}/none: No such file or directory"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_may_be_a_bundle(tmp_path: Path) -> None:
    put(tmp_path, {"app/a.rego": ""})
    (tmp_path / "app").chmod(0)
    assert names(tmp_path) == {"app": ["app"]}
    (tmp_path / "app").chmod(0o700)
