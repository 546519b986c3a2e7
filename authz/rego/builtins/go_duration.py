"""Go's time.ParseDuration, and the days, weeks and years that OPA allows besides.

Owns what text is a duration, and Go's errors. Knows neither clocks nor calendars: a day has 24 hours, a year 365 days.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from authz.rego.builtins.go_time import MAX_NS, MAX_TEXT, SECOND, quoted
from authz.rego.builtins.octets import units_of
from authz.rego.render import quote

_UNITS: Final = {
    units_of(unit): size
    for unit, size in {
        "ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 1_000_000, "s": SECOND, "m": 60 * SECOND, "h": 3_600 * SECOND,
    }.items()
}  # fmt: skip
_HOURS: Final = {"d": 24, "w": 7 * 24, "y": 365 * 24}
_PART: Final = re.compile(r"([0-9]*)((?:\.[0-9]*)?)([^0-9.]*)")
_EXTENDED_PART: Final = re.compile(r"([0-9.]+)(ms|us|µs|ns|[a-z])")
_EXTENDED: Final = re.compile(rf"[-+]?(?:{_EXTENDED_PART.pattern})+")
_DIGITS: Final = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+")
_FRACTION_BOUND: Final = (2**63 - 1) // 10


class _DurationError(ValueError):
    """The text is no duration; what is wrong is said without the text."""


def parse_duration(text: str) -> int:
    """Return the nanoseconds of `1h30m`, `-1.5s`, `2d` ... Raises ValueError with Go's text."""
    if not text or len(text) > MAX_TEXT:
        raise ValueError(f"time: invalid duration {quote(text[:MAX_TEXT])}")
    is_extended = any(unit in text for unit in _HOURS)
    try:
        return _nanoseconds(_in_hours(text) if is_extended else units_of(text))
    except _DurationError as error:
        raise ValueError(f"time: {error} {quote(text) if is_extended else quoted(units_of(text))}") from None


def _in_hours(text: str) -> str:
    """Return the text with its days, weeks and years in hours."""
    if not _EXTENDED.fullmatch(text):
        raise _DurationError("invalid duration")
    sign = text[0] if text[0] in "+-" else ""
    return sign + "".join(_rewritten(digits, unit) for digits, unit in _EXTENDED_PART.findall(text))


def _rewritten(digits: str, unit: str) -> str:
    hours = _HOURS.get(unit)
    if hours is None:
        return units_of(digits + unit)
    if not _DIGITS.fullmatch(digits):
        raise _DurationError("invalid duration")
    product = float(digits) * hours
    if product == float("inf"):
        raise _DurationError("invalid duration")
    return f"{Decimal(repr(product)):f}h"


def _nanoseconds(text: str) -> int:
    """Return the nanoseconds of a duration that Go knows, in 64 bits."""
    body = text[1:] if text[0] in "+-" else text
    if body == "0":
        return 0
    if not body:
        raise _DurationError("invalid duration")
    total, at = 0, 0
    while at < len(body):
        found = _PART.match(body, at)
        if found is None or not (found[1] or len(found[2]) > 1):
            raise _DurationError("invalid duration")
        total += _part(found[1], found[2][1:], found[3])
        if total > MAX_NS + 1:
            raise _DurationError("invalid duration")
        at = found.end()
    if text[0] == "-":
        return -total
    if total > MAX_NS:
        raise _DurationError("invalid duration")
    return total


def _part(whole: str, fraction: str, unit: str) -> int:
    if int(whole or "0") > MAX_NS + 1:
        raise _DurationError("invalid duration")
    if not unit:
        raise _DurationError("missing unit in duration")
    size = _UNITS.get(unit)
    if size is None:
        raise _DurationError(f"unknown unit {quoted(unit)} in duration")
    numerator, denominator = _fraction(fraction)
    result = int(whole or "0") * size + int(float(numerator) * (size / denominator))
    if result > MAX_NS + 1:
        raise _DurationError("invalid duration")
    return result


def _fraction(digits: str) -> tuple[int, float]:
    """Return the fraction as Go reads it: no digit more than 63 bits hold."""
    numerator, denominator = 0, 1.0
    for digit in digits:
        if numerator > _FRACTION_BOUND or numerator * 10 + int(digit) > MAX_NS + 1:
            break
        numerator, denominator = numerator * 10 + int(digit), denominator * 10
    return numerator, denominator
