"""Bytes of a bundle ↔ its files: names made regular, sizes bounded, nothing extracted.

Knows neither what a file means nor where an archive came from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from authz.bundle import tar
from authz.bundle.errors import BundleError
from authz.bundle.inflate import gunzip, gzip
from authz.bundle.limits import DEFAULT_LIMITS, Limits

_HEADERS_PER_FILE: Final = 4  # its own, that of a long name, and directories


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """One file. `path` is relative, its parts joined by `/`: neither empty, nor `.`, nor `..`."""

    path: str
    content: bytes

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders that the file is in, from the outermost."""
        return tuple(self.path.split("/")[:-1])

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rpartition("/")[2]


def read_archive(content: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[ArchiveFile, ...]:
    """Return the files of a gzip-compressed tar archive in their order; raises BundleError.

    `/a/b`, `./a/b` and `a/b` are one name: tools write all three. Refused are names that lead out of the archive, the same name
    twice, links and devices, and whatever exceeds a limit.
    """
    files: dict[str, ArchiveFile] = {}
    for entry in tar.entries(_expanded(content, limits), limits.file_bytes, _HEADERS_PER_FILE * limits.files):
        path = _path(entry.name, limits)
        if path in files:
            raise BundleError(f"`{path}` is twice in the archive", help="which of the two counts would depend on the reader")
        if len(files) == limits.files:
            raise BundleError(f"archive has more than {limits.files} files")
        files[path] = ArchiveFile(path, bytes(entry.content))
    return tuple(files.values())


def _expanded(content: bytes, limits: Limits) -> bytes:
    if not tar.is_tar(content):
        return gunzip(content, limits)
    if len(content) > min(limits.expanded_bytes, limits.compressed_bytes):  # an HTTP client may have unpacked it
        raise BundleError(f"archive is larger than {min(limits.expanded_bytes, limits.compressed_bytes)} bytes")
    return content


def _path(name: str, limits: Limits) -> str:
    if len(name.encode()) > limits.path_bytes:
        raise BundleError(f"`{name[:80]}…`: the name is longer than {limits.path_bytes} bytes")
    if "\0" in name or "\\" in name:
        raise BundleError(f"`{name.encode('unicode_escape').decode()}`: the name has a character that no path may have")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise BundleError(f"`{name}` leads out of the archive", help="name the files of a bundle without `..`")
    if not parts or name.endswith("/"):
        raise BundleError(f"`{name}` is not the name of a file")
    if len(parts) > limits.depth:
        raise BundleError(f"`{name[:80]}…`: folders are nested deeper than {limits.depth} levels")
    return "/".join(parts)


def write_archive(files: Iterable[ArchiveFile]) -> bytes:
    """Return the files as a gzip-compressed tar archive: the same files in any order, the same bytes.

    Names begin with `/`, as OPA writes them, and are sorted; owners and times are zero.
    """
    ordered = sorted(files, key=lambda file: file.path.encode())
    return gzip(tar.write((f"/{file.path}", file.content) for file in ordered))
