"""Text and bytes as Go's strings have them, for built-ins that encode, decode or hash.

A Go string is bytes; a Rego string here is text in which bytes that are no UTF-8 are lone surrogates. This module
alone decides how one becomes the other. It declares no built-in.
"""

from __future__ import annotations

from typing import Final

_HALF_PAIRS: Final = dict.fromkeys((*range(0xD800, 0xDC80), *range(0xDD00, 0xE000)), 0xFFFD)


def text_of(data: bytes) -> str:
    """Return the string of these bytes; those that are no UTF-8 stay what they are."""
    return data.decode(errors="surrogateescape")


def bytes_of(text: str) -> bytes:
    """Return the bytes of the string; half of a surrogate pair, which is no byte either, becomes U+FFFD."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return text.translate(_HALF_PAIRS).encode(errors="surrogateescape")


def units_of(text: str) -> str:
    """Return the bytes of the text's UTF-8, each as a character."""
    return text if text.isascii() else bytes_of(text).decode("latin-1")
