"""The parts of a bundle → its files: what `parse_bundle` reads. Signs nothing and packs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from authz.bundle.archive import ArchiveFile
from authz.bundle.canonical import canonical
from authz.bundle.manifest import MANIFEST_NAME, Manifest
from authz.bundle.patch import PATCH_NAME, Operation
from authz.rego.values import Document

DATA_NAME: Final = "data.json"


def snapshot_files(manifest: Manifest, modules: Mapping[str, str], data: Mapping[str, Document]) -> tuple[ArchiveFile, ...]:
    """Return the files of a snapshot: modules as they are, all data in one file."""
    files = [ArchiveFile(path, text.encode()) for path, text in modules.items()]
    if data:
        files.append(ArchiveFile(DATA_NAME, canonical(dict(data))))
    return (*files, _manifest_file(manifest))


def delta_files(manifest: Manifest, operations: tuple[Operation, ...]) -> tuple[ArchiveFile, ...]:
    """Return the files of a delta."""
    patch = {"data": [operation.document() for operation in operations]}
    return ArchiveFile(PATCH_NAME, canonical(patch)), _manifest_file(manifest)


def with_manifest(files: Iterable[ArchiveFile], manifest: Manifest) -> tuple[ArchiveFile, ...]:
    """Return the files of a bundle with another manifest."""
    return (*(file for file in files if file.path != MANIFEST_NAME), _manifest_file(manifest))


def _manifest_file(manifest: Manifest) -> ArchiveFile:
    return ArchiveFile(MANIFEST_NAME, canonical(manifest.document()))
