"""Go's time.Parse, on integers of nanoseconds since 1970.

Owns what text is a time by a layout, and Go's errors. Knows no zones but UTC and
offsets: a zone's abbreviation in a text says nothing about its offset, as in Go.
Texts are read as their bytes, one character each.
"""

from __future__ import annotations

import re
from typing import Final

from authz.rego.builtins.go_layout import MONTHS, WEEKDAYS, elements
from authz.rego.builtins.octets import units_of

SECOND: Final = 1_000_000_000
DAY: Final = 86_400 * SECOND
MIN_NS: Final = -(2**63)
MAX_NS: Final = 2**63 - 1
MAX_TEXT: Final = 4_096
"""Characters that a time, a layout or a duration may have."""

_FRACTION: Final = re.compile(r"[.,][0-9]+")
_SIGNED: Final = re.compile(r"([-+]?)([0-9]*)")
_SIGNED_OFFSET: Final = re.compile(r"[-+]0*(?:1?[0-9]|2[0-3])(?![0-9])")
_CAPITALS: Final = re.compile(r"[A-Z]{0,6}")
_OFFSETS: Final[dict[str, tuple[tuple[int, ...], tuple[int, ...]]]] = {
    "07:00": ((1, 4), (3,)), "07": ((1,), ()), "07:00:00": ((1, 4, 7), (3, 6)), "070000": ((1, 3, 5), ()), "0700": ((1, 3), ()),
}  # fmt: skip
"""Where the numbers of an offset begin after its sign, and where its colons are."""

_NO_OFFSET: Final = -1
"""An offset of this many seconds counts as none, as in Go, which marks a text without an offset so."""

# element: (field, whether it has exactly two digits, least, most)
_NUMBERS: Final = {
    "1": ("month", False, 1, 12), "01": ("month", True, 1, 12),
    "2": ("day", False, 0, 99), "_2": ("day", False, 0, 99), "02": ("day", True, 0, 99),
    "15": ("hour", False, 0, 23), "3": ("hour", False, 0, 12), "03": ("hour", True, 0, 12),
    "4": ("minute", False, 0, 59), "04": ("minute", True, 0, 59),
    "5": ("second", False, 0, 59), "05": ("second", True, 0, 59),
}  # fmt: skip


def days_from_civil(year: int, month: int, day: int) -> int:
    """Return days since 1970-01-01 of a date in the proleptic Gregorian calendar; months and days may overflow."""
    year += (month - 1) // 12
    month = (month - 1) % 12 + 1
    shifted = year - (month <= 2)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5
    return 365 * shifted + shifted // 4 - shifted // 100 + shifted // 400 + day_of_year + day - 1 - 719_468


def days_in_month(year: int, month: int) -> int:
    """Return the month's number of days."""
    return days_from_civil(year, month + 1, 1) - days_from_civil(year, month, 1)


class _MismatchError(Exception):
    """The text does not have the element that the layout wants."""


class _OutOfRangeError(Exception):
    """The element is there, but no such hour, month ... is."""


def parse_time(layout: str, text: str) -> int:
    """Return nanoseconds since 1970, perhaps beyond 64 bits. Raises ValueError with Go's text."""
    if len(layout) > MAX_TEXT or len(text) > MAX_TEXT:
        raise ValueError(f"parsing time: more than {MAX_TEXT} characters")
    return _Parser(units_of(layout), units_of(text)).run()


def quoted(units: str) -> str:
    """Quote as Go's package time does: what is not printable ASCII, byte for byte."""
    escaped = units.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if " " <= char < "\x80" else f"\\x{ord(char):02x}" for char in escaped) + '"'


def _number(text: str) -> int:
    """Return what Go's package time takes for a number: a sign, digits, or neither."""
    found = _SIGNED.fullmatch(text)
    if found is None:
        raise _MismatchError
    return int(found[1] + (found[2] or "0"))


