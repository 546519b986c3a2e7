"""What a downloader hands on, what it is told, and how it stands: values. Knows no protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from authz.services.errors import ServiceError

REQUEST: Final = "bundle_request"
LOAD: Final = "rego_load_bundles"
COMPILE: Final = "rego_module_compile"
"""OPA's names of the stages between a request and a policy that decides; parsing is part of the compile here."""

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
    """The download decides now. `wants_snapshot`: so many deltas were applied that a snapshot is wanted next.

    `stages_ns`: what the stages of its activation took, by OPA's names of them.
    """

    revision: str | None = None
    type: BundleType = "snapshot"
    wants_snapshot: bool = False
    stages_ns: Mapping[str, int] = field(default_factory=dict, compare=False)


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

    `code` and `errors` are those of a download that was rejected. `stages_ns` are durations within the last attempt, by OPA's names.
    """

    name: str
    revision: str | None = None
    type: BundleType | None = None
    size: int = 0
    requested_ns: int = 0
    answered_ns: int = 0
    downloaded_ns: int = 0
    activated_ns: int = 0
    stages_ns: Mapping[str, int] = field(default_factory=dict)
    error: ServiceError | None = None
    errors: tuple[Mapping[str, Any], ...] = ()
    code: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether the last attempt succeeded and something is active."""
        return self.error is None and self.activated_ns > 0
