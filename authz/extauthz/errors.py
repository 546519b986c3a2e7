"""What can be wrong with a check request or with a decision; neither leaves the decision point as an exception.

This module knows texts, not messages: which response an error becomes is the decision point's business.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from authz.errors import AuthzError, Reason

MAX_ERROR_CHARS: Final = 1000


class BadRequestError(AuthzError):
    """A check request cannot be read. The client sees the text, so it quotes at most a few bytes of the request."""

    code = Reason.BAD_REQUEST

    def __init__(self, cause: str) -> None:
        super().__init__(f"request_parse_error: {cause}")


class BadDecisionError(AuthzError):
    """A policy's decision is not one that Envoy may be told. OPA's wording where OPA refuses it too."""

    code = Reason.BAD_DECISION

    def __init__(self, message: str) -> None:
        # A decision may hold any string; whoever logs this can take UTF-8 only, and not pages of it.
        super().__init__(message[:MAX_ERROR_CHARS].encode("utf-8", "backslashreplace").decode())


_ESCAPES: Final = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", '"': '\\"', "\\": "\\\\"}


def quote(text: bytes) -> str:
    """Quote as Go's strconv.Quote does, so that OPA's error texts come out the same."""
    return '"' + "".join(_quote_char(char) for char in text.decode("utf-8", "surrogateescape")) + '"'


def _quote_char(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if char == " " or unicodedata.category(char)[0] in "LMNPS":
        return char
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
