"""What an operator may know and do about versions: values and the errors of doing it. How it is asked for is the admin server's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from authz.refresh.version_store import StoredBundle

ROUTES: Final = "/v1/bundles"
"""Where the admin server answers for them."""


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """One version that was activated. `is_stored`: it outlives this process."""

    id: str
    revision: str
    activated_ns: int
    bundles: tuple[StoredBundle, ...]
    is_active: bool
    is_pinned: bool
    is_stored: bool


@dataclass(frozen=True, slots=True)
class VersionsStatus:
    """The versions, newest first, and why they are not persisted if they should be."""

    versions: tuple[VersionStatus, ...]
    persistence_error: str | None = None
