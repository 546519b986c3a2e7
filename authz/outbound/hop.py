"""One request on its way through redirects: what is asked where, and what a redirect makes of it. Sends nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final, Self

from yarl import URL

from authz import __version__
from authz.outbound import urls
from authz.outbound.errors import SendError
from authz.rego.builtins.http_response import Fields
from authz.rego.pending import HttpRequest
from authz.rego.render import quote

USER_AGENT: Final = f"authz/{__version__}"

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NO_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_KEEPS_METHOD: Final = frozenset({307, 308})
_TO_GET: Final = frozenset({301, 302, 303})
_SECRET: Final = frozenset({"Authorization", "Cookie", "Cookie2", "Proxy-Authenticate", "Proxy-Authorization", "Www-Authenticate"})
_OF_BODY: Final = frozenset({"Content-Encoding", "Content-Language", "Content-Location", "Content-Type"})


@dataclass(frozen=True, slots=True)
class Hop:
    """One message to one place. `asks_for_gzip`: the policy did not speak of encodings, so the body is unpacked for it."""

    method: str
    url: URL
    written: str  # the URL as the policy or a redirect wrote it, for texts of errors
    headers: Fields
    body: bytes
    asks_for_gzip: bool

    @classmethod
    def first(cls, request: HttpRequest, conditions: Fields) -> Self:
        """Return the first hop of a request, with headers that make it conditional. Raises SendError."""
        url = urls.parse(request.url, request.method)
        _check_headers(request)
        headers = {name: value.strip(" \t") for name, value in (*request.headers, *conditions)}
        authorization = urls.credentials(url)
        if authorization is not None:
            headers.setdefault("Authorization", authorization)
        asks_for_gzip = "Accept-Encoding" not in headers and "Range" not in headers and request.method != "HEAD"
        if asks_for_gzip:
            headers["Accept-Encoding"] = "gzip"
        if not headers.setdefault("User-Agent", USER_AGENT):
            del headers["User-Agent"]
        return cls(request.method, url.with_user(None), request.url, tuple(headers.items()), request.body, asks_for_gzip)

    @property
    def server_name(self) -> str | None:
        """The name in the Host header that the policy set, which is then the server's for TLS too."""
        host = dict(self.headers).get("Host")
        return host.rpartition(":")[0] if host and host.rpartition(":")[2].isdecimal() else host

    def redirected(self, status: int, location: str) -> Self | None:
        """Return the next hop, None where the answer is no redirect. What is secret does not go to another origin. Raises SendError."""
        if not location or status not in _KEEPS_METHOD | _TO_GET:
            return None
        keeps = status in _KEEPS_METHOD or self.method in ("GET", "HEAD")
        method = self.method if keeps else "GET"
        written = urls.joined(self.url, location)
        url = urls.parse(written, self.method).with_user(None)
        dropped = frozenset() if status in _KEEPS_METHOD else _OF_BODY
        if url.origin() != self.url.origin():
            dropped |= _SECRET | {"Host"}
        headers = tuple((name, value) for name, value in self.headers if name not in dropped)
        return replace(self, method=method, url=url, written=written, headers=headers, body=self.body if status in _KEEPS_METHOD else b"")


def _check_headers(request: HttpRequest) -> None:
    """Raise SendError for a header that would break the message, or out of it."""
    for name, value in request.headers:
        if _NAME.fullmatch(name) is None:
            wrong = f"name {quote(name)}"
        elif _NO_VALUE.search(value):
            wrong = f"value for {quote(name)}"
        else:
            continue
        where = f"{urls.op(request.method)} {urls.shown(request.url)}"
        raise SendError("invalid", f"{where}: net/http: invalid header field {wrong}", is_network=True)
