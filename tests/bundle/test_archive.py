from __future__ import annotations

import gzip
import io
import os
import tarfile
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.bundle.archive import ArchiveFile, read_archive, write_archive
from authz.bundle.errors import BundleError
from authz.bundle.limits import DEFAULT_LIMITS, Limits
from tests.bundle.archives import archive, member, tar_gz

POLICY = {"policy.rego": "package a\n\nallow := true\n", "a/data.json": '{"x": 1}', ".manifest": '{"revision": "1"}'}


def refusal(content: bytes, limits: Limits = DEFAULT_LIMITS) -> str:
    with pytest.raises(BundleError) as caught:
        read_archive(content, limits)
    return caught.value.message


def paths(content: bytes) -> list[str]:
    return [file.path for file in read_archive(content)]


def test_what_is_written_is_read() -> None:
    assert {file.path: file.content.decode() for file in read_archive(archive(POLICY))} == POLICY


def test_the_same_files_in_any_order_are_the_same_bytes() -> None:
    assert archive(POLICY) == archive(dict(reversed(POLICY.items())))


def test_an_archive_holds_no_time_and_no_owner() -> None:
    written = archive(POLICY)
    assert written[4:8] == bytes(4)
    with tarfile.open(fileobj=io.BytesIO(written)) as read:
        assert {(info.mtime, info.uid, info.gid, info.uname, info.mode) for info in read} == {(0, 0, 0, "", 0o600)}


def test_names_begin_with_a_slash_as_opa_writes_them() -> None:
    with tarfile.open(fileobj=io.BytesIO(archive(POLICY))) as read:
        assert read.getnames() == ["/.manifest", "/a/data.json", "/policy.rego"]


@pytest.mark.parametrize("size", [99, 100, 101, 250, 900])
def test_long_names_are_read_as_they_were_written(size: int) -> None:
    path = "/".join("d" * 49 for _ in range(size // 50)) + "/" + "f" * (size % 50 or 1)
    (file,) = read_archive(write_archive([ArchiveFile(path.strip("/"), b"x")]))
    assert file.path == path.strip("/")


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("name", ["data.json", "/data.json", "./data.json", "d" * 60 + "/" + "e" * 60 + "/data.json", "ä/data.json"])
def test_every_tar_format_is_read(format: int, name: str) -> None:
    assert paths(tar_gz([member(name)], format)) == [name.lstrip("./")]


def test_directories_are_passed_over() -> None:
    assert paths(tar_gz([member("./", kind=tarfile.DIRTYPE), member("a/", kind=tarfile.DIRTYPE), member("a/data.json")])) == ["a/data.json"]


def test_several_gzip_members_are_one_archive() -> None:
    plain = gzip.decompress(archive(POLICY))
    assert read_archive(gzip.compress(plain[:700]) + gzip.compress(plain[700:])) == read_archive(archive(POLICY))


def test_an_archive_that_an_http_client_has_unpacked_is_read() -> None:
    assert read_archive(gzip.decompress(archive(POLICY))) == read_archive(archive(POLICY))


def test_an_archive_cut_off_anywhere_is_refused() -> None:
    content = archive(POLICY)
    for size in range(len(content)):
        assert "archive read failed: gzip" in refusal(content[:size])


def test_a_tar_cut_off_within_a_whole_gzip_is_refused() -> None:
    plain = gzip.decompress(archive(POLICY))
    for size in range(len(plain) - 1024):
        assert "unexpected end" in refusal(gzip.compress(plain[:size]))


def test_a_changed_byte_is_refused_or_changes_nothing() -> None:
    content, meant = archive(POLICY), read_archive(archive(POLICY))
    for at in range(len(content)):
        try:
            assert read_archive(content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]) == meant
        except BundleError:
            continue


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([member("../data.json")], "`../data.json` leads out of the archive"),
        ([member("a/../../data.json")], "`a/../../data.json` leads out of the archive"),
        ([member("/../data.json")], "`/../data.json` leads out of the archive"),
        ([member("data.json", kind=tarfile.SYMTYPE)], "`data.json` is a symbolic link"),
        ([member("data.json", kind=tarfile.LNKTYPE)], "`data.json` is a hard link"),
        ([member("data.json", kind=tarfile.CHRTYPE)], "`data.json` is a device"),
        ([member("data.json", kind=tarfile.BLKTYPE)], "`data.json` is a device"),
        ([member("data.json", kind=tarfile.FIFOTYPE)], "`data.json` is a FIFO"),
        ([member("data.json", kind=b"S")], "`data.json` is of type `S`"),
        ([member("data.json"), member("data.json")], "`data.json` is twice in the archive"),
        ([member("data.json"), member("./data.json")], "`data.json` is twice in the archive"),
        ([member("a//data.json"), member("/a/./data.json")], "`a/data.json` is twice in the archive"),
        ([member("..\\data.json")], "`..\\\\data.json`: the name has a character that no path may have"),
        ([member(".")], "`.` is not the name of a file"),
        ([member("a/" * 64 + "data.json")], "folders are nested deeper than 64 levels"),
        ([member("a" * 1025)], "the name is longer than 1024 bytes"),
    ],
)
def test_what_no_bundle_may_hold_is_refused(members: list[tuple[tarfile.TarInfo, bytes]], message: str) -> None:
    assert message in refusal(tar_gz(members))


