"""The URLs of requests: parsed once, by the parser that the connection is made with, so that what is checked is what is asked."""

from __future__ import annotations

import base64
import re
from typing import Final
from urllib.parse import quote as escaped
from urllib.parse import urljoin

from yarl import URL

from authz.outbound.allowlist import DEFAULT_PORTS
from authz.outbound.errors import SendError
from authz.outbound.settings import SendSettings
from authz.rego.render import quote

_PARTS: Final = re.compile(r"(?P<start>[^:/?#]*://[^/?#]*)?(?P<path>[^?#]*)(?P<query>\?[^#]*)?", re.DOTALL)
_PATH_SAFE: Final = "/%!$&'()*+,;=:@[]~"
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9a-fA-F]{2}).{0,2}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_CREDENTIALS: Final = re.compile(r"(?<=://)([^/?#@:]*):[^/?#]*@")


def op(method: str) -> str:
    """Return a method as Go's errors have it: `Get`."""
    return method.capitalize()


def without_password(url: str) -> str:
    """Return a URL as an error's text may have it."""
    return _CREDENTIALS.sub(r"\1:xxxxx@", url)


def shown(url: str) -> str:
    """Return a URL in quotes, without a password."""
    return quote(without_password(url))


def parse(text: str, method: str) -> URL:
    """Return the URL of a request, path and query as they were written. Raises SendError for what is no HTTP URL."""
    try:
        start, path, query = _split(text)  # escapes, and cannot where there are lone surrogates: bytes of a header that are no UTF-8
        base = URL(start)
        scheme, host, port = base.scheme, base.raw_host, base.port
    except ValueError as error:
        raise SendError("invalid", f"parse {shown(text)}: {error}") from None
    if scheme not in DEFAULT_PORTS:
        raise SendError("invalid", f"{op(method)} {shown(text)}: unsupported protocol scheme {quote(scheme)}", is_network=True)
    if not host or not port:
        raise SendError("invalid", f"{op(method)} {shown(text)}: http: no Host in request URL", is_network=True)
    url = URL(f"{scheme}://{base.raw_authority}{path or '/'}{query}", encoded=True)
    try:
        again = (url.raw_host, url.port)
    except ValueError as error:
        raise SendError("invalid", f"parse {shown(text)}: {error}") from None
    if again != (host, port):
        raise SendError("invalid", f"parse {shown(text)}: net/url: invalid host")
    return url


def _split(text: str) -> tuple[str, str, str]:
    """Return scheme and authority, the path, and the query with its mark; what has to be escaped on the wire is."""
    found = _PARTS.match(text)
    assert found is not None
    start, path, query = found["start"] or "", found["path"], found["query"] or ""
    bad = _BAD_ESCAPE.search(start + path)
    if bad is not None:
        raise SendError("invalid", f"parse {shown(text)}: invalid URL escape {quote(bad[0])}")
    if " " in start:
        raise SendError("invalid", f'parse {shown(text)}: invalid character " " in host name')
    if _CONTROL.search(text):
        raise SendError("invalid", f"parse {shown(text)}: net/url: invalid control character in URL")
    return start, escaped(path, safe=_PATH_SAFE), escaped(query, safe=_PATH_SAFE + "?")


def joined(url: URL, location: str) -> str:
    """Return where a redirect leads. Raises SendError for what leads nowhere."""
    try:
        return urljoin(str(url), location)
    except ValueError as error:
        raise SendError("invalid", f"failed to parse Location header {quote(location)}: {error}", is_network=True) from None


def check(url: URL, settings: SendSettings) -> None:
    """Raise SendError unless a URL may be asked."""
    host, port = url.raw_host or "", url.port or 0
    if not settings.allowed.permits(url.scheme, host, port):
        where = host if port == DEFAULT_PORTS[url.scheme] else f"{host}:{port}"
        raise SendError("refused", f"unallowed host: {where}")
    if url.scheme == "http" and not settings.allow_http:
        raise SendError("refused", f"{host}: http is not allowed, only https: see http_send.allow_http")


def credentials(url: URL) -> str | None:
    """Return the Authorization header that a URL's user and password stand for, if it has them."""
    if url.user is None and url.password is None:
        return None
    return "Basic " + base64.b64encode(f"{url.user or ''}:{url.password or ''}".encode()).decode()


def host_of(text: str) -> str:
    """Return the host of a URL for a log line, whatever the URL is."""
    try:
        return parse(text, "").raw_host or ""
    except SendError:
        return ""
