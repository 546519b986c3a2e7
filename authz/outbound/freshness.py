"""How long an answer is good: RFC 9111 as far as OPA has it, on headers and times that are given. Stores nothing.

Stricter than OPA in one thing: an answer with `no-cache` is asked about each time.
"""

from __future__ import annotations

from calendar import timegm
from email.utils import parsedate_to_datetime
from typing import Final

from authz.outbound.client import Response
from authz.rego.builtins.http_response import Fields, field
from authz.rego.pending import HttpRequest

CACHEABLE: Final = frozenset({200, 203, 204, 206, 300, 301, 404, 405, 410, 414, 501})
_MAX_AGE_S: Final = 2**31 - 1
_SECOND_NS: Final = 1_000_000_000
_STALE: Final = 0


def expiry_ns(request: HttpRequest, response: Response, now_ns: int) -> int | None:
    """Return when an answer ceases to be good (long ago: it has to be asked about first), None if it must not be kept."""
    if response.code not in CACHEABLE:
        return None
    if request.force_cache_s:
        return now_ns + request.force_cache_s * _SECOND_NS
    if "no-store" in _directives(response.headers):
        return None
    return headers_expiry_ns(response.headers)


def renewed_ns(request: HttpRequest, headers: Fields, now_ns: int) -> int | None:
    """Return the same for an answer that the server has called unchanged with these headers."""
    return now_ns + request.force_cache_s * _SECOND_NS if request.force_cache_s else headers_expiry_ns(headers)


def headers_expiry_ns(headers: Fields) -> int | None:
    """Return when the server says that its answer ceases to be good; None where it says so in a way that makes no sense."""
    directives = _directives(headers)
    if "no-cache" in directives:
        return _STALE
    if "max-age" not in directives:
        return _time_ns(field(headers, "expires")) or _STALE
    age = directives["max-age"]
    date_ns = _time_ns(field(headers, "date"))
    if date_ns is None or not (age.isascii() and age.isdecimal()):
        return None
    return date_ns + (_MAX_AGE_S if len(age) > len(str(_MAX_AGE_S)) else min(int(age), _MAX_AGE_S)) * _SECOND_NS


def conditions(headers: Fields) -> Fields:
    """Return the request headers that ask whether an answer with these headers is still right; none if it cannot be asked."""
    etag, modified = field(headers, "etag"), field(headers, "last-modified")
    return (("If-None-Match", etag),) * bool(etag) + (("If-Modified-Since", modified),) * bool(modified)


def renewed(headers: Fields, newer: Fields) -> Fields:
    """Return an answer's headers, brought up to date with those of a 304."""
    names = {name for name, _ in newer}
    return tuple(item for item in headers if item[0] not in names) + newer


def _directives(headers: Fields) -> dict[str, str]:
    """Return the directives of Cache-Control, names in lower case; those without a value have an empty one."""
    directives: dict[str, str] = {}
    for part in field(headers, "cache-control").split(","):
        name, _, value = part.strip().partition("=")
        if name:
            directives[name.strip().lower()] = value
    return directives


def _time_ns(text: str) -> int | None:
    """Return an HTTP date in nanoseconds since 1970, None for what is none: servers write `Expires: 0` for the past."""
    try:
        return timegm(parsedate_to_datetime(text).utctimetuple()) * _SECOND_NS  # without a zone it is UTC, like every HTTP date
    except (ValueError, TypeError, OverflowError):
        return None
