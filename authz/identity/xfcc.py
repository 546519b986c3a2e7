"""Reader of the x-forwarded-client-cert header as Envoy writes it.

Grammar only: it does not know which element may be believed. Every deviation ends in
an XfccError, because Envoy writes By, URI and DNS without quoting what a certificate put into them.

    header  = element *( "," element )
    element = pair *( ";" pair )
    pair    = OWS key "=" value OWS
    value   = DQUOTE *( qchar / "\" pchar ) DQUOTE / bare
"""

from __future__ import annotations

import re
from typing import Final

from authz.identity.element import MAX_ELEMENTS, MAX_PAIRS, REPEATABLE, SINGLE, XfccElement, XfccError
from authz.identity.refusal import Refusal
from authz.identity.xfcc_json import parse_json_form

MAX_HEADER_BYTES: Final = 65536  # Envoy itself answers 431 above 60 KiB of headers
_OWS: Final = " \t"

# Possessive quantifiers (`++`, `*+`) keep every pattern linear: nothing is ever tried twice.
_QUOTED: Final = r'"((?:[^"\\\t]++|\\[ -~])*+)"'
_BARE: Final = r'([^",;\\\t]*+)'
_FORBIDDEN: Final = re.compile(r"[^\t -~]")
_PAIR: Final = re.compile(rf"[ \t]*+([A-Za-z]++)=(?:{_QUOTED}|(?![ \t]){_BARE})[ \t]*+([,;]|\Z)")
_PAIR_DELIMITER: Final = re.compile(r"[=,;]")
_KEY: Final = re.compile(r"[A-Za-z]+")
_QUOTED_VALUE: Final = re.compile(_QUOTED)
_BARE_STOP: Final = re.compile(r'[",;\\\t]')
_WHY_BARE_STOPS: Final = {'"': Refusal.QUOTE_IN_BARE, "\\": Refusal.BACKSLASH_IN_BARE}

# Distinguished names carry RFC 2253 escapes. Unescaping before the name is parsed would let a common name that ends in
# a backslash swallow the comma behind it, so these two stay as written.
_VERBATIM: Final = frozenset({"subject", "issuer"})

_Pair = tuple[str, str | None, str | None]


def parse_xfcc(header: str) -> list[XfccElement]:
    """Read a header value, text or JSON form, into its elements in header order; raise XfccError.

    Under APPEND_FORWARD the sender chooses the form, so both are read by the same rules.
    """
    if len(header) > MAX_HEADER_BYTES:
        raise XfccError(Refusal.TOO_LONG)
    if _FORBIDDEN.search(header):
        raise XfccError(Refusal.BAD_CHAR)
    text = header.strip(_OWS)
    if not text:
        raise XfccError(Refusal.EMPTY)
    if text[0] == "[":
        return parse_json_form(text)
    if text[0] == "{":
        raise XfccError(Refusal.JSON_FORMAT)
    return _parse_text_form(text)


def _parse_text_form(text: str) -> list[XfccElement]:
    elements: list[XfccElement] = []
    pairs: list[_Pair] = []
    position = 0
    while True:
        match = _PAIR.match(text, position)
        if match is None:
            raise XfccError(_why_not_a_pair(text, position))
        key, quoted, bare, separator = match.groups()
        if len(pairs) == MAX_PAIRS:
            raise XfccError(Refusal.TOO_MANY_PAIRS)
        pairs.append((key, quoted, bare))
        position = match.end()
        if separator == ";":
            continue
        if len(elements) == MAX_ELEMENTS:
            raise XfccError(Refusal.TOO_MANY_ELEMENTS)
        elements.append(_element(pairs))
        if not separator:
            return elements
        pairs = []


def _element(pairs: list[_Pair]) -> XfccElement:
    lists: dict[str, list[str]] = {name: [] for name in REPEATABLE}
    singles: dict[str, str] = {}
    for key, quoted, bare in pairs:
        name = key.lower()
        value = _value(name, quoted, bare)
        if name in lists:
            lists[name].append(value)
        elif name not in SINGLE:
            raise XfccError(Refusal.UNKNOWN_KEY)
        elif name in singles:
            raise XfccError(Refusal.DUPLICATE_KEY)
        else:
            singles[name] = value
    return XfccElement.build(lists, singles, (singles.get("chain", ""),))


def _value(name: str, quoted: str | None, bare: str | None) -> str:
    if quoted is None:
        return (bare or "").rstrip(_OWS)
    if "\\" not in quoted or name in _VERBATIM:
        return quoted
    return _unescape(quoted)


def _unescape(quoted: str) -> str:
    # In a run of backslashes `split` pairs them from the left, as a reader does, without one callback for each escape.
    parts = [part.replace('\\"', '"') for part in quoted.split("\\\\")]
    if any("\\" in part for part in parts):
        raise XfccError(Refusal.BAD_ESCAPE)
    return "\\".join(parts)


def _why_not_a_pair(text: str, position: int) -> Refusal:
    """Name what keeps `_PAIR` from matching; runs once, on a header that is refused anyway."""
    rest = text[position:].lstrip(_OWS)
    stop = _PAIR_DELIMITER.search(rest)
    key = rest[: stop.start()] if stop else rest
    if not key and not (stop and stop[0] == "="):
        return Refusal.EMPTY_PAIR if stop and stop[0] == ";" else Refusal.EMPTY_ELEMENT
    if not stop or stop[0] != "=":
        return Refusal.NO_EQUALS
    if not _KEY.fullmatch(key):
        return Refusal.BAD_KEY
    return _why_not_a_value(rest[stop.end() :])


def _why_not_a_value(rest: str) -> Refusal:
    if rest.startswith((" ", "\t")):
        return Refusal.SPACE_AFTER_EQUALS
    if rest.startswith('"'):
        return Refusal.TEXT_AFTER_QUOTE if _QUOTED_VALUE.match(rest) else Refusal.UNTERMINATED_QUOTE
    stop = _BARE_STOP.search(rest)
    return _WHY_BARE_STOPS.get(stop[0] if stop else "", Refusal.BAD_CHAR)
