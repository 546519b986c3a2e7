"""Built-ins on time: nanoseconds since 1970, calendars and zones.

The clock is the evaluation's own (`now_ns`), so one query sees one time. Parsing is
`go_time`'s, writing `go_layout`'s.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from authz.rego.builtins import go_time
from authz.rego.builtins.go_duration import parse_duration
from authz.rego.builtins.go_layout import NAMED, RFC3339, RFC3339_NANO, WEEKDAYS, format_time
from authz.rego.builtins.go_time import DAY, MAX_NS, MAX_TEXT, MIN_NS, SECOND, days_from_civil
from authz.rego.builtins.registry import ANY, ARRAY, NUMBER, STRING, EvalContext, builtin, index, operand_error
from authz.rego.errors import BuiltinError
from authz.rego.numbers import NUMBERS, float_as_int
from authz.rego.values import Value

_CACHED_ZONES: Final = 512
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH: Final = datetime(1970, 1, 1)  # for texts that are known to be in UTC
_DAY_S: Final = 86_400
_PLAIN_UTC: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?Z")


@builtin("time.now_ns", result=NUMBER, deterministic=False, needs_context=True)
def now_ns(context: EvalContext) -> Value:
    return context.now_ns


@builtin("time.parse_ns", STRING, STRING, result=NUMBER)
def parse_ns(layout: str, text: str) -> Value:
    return _parsed("time.parse_ns", NAMED.get(layout, layout), text)


@builtin("time.parse_rfc3339_ns", STRING, result=NUMBER)
def parse_rfc3339_ns(text: str) -> Value:
    plain = _plain_utc(text)
    if plain is not None:
        return _in_range("time.parse_rfc3339_ns", plain)
    return _parsed("time.parse_rfc3339_ns", RFC3339, text)


def _plain_utc(text: str) -> int | None:
    """Return what `go_time` makes of a time as Envoy and most others write it, in a tenth of the time; None for any other text."""
    if _PLAIN_UTC.fullmatch(text) is None:
        return None
    try:
        since = datetime.fromisoformat(text[:19]) - _NAIVE_EPOCH
    except ValueError:  # there is no such day
        return None
    return (since.days * _DAY_S + since.seconds) * SECOND + int(text[20:-1].ljust(9, "0"))


def _parsed(name: str, layout: str, text: str) -> Value:
    try:
        return _in_range(name, go_time.parse_time(layout, text))
    except ValueError as error:
        raise BuiltinError(f"{name}: {error}") from None


def _in_range(name: str, nanoseconds: int) -> int:
    if not MIN_NS <= nanoseconds <= MAX_NS:
        raise BuiltinError(f"{name}: time outside of valid range")
    return nanoseconds


@builtin("time.parse_duration_ns", STRING, result=NUMBER)
def parse_duration_ns(text: str) -> Value:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise BuiltinError(f"time.parse_duration_ns: {error}") from None


class _Moment:
    """An operand of a time function: nanoseconds, perhaps with a zone and a layout. Errors call it operand 1, as OPA does."""

    __slots__ = ("layout", "local", "nanosecond", "nanoseconds", "zone")

    def __init__(self, name: str, operand: Value) -> None:
        parts = operand if type(operand) is tuple else (operand,)
        if not parts or (parts is not operand and not isinstance(operand, NUMBERS)):
            raise operand_error(name, 1, "either number (ns) or [number (ns), string (tz)]", operand)
        if not isinstance(parts[0], NUMBERS):
            raise operand_error(name, 1, NUMBER, parts[0])
        self.zone = _zone(name, _text(name, parts, 1))
        layout = _text(name, parts, 2)
        self.layout = NAMED.get(layout, layout) or RFC3339_NANO
        nanoseconds = float_as_int(parts[0])
        if nanoseconds is None or not MIN_NS <= nanoseconds <= MAX_NS:
            raise BuiltinError(f"{name}: timestamp too big")
        self.nanoseconds = nanoseconds
        self.nanosecond = nanoseconds % SECOND
        self.local = (_EPOCH + timedelta(seconds=nanoseconds // SECOND)).astimezone(self.zone)


def _text(name: str, parts: tuple[Value, ...], at: int) -> str:
    if len(parts) <= at:
        return ""
    text = parts[at]
    if type(text) is not str:
        raise operand_error(name, 1, STRING, text)
    return text


def _zone(name: str, key: str) -> tzinfo:
    # "Local" would make a decision depend on the machine; servers run in UTC.
    if key in ("", "UTC", "Local"):
        return UTC
    if ".." in key or key[0] in "/\\":
        raise BuiltinError(f"{name}: time: invalid location name")
    if "\0" in key:
        raise BuiltinError(f"{name}: invalid argument")
    zone = _loaded_zone(key) if len(key) < MAX_TEXT else None
    if zone is None:
        raise BuiltinError(f"{name}: unknown time zone {key}")
    return zone


@lru_cache(_CACHED_ZONES)
def _loaded_zone(key: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(key)
    except (KeyError, ValueError, OSError):
        return None


@builtin("time.format", ANY, result=STRING)
def time_format(operand: Value) -> Value:
    moment = _Moment("time.format", operand)
    if len(moment.layout) > MAX_TEXT:
        raise BuiltinError(f"time.format: layout has more than {MAX_TEXT} characters")
    return format_time(moment.local, moment.nanosecond, moment.layout)


@builtin("time.date", ANY, result=ARRAY)
def time_date(operand: Value) -> Value:
    local = _Moment("time.date", operand).local
    return (local.year, local.month, local.day)


@builtin("time.clock", ANY, result=ARRAY)
def time_clock(operand: Value) -> Value:
    if type(operand) is int and MIN_NS <= operand <= MAX_NS:  # a time in UTC, without a calendar
        seconds = operand // SECOND
        return (seconds // 3_600 % 24, seconds // 60 % 60, seconds % 60)
    local = _Moment("time.clock", operand).local
    return (local.hour, local.minute, local.second)


@builtin("time.weekday", ANY, result=STRING)
def time_weekday(operand: Value) -> Value:
    return WEEKDAYS[_Moment("time.weekday", operand).local.weekday()]


@builtin("time.add_date", ANY, ANY, ANY, ANY, result=NUMBER)
def time_add_date(operand: Value, years: Value, months: Value, days: Value) -> Value:
    """Add to the calendar date, so that the clock stays; a day past its month's end runs into the next (Go's AddDate)."""
    name = "time.add_date"
    moment = _Moment(name, operand)
    added = [index(name, position, number) for position, number in enumerate((years, months, days), 2)]
    local = moment.local
    date = days_from_civil(local.year + added[0], local.month + added[1], local.day + added[2])
    wall = (date * DAY // SECOND) + local.hour * 3_600 + local.minute * 60 + local.second
    _in_range(name, wall * SECOND - DAY if wall > 0 else wall * SECOND + DAY)
    return _in_range(name, (wall - _offset_of_wall(wall, moment.zone)) * SECOND + moment.nanosecond)


def _offset_of_wall(wall: int, zone: tzinfo) -> int:
    """Return the zone's offset when its clocks show `wall` (seconds as if in UTC), chosen as Go's time.Date does."""
    offset = _offset_at(wall, zone)
    return _offset_at(wall - offset, zone)


def _offset_at(seconds: int, zone: tzinfo) -> int:
    offset = (_EPOCH + timedelta(seconds=seconds)).astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0


@builtin("time.diff", ANY, ANY, result=ARRAY)
def time_diff(left: Value, right: Value) -> Value:
    """Return [years, months, days, hours, minutes, seconds] between two times, in the first one's zone."""
    one, other = _Moment("time.diff", left), _Moment("time.diff", right)
    first, last = sorted((one, other), key=lambda moment: moment.nanoseconds)
    earlier, later = first.local.astimezone(one.zone), last.local.astimezone(one.zone)
    units = [getattr(later, unit) - getattr(earlier, unit) for unit in ("year", "month", "day", "hour", "minute", "second")]
    sizes = (0, 12, go_time.days_in_month(earlier.year, earlier.month), 24, 60, 60)
    for at in (5, 4, 3, 2, 1):
        if units[at] < 0:
            units[at] += sizes[at]
            units[at - 1] -= 1
    return tuple(units)
