"""AWS Signature Version 4: the headers that prove who made a request.

Owns the canonical form of a request, the signing key and the headers (AWS documentation,
"Create a signed AWS API request"). The time is an operand; no clock is read, and nothing is known of where requests come from.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"

_HASHED: Final = frozenset({"s3", "glacier"})
"""Services that want the body's hash as a header."""
_UNSIGNED: Final = frozenset({"authorization", "user-agent", "x-amzn-trace-id"})
"""Headers that proxies may change on the way."""


class Scope(NamedTuple):
    """What a signature is valid for."""

    timestamp: str
    region: str
    service: str

    @property
    def date(self) -> str:
        """The day of the signing key."""
        return self.timestamp[:8]

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """Who signs. `token` is empty for keys that do not expire."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)


class Signable(NamedTuple):
    """A request as it is signed: `path` escaped and `query` sorted, both as sent; `body_hash` in hexadecimal."""

    method: str
    host: str
    path: str
    query: str
    body_hash: str


def signed_headers(request: Signable, headers: Mapping[str, str], keys: AwsKeys, scope: Scope) -> dict[str, str]:
    """Return the headers with those that AWS wants and the signature of both."""
    wanted = {"host": request.host, "x-amz-date": scope.timestamp}
    if scope.service in _HASHED:
        wanted["x-amz-content-sha256"] = request.body_hash
    if keys.token:
        wanted["x-amz-security-token"] = keys.token
    # OPA signs what the request says where it already has one of these headers, and yet sends its own.
    covered = wanted | {name.lower(): value for name, value in headers.items() if name.lower() not in _UNSIGNED}
    names = ";".join(sorted(covered))
    lines = [f"{name}:{covered[name]}" for name in sorted(covered)]
    canonical = "\n".join([request.method, request.path, request.query, *lines, "", names, request.body_hash])
    signature = _signature(canonical, scope, keys.secret_key)
    credential = f"Credential={keys.access_key}/{scope}"
    authorization = f"AWS4-HMAC-SHA256 {credential},SignedHeaders={names},Signature={signature}"
    return {**headers, "Authorization": authorization, **wanted}


def sha256_hex(body: bytes) -> str:
    """Return a body's hash as it is signed."""
    return hashlib.sha256(body).hexdigest()


def _signature(canonical: str, scope: Scope, secret: str) -> str:
    digest = hashlib.sha256(_bytes(canonical)).hexdigest()
    key = _bytes("AWS4" + secret)
    for part in (scope.date, scope.region, scope.service, "aws4_request"):
        key = _mac(key, part)
    return _mac(key, f"AWS4-HMAC-SHA256\n{scope.timestamp}\n{scope}\n{digest}").hex()


def _mac(key: bytes, message: str) -> bytes:
    return hmac.digest(key, _bytes(message), "sha256")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
