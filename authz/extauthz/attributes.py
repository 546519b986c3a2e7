"""`input.attributes`: the reflection walk of opa-envoy-plugin over a check request's attributes.

Only populated fields; lowerCamelCase names; enums and 64-bit integers as numbers; bytes in base64; a Struct as its plain
object; every other message, Timestamp and Any included, field by field. Knows protobuf and values, no policy.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct
from google.protobuf.struct_pb2 import Value as StructValue

from authz.extauthz.errors import BadRequestError
from authz.rego.values import FALSE, NULL, TRUE, Object, Value

STRUCT: Final = "google.protobuf.Struct"

_EXACT: Final = 2.0**53
_EXPONENT_FROM: Final = 1e21  # from here on JSON encoders write an exponent


def message_value(message: Message) -> Object:
    """Return the object that stands for a message; raise BadRequestError for a number that JSON does not have."""
    if message.DESCRIPTOR.full_name == STRUCT:
        return struct_object(cast(Struct, message))
    return Object((field.json_name, field_value(field, value)) for field, value in message.ListFields())


def field_value(field: FieldDescriptor, value: Any) -> Value:
    """Return what stands for a populated field."""
    if not field.is_repeated:
        return scalar_value(value)
    if is_map(field):
        return Object((_map_key(key), scalar_value(item)) for key, item in cast("Mapping[Any, Any]", value).items())
    return tuple(scalar_value(item) for item in cast("Iterable[Any]", value))


def is_map(field: FieldDescriptor) -> bool:
    """Tell maps from other repeated fields."""
    entry = field.message_type
    return entry is not None and entry.GetOptions().map_entry


def scalar_value(value: Any) -> Value:
    """Return what stands for one item: a number, string, bytes, boolean or message."""
    kind = type(value)
    if kind is str or kind is int:
        return cast("Value", value)
    if kind is bool:
        return TRUE if value else FALSE
    if kind is bytes:
        return base64.b64encode(value).decode()
    return number_value(value) if kind is float else message_value(value)


def _map_key(key: object) -> str:
    return key if isinstance(key, str) else str(key).lower()


def struct_object(struct: Struct) -> Object:
    """Return the plain object of a Struct."""
    return Object((name, struct_value(item)) for name, item in struct.fields.items())


def struct_value(item: StructValue) -> Value:
    """Return one member of a Struct; one whose kind is unset is null, as in Go."""
    match item.WhichOneof("kind"):
        case "string_value":
            return item.string_value
        case "number_value":
            return number_value(item.number_value)
        case "bool_value":
            return TRUE if item.bool_value else FALSE
        case "struct_value":
            return struct_object(item.struct_value)
        case "list_value":
            return _struct_list(item.list_value)
        case _:
            return NULL


def _struct_list(items: ListValue) -> Value:
    return tuple(struct_value(item) for item in items.values)


def number_value(number: float) -> Value:
    """Return a double as the number that its shortest decimal form names: beyond 2**53 that is not its exact value."""
    if number.is_integer() and abs(number) < _EXPONENT_FROM:
        return int(number) if abs(number) < _EXACT else int(Decimal(repr(number)))
    if number - number != 0:  # NaN and the infinities
        raise BadRequestError(f"number {number} is not a JSON number")
    return Decimal(repr(number))
