"""gRPC's words in HTTP/2 header fields: timeouts, statuses, what a request must say of itself.

Pure functions and constant header blocks. This module knows neither streams nor sockets.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, TypeAlias

from authz.server.rpc import RpcError, Status

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]

GRPC: Final = b"application/grpc"
RESPONSE: Final[Headers] = ((b":status", b"200"), (b"content-type", GRPC))
TRAILERS_OK: Final[Headers] = ((b"grpc-status", b"0"),)
METHOD_NOT_ALLOWED: Final[Headers] = ((b":status", b"405"), (b"allow", b"POST"))
UNSUPPORTED_MEDIA_TYPE: Final[Headers] = ((b":status", b"415"),)
_ACCEPT_ENCODING: Final = (b"grpc-accept-encoding", b"identity")

_SECONDS_PER_UNIT: Final = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_TIMEOUT: Final = re.compile(rb"([0-9]{1,8})([HMSmun])")
# Everything but printable ASCII, and "%" itself (PROTOCOL-HTTP2.md, "Status-Message").
_UNSAFE: Final = re.compile(rb"[^\x20-\x24\x26-\x7e]")


@lru_cache(maxsize=256)  # Envoy sends the same value on every check
def parse_timeout(value: bytes) -> float:
    """Return the seconds of a grpc-timeout value; a malformed one is INTERNAL, as in grpc-go."""
    match = _TIMEOUT.fullmatch(value)
    if match is None:
        raise RpcError(Status.INTERNAL, "malformed grpc-timeout")
    return int(match[1]) * _SECONDS_PER_UNIT[match[2].decode()]


def encode_message(text: str) -> bytes:
    """Percent-encode a status message; nothing a caller or a policy wrote can break out of the header field."""
    return _UNSAFE.sub(lambda match: b"%%%02X" % match[0][0], text.encode("utf-8", "replace"))


def trailers(error: RpcError) -> Headers:
    """Return the trailers that end a response with `error`."""
    return ((b"grpc-status", b"%d" % error.status), (b"grpc-message", encode_message(error.message)))


def trailers_only(error: RpcError) -> Headers:
    """Return the single header block of a response that is nothing but `error`."""
    extra = (_ACCEPT_ENCODING,) if error.status is Status.UNIMPLEMENTED else ()
    return RESPONSE + trailers(error) + extra


def maybe_refusal(fields: Mapping[bytes, bytes]) -> Headers | None:
    """Return the response to a request whose header fields are not those of a gRPC call we can serve, else None."""
    if fields.get(b":method") != b"POST":
        return METHOD_NOT_ALLOWED
    if not _is_grpc(fields.get(b"content-type", b"")):
        return UNSUPPORTED_MEDIA_TYPE
    encoding = fields.get(b"grpc-encoding", b"identity")
    if encoding != b"identity":
        return trailers_only(RpcError(Status.UNIMPLEMENTED, "message encoding is not supported: use identity"))
    return None


def _is_grpc(content_type: bytes) -> bool:
    """Accept `application/grpc`, its `+proto` forms and parameters; `application/grpc-web` is another protocol."""
    lowered = content_type.lower()
    return lowered.startswith(GRPC) and lowered[len(GRPC) : len(GRPC) + 1] in (b"", b"+", b";")


UNKNOWN_METHOD: Final = trailers_only(RpcError(Status.UNIMPLEMENTED, "unknown method"))
