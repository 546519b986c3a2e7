"""Archives for tests: as our writer makes them, and as no writer should."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any, Final

from authz.bundle.archive import ArchiveFile, write_archive

WRITTEN_BY_OPA: Final = Path(__file__).parent / "written_by_opa"
"""What `opa build` 1.20 has made of one small policy: plain, signed (RS256, HS256), optimised, and one of Rego v0."""


def archive(files: dict[str, str | bytes | dict[str, Any]]) -> bytes:
    """Return an archive; a dict is a file of JSON."""
    return write_archive(ArchiveFile(path, content_of(content)) for path, content in files.items())


def content_of(content: str | bytes | dict[str, Any]) -> bytes:
    if isinstance(content, dict):
        return json.dumps(content).encode()
    return content.encode() if isinstance(content, str) else content


def raw_archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """Return an archive with members as they are."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for member, content in members:
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made
