"""How the refreshes of one policy source went. A value; who changes it and who shows it are others."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RefreshError:
    """Why the last attempt failed. `since_ns` is when this error first came.

    `is_passing`: nothing is wrong with the policy, it could not be asked for; that counts once what is active is stale.
    """

    code: str
    message: str
    since_ns: int
    help: str | None = None
    is_passing: bool = False


@dataclass(frozen=True, slots=True)
class RefreshStatus:
    """The state of one source; times are UNIX nanoseconds, 0 for never. `digest` is that of the contents that are active.

    `age_s` is how long ago it was last known that nothing newer is there, None where that is not measured; `is_stale` says that this is
    longer than it may be.
    """

    name: str
    revision: str | None = None
    attempted_ns: int = 0
    succeeded_ns: int = 0
    activated_ns: int = 0
    error: RefreshError | None = None
    digest: str | None = None
    age_s: float | None = None
    is_stale: bool = False

    @property
    def is_ok(self) -> bool:
        """Whether the newest policy that is known of is active and not stale; false before there is one."""
        is_refused = self.error is not None and not self.error.is_passing
        return not is_refused and self.activated_ns > 0 and not self.is_stale
