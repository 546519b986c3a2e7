"""Which bundles stand below a directory, and what tells one state of each from the next. Reads no file's content.

Every `NAME.tar.gz` at any depth is the bundle `NAME`; every folder directly below with a policy file in it, at any depth, is
the bundle of its name. What is hidden is passed over.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from authz.bundle.directory import MODULE_SUFFIX, is_data
from authz.bundle.manifest import MANIFEST_NAME
from authz.bundle.patch import PATCH_NAME
from authz.bundle.signatures import SIGNATURES_NAME
from authz.refresh.files import MAX_FOLDERS_DEEP
from authz.services.sources import file_stamps

SUFFIX: Final = ".tar.gz"
_HIDDEN_PARTS: Final = (MANIFEST_NAME, SIGNATURES_NAME)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a bundle is made of: one path, or several that all would be it. `stamp` is that of the files there."""

    paths: tuple[Path, ...]
    stamp: Hashable


@dataclass(frozen=True, slots=True)
class Scan:
    """What stands below a directory: origins by name, policy files beside the bundles; why it could not be read, if so."""

    origins: tuple[tuple[str, Origin], ...] = ()
    strays: tuple[Path, ...] = ()
    failure: str = ""


def is_part(name: str) -> bool:
    """Say whether a file of this name in a policy's folder counts."""
    return name.endswith(MODULE_SUFFIX) or is_data(name) or name == PATCH_NAME or name in _HIDDEN_PARTS


def scan(root: Path) -> Scan:
    """Look at everything below a directory."""
    found: dict[str, list[tuple[Path, Hashable]]] = {}
    strays: list[Path] = []
    try:
        for path, is_folder in _entries(root):
            if is_folder:
                _look_into(path, root, found)
            elif path.name.endswith(SUFFIX):
                found.setdefault(path.name.removesuffix(SUFFIX), []).append((path, stamp_of(path)))
            elif path.name.endswith(MODULE_SUFFIX) or is_data(path.name) or path.name == MANIFEST_NAME:
                strays.append(path)
    except OSError as error:
        return Scan(failure=f"{root}: {error.strerror or error}")
    origins = ((name, Origin(tuple(path for path, _ in each), tuple(stamp for _, stamp in each))) for name, each in sorted(found.items()))
    return Scan(tuple(origins), tuple(strays))


def _look_into(folder: Path, root: Path, found: dict[str, list[tuple[Path, Hashable]]]) -> None:
    """Add what a folder directly below the root is, and the archives in it."""
    name = folder.name.removesuffix(SUFFIX)
    try:
        files = list(_files(folder, ()))
    except OSError as error:  # it may be a policy: who packs it says that it cannot be read
        found.setdefault(name, []).append((folder, str(error)))
        return
    parts = [file for file in files if is_part(file.name)]
    if parts:
        found.setdefault(name, []).append((folder, _stamp(parts)))
    for file in files:
        if file.name.endswith(SUFFIX):
            found.setdefault(file.relative_to(root).as_posix().removesuffix(SUFFIX), []).append((file, stamp_of(file)))


def stamp_of(path: Path) -> Hashable:
    """Return what tells one state of a bundle's archive or folder from the next."""
    if not path.is_dir():
        return file_stamps([path])
    try:
        return _stamp(file for file in _files(path, ()) if is_part(file.name))
    except OSError as error:
        return str(error)


def _stamp(files: Iterable[Path]) -> Hashable:
    paths = tuple(files)
    return paths, file_stamps(paths)


def _files(folder: Path, parents: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    """Yield the files below a folder, following links. Where they lead in circles it stops: who reads the files says so."""
    status = folder.stat()
    identity = status.st_dev, status.st_ino
    if identity in parents or len(parents) > MAX_FOLDERS_DEEP:
        return
    for path, is_folder in _entries(folder):
        if is_folder:
            yield from _files(path, (*parents, identity))
        else:
            yield path


def _entries(folder: Path) -> list[tuple[Path, bool]]:
    """Return what is directly in a folder, and whether it is one itself."""
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".") or entry.name in _HIDDEN_PARTS]
        return [(folder / entry.name, _is_folder(entry)) for entry in sorted(visible, key=lambda entry: entry.name)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
