"""`parsed_path` and `parsed_query`: how opa-envoy-plugin cuts and decodes `attributes.request.http.path`.

Follows the plugin since 1.13.2-envoy-2 (CVE-2026-26205), and Go's url.PathUnescape and url.ParseQuery. It normalises nothing:
`..`, empty segments and `;` in the path are the policy's to judge. It knows no messages.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from authz.extauthz.errors import BadRequestError, quote
from authz.rego.values import EMPTY_OBJECT, Object, Value

MAX_QUERY_PARAMETERS: Final = 10_000  # Go's default since 1.25

_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_BAD_ESCAPE_IN_TEXT: Final = re.compile(_BAD_ESCAPE.pattern.decode())


def is_malformed(path: str) -> bool:
    """Tell whether `split_path` refuses the path, at next to no cost for one that it takes."""
    if "%" in path and _BAD_ESCAPE_IN_TEXT.search(path):
        return True
    if ";" not in path and len(path) < MAX_QUERY_PARAMETERS:
        return False
    query = path.partition("?")[2]
    return ";" in query or query.count("&") >= MAX_QUERY_PARAMETERS


def split_path(path: str) -> tuple[tuple[Value, ...], Object]:
    """Return `parsed_path` and `parsed_query`; raise BadRequestError.

    The path is decoded before it is split, so `/a%2Fb` has two segments, and all leading slashes go.
    """
    before, _, query = path.partition("?")
    return tuple(unescape(before).lstrip("/").split("/")), parse_query(query)


def unescape(text: str, *, plus_is_space: bool = False) -> str:
    """Decode percent escapes; raise BadRequestError for `%` without two hex digits.

    Bytes that decode to no UTF-8 become U+FFFD. (Go keeps them raw in its string; a policy cannot name either.)
    """
    if "%" not in text:
        return text.replace("+", " ") if plus_is_space else text
    raw = text.encode("utf-8", "replace")
    bad = _BAD_ESCAPE.search(raw)
    if bad:
        raise BadRequestError(f"invalid URL escape {quote(raw[bad.start() : bad.start() + 3])}")
    return unquote_to_bytes(raw.replace(b"+", b" ") if plus_is_space else raw).decode("utf-8", "replace")


def parse_query(query: str) -> Object:
    """Return the parameters, each with its values in order; raise BadRequestError.

    An error that url.ParseQuery meets does not stop it, and a semicolon overrides an earlier bad escape: the text must agree.
    """
    if not query:
        return EMPTY_OBJECT
    if query.count("&") >= MAX_QUERY_PARAMETERS:
        raise BadRequestError("number of URL query parameters exceeded limit")
    if ";" in query:
        raise BadRequestError("invalid semicolon separator in query")
    values: dict[str, list[str]] = {}
    for pair in query.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            values.setdefault(unescape(name, plus_is_space=True), []).append(unescape(value, plus_is_space=True))
    return Object((name, tuple(items)) for name, items in values.items())
