"""The primitive values of DER as Go's encoding/asn1 reads them, and its errors.

Owns their texts. Tags and structures are `go_asn1`'s.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Final, Protocol

from authz.rego.builtins.der import (
    BIT_STRING,
    BMP_STRING,
    GENERALIZED_TIME,
    IA5_STRING,
    NUMERIC_STRING,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    PRINTABLE_STRING,
    T61_STRING,
    UTC_TIME,
    UTF8_STRING,
    Oid,
    bits_of,
    integer_of,
    time_of,
)
from authz.rego.values import Document

_PRINTABLE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?*&")
_NUMERIC: Final = frozenset(b"0123456789 ")
_STRINGS: Final = (UTF8_STRING, NUMERIC_STRING, PRINTABLE_STRING, T61_STRING, IA5_STRING, BMP_STRING)


class Asn1Error(ValueError):
    """The octets are not what is described; the message is Go's."""


class Tag(Protocol):
    """What of a tag decides how a value of any type is read."""

    @property
    def class_(self) -> int: ...
    @property
    def number(self) -> int: ...
    @property
    def is_compound(self) -> bool: ...


def syntax_error(message: str) -> Asn1Error:
    return Asn1Error(f"asn1: syntax error: {message}")


def structure_error(message: str) -> Asn1Error:
    return Asn1Error(f"asn1: structure error: {message}")


def integer(content: bytes, *, is_int64: bool) -> int:
    number = integer_of(content)
    if number is None:
        raise structure_error("integer not minimally-encoded" if content else "empty integer")
    if is_int64 and len(content) > 8:
        raise structure_error("integer too large")
    return number


def base128(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of seven bits to the octet, and where what follows it begins."""
    number = 0
    for shifted, octet in enumerate(data[at : at + 5]):
        if not shifted and octet == 0x80:
            raise syntax_error("integer is not minimally encoded")
        number = number << 7 | octet & 0x7F
        if not octet & 0x80:
            if number >= 2**31:
                raise structure_error("base 128 integer too large")
            return number, at + shifted + 1
    if len(data) > at + 5:
        raise structure_error("base 128 integer too large")
    raise syntax_error("truncated base 128 integer")


def object_identifier(content: bytes) -> Oid:
    if not content:
        raise syntax_error("zero length OBJECT IDENTIFIER")
    first, at = base128(content, 0)
    arcs = [first // 40, first % 40] if first < 80 else [2, first - 80]
    while at < len(content):
        arc, at = base128(content, at)
        arcs.append(arc)
    return tuple(arcs)


def string_of(tag: int, content: bytes) -> str | None:
    """Return the text of a string's contents; None for a character that such a string cannot have, and for what is no string."""
    if tag == PRINTABLE_STRING:
        return content.decode() if _PRINTABLE.issuperset(content) else None
    if tag == NUMERIC_STRING:
        return content.decode() if _NUMERIC.issuperset(content) else None
    if tag == IA5_STRING:
        return content.decode() if content.isascii() else None
    if tag == T61_STRING:
        return content.decode("latin-1")
    try:
        return content.decode() if tag == UTF8_STRING else _bmp_text(content) if tag == BMP_STRING else None
    except UnicodeDecodeError:
        return None


def _bmp_text(content: bytes) -> str | None:
    text = content.removesuffix(b"\x00\x00").decode("utf-16-be") if len(content) % 2 == 0 else "\ufffe"
    is_plain = all(char <= "\ufffd" and not "\ufdd0" <= char <= "\ufdef" for char in text)
    return text if is_plain else None


def any_value(tag: Tag, content: bytes) -> Document:
    """Return the JSON of a value whose type is not described; null for one that Go knows no type for. Raises Asn1Error."""
    if tag.class_ or tag.is_compound:
        return None
    if tag.number in _STRINGS:
        text = string_of(tag.number, content)
        if text is None:
            raise _string_error(tag.number)
        return text
    if tag.number == 1:
        if content not in (b"\x00", b"\xff"):
            raise syntax_error("invalid boolean")
        return content == b"\xff"
    if tag.number == 2:
        return integer(content, is_int64=True)
    if tag.number == OBJECT_IDENTIFIER:
        return list(object_identifier(content))
    if tag.number == OCTET_STRING:
        return b64encode(content).decode()
    return _rare_value(tag.number, content)


def _rare_value(number: int, content: bytes) -> Document:
    if number == BIT_STRING:
        bits = bits_of(content)
        if bits is None:
            raise syntax_error("invalid padding bits in BIT STRING" if content else "zero length BIT STRING")
        return {"Bytes": b64encode(bits[0]).decode(), "BitLength": len(bits[0]) * 8 - bits[1]}
    if number in (UTC_TIME, GENERALIZED_TIME):
        moment = time_of(content, is_utc_time=number == UTC_TIME)
        if moment is None:
            raise Asn1Error("asn1: time did not serialize back to the original value and may be invalid")
        return moment.isoformat().replace("+00:00", "Z")
    return None


def _string_error(number: int) -> Asn1Error:
    if number in (UTF8_STRING, BMP_STRING):
        return Asn1Error("asn1: invalid UTF-8 string" if number == UTF8_STRING else "invalid BMPString")
    names = {PRINTABLE_STRING: "PrintableString", NUMERIC_STRING: "NumericString", IA5_STRING: "IA5String"}
    return syntax_error(f"{names[number]} contains invalid character")