class _Parser:
    """One reading of a text. INVARIANT: `rest` is what is not read yet."""

    def __init__(self, layout: str, text: str) -> None:
        self.layout = layout
        self.text = text
        self.rest = text
        self.is_utc = False
        self.fields: dict[str, int] = {}

    def run(self) -> int:
        parts = list(elements(self.layout))
        for index, (literal, element) in enumerate(parts):
            if not self.skip(literal):
                raise self.failed(literal, self.rest)
            if not element:
                if self.rest:
                    raise self.wrong(f"extra text: {quoted(self.rest)}")
                break
            held = self.rest
            try:
                self.read(element, parts[index + 1][1])
            except _MismatchError:
                raise self.failed(element, held) from None
            except _OutOfRangeError as error:
                raise self.wrong(f"{error} out of range") from None
        return self.nanoseconds()

    def failed(self, wanted: str, found: str) -> ValueError:
        whole = f"parsing time {quoted(self.text)} as {quoted(self.layout)}"
        return ValueError(f"{whole}: cannot parse {quoted(found)} as {quoted(wanted)}")

    def wrong(self, reason: str) -> ValueError:
        return ValueError(f"parsing time {quoted(self.text)}: {reason}")

    def skip(self, literal: str) -> bool:
        """Skip the literal; a run of spaces stands for any number of them."""
        while literal:
            if literal[0] == " ":
                if self.rest and self.rest[0] != " ":
                    return False
                literal, self.rest = literal.lstrip(" "), self.rest.lstrip(" ")
            elif self.rest[:1] == literal[0]:
                literal, self.rest = literal[1:], self.rest[1:]
            else:
                return False
        return True

    def read(self, element: str, following: str) -> None:
        """Read one element; `following` is the next one of the layout."""
        if element in _NUMBERS:
            self.number(element)
            if element in ("5", "05") and following[:1] not in (".", ",") and _FRACTION.match(self.rest):
                self.fraction("")
        elif element[0] in ".,":
            self.fraction(element)
        elif element.startswith(("-07", "Z07")):
            self.offset(element)
        elif element in ("2006", "06", "002", "__2"):
            self.year_or_day(element)
        elif element == "MST":
            self.zone()
        elif element in ("PM", "pm"):
            half = self.take(2)
            if half not in (element, element.replace("P", "A").replace("p", "a")):
                raise _MismatchError
            self.fields[half.lower()] = 1
        else:
            self.name(element)

    def take(self, size: int) -> str:
        taken = self.rest[:size]
        if len(taken) < size:
            raise _MismatchError
        self.rest = self.rest[size:]
        return taken

    def digits(self, least: int, most: int) -> int:
        size = 0
        while size < most and self.rest[size : size + 1] in tuple("0123456789"):
            size += 1
        if size < least:
            raise _MismatchError
        return int(self.take(size))

    def number(self, element: str) -> None:
        field, is_fixed, least, most = _NUMBERS[element]
        if element == "_2":
            self.rest = self.rest.removeprefix(" ")
        value = self.digits(2 if is_fixed else 1, 2)
        if not least <= value <= most:
            raise _OutOfRangeError(field)
        self.fields[field] = value

    def year_or_day(self, element: str) -> None:
        if element == "2006":
            text = self.take(4)
            if text[0] in "+-":
                raise _MismatchError
            self.fields["year"] = _number(text)
        elif element == "06":
            value = _number(self.take(2))
            self.fields["year"] = value + (1900 if value >= 69 else 2000)
        else:
            if element == "__2":
                self.rest = self.rest[min(2, len(self.rest) - len(self.rest.lstrip(" "))) :]
            self.fields["day of year"] = self.digits(3 if element == "002" else 1, 3)

    def fraction(self, element: str) -> None:
        """Read `.000` digit for digit; `.999`, or none in the layout, takes any number of digits."""
        if element[1:2] == "0":
            text = self.take(len(element))
        else:
            found = _FRACTION.match(self.rest)
            if found is None:
                return
            text = self.take(found.end())
        if text[0] not in ".,":
            raise _MismatchError
        value = _number(text[1:10])
        if value < 0:
            raise _OutOfRangeError("fractional second")
        self.fields["nanosecond"] = value * 10 ** (9 - len(text[1:10]))

    def offset(self, element: str) -> None:
        if element[0] == "Z" and self.rest.startswith("Z"):
            self.rest = self.rest[1:]
            self.is_utc = True
            return
        starts, colons = _OFFSETS[element[1:]]
        text = self.take(starts[-1] + 2)
        if any(text[colon] != ":" for colon in colons):
            raise _MismatchError
        total, is_number, beyond = 0, True, ""
        for start, size, most, name in zip(starts, (3600, 60, 1), (24, 60, 60), ("hour", "minute", "second"), strict=False):
            part = text[start : start + 2]
            is_number = is_number and part.isdecimal()
            value = int(part) if is_number else 0
            beyond = name if value > most else beyond
            total += value * size
        if beyond:
            raise _OutOfRangeError(f"time zone offset {beyond}")
        if not is_number or text[0] not in "+-":
            raise _MismatchError
        self.fields["offset"] = -total if text[0] == "-" else total

    def zone(self) -> None:
        """Skip a zone's abbreviation."""
        size = _abbreviation(self.rest)
        if size is None:
            raise _MismatchError
        self.is_utc = self.is_utc or self.rest.startswith("UTC")
        self.rest = self.rest[size:]

    def name(self, element: str) -> None:
        """Read a month's or weekday's name in any case; a weekday is not compared with the date."""
        names = MONTHS if element[0] == "J" else WEEKDAYS
        size = 3 if len(element) == 3 else None
        for index, name in enumerate(names):
            wanted = name[:size]
            if self.rest[: len(wanted)].lower() == wanted.lower():
                self.rest = self.rest[len(wanted) :]
                if element[0] == "J":
                    self.fields["month"] = index + 1
                return
        raise _MismatchError

    def nanoseconds(self) -> int:
        get = self.fields.get
        hour = get("hour", 0)
        if "pm" in self.fields and hour < 12:
            hour += 12
        elif "am" in self.fields and hour == 12 and "pm" not in self.fields:
            hour = 0
        offset = 0 if self.is_utc or get("offset") == _NO_OFFSET else get("offset", 0)
        seconds = (hour * 60 + get("minute", 0)) * 60 + get("second", 0) - offset
        return (self.days() * 86_400 + seconds) * SECOND + get("nanosecond", 0)

    def days(self) -> int:
        year = self.fields.get("year", 0)
        if "day of year" in self.fields:
            return self.days_by_day_of_year(year)
        month, day = self.fields.get("month", 1), self.fields.get("day", 1)
        if not 1 <= day <= days_in_month(year, month):
            raise self.wrong("day out of range")
        return days_from_civil(year, month, day)

    def days_by_day_of_year(self, year: int) -> int:
        first, ordinal = days_from_civil(year, 1, 1), self.fields["day of year"]
        if not 1 <= ordinal <= days_from_civil(year + 1, 1, 1) - first:
            raise self.wrong("day-of-year out of range")
        month, day = 1, ordinal
        while day > days_in_month(year, month):
            day -= days_in_month(year, month)
            month += 1
        for field, value in (("month", month), ("day", day)):
            if self.fields.get(field, value) != value:
                raise self.wrong(f"day-of-year does not match {field}")
        return first + ordinal - 1


def _abbreviation(text: str) -> int | None:
    """Return the length of the zone's abbreviation that the text begins with, if it does."""
    if text.startswith("UTC"):
        return 3
    if len(text) < 3:
        return None
    if text.startswith(("ChST", "MeST")):
        return 4
    start = 3 if text.startswith("GMT") else 0
    if start or text[0] in "+-":
        signed = _SIGNED_OFFSET.match(text, start)
        return signed.end() if signed else start or None
    capitals = _CAPITALS.match(text)
    size = capitals.end() if capitals else 0
    if size in (4, 5):
        return size if text[size - 1] == "T" or (text.startswith("WITA") and size == 4) else None
    return 3 if size == 3 else None
