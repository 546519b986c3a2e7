"""What a downloader hands on, what it is told, and how it stands: values. Knows no protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from authz.services.errors import ServiceError

BundleType: TypeAlias = Literal["snapshot", "delta"]


@dataclass(frozen=True, slots=True)
class Download:
    """A bundle's archive as it came. `base_etag` is that of the bundle which it may be a delta of, None if it must be a snapshot.

    `digest` is the content's SHA-256 (hex), `received_ns` is UNIX time, `origin` stands for the place it came from.
    """

    name: str
    content: bytes
    digest: str
    etag: str
    base_etag: str | None
    size: int
    received_ns: int
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Activated:
    """The download decides now. `wants_snapshot`: so many deltas were applied that a snapshot is wanted next."""

    revision: str | None = None
    type: BundleType = "snapshot"
    wants_snapshot: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """The download was not activated. If `is_final`, the same bytes need not be tried again by themselves.

    `errors` are a compiler's findings in OPA's shape; `code` says what kind of thing is wrong.
    """

    message: str
    errors: tuple[Mapping[str, Any], ...] = ()
    is_final: bool = True
    help: str | None = None
    code: str = ""


Outcome: TypeAlias = Activated | Rejected


@dataclass(frozen=True, slots=True)
class BundleState:
    """How one bundle stands, as OPA reports it; times are UNIX nanoseconds, 0 for never. `error` is that of the last attempt.

    `code` and `errors` are those of a download that was rejected.
    """

    name: str
    revision: str | None = None
    type: BundleType | None = None
    size: int = 0
    requested_ns: int = 0
    answered_ns: int = 0
    downloaded_ns: int = 0
    activated_ns: int = 0
    request_duration_ns: int = 0
    error: ServiceError | None = None
    errors: tuple[Mapping[str, Any], ...] = ()
    code: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether the last attempt succeeded and something is active."""
        return self.error is None and self.activated_ns > 0
