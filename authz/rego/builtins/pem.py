"""PEM texts (RFC 7468) as Go's encoding/pem finds their blocks: what is no block is passed over.

Owns where a block begins and ends. What its octets are is not looked at here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from authz.rego.builtins.encoding import decode_base64

_BEGIN: Final = b"-----BEGIN "
_END: Final = b"\n-----END "
_DASHES: Final = b"-----"


@dataclass(frozen=True, slots=True)
class Block:
    """A block's type, the part of its BEGIN line that says what it holds, and its octets."""

    kind: str
    data: bytes


def next_block(data: bytes, start: int = 0) -> tuple[Block | None, int]:
    """Return the first block from `start` on and where it ends; None and `start` where there is none."""
    position = headers_end = start
    while True:
        end = data.find(_END, position)
        if end < 0:
            return None, start
        begin = data.rfind(_BEGIN, position, end)
        is_line = begin == position or data[begin - 1 : begin] == b"\n"
        position = end + len(_END)
        if begin < 0 or not is_line:
            continue
        kind, headers_start = _line(data, begin + len(_BEGIN))
        if not kind.endswith(_DASHES):
            continue
        # Headers that were passed for an earlier block, which they did not fit into, are not read again.
        headers_end = body = headers_end if headers_start < headers_end else _past_headers(data, headers_start)
        if body == len(data):
            return None, start
        # The line end before END may be the one that ends the BEGIN line, but not one that ends a header.
        if body > end + 1 or (body > headers_start and body > end):
            continue
        found = _closed(data, kind, body, end)
        if found is not None:
            return Block(kind[: -len(_DASHES)].decode(errors="replace"), found), _line(data, position - 1)[1]


def blocks(data: bytes) -> list[Block]:
    """Return every block of the text."""
    found: list[Block] = []
    block, position = next_block(data)
    while block is not None:
        found.append(block)
        block, position = next_block(data, position)
    return found


def _past_headers(data: bytes, at: int) -> int:
    """Return where the first line without a colon begins."""
    while at < len(data):
        line, following = _line(data, at)
        if b":" not in line:
            break
        at = following
    return at


def _closed(data: bytes, kind: bytes, body: int, end: int) -> bytes | None:
    """Return the octets of the block that the END line at `end` closes; None if that names another type, or they are no base64."""
    trailer = end + len(_END)
    if not data.startswith(kind, trailer) or _line(data, trailer + len(kind))[0]:
        return None
    try:
        return decode_base64(data[body : max(end, body)].translate(None, b" \t"))
    except ValueError:
        return None


def _line(data: bytes, at: int) -> tuple[bytes, int]:
    """Return the line that begins there, without white space at its end, and where the next one begins."""
    end = data.find(b"\n", at)
    line = data[at:] if end < 0 else data[at:end].removesuffix(b"\r")
    return line.rstrip(b" \t"), len(data) if end < 0 else end + 1