def test_a_name_that_is_not_utf8_is_refused() -> None:
    plain = bytearray(gzip.decompress(archive({"data.json": "{}"})))
    plain[1] = 0xFF
    plain[148:156] = b" " * 8
    plain[148:156] = b"%06o\0 " % sum(plain[:512])
    assert "the name is not valid UTF-8" in refusal(gzip.compress(bytes(plain)))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(compressed_bytes=100), "archive is larger than 100 bytes"),
        (Limits(expanded_bytes=4095), "archive expands to more than 4095 bytes"),
        (Limits(file_bytes=20), "bundle file '/policy.rego' size (25 bytes) exceeded max size (20 bytes)"),
        (Limits(files=2), "archive has more than 2 files"),
        (Limits(path_bytes=8), "the name is longer than 8 bytes"),
        (Limits(depth=1), "folders are nested deeper than 1 levels"),
    ],
)
def test_what_exceeds_a_limit_is_refused(limits: Limits, message: str) -> None:
    assert message in refusal(archive(POLICY), limits)


def test_a_bomb_is_refused_before_it_expands() -> None:
    bomb = gzip.compress(bytes(200 * 2**20), 9)
    started = time.monotonic()
    assert "expands to more than 250 times its size" in refusal(bomb)
    assert time.monotonic() - started < 2


def test_a_bomb_of_many_small_members_is_refused() -> None:
    assert "archive expands to more than 1048576 bytes" in refusal(gzip.compress(bytes(2**16)) * 100, Limits(expanded_bytes=2**20))


def test_a_file_that_claims_more_than_there_is_is_refused() -> None:
    plain = bytearray(gzip.decompress(archive({"data.json": "{}"})))
    plain[124:136] = b"\x80" + (2**40).to_bytes(11, "big")
    plain[148:156] = b" " * 8
    plain[148:156] = b"%06o\0 " % sum(plain[:512])
    assert "exceeded max size" in refusal(gzip.compress(bytes(plain)))
    assert "unexpected end in" in refusal(gzip.compress(bytes(plain)), replace(DEFAULT_LIMITS, file_bytes=2**50))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "gzip: invalid header"),
        (b"{}", "gzip: invalid header"),
        (gzip.compress(b""), "tar: unexpected end"),
        (gzip.compress(b"{}"), "tar: unexpected end"),
        (gzip.compress(b"x" * 1024), "tar: invalid"),
        (gzip.compress(archive(POLICY)), "tar: "),
        (archive(POLICY) + b"more", "4 bytes after the end of the stream"),
    ],
)
def test_what_is_no_archive_is_refused(content: bytes, message: str) -> None:
    assert message in refusal(content)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}){0,3}\.(json|rego)", fullmatch=True), st.binary(max_size=2000), max_size=8))
def test_any_files_survive_writing_and_reading(contents: dict[str, bytes]) -> None:
    assert {file.path: file.content for file in read_archive(archive(contents))} == contents


def test_a_bomb_of_empty_members_is_refused_at_once() -> None:
    started = time.monotonic()
    assert "gzip: more than 1000 members" in refusal(gzip.compress(b"") * 500_000)
    assert time.monotonic() - started < 2


def test_a_large_archive_is_read_in_the_time_that_its_size_takes() -> None:
    noise = os.urandom(24 * 2**20)
    content = archive({"noise.bin": noise})
    started = time.monotonic()
    assert read_archive(content)[0].content == noise
    assert time.monotonic() - started < 5


def test_a_bomb_of_directories_is_refused_at_once() -> None:
    header = bytearray(gzip.decompress(archive({"d": ""}))[:512])
    header[156] = ord("5")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    started = time.monotonic()
    assert "tar: too many entries" in refusal(gzip.compress(bytes(header) * 100_000, 1), replace(DEFAULT_LIMITS, ratio=2000))
    assert time.monotonic() - started < 2


def test_zeros_behind_the_end_are_padding_however_many() -> None:
    started = time.monotonic()
    padded = gzip.compress(gzip.decompress(archive(POLICY)) + bytes(64 * 2**20), 1)
    assert read_archive(padded, replace(DEFAULT_LIMITS, ratio=2000)) == read_archive(archive(POLICY))
    assert time.monotonic() - started < 2
