"""The formats that a JSON schema can ask of a string, by the rules of OPA's gojsonschema.

Owns what is a date, an address, a URI and so on. A format that is not known asks for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from authz.rego.builtins import go_time
from authz.rego.builtins.go_url import Url, UrlError, parse_url
from authz.rego.builtins.net import parse_address
from authz.rego.builtins.regex import compiled, contains
from authz.rego.builtins.regex_syntax import PatternError

_TIME: Final = "15:04:05"
_ZONED: Final = "15:04:05Z07:00"
_DATE: Final = "2006-01-02"
_DATE_TIME: Final = "2006-01-02T15:04:05Z07:00"


def _whole(pattern: str) -> Callable[[str], bool]:
    """Return the test whether all of a text matches, in linear time whatever the text."""
    regex = compiled(rf"\A(?:{pattern})\z")
    return lambda text: contains(regex, text)


_LABEL: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_ATOM: Final = r"[^\s\x00-\x1f()<>\[\]:;@\\,.\"]+"
_QUOTED: Final = r'"(?:[^"\\\x00-\x1f]|\\.)*"'
_ADDRESS: Final = rf"(?:{_ATOM}(?:\.{_ATOM})*|{_QUOTED})@(?:{_ATOM}(?:\.{_ATOM})*|\[[^\[\]\\]*\])"
_STEPS: Final = r"(?:/(?:[^~/\n]|~0|~1)*)*"

_is_hostname: Final = _whole(rf"{_LABEL}(?:\.{_LABEL})*")
_is_email: Final = _whole(rf"\s*(?:{_ADDRESS}|(?:(?:{_ATOM}|{_QUOTED}|\.)\s*)*<{_ADDRESS}>)\s*")
_is_balanced: Final = _whole(r"(?:[^{]*(?:\{[^}]*\})?)*")


def _parses(layout: str, text: str) -> bool:
    try:
        go_time.parse_time(layout, text)
    except ValueError:
        return False
    return True


def _is_time(text: str) -> bool:
    return _parses(_ZONED, text) or _parses(_TIME, text)


def _is_date_time(text: str) -> bool:
    return any(_parses(layout, text) for layout in (_TIME, _ZONED, _DATE, _DATE_TIME))


def _is_ipv4(text: str) -> bool:
    return "." in text and "%" not in text and parse_address(text) is not None


def _is_ipv6(text: str) -> bool:
    return ":" in text and "%" not in text and parse_address(text) is not None


def _url(text: str) -> Url | None:
    """Return the URL that Go takes the text for; none with a backslash."""
    try:
        return None if "\\" in text else parse_url(text)
    except UrlError:
        return None


def _is_uri(text: str) -> bool:
    url = _url(text)
    return url is not None and url.scheme != ""


def _is_template(text: str) -> bool:
    url = _url(text)
    return url is not None and _is_balanced(url.path)


def _is_regex(text: str) -> bool:
    try:
        compiled(text)
    except PatternError:
        return False
    return True


_CHECKS: Final[dict[str, Callable[[str], bool]]] = {
    "date": lambda text: _parses(_DATE, text),
    "time": _is_time,
    "date-time": _is_date_time,
    "hostname": lambda text: len(text) < 256 and _is_hostname(text),
    "email": _is_email,
    "idn-email": _is_email,
    "ipv4": _is_ipv4,
    "ipv6": _is_ipv6,
    "uri": _is_uri,
    "uri-reference": lambda text: _url(text) is not None,
    "iri": _is_uri,
    "iri-reference": lambda text: _url(text) is not None,
    "uri-template": _is_template,
    "uuid": _whole(r"[a-fA-F0-9]{8}-(?:[a-fA-F0-9]{4}-){3}[a-fA-F0-9]{12}"),
    "regex": _is_regex,
    "json-pointer": _whole(_STEPS),
    "relative-json-pointer": _whole(rf"(?:0|[1-9][0-9]*)(?:#|{_STEPS})"),
}
_MAX_TEXT: Final = 4_096
"""Characters of a string that is looked at for a format: a longer one has none."""


def has_format(name: str, text: str) -> bool:
    """Return whether a string has a format."""
    check = _CHECKS.get(name)
    return check is None or (len(text) <= _MAX_TEXT and check(text))
