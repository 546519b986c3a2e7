"""Go's time.Parse and time.ParseDuration, on integers of nanoseconds since 1970.

Owns what text is a time by a layout, and Go's errors. Knows no zones but UTC and
offsets: a zone's abbreviation in a text says nothing about its offset, as in Go.
"""

from __future__ import annotations

import re
from typing import Final

from authz.rego.builtins.go_layout import MONTHS, WEEKDAYS, elements
from authz.rego.render import quote

SECOND: Final = 1_000_000_000
DAY: Final = 86_400 * SECOND
MIN_NS: Final = -(2**63)
MAX_NS: Final = 2**63 - 1
MAX_TEXT: Final = 4_096
"""Characters that a time, a layout or a duration may have."""

_UNITS: Final = {
    "ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 1_000_000, "s": SECOND, "m": 60 * SECOND, "h": 3_600 * SECOND,
    "d": DAY, "w": 7 * DAY, "y": 365 * DAY,
}  # fmt: skip
_DURATION_PART: Final = re.compile(r"([0-9]*)((?:\.[0-9]*)?)([^0-9.]*)")
_FRACTION_DIGITS: Final = 18
_FRACTION: Final = re.compile(r"[.,][0-9]+")
_ZONE: Final = re.compile(
    r"ChST|MeST|GMT(?:[-+](?:1[0-9]|2[0-3]|[0-9]))?|[-+][0-9]{2}(?:[0-9]{2})?"
    r"|(?:[A-Z]{4}T|[A-Z]{3}T|WITA|[A-Z]{3})(?![A-Z])"
)

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
    return _Parser(layout, text).run()


class _Parser:
    """One reading of a text. INVARIANT: `rest` is what is not read yet."""

    def __init__(self, layout: str, text: str) -> None:
        self.layout = layout
        self.text = text
        self.rest = text
        self.fields: dict[str, int] = {}

    def run(self) -> int:
        parts = list(elements(self.layout))
        for index, (literal, element) in enumerate(parts):
            if not self.skip(literal):
                raise self.failed(literal, self.rest)
            if not element:
                if self.rest:
                    raise ValueError(f"parsing time {quote(self.text)}: extra text: {quote(self.rest)}")
                break
            held = self.rest
            try:
                self.read(element, parts[index + 1][1])
            except _MismatchError:
                raise self.failed(element, held) from None
            except _OutOfRangeError as error:
                raise ValueError(f"parsing time {quote(self.text)}: {error} out of range") from None
        return self.nanoseconds()

    def failed(self, wanted: str, found: str) -> ValueError:
        whole = f"parsing time {quote(self.text)} as {quote(self.layout)}"
        return ValueError(f"{whole}: cannot parse {quote(found)} as {quote(wanted)}")

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
            halves = ("AM", "PM") if element == "PM" else ("am", "pm")
            self.fields["half"] = halves.index(self.take(2, halves))
        else:
            self.name(element)

    def take(self, size: int, allowed: tuple[str, ...] | None = None) -> str:
        taken = self.rest[:size]
        if len(taken) < size or (allowed is not None and taken not in allowed):
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
            self.fields["year"] = self.digits(4, 4)
        elif element == "06":
            value = self.digits(2, 2)
            self.fields["year"] = value + (1900 if value >= 69 else 2000)
        else:
            if element == "__2":
                self.rest = self.rest[min(2, len(self.rest) - len(self.rest.lstrip(" "))) :]
            self.fields["day of year"] = self.digits(3 if element == "002" else 1, 3)

    def fraction(self, element: str) -> None:
        """Read `.000` digit for digit; `.999`, or none in the layout, takes any number of digits."""
        found = _FRACTION.match(self.rest)
        if element[1:2] == "0":
            text = self.rest[: len(element)]
            if len(text) < len(element) or not _FRACTION.fullmatch(text):
                raise _MismatchError
        elif found is None:
            return
        else:
            text = found[0]
        self.rest = self.rest[len(text) :]
        self.fields["nanosecond"] = int(text[1:10].ljust(9, "0"))

    def offset(self, element: str) -> None:
        if element[0] == "Z" and self.rest.startswith("Z"):
            self.rest = self.rest[1:]
            self.fields["offset"] = 0
            return
        sign = self.take(1)
        parts = [self.digits(2, 2)]
        for _ in range(len(element.replace(":", "")) // 2 - 1):
            if ":" in element:
                self.take(1, (":",))
            parts.append(self.digits(2, 2))
        for value, most, name in zip(parts, (24, 60, 60), ("hour", "minute", "second"), strict=False):
            if value > most:
                raise _OutOfRangeError(f"time zone offset {name}")
        if sign not in ("+", "-"):
            raise _MismatchError
        hours, minutes, seconds = [*parts, 0, 0][:3]
        self.fields["offset"] = ((hours * 60 + minutes) * 60 + seconds) * (-1 if sign == "-" else 1)

    def zone(self) -> None:
        """Skip a zone's abbreviation."""
        found = _ZONE.match(self.rest)
        if not found:
            raise _MismatchError
        self.rest = self.rest[found.end() :]

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
        if "half" in self.fields:
            hour = hour % 12 + 12 * self.fields["half"] if hour <= 12 else hour
        seconds = (hour * 60 + get("minute", 0)) * 60 + get("second", 0) - get("offset", 0)
        return (self.days() * 86_400 + seconds) * SECOND + get("nanosecond", 0)

    def days(self) -> int:
        year = self.fields.get("year", 0)
        if "day of year" in self.fields:
            return self.days_by_day_of_year(year)
        month, day = self.fields.get("month", 1), self.fields.get("day", 1)
        if not 1 <= day <= days_in_month(year, month):
            raise ValueError(f"parsing time {quote(self.text)}: day out of range")
        return days_from_civil(year, month, day)

    def days_by_day_of_year(self, year: int) -> int:
        first, ordinal = days_from_civil(year, 1, 1), self.fields["day of year"]
        if not 1 <= ordinal <= days_from_civil(year + 1, 1, 1) - first:
            raise ValueError(f"parsing time {quote(self.text)}: day-of-year out of range")
        month, day = 1, ordinal
        while day > days_in_month(year, month):
            day -= days_in_month(year, month)
            month += 1
        for field, value in (("month", month), ("day", day)):
            if self.fields.get(field, value) != value:
                raise ValueError(f"parsing time {quote(self.text)}: day-of-year does not match {field}")
        return first + ordinal - 1


def parse_duration(text: str) -> int:
    """Return the nanoseconds of `1h30m`, `-1.5s`, `2d` ... Raises ValueError with Go's text."""
    invalid = ValueError(f"time: invalid duration {quote(text[:MAX_TEXT])}")
    body = text[1:] if text[:1] in ("-", "+") else text
    if body == "0":
        return 0
    if not body or len(text) > MAX_TEXT:
        raise invalid
    total, at = 0, 0
    while at < len(body):
        found = _DURATION_PART.match(body, at)
        if found is None or not (found[1] or len(found[2]) > 1):
            raise invalid
        whole, fraction, unit = found[1], found[2][1:], found[3]
        if not unit:
            raise ValueError(f"time: missing unit in duration {quote(text)}")
        scale = _UNITS.get(unit)
        if scale is None:
            raise ValueError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
        total += int(whole or "0") * scale + int(fraction[:_FRACTION_DIGITS].ljust(_FRACTION_DIGITS, "0")) * scale // 10**_FRACTION_DIGITS
        at = found.end()
    total = -total if text[0] == "-" else total
    if not MIN_NS <= total <= MAX_NS:
        raise invalid
    return total
