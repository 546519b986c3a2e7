"""Names of what is in an OCI registry: `host[:port]/repository[:tag][@digest]`. Asks nobody."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MAX_REFERENCE: Final = 1_000

_HOST: Final = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(?::[0-9]+)?")
_REPOSITORY: Final = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
"""The grammar of the OCI distribution specification 1.1 (Pulling manifests); digests of other algorithms are not taken."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An artifact: `version` is a tag, or a digest, which wins over a tag beside it."""

    host: str
    repository: str
    version: str

    @property
    def name(self) -> str:
        """The artifact's name in its registry."""
        return f"{self.repository}{':' if self.digest is None else '@'}{self.version}"

    @property
    def digest(self) -> str | None:
        """The digest of the manifest, if that is what is referred to."""
        return self.version if DIGEST.fullmatch(self.version) else None


def parse_reference(text: str) -> Reference:
    """Read a reference. Raises ValueError with what is wrong with it."""
    if len(text) > MAX_REFERENCE:
        raise ValueError(f"is longer than {MAX_REFERENCE:,} characters")
    host, slash, rest = text.partition("/")
    if not slash or not _HOST.fullmatch(host):
        raise ValueError("does not begin with the registry's host and a slash")
    rest, at, digest = rest.partition("@")
    repository, colon, tag = rest.partition(":")
    if at and not DIGEST.fullmatch(digest):
        raise ValueError(f"`{digest}` is not a digest: `sha256:` and 64 hexadecimal digits")
    if colon and not _TAG.fullmatch(tag):
        raise ValueError(f"`{tag}` is not a tag")
    if not _REPOSITORY.fullmatch(repository):
        raise ValueError(f"`{repository}` is not a repository: lower-case letters, digits, and `.`, `_`, `-`, `/` between them")
    if not at and not colon:
        raise ValueError("has neither a tag nor a digest")
    return Reference(host, repository, digest or tag)
