"""What the serving process and the compile worker say to each other, as msgpack over pipes. Archives go beside it, in a file.

Only shapes: neither side's behaviour is known here. (Not pickle: the serving process runs nothing it is sent
but the compiled policy itself, which `rego.Policy.from_bytes` reads.)
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec


class BundleKey(msgspec.Struct, frozen=True):
    """A key of the configuration, to verify signatures with."""

    id: str
    key: str
    algorithm: str
    scope: str


class Span(msgspec.Struct, frozen=True, array_like=True):
    """A place in the file that goes with a request, in bytes."""

    offset: int
    size: int


class ArchivePart(msgspec.Struct, frozen=True, array_like=True):
    """An archive of a bundle. `verified_s`: its signatures held at this time already (seconds since the epoch)."""

    span: Span
    verified_s: float | None = None


class BundleParts(msgspec.Struct, frozen=True):
    """One bundle: where its archives stand, in the order they came; those after a snapshot are deltas of it.

    Without a `key_id` and `must_be_signed`, an unsigned archive will do.
    """

    name: str
    archives: tuple[ArchivePart, ...]
    etag: str = ""
    key_id: str | None = None
    scope: str | None = None
    exclude_files: tuple[str, ...] = ()
    must_be_signed: bool = True
    file_bytes: int | None = None


class Paths(msgspec.Struct, frozen=True, tag="paths"):
    """What stands at these paths on disk."""

    paths: tuple[str, ...]


class Bundles(msgspec.Struct, frozen=True, tag="bundles"):
    """What these bundles are together. `must_pass_tests`: none of the tests in them may fail."""

    bundles: tuple[BundleParts, ...]
    keys: tuple[BundleKey, ...] = ()
    must_pass_tests: bool = False


class CompileRequest(msgspec.Struct, frozen=True, tag="compile"):
    """Compile a source unless the digest of its contents is `known_digest`, and within `timeout_s`."""

    source: Paths | Bundles
    entrypoint: str
    rego_version: int
    timeout_s: float
    known_digest: str | None = None


class EvaluateRequest(msgspec.Struct, frozen=True, tag="evaluate"):
    """Evaluate the document at a path of `data`, of all of it if there is none, in one bundle and nothing else, within `timeout_s`.

    `runtime` is what `opa.runtime()` gives there, as JSON.
    """

    source: Bundles
    path: tuple[str, ...]
    runtime: str
    rego_version: int
    timeout_s: float


class ReadBundle(msgspec.Struct, frozen=True):
    """What a bundle turned out to be. Its archives before `first` are of no use any more; `is_delta` is of the last one.

    `verified_s` is the time at which the signatures of those held that were not verified before. `read_ns` is what reading it took.
    """

    name: str
    revision: str
    first: int
    is_delta: bool
    verified_s: float = 0.0
    read_ns: int = 0


class Compiled(msgspec.Struct, frozen=True, tag="compiled"):
    """A policy ready to be activated, as `rego.Policy.to_bytes` wrote it. `digest` is that of what it was made of.

    `compile_ns` is what parsing and compiling all of it took.
    """

    revision: str
    policy: bytes
    digest: str = ""
    bundles: tuple[ReadBundle, ...] = ()
    compile_ns: int = 0


class Unchanged(msgspec.Struct, frozen=True, tag="unchanged"):
    """The source holds what is active already."""

    revision: str
    bundles: tuple[ReadBundle, ...] = ()


class Evaluated(msgspec.Struct, frozen=True, tag="evaluated"):
    """The document that was asked for, as JSON."""

    document: str
    bundle: ReadBundle


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """No policy came of it. `code` is an ErrorCode; `message` may have several lines (a compiler's report).

    `is_final`: the source is at fault, so the same one would fail again. `bundle` is the one at fault, where that is known.
    `errors` are the compiler's findings, as OPA's APIs show them.
    """

    code: str
    message: str
    help: str | None = None
    is_final: bool = False
    bundle: str | None = None
    errors: tuple[dict[str, Any], ...] = ()


CompileResponse: TypeAlias = Compiled | Unchanged | Failed
EvaluateResponse: TypeAlias = Evaluated | Failed
Request: TypeAlias = CompileRequest | EvaluateRequest
Response: TypeAlias = CompileResponse | EvaluateResponse

_request_decoder: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_response_decoder: msgspec.msgpack.Decoder[Response] = msgspec.msgpack.Decoder(Response)


def encode(message: Request | Response) -> bytes:
    """Return the message's bytes."""
    return msgspec.msgpack.encode(message)


def decode_request(data: bytes) -> Request:
    """Return the request; raises msgspec.DecodeError."""
    return _request_decoder.decode(data)


def decode_response(data: bytes | bytearray) -> Response:
    """Return the response; raises msgspec.DecodeError."""
    return _response_decoder.decode(data)
