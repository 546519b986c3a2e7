"""What a check was decided: the value that transports answer with, metrics count and decision logs record.

Knows neither how it was reached nor who waits for it.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from authz.errors import Reason

CacheUse: TypeAlias = Literal["hit", "miss", "bypass"]


class Decision:
    """One decision. `response` is an encoded CheckResponse with its status set, whatever happened.

    `error` says what went wrong, in OPA's words where it has some; it is for logs, never for the client. One is made per
    check, so it is a slotted class and not a frozen one; nothing changes it after it is returned.
    """

    __slots__ = ("allowed", "cache", "error", "reason", "response", "revision")

    def __init__(  # noqa: PLR0913 - its fields
        self, response: bytes, allowed: bool, reason: Reason, *, cache: CacheUse = "bypass", error: str | None = None, revision: str = ""
    ) -> None:
        self.response = response
        self.allowed = allowed
        self.reason = reason
        self.cache = cache
        self.error = error
        self.revision = revision

    def __repr__(self) -> str:
        return f"Decision({self.reason}, revision={self.revision!r}, cache={self.cache}, error={self.error!r})"
