"""Text and bytes as Go's strings have them, for built-ins that encode, decode or hash.

A Go string is bytes; a Rego string here is text. This module alone decides how one
becomes the other. It declares no built-in.
"""

from __future__ import annotations

from typing import Final

_SURROGATES: Final = dict.fromkeys(range(0xD800, 0xE000), 0xFFFD)


def text_of(data: bytes) -> str:
    """Decode UTF-8, each invalid byte becoming U+FFFD, as Go does when it renders a string."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode(errors="surrogateescape").translate(_SURROGATES)


def bytes_of(text: str) -> bytes:
    """Encode as UTF-8; a lone surrogate, which UTF-8 cannot hold, becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.translate(_SURROGATES).encode()


def without_surrogates(text: str) -> str:
    """Return the text with every lone surrogate replaced by U+FFFD."""
    return text if text.isascii() else text.translate(_SURROGATES)
