"""gzip (RFC 1952) in bounded steps. Knows nothing of what is packed."""

from __future__ import annotations

import zlib
from typing import Final

from authz.bundle.errors import BundleError
from authz.bundle.limits import Limits

GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_WINDOW: Final = 31  # the largest window, with gzip's header and trailer
_INPUT_STEP: Final = 1 << 16
_OUTPUT_STEP: Final = 1 << 20
MAX_MEMBERS: Final = 1_000
"""Streams that one archive may be made of; writers that compress in parallel make a member of each piece."""

_LEVEL: Final = 9


def gunzip(content: bytes, limits: Limits) -> bytes:
    """Return what a gzip stream, perhaps of several members, holds; never makes more of it than the limits allow. Raises BundleError."""
    if len(content) > limits.compressed_bytes:
        raise BundleError(f"archive is larger than {limits.compressed_bytes} bytes")
    if not content.startswith(GZIP_MAGIC):
        raise BundleError("archive read failed: gzip: invalid header", help="a bundle is a gzip-compressed tar archive")
    out = bytearray()
    at = members = 0
    while content.startswith(GZIP_MAGIC, at):
        members += 1
        if members > MAX_MEMBERS:
            raise BundleError(f"archive read failed: gzip: more than {MAX_MEMBERS} members")
        at = _member(content, at, out, limits)
    if content[at:].strip(b"\0"):  # zeros: padding of tapes and of some storage
        raise BundleError(f"archive read failed: gzip: {len(content) - at} bytes after the end of the stream")
    return bytes(out)


def _member(content: bytes, at: int, out: bytearray, limits: Limits) -> int:
    """Append what the member at a place holds; return where it ends. Input goes in by pieces: what is left of one is copied each time."""
    inflater = zlib.decompressobj(_GZIP_WINDOW)
    try:
        while not inflater.eof:
            piece = inflater.unconsumed_tail
            if not piece:
                piece = content[at : at + _INPUT_STEP]
                at += len(piece)
            made = inflater.decompress(piece, _OUTPUT_STEP)
            out += made
            _check_size(len(out), len(content), limits)
            if not made and not piece:
                raise BundleError("archive read failed: gzip: unexpected end", help="the archive is cut off; download or build it again")
    except zlib.error as error:
        raise BundleError(f"archive read failed: gzip: {_reason(error)}") from error
    return at - len(inflater.unused_data)


def _check_size(size: int, packed: int, limits: Limits) -> None:
    if size > limits.expanded_bytes:
        raise BundleError(f"archive expands to more than {limits.expanded_bytes} bytes")
    if size > limits.ratio_free_bytes and size > packed * limits.ratio:
        raise BundleError(f"archive expands to more than {limits.ratio} times its size", help="this is how decompression bombs look")


def _reason(error: zlib.error) -> str:
    return str(error).rpartition(": ")[2]


def gzip(content: bytes) -> bytes:
    """Return the content as a gzip stream whose header has neither time nor name: the same content, the same bytes."""
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return deflater.compress(content) + deflater.flush()
