"""Policy paths on disk → their files, within bounds; every failure names the file.

Knows which files belong to a policy and nothing of what is in them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final, TypeAlias

from authz.bundle.archive import ArchiveFile
from authz.bundle.directory import MODULE_SUFFIX, TEST_SUFFIX, SourceError, SourceFile, is_data, is_module
from authz.bundle.manifest import MANIFEST_NAME
from authz.bundle.signatures import SIGNATURES_NAME
from authz.regular_files import open_regular
from authz.telemetry.documents import printable

Fingerprint: TypeAlias = tuple[tuple[str, ...] | tuple[str, int, int, int, int], ...]

_OF_BUNDLES: Final = (MANIFEST_NAME, SIGNATURES_NAME)
"""The hidden files that are looked at; only a bundle's directory wants them."""

ARCHIVE_SUFFIXES: Final = (".tar.gz", ".tgz")

MAX_FILES: Final = 10_000
MAX_FILE_BYTES: Final = 64 * 2**20
MAX_TOTAL_BYTES: Final = 256 * 2**20
MAX_FOLDERS_DEEP: Final = 64


def read_policy_files(paths: Iterable[Path], *, with_tests: bool = False) -> list[SourceFile]:
    """Read every policy and data file below `paths`, `*_test.rego` only if asked to; raises SourceError.

    A path that is itself a file is taken whatever its name says: a module if it ends in `.rego`, else a
    data document for the root. Names that start with a dot are skipped: Kubernetes keeps the versions of
    a mounted ConfigMap in them, and editors their swap files.
    """
    files: list[SourceFile] = []
    budget = MAX_TOTAL_BYTES
    for root, location, path in _locations(paths, with_tests):
        if len(files) == MAX_FILES:
            raise SourceError(f"{root}: more than {MAX_FILES} policy files")
        content = read_file(location)
        budget -= len(content)
        if budget < 0:
            raise SourceError(f"{location}: policy files are larger than {MAX_TOTAL_BYTES} bytes together")
        files.append(SourceFile(str(location), path, content))
    return files


def is_archive(path: Path) -> bool:
    """Say whether a path names a bundle's archive."""
    return path.name.endswith(ARCHIVE_SUFFIXES) and not path.is_dir()


def fingerprint(paths: Iterable[Path]) -> Fingerprint:
    """Return what tells one state of the files below `paths` from the next without reading them."""
    marks: list[tuple[str, ...] | tuple[str, int, int, int, int]] = []
    try:
        for _, location, _ in _locations(paths):
            status = location.stat()
            marks.append((str(location), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
    except (OSError, SourceError) as error:
        marks.append((str(error),))
    return tuple(marks)


def read_bundle_directory(root: Path, is_ignored: Callable[[str], bool]) -> list[ArchiveFile]:
    """Read every file of a bundle's directory but those that are ignored, by their paths in it; raises SourceError."""
    files: list[ArchiveFile] = []
    for location, path in _walk(root, PurePosixPath(), (), lambda _: True):
        if is_ignored(str(path)):
            continue
        _check_name(location)
        if len(files) == MAX_FILES:
            raise SourceError(f"{root}: more than {MAX_FILES} files")
        files.append(ArchiveFile(str(path), read_file(location)))
    return files


def _locations(paths: Iterable[Path], with_tests: bool = False) -> Iterator[tuple[Path, Path, PurePosixPath]]:
    seen: set[Path] = set()
    for root in paths:
        found = _walk(root, PurePosixPath(), (), _of_policies(with_tests)) if root.is_dir() else iter([(root, _path_of_single(root))])
        for location, path in found:
            if location not in seen:  # the same path given twice is one file
                seen.add(location)
                _check_name(location)
                yield root, location, path


def _check_name(location: Path) -> None:
    """Refuse a name that no message and no log line could show as it is."""
    try:
        str(location).encode()
    except UnicodeEncodeError as error:
        raise SourceError(f"{printable(location)}: the name is not valid UTF-8") from error


def _path_of_single(file: Path) -> PurePosixPath:
    if file.suffix == MODULE_SUFFIX:
        return PurePosixPath(file.name)
    if file.suffix in (".json", ".yaml", ".yml"):
        return PurePosixPath(f"data{file.suffix}")
    if is_archive(file):
        return PurePosixPath(file.name)
    if not os.path.lexists(file):
        raise SourceError(f"{file}: no such file or directory")
    raise SourceError(f"{file}: neither a directory nor a `.rego`, `.json`, `.yaml` or `.yml` file, nor a bundle (`.tar.gz`)")


def _of_policies(with_tests: bool) -> Callable[[str], bool]:
    """Return what says whether a file of a name belongs to a policy."""
    return lambda name: is_module(name) or is_data(name) or (with_tests and name.endswith(TEST_SUFFIX))


def _walk(
    folder: Path, path: PurePosixPath, parents: tuple[tuple[int, int], ...], is_wanted: Callable[[str], bool]
) -> Iterator[tuple[Path, PurePosixPath]]:
    """Yield the files below `folder`, following links; `parents` are the folders that led here."""
    if len(parents) > MAX_FOLDERS_DEEP:
        raise SourceError(f"{folder}: folders are nested deeper than {MAX_FOLDERS_DEEP} levels")
    identity = _identity(folder)
    if identity in parents:
        raise SourceError(f"{folder}: symbolic links form a loop")
    for entry in _entries(folder):
        location, below = folder / entry.name, path / entry.name
        if _is_folder(entry, location):
            yield from _walk(location, below, (*parents, identity), is_wanted)
        elif is_wanted(entry.name):
            yield location, below


def _is_folder(entry: os.DirEntry[str], location: Path) -> bool:
    try:
        is_folder = entry.is_dir()
    except OSError as error:  # a link that leads to itself
        raise _unreadable(location, error) from error
    if not is_folder:
        return False
    if is_module(entry.name) or is_data(entry.name):
        raise SourceError(f"{location}: is a directory, not a policy file")
    return True


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".") or entry.name in _OF_BUNDLES]
    except OSError as error:
        raise _unreadable(folder, error) from error
    return sorted(visible, key=lambda entry: entry.name)


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise _unreadable(folder, error) from error
    return status.st_dev, status.st_ino


def read_file(location: Path, max_bytes: int | None = None) -> bytes:
    """Return what a regular file holds, of at most so many bytes (by default MAX_FILE_BYTES); raises SourceError."""
    most = MAX_FILE_BYTES if max_bytes is None else max_bytes
    try:
        with open_regular(location) as file:
            content = file.read(most + 1)
    except OSError as error:
        raise _unreadable(location, error) from error
    if len(content) > most:
        raise SourceError(f"{location}: larger than {most} bytes")
    return content


def _unreadable(location: Path, error: OSError) -> SourceError:
    text = error.strerror or str(error)
    return SourceError(f"{printable(location)}: {text[:1].lower()}{text[1:]}")
