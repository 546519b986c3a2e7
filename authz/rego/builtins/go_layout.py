"""Go's time layouts: where a layout's elements are, and how a moment is written by one.

Owns the reference time "Mon Jan 2 15:04:05 MST 2006". Parsing is `go_time`'s; no built-in is here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

RFC3339: Final = "2006-01-02T15:04:05Z07:00"
RFC3339_NANO: Final = "2006-01-02T15:04:05.999999999Z07:00"
NAMED: Final = {
    "ANSIC": "Mon Jan _2 15:04:05 2006",
    "UnixDate": "Mon Jan _2 15:04:05 MST 2006",
    "RubyDate": "Mon Jan 02 15:04:05 -0700 2006",
    "RFC822": "02 Jan 06 15:04 MST",
    "RFC822Z": "02 Jan 06 15:04 -0700",
    "RFC850": "Monday, 02-Jan-06 15:04:05 MST",
    "RFC1123": "Mon, 02 Jan 2006 15:04:05 MST",
    "RFC1123Z": "Mon, 02 Jan 2006 15:04:05 -0700",
    "RFC3339": RFC3339,
    "RFC3339Nano": RFC3339_NANO,
}
"""The layouts that OPA knows by name."""

_ELEMENT: Final = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|0[1-6]|002|15|1|2006|2|__2|_2(?!006)|3|4|5|PM|pm"
    r"|[-Z]070000|[-Z]07:00:00|[-Z]0700|[-Z]07:00|[-Z]07|[.,]0+(?![0-9])|[.,]9+(?![0-9])"
)


def elements(layout: str) -> Iterator[tuple[str, str]]:
    """Yield (literal text, element after it); the last element is ""."""
    at = 0
    for found in _ELEMENT.finditer(layout):
        yield layout[at : found.start()], found[0]
        at = found.end()
    yield layout[at:], ""


def format_time(moment: datetime, nanosecond: int, layout: str) -> str:
    """Write a moment of a known zone; `nanosecond` is its fraction of a second."""
    return "".join(text + _written(element, moment, nanosecond) for text, element in elements(layout))


def _written(element: str, moment: datetime, nanosecond: int) -> str:
    if element[:1] in (".", ","):
        digits = f"{nanosecond:09d}"[: len(element) - 1]
        if element[1] == "0":
            return element[0] + digits
        digits = digits.rstrip("0")
        return element[0] + digits if digits else ""
    if element.startswith(("-07", "Z07")):
        return _offset(element, moment.utcoffset() or timedelta(0))
    write = _WRITERS.get(element)
    return write(moment) if write else ""


def _offset(element: str, offset: timedelta) -> str:
    if element[0] == "Z" and not offset:
        return "Z"
    signed = int(offset.total_seconds())
    seconds = abs(signed)
    parts = [f"{seconds // 3600:02d}", f"{seconds // 60 % 60:02d}", f"{seconds % 60:02d}"]
    shown = parts[: len(element.replace(":", "")) // 2]
    return ("-" if signed <= -60 else "+") + (":" if ":" in element else "").join(shown)


def _zone_name(moment: datetime) -> str:
    """Return the zone's abbreviation, its offset where it has none."""
    if moment.tzinfo is UTC:
        return "UTC"
    return moment.tzname() or _offset("-0700", moment.utcoffset() or timedelta(0))


def _hour12(moment: datetime) -> int:
    return moment.hour % 12 or 12


_WRITERS: Final[dict[str, Callable[[datetime], str]]] = {
    "January": lambda moment: MONTHS[moment.month - 1],
    "Jan": lambda moment: MONTHS[moment.month - 1][:3],
    "1": lambda moment: str(moment.month),
    "01": lambda moment: f"{moment.month:02d}",
    "Monday": lambda moment: WEEKDAYS[moment.weekday()],
    "Mon": lambda moment: WEEKDAYS[moment.weekday()][:3],
    "2": lambda moment: str(moment.day),
    "_2": lambda moment: f"{moment.day:2d}",
    "02": lambda moment: f"{moment.day:02d}",
    "__2": lambda moment: f"{moment.timetuple().tm_yday:3d}",
    "002": lambda moment: f"{moment.timetuple().tm_yday:03d}",
    "15": lambda moment: f"{moment.hour:02d}",
    "3": lambda moment: str(_hour12(moment)),
    "03": lambda moment: f"{_hour12(moment):02d}",
    "4": lambda moment: str(moment.minute),
    "04": lambda moment: f"{moment.minute:02d}",
    "5": lambda moment: str(moment.second),
    "05": lambda moment: f"{moment.second:02d}",
    "2006": lambda moment: f"{moment.year:04d}",
    "06": lambda moment: f"{moment.year % 100:02d}",
    "PM": lambda moment: "PM" if moment.hour >= 12 else "AM",
    "pm": lambda moment: "pm" if moment.hour >= 12 else "am",
    "MST": _zone_name,
}
