"""`parsed_body` and `truncated_body`: what opa-envoy-plugin makes of a request's body.

Header names are exact, the tests on `content-type` are case-sensitive substrings in the plugin's order. Knows no policy.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Final, NamedTuple, NoReturn, Protocol

import msgspec

from authz.extauthz.errors import BadRequestError, quote
from authz.extauthz.multipart import media_type, parse_multipart
from authz.extauthz.paths import parse_query
from authz.rego.values import FALSE, NULL, TRUE, Boolean, Document, Object, Value, from_json

PARTIAL_BODY: Final = "x-envoy-auth-partial-body"

MAX_QUOTED_BYTES: Final = 64  # the client reads what is quoted: no mirror for whole headers

_skip_json: Final = msgspec.json.Decoder(msgspec.Raw).decode
_INTEGER: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INT64: Final = range(-(2**63), 2**63)
_ESCAPED_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Headers(Protocol):
    """The request's headers, by lower-case name."""

    def get(self, name: str, /) -> str | None: ...


class Body(NamedTuple):
    """The two values that a policy sees."""

    parsed: Value
    truncated: Boolean


NOT_PARSED: Final = Body(NULL, FALSE)
TRUNCATED: Final = Body(NULL, TRUE)


def parse_body(headers: Headers, body: str, raw_body: bytes, *, only_check: bool = False) -> Body:
    """Return the body as a policy sees it; raise BadRequestError where the plugin answers 400.

    `only_check` saves the work of building a JSON body that nobody will look at.

    gRPC bodies need message descriptors, which are not configured here: they are not parsed.
    Stricter than the plugin in one corner: JSON followed by a stray `null` is refused like any other trailing data.
    """
    if headers.get(PARTIAL_BODY) == "true":
        return TRUNCATED
    content_type = headers.get("content-type")
    if not content_type:
        return NOT_PARSED
    reader = next((reader for mark, reader in _READERS if mark in content_type), None)
    payload = body.encode() or raw_body
    if reader is None or not payload:
        return NOT_PARSED
    if _declared_length(headers) > len(payload):
        return TRUNCATED
    if only_check and reader is parse_json and _is_json(payload):
        return NOT_PARSED
    return Body(reader(content_type, payload), FALSE)


def _is_json(payload: bytes) -> bool:
    """Tell quickly that a payload is JSON, building nothing of it; False means only that a closer look is due."""
    try:
        _skip_json(payload)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _declared_length(headers: Headers) -> int:
    """Return `content-length`, read as Go's strconv.ParseInt does, or -1 where there is none."""
    text = headers.get("content-length")
    if text is None:
        return -1
    if not _INTEGER.fullmatch(text):
        raise BadRequestError(f"strconv.ParseInt: parsing {_quote_length(text)}: invalid syntax")
    length = int(text) if len(text) < 64 else _INT64.stop
    if length not in _INT64:
        raise BadRequestError(f"strconv.ParseInt: parsing {_quote_length(text)}: value out of range")
    return length


def _quote_length(text: str) -> str:
    return quote(text.encode()[:MAX_QUOTED_BYTES])


def parse_json(_content_type: str, payload: bytes) -> Value:
    """Read one strict JSON value: no NaN, no byte order mark, nothing after it. Numbers stay exact, the last duplicate wins.

    Bytes that are not UTF-8 and lone surrogate escapes become U+FFFD, as in Go.
    """
    text = payload.decode("utf-8", "replace")
    try:
        document = json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
        return from_json(_without_surrogates(document) if _ESCAPED_SURROGATE.search(text) else document)
    except (ValueError, ArithmeticError, RecursionError) as error:
        # The texts of ValueErrors name positions and limits, never the content.
        cause = error if isinstance(error, ValueError) else "value out of range"
        raise BadRequestError(f"invalid JSON: {cause}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _without_surrogates(document: Document) -> Document:
    if isinstance(document, str):
        return _SURROGATE.sub("\ufffd", document)
    if isinstance(document, list):
        return [_without_surrogates(item) for item in document]
    if isinstance(document, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in document.items()}
    return document


def _parse_form(_content_type: str, payload: bytes) -> Value:
    return parse_query(payload.decode("utf-8", "replace"))


def _parse_multipart(content_type: str, payload: bytes) -> Value:
    """Return the named parts, each name with its values in order; a file is a value like any other."""
    boundary = media_type(content_type)[1].get("boundary")
    if boundary is None:
        return NULL
    fields: dict[str, list[Value]] = {}
    for part in parse_multipart(payload, boundary.encode()):
        if part.name:
            is_json = "application/json" in part.content_type
            value = parse_json(part.content_type, part.content) if is_json else part.content.decode("utf-8", "replace")
            fields.setdefault(part.name, []).append(value)
    return Object((name, tuple(items)) for name, items in fields.items())


_READERS: Final = (
    ("application/json", parse_json),
    ("application/grpc", None),
    ("application/x-www-form-urlencoded", _parse_form),
    ("multipart/form-data", _parse_multipart),
)
