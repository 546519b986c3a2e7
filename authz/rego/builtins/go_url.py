"""URLs as Go's net/url reads, writes and resolves them, with its errors.

Texts are their bytes, one character each (`octets.units_of`). Declares no built-in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import IPv6Address
from typing import Final

from authz.rego.builtins.octets import text_of, units_of
from authz.rego.render import quote

_PLAIN: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_HEX: Final = frozenset("0123456789ABCDEFabcdef")
_KEPT: Final[dict[str, frozenset[str]]] = {
    "path": _PLAIN | frozenset("$&+,/:;=@"),
    "fragment": _PLAIN | frozenset("!$&()*+,/:;=?@"),
    "user": _PLAIN | frozenset("$&+,;="),
    "host": _PLAIN | frozenset("!\"$&'()*+,:;<=>[]"),
    "zone": _PLAIN | frozenset("!\"$&'()*+,:;<=>[]"),
}
"""What is not escaped, by the part of a URL."""
_LEFT_ALONE: Final = frozenset("!$&'()*+,;=:@[]%")
_USERINFO: Final = frozenset("-._:~!$&'()*+,;=%@") | _PLAIN
_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_PORT: Final = re.compile(":[0-9]*")


class UrlError(ValueError):
    """The text is no URL; the message is Go's."""


@dataclass(frozen=True, slots=True)
class Url:
    """A URL in parts. `raw_path` and `raw_fragment` are "" where they are what escaping the other would give."""

    scheme: str = ""
    opaque: str = ""
    user: tuple[str, str | None] | None = None
    host: str = ""
    path: str = ""
    raw_path: str = ""
    omits_host: bool = False
    has_empty_query: bool = False
    query: str = ""
    fragment: str = ""
    raw_fragment: str = ""

    def escaped_path(self) -> str:
        """Return the path as it was written, if it still is that path."""
        if self.raw_path and _is_encoded(self.raw_path, "path") and _unescaped(self.raw_path, "path") == self.path:
            return self.raw_path
        return "*" if self.path == "*" else _escaped(self.path, "path")

    def escaped_fragment(self) -> str:
        """Return the fragment as it was written, if it still is that fragment."""
        if self.raw_fragment and _is_encoded(self.raw_fragment, "fragment") and _unescaped(self.raw_fragment, "fragment") == self.fragment:
            return self.raw_fragment
        return _escaped(self.fragment, "fragment")

    def without_fragment(self) -> Url:
        return replace(self, fragment="", raw_fragment="")

    def host_and_port(self) -> tuple[str, str]:
        """Return the host without brackets, and the port."""
        host, port, colon = self.host, "", self.host.rfind(":")
        if colon >= 0 and _PORT.fullmatch(host[colon:]):
            host, port = host[:colon], host[colon + 1 :]
        return host[1:-1] if host.startswith("[") and host.endswith("]") else host, port

    def __str__(self) -> str:
        text = f"{self.scheme}:" if self.scheme else ""
        if self.opaque:
            text += self.opaque
        else:
            text += self._authority()
            path = self.escaped_path()
            if path and path[0] != "/" and self.host:
                text += "/"
            if not text and ":" in path.partition("/")[0]:
                text = "./"
            text += path
        if self.has_empty_query or self.query:
            text += f"?{self.query}"
        return text + (f"#{self.escaped_fragment()}" if self.fragment else "")

    def _authority(self) -> str:
        if not (self.scheme or self.host or self.user) or (self.omits_host and not self.host and self.user is None):
            return ""
        text = "//" if self.host or self.path or self.user is not None else ""
        if self.user is not None:
            name, password = self.user
            text += _escaped(name, "user") + ("" if password is None else ":" + _escaped(password, "user")) + "@"
        return text + _escaped(self.host, "host")

    def resolve(self, reference: Url) -> Url:
        """Return the URL that a reference found at this one means (RFC 3986, 5.2)."""
        if reference.scheme or reference.host or reference.user is not None:
            url = reference if reference.scheme else replace(reference, scheme=self.scheme)
            return _with_path(url, _resolved(reference.escaped_path(), ""))
        url = replace(reference, scheme=self.scheme)
        if reference.opaque:
            return replace(url, user=None, host="", path="")
        if not reference.path and not reference.has_empty_query and not reference.query:
            url = replace(url, query=self.query)
            if not reference.fragment:
                url = replace(url, fragment=self.fragment, raw_fragment=self.raw_fragment)
        if not reference.path and self.opaque:
            return replace(url, opaque=self.opaque, user=None, host="", path="")
        url = replace(url, host=self.host, user=self.user)
        return _with_path(url, _resolved(self.escaped_path(), reference.escaped_path()))


def parse_url(text: str) -> Url:
    """Return the URL that a text is. Raises UrlError with Go's text."""
    whole = units_of(text)
    front, _, fragment = whole.partition("#")
    try:
        url = _parsed(front)
    except UrlError as error:
        raise UrlError(f"parse {_quoted(front)}: {error}") from None
    if not fragment:
        return url
    try:
        unescaped = _unescaped(fragment, "fragment")
    except UrlError as error:
        raise UrlError(f"parse {_quoted(whole)}: {error}") from None
    return replace(url, fragment=unescaped, raw_fragment="" if fragment == _escaped(unescaped, "fragment") else fragment)


