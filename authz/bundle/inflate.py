"""gzip (RFC 1952) in bounded steps. Knows nothing of what is packed."""

from __future__ import annotations

import zlib
from typing import Final

from authz.bundle.errors import BundleError
from authz.bundle.limits import Limits

GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_WINDOW: Final = 31  # the largest window, with gzip's header and trailer
_STEP: Final = 1 << 20
_LEVEL: Final = 9


def gunzip(content: bytes, limits: Limits) -> bytes:
    """Return what a gzip stream, perhaps of several members, holds; never makes more of it than the limits allow. Raises BundleError."""
    if len(content) > limits.compressed_bytes:
        raise BundleError(f"archive is larger than {limits.compressed_bytes} bytes")
    if not content.startswith(GZIP_MAGIC):
        raise BundleError("archive read failed: gzip: invalid header", help="a bundle is a gzip-compressed tar archive")
    out = bytearray()
    rest = content
    while rest.startswith(GZIP_MAGIC):
        rest = _member(rest, out, len(content), limits)
    if rest.strip(b"\0"):  # zeros: padding of tapes and of some storage
        raise BundleError(f"archive read failed: gzip: {len(rest)} bytes after the end of the stream")
    return bytes(out)


def _member(data: bytes, out: bytearray, packed: int, limits: Limits) -> bytes:
    """Append what the first member of `data` holds; return what follows it."""
    inflater = zlib.decompressobj(_GZIP_WINDOW)
    try:
        while not inflater.eof:
            made = inflater.decompress(data, _STEP)
            data = inflater.unconsumed_tail
            out += made
            _check_size(len(out), packed, limits)
            if not made and not data and not inflater.eof:
                raise BundleError("archive read failed: gzip: unexpected end", help="the archive is cut off; download or build it again")
    except zlib.error as error:
        raise BundleError(f"archive read failed: gzip: {_reason(error)}") from error
    return inflater.unused_data


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
