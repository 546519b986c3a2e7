"""gRPC's length-prefixed messages (PROTOCOL-HTTP2.md, "Length-Prefixed-Message").

Bytes only: this module knows neither streams nor HTTP/2 frames.
"""

from struct import Struct
from typing import Final

from authz.server.rpc import RpcError, Status

PREFIX_BYTES: Final = 5  # compressed flag, then a 32-bit big-endian length
_PREFIX: Final = Struct(">BI")


def frame(message: bytes) -> bytes:
    """Return `message` with its prefix, uncompressed."""
    return _PREFIX.pack(0, len(message)) + message


def check_start(body: bytes | bytearray, max_bytes: int) -> None:
    """Refuse a body, complete or not, as soon as its prefix shows that it cannot become one acceptable message."""
    if len(body) < PREFIX_BYTES:
        return
    flag, length = _PREFIX.unpack_from(body)
    if flag == 1:
        raise RpcError(Status.INTERNAL, "message is compressed although no grpc-encoding was announced")
    if flag:
        raise RpcError(Status.INTERNAL, "message has an unknown flag")
    if length > max_bytes:
        raise RpcError(Status.RESOURCE_EXHAUSTED, f"message of {length} bytes exceeds the limit of {max_bytes}")
    if len(body) > PREFIX_BYTES + length:
        raise RpcError(Status.INTERNAL, "more than one message in the request")


def sole_message(body: bytes | bytearray, max_bytes: int) -> bytes:
    """Return the one message that a half-closed request consists of; RpcError when it is anything else."""
    if len(body) >= PREFIX_BYTES:
        flag, length = _PREFIX.unpack_from(body)
        if not flag and length <= max_bytes and length == len(body) - PREFIX_BYTES:
            return bytes(body[PREFIX_BYTES:])
    check_start(body, max_bytes)
    if not body:
        raise RpcError(Status.INTERNAL, "request ended without a message")
    raise RpcError(Status.INTERNAL, "request ended inside a message")
