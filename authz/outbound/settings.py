"""What bounds the requests of policies: one frozen value, made from the configuration or a command's flags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from authz.outbound.allowlist import AllowList
from authz.rego.pending import MAX_REQUESTS

DEFAULT_TIMEOUT_NS: Final = 5_000_000_000
"""What a request may take if its policy does not say: OPA's."""


@dataclass(frozen=True, slots=True)
class SendSettings:
    """The bounds of `http.send`; every one of them fails closed.

    `timeout_s` bounds one request whatever its policy says, `check_timeout_s` all that one check waits. Files with certificates
    and keys may be named by policies only if they are in `tls_files`.
    """

    allowed: AllowList
    allow_http: bool = False
    allow_insecure_tls: bool = False
    tls_files: tuple[str, ...] = ()
    timeout_s: float = 5.0
    check_timeout_s: float = 10.0
    max_requests_per_check: int = MAX_REQUESTS
    max_waiting_checks: int = 256
    max_response_bytes: int = 2**20
    max_cache_bytes: int = 2**24