def _quoted(units: str) -> str:
    return quote(text_of(units.encode("latin-1")))


def _parsed(text: str) -> Url:
    if _CONTROL.search(text):
        raise UrlError("net/url: invalid control character in URL")
    if text == "*":
        return Url(path="*")
    scheme, rest = _scheme(text)
    has_empty_query = rest.endswith("?") and rest.count("?") == 1
    rest, _, query = rest.partition("?")
    url = Url(scheme=scheme, has_empty_query=has_empty_query, query=query)
    if not rest.startswith("/"):
        if scheme:
            return replace(url, opaque=rest)
        if ":" in rest.partition("/")[0]:
            raise UrlError("first path segment in URL cannot contain colon")
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        user, host = _split_authority(scheme, authority)
        url = replace(url, user=user, host=host)
    elif scheme and rest.startswith("/"):
        url = replace(url, omits_host=True)
    return _with_path(url, rest)


def _scheme(text: str) -> tuple[str, str]:
    if text.startswith(":"):
        raise UrlError("missing protocol scheme")
    found = _SCHEME.match(text)
    if found is None or text[found.end() : found.end() + 1] != ":":
        return "", text
    return found[0].lower(), text[found.end() + 1 :]


def _with_path(url: Url, path: str) -> Url:
    unescaped = _unescaped(path, "path")
    return replace(url, path=unescaped, raw_path="" if path == _escaped(unescaped, "path") else path)


def _split_authority(scheme: str, authority: str) -> tuple[tuple[str, str | None] | None, str]:
    info, at, host = authority.rpartition("@")
    host = _host(scheme, host)
    if not at:
        return None, host
    if not _USERINFO.issuperset(info):
        raise UrlError("net/url: invalid userinfo")
    name, colon, password = info.partition(":")
    return (_unescaped(name, "user"), _unescaped(password, "user") if colon else None), host


def _host(scheme: str, host: str) -> str:
    bracket = host.rfind("[")
    if bracket > 0:
        raise UrlError("invalid IP-literal")
    if bracket == 0:
        return _literal(host)
    colon = host.find(":")
    if colon >= 0:
        _check_port(host[colon if scheme in ("http", "https") else host.rfind(":") :])
    return _unescaped(host, "host")


def _literal(host: str) -> str:
    """Read an address in brackets (RFC 3986, RFC 6874)."""
    close = host.rfind("]")
    if close < 0:
        raise UrlError("missing ']' in host")
    _check_port(host[close + 1 :])
    name, port = host[1:close], _unescaped(host[close + 1 :], "host")
    zone = name.find("%25")
    name = _unescaped(name, "host") if zone < 0 else _unescaped(name[:zone], "host") + _unescaped(name[zone:], "zone")
    address, percent, scope = name.partition("%")
    try:
        IPv6Address(address)
        is_address = bool(scope) or not percent
    except ValueError:
        is_address = False
    if not is_address:
        if percent and not scope:
            raise UrlError(f"invalid host: ParseAddr({_quoted(name)}): zone must be a non-empty string")
        is_v4 = re.fullmatch(r"[0-9]+(\.[0-9]+){3}", name) is not None
        raise UrlError("invalid IP-literal" if is_v4 else f"invalid host: ParseAddr({_quoted(name)}): unable to parse IP")
    return f"[{name}]{port}"


def _check_port(port: str) -> None:
    if port and not _PORT.fullmatch(port):
        raise UrlError(f"invalid port {_quoted(port)} after host")


def _unescaped(text: str, part: str) -> str:
    is_host = part in ("host", "zone")
    first, *escapes = text.split("%")
    if is_host:
        _check_host(first, part)
    result = [first]
    for at, piece in enumerate(escapes):
        digits = piece[:2]
        if len(digits) < 2 or not _HEX.issuperset(digits):
            raise UrlError(f"invalid URL escape {_quoted('%'.join(['', *escapes[at:]])[:3])}")
        byte = int(digits, 16)
        is_refused = (part == "host" and byte < 0x80) or (part == "zone" and byte != 0x20 and chr(byte) not in _KEPT["host"])
        if is_refused and digits != "25":
            raise UrlError(f"invalid URL escape {_quoted('%' + digits)}")
        if is_host:
            _check_host(piece[2:], part)
        result.append(chr(byte) + piece[2:])
    return "".join(result)


def _check_host(text: str, part: str) -> None:
    wrong = next((char for char in text if char < "\x80" and char not in _KEPT[part]), None)
    if wrong is not None:
        raise UrlError(f"invalid character {_quoted(wrong)} in host name")


def _escaped(text: str, part: str) -> str:
    kept = _KEPT[part]
    return text if kept.issuperset(text) else "".join(char if char in kept else f"%{ord(char):02X}" for char in text)


def _is_encoded(text: str, part: str) -> bool:
    return all(char in _LEFT_ALONE or char in _KEPT[part] for char in text)


def _resolved(base: str, reference: str) -> str:
    """Return a path without its dots; a reference that does not begin with a slash starts where the base's last segment does."""
    full = base if not reference else reference if reference[0] == "/" else base[: base.rfind("/") + 1] + reference
    if not full:
        return ""
    kept: list[str] = []
    for segment in full.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    path = "/" + "/".join(kept)
    if segment in (".", ".."):
        path += "/"
    return path[1:] if path.startswith("//") else path
