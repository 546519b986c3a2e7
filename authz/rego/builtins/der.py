"""Reading DER (X.690) value by value, as strictly as Go's cryptobyte does.

Owns tags, lengths and the primitive types. What a certificate is made of is not known here.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
OBJECT_IDENTIFIER: Final = 0x06
UTF8_STRING: Final = 0x0C
NUMERIC_STRING: Final = 0x12
PRINTABLE_STRING: Final = 0x13
T61_STRING: Final = 0x14
IA5_STRING: Final = 0x16
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
BMP_STRING: Final = 0x1E
SEQUENCE: Final = 0x30
SET: Final = 0x31
NULL: Final = b"\x05\x00"

MAX_INTEGER: Final = 8192
"""Octets of an INTEGER that is read: keys have a quarter of that at most."""

_MAX_ARC: Final = 2**31 - 1

Oid = tuple[int, ...]


class DerError(ValueError):
    """The octets are not what is asked for; the message is the caller's."""


def context(number: int, *, constructed: bool = False) -> int:
    """Return a context-specific tag."""
    return 0x80 | number | (0x20 if constructed else 0)


class Der:
    """A cursor over octets. Every read takes the message of the DerError that it raises where it fails."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def __bool__(self) -> bool:
        return self.at < len(self.data)

    def peek(self, tag: int) -> bool:
        return self.data[self.at : self.at + 1] == bytes((tag,))

    def any_element(self, message: str) -> tuple[int, bytes, bytes]:
        """Return the next value: its tag, its contents, and all of its octets."""
        header, size = _header(self.data, self.at)
        end = self.at + header + size
        if not header or end > len(self.data):
            raise DerError(message)
        start, self.at = self.at, end
        return self.data[start], self.data[start + header : end], self.data[start:end]

    def element(self, tag: int, message: str) -> bytes:
        """Return all octets of the next value, which has to have the tag."""
        return self._tagged(tag, message)[2]

    def octets(self, tag: int, message: str) -> bytes:
        """Return the contents of the next value, which has to have the tag."""
        return self._tagged(tag, message)[1]

    def value(self, tag: int, message: str) -> Der:
        return Der(self.octets(tag, message))

    def optional(self, tag: int, message: str) -> Der | None:
        """Return what the next value holds if it has the tag."""
        return self.value(tag, message) if self.peek(tag) else None

    def _tagged(self, tag: int, message: str) -> tuple[int, bytes, bytes]:
        if not self.peek(tag):
            raise DerError(message)
        return self.any_element(message)

    def boolean(self, message: str) -> bool:
        content = self.octets(BOOLEAN, message)
        if content not in (b"\x00", b"\xff"):
            raise DerError(message)
        return content == b"\xff"

    def integer(self, message: str, tag: int = INTEGER) -> int:
        content = self.octets(tag, message)
        number = integer_of(content)
        if number is None:
            raise DerError(message)
        return number

    def int64(self, message: str, tag: int = INTEGER) -> int:
        number = self.integer(message, tag)
        if not -(2**63) <= number < 2**63:
            raise DerError(message)
        return number

    def oid(self, message: str) -> Oid:
        arcs = oid_of(self.octets(OBJECT_IDENTIFIER, message))
        if arcs is None:
            raise DerError(message)
        return arcs

    def bits(self, message: str) -> tuple[bytes, int]:
        """Return the octets of a bit string, and how many bits of the last one are no part of it."""
        found = bits_of(self.octets(BIT_STRING, message))
        if found is None:
            raise DerError(message)
        return found

    def time(self, tag: int, message: str) -> datetime:
        found = time_of(self.octets(tag, message), is_utc_time=tag == UTC_TIME)
        if found is None:
            raise DerError(message)
        return found


def _header(data: bytes, at: int) -> tuple[int, int]:
    """Return the octets before the contents and the contents' size; (0, 0) for what is no tag and length."""
    if at + 2 > len(data) or data[at] & 0x1F == 0x1F:
        return 0, 0
    size = data[at + 1]
    if size < 0x80:
        return 2, size
    octets = size & 0x7F
    number = data[at + 2 : at + 2 + octets]
    size = int.from_bytes(number, "big")
    if not 1 <= octets <= 4 or len(number) < octets or size < 0x80 or not number[0]:
        return 0, 0
    return 2 + octets, size


def integer_of(content: bytes) -> int | None:
    """Return the number of an INTEGER's contents, None if they are not minimal, or too many."""
    is_padded = len(content) > 1 and (content[0], content[1] & 0x80) in ((0, 0), (0xFF, 0x80))
    return None if not content or is_padded or len(content) > MAX_INTEGER else int.from_bytes(content, "big", signed=True)


def oid_of(content: bytes, limit: int = _MAX_ARC) -> Oid | None:
    """Return the arcs of an OBJECT IDENTIFIER's contents, None if they are malformed or larger than the limit."""
    arcs: list[int] = []
    number, is_open = 0, False
    for octet in content:
        if not is_open and octet == 0x80:
            return None
        number = number << 7 | octet & 0x7F
        is_open = octet & 0x80 != 0
        if number > limit:
            return None
        if not is_open:
            arcs.append(number)
            number = 0
    if is_open or not arcs:
        return None
    first = arcs[0]
    return (*(divmod(first, 40) if first < 80 else (2, first - 80)), *arcs[1:])


def bits_of(content: bytes) -> tuple[bytes, int] | None:
    """Return octets and unused bits of a BIT STRING's contents, None if they are malformed."""
    if not content:
        return None
    unused, data = content[0], content[1:]
    if unused > 7 or (not data and unused) or (data and data[-1] & ((1 << unused) - 1)):
        return None
    return data, unused


def right_aligned(data: bytes, unused: int) -> bytes:
    """Return the octets of a bit string with its unused bits before it."""
    return (int.from_bytes(data, "big") >> unused).to_bytes(len(data), "big")


def time_of(content: bytes, *, is_utc_time: bool) -> datetime | None:
    """Return the moment that a UTCTime or GeneralizedTime is, None if it is none that Go would write."""
    text = content.decode("latin-1")
    digits = text.rstrip("Z")
    offset = UTC
    if len(text) > 5 and text[-5] in "+-":
        digits, sign, zone = text[:-5], text[-5], text[-4:]
        if not (zone.isascii() and zone.isdecimal()) or zone == "0000" or int(zone[:2]) > 24 or int(zone[2:]) > 59:
            return None
        delta = timedelta(hours=int(zone[:2]), minutes=int(zone[2:]))
        if delta >= timedelta(days=1):
            return None
        offset = timezone(-delta if sign == "-" else delta)
    elif len(text) - len(digits) != 1:
        return None
    if not (digits.isascii() and digits.isdecimal()) or len(digits) not in ((10, 12) if is_utc_time else (14,)):
        return None
    if is_utc_time:
        digits = f"{'19' if int(digits[:2]) >= 50 else '20'}{digits}".ljust(14, "0")
    try:
        month, day, hour, minute, second = (int(digits[start : start + 2]) for start in range(4, 14, 2))
        return datetime(int(digits[:4]), month, day, hour, minute, second, tzinfo=offset)
    except ValueError:
        return None
