"""What the serving process and the compile worker say to each other, as msgpack over pipes.

Only shapes: neither side's behaviour is known here. (Not pickle: the serving process runs nothing it is sent
but the compiled policy itself, which `rego.Policy.from_bytes` reads.)
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class CompileRequest(msgspec.Struct, frozen=True):
    """Compile what stands at `paths` unless the digest of its contents is `known_digest`, and within `timeout_s`."""

    paths: tuple[str, ...]
    entrypoint: str
    rego_version: int
    timeout_s: float
    known_digest: str | None = None


class Compiled(msgspec.Struct, frozen=True, tag="compiled"):
    """A policy ready to be activated, as `rego.Policy.to_bytes` wrote it. `digest` is that of what it was made of."""

    revision: str
    policy: bytes
    digest: str = ""


class Unchanged(msgspec.Struct, frozen=True, tag="unchanged"):
    """The files hold what is active already."""

    revision: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """No policy came of it. `code` is an ErrorCode; `message` may have several lines (a compiler's report)."""

    code: str
    message: str
    help: str | None = None


CompileResponse: TypeAlias = Compiled | Unchanged | Failed

_request_decoder = msgspec.msgpack.Decoder(CompileRequest)
_response_decoder: msgspec.msgpack.Decoder[CompileResponse] = msgspec.msgpack.Decoder(CompileResponse)


def encode(message: CompileRequest | CompileResponse) -> bytes:
    """Return the message's bytes."""
    return msgspec.msgpack.encode(message)


def decode_request(data: bytes) -> CompileRequest:
    """Return the request; raises msgspec.DecodeError."""
    return _request_decoder.decode(data)


def decode_response(data: bytes) -> CompileResponse:
    """Return the response; raises msgspec.DecodeError."""
    return _response_decoder.decode(data)
