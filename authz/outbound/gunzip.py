"""Unpacks gzip within a bound: a few bytes can stand for gigabytes. Knows nothing of where the bytes come from."""

from __future__ import annotations

import zlib
from io import BytesIO
from typing import Final

_GZIP: Final = 16 + zlib.MAX_WBITS
_BLOCK_BYTES: Final = 16_384  # unpacked at once: what is left over after a member is copied, and there may be many members
_STEP_BYTES: Final = 2**20  # the most that one step may make of a block: other threads run in between
_HEAD_BYTES: Final = 4096


class GunzipError(Exception):
    """What came is no whole gzip stream, in the words of Go's library."""


class GunzipTooLargeError(GunzipError):
    """What came stands for more than it may."""


def gunzip(data: bytes | bytearray, max_bytes: int) -> bytes:
    """Return what was gzipped, all members of it. Raises GunzipError; never holds more than `max_bytes` and one byte."""
    body, member = BytesIO(), zlib.decompressobj(_GZIP)
    for start in range(0, len(data), _BLOCK_BYTES):
        rest = bytes(data[start : start + _BLOCK_BYTES])
        while rest:
            if member.eof:
                member = zlib.decompressobj(_GZIP)
            try:
                body.write(member.decompress(rest, min(max_bytes - body.tell() + 1, _STEP_BYTES)))
            except zlib.error:
                raise GunzipError("gzip: invalid checksum" if body.tell() else "gzip: invalid header") from None
            if body.tell() > max_bytes:
                raise GunzipTooLargeError(f"unpacked, it is larger than {max_bytes} bytes")
            rest = member.unconsumed_tail or member.unused_data
    if not member.eof:
        raise GunzipError("unexpected EOF")
    return body.getvalue()


def gunzip_head(data: bytes) -> bytes:
    """Return the first few bytes of what was gzipped. Raises GunzipError."""
    try:
        return zlib.decompressobj(_GZIP).decompress(data[:_HEAD_BYTES], _HEAD_BYTES)
    except zlib.error:
        raise GunzipError("gzip: invalid header") from None
