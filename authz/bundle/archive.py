"""The container of a policy bundle: bytes of a gzip-compressed tar ⇄ files by path.

Nothing is written to a disk, and every bound holds before the memory is used. Knows names, not what is in the files.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from authz.bundle.limits import DEFAULT_LIMITS, Limits
from authz.errors import AuthzError, ErrorCode

_GZIP: Final = 16 + zlib.MAX_WBITS
_CHUNK_BYTES: Final = 2**16
_FREE_BYTES: Final = 2**20


class BundleError(AuthzError):
    """A policy bundle cannot be used; the message names the bundle and the place in it."""

    code = ErrorCode.BUNDLE


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A regular file: `path` has no leading `/` or `./`, whatever the tool that made the archive writes."""

    path: str
    content: bytes


def read_archive(content: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[ArchiveFile, ...]:
    """Return the files of an archive, in its order. Raises BundleError.

    Directories are left out. Links and devices, paths that leave the archive and paths that are there twice are refused: OPA skips
    the first, never extracts, and lets the last of the third win, which a signature and a reader may see differently.
    """
    unpacked = _unpacked(content, limits)
    try:
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as archive:
            return tuple(_files(archive, limits))
    except (tarfile.TarError, ValueError, OverflowError, EOFError, UnicodeError) as error:
        raise BundleError(f"not a whole tar archive: {error}", help="build it with `authz build` or `opa build`") from error


def write_archive(files: Iterable[ArchiveFile]) -> bytes:
    """Return an archive of the files, the same bytes for the same files whatever their order."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for file in sorted(files, key=lambda file: file.path):
            member = tarfile.TarInfo(f"/{file.path}")  # as OPA writes them
            member.size, member.mode = len(file.content), 0o600
            archive.addfile(member, io.BytesIO(file.content))
    return packed.getvalue()


def _unpacked(content: bytes, limits: Limits) -> bytes:
    """Return the tar archive inside, unpacked a piece at a time so that a bomb is given up early."""
    if len(content) > limits.packed_bytes:
        raise BundleError(f"larger than {limits.packed_bytes} bytes")
    if content[:2] != b"\x1f\x8b":
        raise BundleError("not gzip-compressed", help="a bundle is a `.tar.gz`, built with `authz build` or `opa build`")
    most = min(limits.unpacked_bytes, _FREE_BYTES + limits.ratio * len(content))
    reader = zlib.decompressobj(_GZIP)
    pieces: list[bytes] = []
    size = 0
    rest = content
    try:
        while rest and not reader.eof:
            piece = reader.decompress(rest, _CHUNK_BYTES)
            rest = reader.unconsumed_tail
            size += len(piece)
            if size > most:
                raise BundleError(f"unpacks to more than {most} bytes", help="a bundle of a real policy does not compress like that")
            pieces.append(piece)
    except zlib.error as error:
        raise BundleError(f"damaged gzip data: {error}") from error
    if not reader.eof:
        raise BundleError("the gzip data ends too early: it was cut off")
    if reader.unused_data:
        raise BundleError("there is something behind the gzip data")
    return b"".join(pieces)


def _files(archive: tarfile.TarFile, limits: Limits) -> Iterator[ArchiveFile]:
    seen: set[str] = set()
    count = 0
    for member in archive:
        count += 1
        if count > limits.files:
            raise BundleError(f"more than {limits.files} files")
        if member.isdir():
            continue
        path = _path(member.name, limits)
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
            raise BundleError(
                f"{path}: neither a file nor a directory", help="links, devices and files with holes have no place in a bundle"
            )
        if path in seen:
            raise BundleError(f"{path}: is there twice")
        seen.add(path)
        yield ArchiveFile(path, _content(archive, member, path, limits))


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str, limits: Limits) -> bytes:
    if member.size > limits.file_bytes:
        # OPA's words, which people search for.
        size, most = member.size, limits.file_bytes
        raise BundleError(f"bundle file {path} size ({size} bytes) exceeds configured size_limit_bytes ({most} bytes)")
    file = archive.extractfile(member)
    content = b"" if file is None else file.read()
    if len(content) != member.size:
        raise BundleError(f"{path}: the archive ends within it: it was cut off")
    return content


def _path(name: str, limits: Limits) -> str:
    """Return the path below the root of the archive, however its tool writes that root. Raises BundleError."""
    path = name.lstrip("/")
    while path.startswith("./"):
        path = path[2:].lstrip("/")
    parts = path.split("/")
    if len(name.encode("utf-8", "surrogateescape")) > limits.path_bytes or len(parts) > limits.path_parts:
        raise BundleError(f"{path[:80]}…: the path is longer than {limits.path_bytes} bytes or {limits.path_parts} names")
    if not path or any(part in ("", ".", "..") for part in parts) or "\\" in path or "\0" in path:
        raise BundleError(f"{name!a}: not a path inside of a bundle")
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise BundleError(f"{name!a}: the path is not valid UTF-8") from error
    return path
