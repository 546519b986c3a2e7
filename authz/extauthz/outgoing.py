"""What may leave in a response: names, values and sizes of headers, query parameters, bodies and metadata.

Envoy checks little of it by default: a CR LF in a response header is an injection, `content-length` a smuggled request, an answer
over its limits an error that `failure_mode_allow` turns into an allow. So everything is checked here. Knows no decisions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from google.protobuf.struct_pb2 import Struct
from google.protobuf.struct_pb2 import Value as StructValue

from authz.extauthz.errors import BadDecisionError
from authz.rego.values import Boolean, Null, Object, Set, Value, json_key

# Beyond 100 headers or about 60 KiB Envoy answers 500.
MAX_HEADERS: Final = 100
MAX_HEADER_BYTES: Final = 60 * 1024
MAX_BODY_BYTES: Final = 1024 * 1024
MAX_METADATA_BYTES: Final = 1024 * 1024
# Protobuf readers stop at 100 nested messages, and an object within an object is three of them: Envoy could not read more.
MAX_METADATA_DEPTH: Final = 32

FRAMING_HEADERS: Final = frozenset(
    {
        # Who ends where: setting or removing one of these desynchronises Envoy and the upstream (RFC 9112, 6; RFC 9113, 8.2.2).
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    }
)
# `host` picks another route or tenant after the check; so would the pseudo-headers, which `_check_name` refuses by their colon.
ROUTING_HEADERS: Final = frozenset({"host"})
# Envoy and the upstream believe these because only Envoy is thought to set them (retries, timeouts, original path, internal).
RESERVED_PREFIX: Final = "x-envoy-"

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
_UNSAFE_VALUE: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")  # RFC 9110, 5.5: no CTL but HTAB
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_QUERY_SAFE: Final = re.compile(r"%[0-9A-Fa-f]{2}|[A-Za-z0-9\-._~!$'()*+,:@/?=]+")


def check_header(name: str, value: str) -> tuple[str, str]:
    """Return the header as it may be set; raise BadDecisionError."""
    lower = _check_name(name)
    if lower.startswith(RESERVED_PREFIX):
        raise BadDecisionError(f"header `{name}` belongs to Envoy and may not be set")
    if _UNSAFE_VALUE.search(value):
        raise BadDecisionError(f"value of header `{name}` has a character that HTTP does not allow")
    return name, value


def check_removal(name: str) -> str:
    """Return the name of a header that may be removed. That includes `x-envoy-*`: removing one claims nothing."""
    _check_name(name)
    return name


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise BadDecisionError("a header name is not an RFC 9110 token")
    lower = name.lower()
    if lower in FRAMING_HEADERS:
        raise BadDecisionError(f"header `{lower}` frames the message and may not be changed")
    if lower in ROUTING_HEADERS:
        raise BadDecisionError(f"header `{lower}` routes the request and may not be changed")
    return lower


def check_total(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return headers or parameters that are within Envoy's limits; raise BadDecisionError."""
    if len(pairs) > MAX_HEADERS:
        raise BadDecisionError(f"more than {MAX_HEADERS} entries")
    if sum(len(name.encode()) + len(value.encode()) for name, value in pairs) > MAX_HEADER_BYTES:
        raise BadDecisionError(f"more than {MAX_HEADER_BYTES} bytes")
    return pairs


def encode_parameter(name: str, value: str) -> tuple[str, str]:
    """Percent-encode a query parameter: Envoy splices it into the path as it stands.

    What may stand in a query stays, a complete percent escape too, so a policy that encodes already is not encoded twice.
    Everything else is encoded: a space, `#`, and the `&` and `;` that would add a parameter (deviation: OPA sends them raw).
    """
    return _percent_encode(name).replace("=", "%3D"), _percent_encode(value)


def _percent_encode(text: str) -> str:
    if _SURROGATE.search(text):
        raise BadDecisionError("a query parameter is not valid UTF-8")
    if _QUERY_SAFE.fullmatch(text):
        return text
    parts: list[str] = []
    position = 0
    while position < len(text):
        match = _QUERY_SAFE.match(text, position)
        if match:
            parts.append(match[0])
            position = match.end()
        else:
            parts.extend(f"%{byte:02X}" for byte in text[position].encode())
            position += 1
    return "".join(parts)


def check_parameter_name(name: str) -> str:
    """Return the name of a parameter that may be removed: Envoy compares it with the raw query, so nothing is encoded."""
    if _UNSAFE_VALUE.search(name):
        raise BadDecisionError("a query parameter name has a control character")
    return name


def check_body(body: str) -> str:
    """Return a body that is UTF-8 and within bounds; raise BadDecisionError."""
    if _SURROGATE.search(body):
        raise BadDecisionError("body is not valid UTF-8")
    if len(body) > MAX_BODY_BYTES or len(body.encode()) > MAX_BODY_BYTES:
        raise BadDecisionError(f"body is longer than {MAX_BODY_BYTES} bytes")
    return body


def metadata_struct(metadata: Object) -> Struct:
    """Return the Struct for dynamic metadata: numbers become doubles, sets sorted lists; raise BadDecisionError."""
    struct = Struct()
    _fill_struct(struct, metadata, 1)
    if struct.ByteSize() > MAX_METADATA_BYTES:
        raise BadDecisionError(f"dynamic_metadata is larger than {MAX_METADATA_BYTES} bytes")
    return struct


def _fill_struct(struct: Struct, members: Mapping[Value, Value], depth: int) -> None:
    if depth > MAX_METADATA_DEPTH:
        raise BadDecisionError(f"dynamic_metadata is nested deeper than {MAX_METADATA_DEPTH} levels")
    for key, item in members.items():
        _fill_value(struct.fields[_utf8(key_text(key))], item, depth)


def _fill_value(target: StructValue, value: Value, depth: int) -> None:
    if isinstance(value, str):
        target.string_value = _utf8(value)
    elif isinstance(value, Boolean):
        target.bool_value = value.truth
    elif isinstance(value, int | Decimal):
        target.number_value = _double(value)
    elif isinstance(value, Null):
        target.null_value = 0  # type: ignore[assignment]  # NullValue.NULL_VALUE
    elif isinstance(value, Object):
        target.struct_value.SetInParent()
        _fill_struct(target.struct_value, value, depth + 1)
    else:
        _fill_list(target, value, depth + 1)


def _fill_list(target: StructValue, items: tuple[Value, ...] | Set, depth: int) -> None:
    if depth > MAX_METADATA_DEPTH:
        raise BadDecisionError(f"dynamic_metadata is nested deeper than {MAX_METADATA_DEPTH} levels")
    target.list_value.SetInParent()
    for item in items.ordered() if isinstance(items, Set) else items:
        _fill_value(target.list_value.values.add(), item, depth)


def _double(number: int | Decimal) -> float:
    try:
        double = float(number)
    except OverflowError:
        double = math.inf
    if not math.isfinite(double):
        raise BadDecisionError("failed to get dynamic metadata: a number is out of a double's range")
    return double


def key_text(key: Value) -> str:
    """Return the name that a key of an object gives; one that is not UTF-8 stays so, to be refused as its value would be."""
    return key if isinstance(key, str) else json_key(key)


def _utf8(text: str) -> str:
    if _SURROGATE.search(text):
        raise BadDecisionError("dynamic_metadata is not valid UTF-8")
    return text
