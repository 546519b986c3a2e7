"""Unmarshalling DER into described structures as Go's encoding/asn1 does, with its errors.

Owns how a description is followed. The structures themselves are their readers'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias, Union

from authz.rego.builtins.asn1_values import any_value, base128, integer, object_identifier, structure_error, syntax_error
from authz.rego.builtins.der import bits_of

MAX_DEPTH: Final = 64


@dataclass(frozen=True, slots=True)
class Struct:
    """A Go struct: its name, and its fields."""

    name: str
    fields: tuple[tuple[str, Field], ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """A Go slice. `name` is that of its type, which makes it a SET where it ends in that word."""

    element: Type
    name: str = ""


Type: TypeAlias = Union[str, Struct, Slice]
"""`int`, `big`, `oid`, `bits`, `octets`, `bool`, `raw`, `any`, or what is made of these."""


@dataclass(frozen=True, slots=True)
class Field:
    """A type with the parameters of a struct's field."""

    type: Type
    optional: bool = False
    explicit: bool = False
    tag: int | None = None
    is_set: bool = False
    default: int | None = None


class Raw(NamedTuple):
    """A value that is not looked into: all of its octets, and its contents."""

    full: bytes
    content: bytes


class _Tag(NamedTuple):
    class_: int
    number: int
    length: int
    is_compound: bool

    def __str__(self) -> str:
        return f"{{class:{self.class_} tag:{self.number} length:{self.length} isCompound:{'true' if self.is_compound else 'false'}}}"


_UNIVERSAL: Final = {"bool": 1, "int": 2, "big": 2, "bits": 3, "octets": 4, "oid": 6}
_GO_NAMES: Final = {"int": "int", "oid": "ObjectIdentifier", "bits": "BitString", "bool": "bool", "raw": "RawValue"}


def unmarshal(data: bytes, type_: Type) -> tuple[Any, bytes]:
    """Return the value of a type that the octets begin with, and the rest of them. Raises Asn1Error."""
    value, end = _field(data, 0, Field(type_), 0)
    return value, data[end:]


def _header(data: bytes, at: int) -> tuple[_Tag, int]:
    octet = data[at]
    at += 1
    number = octet & 0x1F
    if number == 0x1F:
        number, at = base128(data, at)
        if number < 0x1F:
            raise syntax_error("non-minimal tag")
    if at >= len(data):
        raise syntax_error("truncated tag or length")
    length = data[at]
    at += 1
    if length & 0x80:
        length, at = _long_length(data, at, length & 0x7F)
    return _Tag(octet >> 6, number, length, octet & 0x20 != 0), at


def _long_length(data: bytes, at: int, octets: int) -> tuple[int, int]:
    if not octets:
        raise syntax_error("indefinite length found (not DER)")
    length = 0
    for position in range(at, at + octets):
        if position >= len(data):
            raise syntax_error("truncated tag or length")
        if length >= 1 << 23:
            raise structure_error("length too large")
        length = length << 8 | data[position]
        if not length:
            raise structure_error("superfluous leading zeros in length")
    if length < 0x80:
        raise structure_error("non-minimal length")
    return length, at + octets


def _field(data: bytes, start: int, field: Field, depth: int) -> tuple[Any, int]:
    """Return the value of a field, and where what follows it begins. One that is optional and not there is its default."""
    if depth > MAX_DEPTH:
        raise structure_error("nesting depth exceeded")
    if start == len(data):
        if not field.optional:
            raise syntax_error("sequence truncated")
        return field.default, start
    tag, at = _header(data, start)
    if field.type == "any":
        return any_value(tag, _content(data, at, tag)), at + tag.length
    if field.explicit:
        if at == len(data):
            raise structure_error("explicit tag has no child")
        if tag[:2] != (2, field.tag) or not (tag.is_compound or not tag.length):
            return _absent(field, start, "explicitly tagged member didn't match")
        if not tag.length:
            raise structure_error("zero length explicit tag was not an asn1.Flag")
        tag, at = _header(data, at)
    matches_any, number, is_compound = _universal(field)
    expected = (0, number)
    if field.tag is not None and not field.explicit:
        expected, matches_tag = (2, field.tag), tag[:2] == (2, field.tag)
    else:
        matches_tag = matches_any or tag[:2] == expected
    if not matches_tag or (not matches_any and tag.is_compound != is_compound):
        name = _GO_NAMES.get(field.type, "") if isinstance(field.type, str) else field.type.name
        return _absent(field, start, f"tags don't match ({expected[1]} vs {tag}) {_parameters(field)} {name} @{at}")
    content = _content(data, at, tag)
    end = at + tag.length
    return _value(field.type, data[start:end], content, depth), end


def _absent(field: Field, start: int, message: str) -> tuple[Any, int]:
    if not field.optional:
        raise structure_error(message)
    return field.default, start


def _content(data: bytes, at: int, tag: _Tag) -> bytes:
    if at + tag.length > len(data):
        raise syntax_error("data truncated")
    return data[at : at + tag.length]


def _universal(field: Field) -> tuple[bool, int, bool]:
    """Return whether any tag will do for a field, else the tag's number and whether it is of a compound value."""
    if field.type == "raw":
        return True, -1, False
    if isinstance(field.type, str):
        return False, _UNIVERSAL[field.type], False
    return False, 17 if field.is_set or (isinstance(field.type, Slice) and field.type.name.endswith("SET")) else 16, True


def _parameters(field: Field) -> str:
    flags = {name: str(flag).lower() for name, flag in (("o", field.optional), ("e", field.explicit), ("s", field.is_set))}
    return (
        f"{{optional:{flags['o']} explicit:{flags['e']} application:false private:false defaultValue:<nil> "
        f"tag:{'<nil>' if field.tag is None else '0x0'} stringType:0 timeType:0 set:{flags['s']} omitEmpty:false}}"
    )


def _value(type_: Type, full: bytes, content: bytes, depth: int) -> Any:
    if isinstance(type_, Struct):
        return _struct(type_, full, content, depth)
    if isinstance(type_, Slice):
        return _slice(type_, content, depth)
    if type_ == "raw":
        return Raw(full, content)
    if type_ == "oid":
        return object_identifier(content)
    if type_ == "bits":
        bits = bits_of(content)
        if bits is None:
            raise syntax_error("invalid padding bits in BIT STRING" if content else "zero length BIT STRING")
        return bits
    if type_ in ("int", "big"):
        return integer(content, is_int64=type_ == "int")
    if type_ == "bool":
        if content not in (b"\x00", b"\xff"):
            raise syntax_error("invalid boolean")
        return content == b"\xff"
    return content


def _struct(type_: Struct, full: bytes, content: bytes, depth: int) -> dict[str, Any]:
    members: dict[str, Any] = {"raw": full}
    at = 0
    for name, field in type_.fields:
        members[name], at = _field(content, at, field, depth + 1)
    return members


def _slice(type_: Slice, content: bytes, depth: int) -> list[Any]:
    element = Field(type_.element)
    matches_any, number, is_compound = _universal(element)
    at = 0
    while at < len(content):
        tag, at = _header(content, at)
        if not matches_any and (tag.class_, tag.number, tag.is_compound) != (0, number, is_compound):
            raise structure_error("sequence tag mismatch")
        at += tag.length
        if at > len(content):
            raise syntax_error("truncated sequence")
    items: list[Any] = []
    at = 0
    while at < len(content):
        item, at = _field(content, at, element, depth + 1)
        items.append(item)
    return items
