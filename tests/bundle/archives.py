"""Archives for tests: as ours are written, as others write them, and as an attacker would."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from authz.bundle.archive import ArchiveFile, write_archive
from authz.bundle.bundle import Bundle, bundle_of

WRITTEN_BY_OPA: Final = Path(__file__).parent / "written_by_opa"
"""Bundles that OPA 1.20.2 built from one shop policy; `signed-directory` was signed by it and packed by tar."""


def files(contents: Mapping[str, str | bytes]) -> list[ArchiveFile]:
    return [ArchiveFile(path, text if isinstance(text, bytes) else text.encode()) for path, text in contents.items()]


def archive(contents: Mapping[str, str | bytes]) -> bytes:
    return write_archive(files(contents))


def bundle(contents: Mapping[str, str | bytes], name: str = "main") -> Bundle:
    return bundle_of(name, files(contents))


def tar_gz(members: Iterable[tuple[tarfile.TarInfo, bytes]], format: int = tarfile.PAX_FORMAT) -> bytes:
    """Return what Python's own writer makes of members."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w:gz", format=format) as written:
        for info, content in members:
            info.size = len(content)
            written.addfile(info, io.BytesIO(content))
    return output.getvalue()


def member(name: str, content: bytes = b"{}", kind: bytes = tarfile.REGTYPE) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type = kind
    return info, content if kind == tarfile.REGTYPE else b""
