"""How asking a control plane can fail. Knows neither sockets nor settings."""

from __future__ import annotations

from enum import StrEnum

from authz.errors import AuthzError
from authz.telemetry.documents import printable


class Failure(StrEnum):
    """What kind of failure: a closed set, for metrics and log fields."""

    DNS = "dns"
    UNREACHABLE = "unreachable"
    TLS = "tls"
    PROXY = "proxy"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    STATUS = "status"
    REDIRECT = "redirect"
    TRUNCATED = "truncated"
    TOO_LARGE = "too_large"
    ENCODING = "encoding"
    NOT_AN_ARCHIVE = "not_an_archive"
    CREDENTIALS = "credentials"
    FILE = "file"
    REJECTED = "rejected"


HAD_A_BODY = frozenset({Failure.TRUNCATED, Failure.TOO_LARGE, Failure.ENCODING, Failure.NOT_AN_ARCHIVE, Failure.REJECTED})
"""Failures after much may have been sent: repeating them at once would cost the server a whole body each."""


class ServiceError(AuthzError):
    """A service did not answer as it should. `http_code` is that of its answer, `retry_after_s` the wait that it asked for.

    The message may hold what a server said: bytes of it that are no UTF-8 are shown as escapes, for it goes into JSON.
    """

    def __init__(
        self, failure: Failure, message: str, *, http_code: int | None = None, retry_after_s: float | None = None, help: str | None = None
    ) -> None:
        super().__init__(printable(message), help=help)
        self.failure = failure
        self.http_code = http_code
        self.retry_after_s = retry_after_s

    @property
    def code(self) -> str:  # type: ignore[override]  # one class has all the codes
        """The failure, as errors have their codes."""
        return self.failure
