"""The only place where a CheckResponse is made.

`allow` and `deny` take validated parts and always set the status: to Envoy an empty CheckResponse is an allow. Whether a decision
may be told to Envoy is `answer`'s business; this module knows no decisions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from envoy.config.core.v3.base_pb2 import HeaderValueOption, QueryParameter
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from google.protobuf.struct_pb2 import Struct

OK: Final = 0  # google.rpc.Code
PERMISSION_DENIED: Final = 7

FORBIDDEN: Final = 403

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """What Envoy does to an allowed request on its way up, and to the response on its way down."""

    headers: Pairs = ()
    headers_to_remove: tuple[str, ...] = ()
    response_headers_to_add: Pairs = ()
    query_parameters_to_remove: tuple[str, ...] = ()
    query_parameters_to_set: Pairs = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the client of a denied request sees."""

    http_status: int = FORBIDDEN
    headers: Pairs = ()
    body: str = ""


def allow(changes: Changes | None = None, metadata: Struct | None = None) -> bytes:
    """Encode an allow. Without `changes` the http_response is left unset, as opa-envoy-plugin does for `true`."""
    response = _response(OK, metadata)
    if changes is not None:
        ok = response.ok_response
        ok.SetInParent()
        ok.headers.extend(_headers(changes.headers))
        ok.headers_to_remove.extend(changes.headers_to_remove)
        ok.response_headers_to_add.extend(_headers(changes.response_headers_to_add))
        ok.query_parameters_to_remove.extend(changes.query_parameters_to_remove)
        ok.query_parameters_to_set.extend(QueryParameter(key=name, value=value) for name, value in changes.query_parameters_to_set)
    return _encode(response)


def deny(refusal: Refusal | None = None, metadata: Struct | None = None, message: str = "") -> bytes:
    """Encode a deny. Without `refusal` Envoy answers 403 with no body. `message` never reaches the client."""
    response = _response(PERMISSION_DENIED, metadata)
    response.status.message = message
    if refusal is not None:
        denied = response.denied_response
        denied.status.code = refusal.http_status
        denied.headers.extend(_headers(refusal.headers))
        denied.body = refusal.body
    return _encode(response)


def _encode(response: CheckResponse) -> bytes:
    data: bytes = response.SerializeToString()
    return data


def _response(code: int, metadata: Struct | None) -> CheckResponse:
    response = CheckResponse()
    response.status.code = code
    if metadata is not None:
        response.dynamic_metadata.CopyFrom(metadata)
    return response


def _headers(pairs: Pairs) -> Iterable[HeaderValueOption]:
    for name, value in pairs:
        option = HeaderValueOption()
        option.header.key = name
        option.header.value = value
        yield option
