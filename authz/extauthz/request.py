"""From the bytes of a check request to the message that everything else reads.

Owns decoding and the one repair that is done on the message. It knows nothing of the input document.
"""

from __future__ import annotations

from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from google.protobuf.message import DecodeError

from authz.extauthz.errors import BadRequestError

_decode = CheckRequest.FromString


def decode(data: bytes) -> CheckRequest:
    """Return the check request; raise BadRequestError for bytes that are none.

    No bytes at all are a valid, empty message: a request about which nothing is known.
    """
    try:
        request = _decode(data)
    except DecodeError as error:
        raise BadRequestError("not a CheckRequest message") from error
    http = request.attributes.request.http
    if not http.headers and http.HasField("header_map"):
        _fill_headers(http)
    return request


def _fill_headers(http: AttributeContext.HttpRequest) -> None:
    """Build `headers` from `header_map`, in which alone Envoy sends them with `encode_raw_headers`.

    Deviation: opa-envoy-plugin shows such policies no headers at all. Built as Envoy itself builds `headers`: lower-case
    names, duplicates joined with `,`, each byte that is not UTF-8 replaced by `!`. `headerMap` stays beside it.
    """
    values: dict[str, list[str]] = {}
    for header in http.header_map.headers:
        values.setdefault(header.key.lower(), []).append(header.value or _readable(header.raw_value))
    http.headers.update({name: ",".join(parts) for name, parts in values.items()})


def _readable(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("utf-8", "surrogateescape")
        return "".join("!" if "\udc80" <= char <= "\udcff" else char for char in text)
