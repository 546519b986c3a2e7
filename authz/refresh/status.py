"""How the refreshes of one policy source went. A value; who changes it and who shows it are others."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RefreshError:
    """Why the last attempt failed. `since_ns` is when this error first came."""

    code: str
    message: str
    since_ns: int
    help: str | None = None


@dataclass(frozen=True, slots=True)
class RefreshStatus:
    """The state of one source; times are UNIX nanoseconds, 0 for never. `digest` is that of the contents that are active."""

    name: str
    revision: str | None = None
    attempted_ns: int = 0
    succeeded_ns: int = 0
    activated_ns: int = 0
    error: RefreshError | None = None
    digest: str | None = None

    @property
    def is_ok(self) -> bool:
        """Whether the last attempt succeeded; false before the first has ended."""
        return self.error is None and self.succeeded_ns > 0
