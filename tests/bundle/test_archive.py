"""Archives are read within bounds, or refused with the place of what is wrong."""

from __future__ import annotations

import gzip
import tarfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.bundle.archive import ArchiveFile, read_archive, write_archive
from authz.bundle.errors import BundleError
from authz.bundle.limits import Limits
from tests.bundle.archives import archive, member, raw_archive

FILES = (ArchiveFile(".manifest", b"{}"), ArchiveFile("a/data.json", b"{}"), ArchiveFile("p.rego", b"package p"))


def test_what_is_written_is_read() -> None:
    assert read_archive(write_archive(FILES)) == FILES


def test_the_same_files_are_the_same_bytes_in_any_order() -> None:
    assert write_archive(FILES) == write_archive(reversed(FILES))


@pytest.mark.parametrize("name", ["a/p.rego", "/a/p.rego", "./a/p.rego", "././/a/p.rego", "a//p.rego", "a/./p.rego"])
def test_a_path_is_written_in_many_ways(name: str) -> None:
    assert read_archive(raw_archive((member(name), b"x")))[0].path == "a/p.rego"


def test_directories_are_left_out() -> None:
    assert read_archive(raw_archive((member("a", tarfile.DIRTYPE), b""), (member("a/p.rego"), b"x")))[0].path == "a/p.rego"


@pytest.mark.parametrize("name", ["../p.rego", "a/../../p.rego", "/..", "a\\b", "\udcff.rego", "."])
def test_a_path_that_is_none_inside_of_a_bundle_is_refused(name: str) -> None:
    with pytest.raises(BundleError, match=r"leads out of the archive|no path may have|not the name of a file|UTF-8"):
        read_archive(raw_archive((member(name), b"x")))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(kind: bytes) -> None:
    with pytest.raises(BundleError, match=r"`data\.json` is a "):
        read_archive(raw_archive((member("data.json", kind, "/etc/passwd"), b"")))


def test_a_file_with_holes_is_refused() -> None:
    sparse = member("data.json")
    sparse.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.realsize": str(2**29),
        "GNU.sparse.name": "data.json",
    }
    with pytest.raises(BundleError, match="sparse file"):
        read_archive(raw_archive((sparse, b"1\n0\n1\n".ljust(512, b"\0") + b"x")))


def test_a_file_that_is_there_twice_is_refused_however_it_is_written() -> None:
    with pytest.raises(BundleError, match=r"`data\.json` is twice in the archive"):
        read_archive(raw_archive((member("/data.json"), b"{}"), (member("./data.json"), b"[]")))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(compressed_bytes=10), "larger than 10 bytes"),
        (Limits(expanded_bytes=1000), "1000 bytes"),
        (Limits(file_bytes=3), r"bundle file '/a/data.json' size \(4 bytes\) exceeded max size \(3 bytes\)"),
        (Limits(files=1), "more than 1 files"),
        (Limits(path_bytes=5), "the name is longer than"),
        (Limits(depth=1), "nested deeper"),
    ],
)
def test_every_bound_is_kept(limits: Limits, message: str) -> None:
    content = archive({"a/data.json": "null", "b.rego": "x"})
    assert len(read_archive(content)) == 2
    with pytest.raises(BundleError, match=message):
        read_archive(content, limits)


def test_a_bomb_is_given_up_before_its_memory_is_used() -> None:
    bomb = gzip.compress(b"\0" * 64 * 2**20, compresslevel=9)
    assert len(bomb) < 70_000
    with pytest.raises(BundleError, match="expands"):
        read_archive(bomb, Limits(ratio=100))


def test_an_archive_that_is_cut_anywhere_is_refused() -> None:
    content = archive({"a/data.json": '{"a": 1}', "p.rego": "package p\n"})
    for length in range(len(content)):
        with pytest.raises(BundleError):
            read_archive(content[:length])


def test_what_follows_an_archive_is_refused() -> None:
    with pytest.raises(BundleError, match="after the end of the stream"):
        read_archive(archive({"a.rego": "x"}) + b"x")


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\x1f\x8b", b"\x1f\x8bgarbage" * 9, gzip.compress(b"no tar" * 200)])
def test_what_is_no_archive_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError):
        read_archive(content)


@given(st.binary(max_size=2000))
def test_no_bytes_raise_anything_else(content: bytes) -> None:
    for attempt in (content, gzip.compress(content), b"\x1f\x8b\x08\0" + content):
        with suppress(BundleError):
            read_archive(attempt)


@given(st.integers(0, 511), st.binary(min_size=1, max_size=40))
def test_no_edited_header_raises_anything_else(place: int, noise: bytes) -> None:
    tar = gzip.decompress(archive({"a/data.json": '{"a": 1}', "p.rego": "package p\n"}))
    with suppress(BundleError):
        read_archive(gzip.compress(tar[:place] + noise + tar[place + len(noise) :]))
