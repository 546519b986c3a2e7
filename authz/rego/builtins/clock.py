"""Built-ins on time: nanoseconds since 1970, calendars and zones.

The clock is the evaluation's own (`now_ns`), so one query sees one time. Parsing is
`go_time`'s, writing `go_layout`'s.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from authz.rego.builtins import go_time
from authz.rego.builtins.go_layout import NAMED, RFC3339, RFC3339_NANO, WEEKDAYS, format_time
from authz.rego.builtins.go_time import DAY, MAX_NS, MAX_TEXT, MIN_NS, SECOND, days_from_civil
from authz.rego.builtins.registry import ANY, ARRAY, NUMBER, STRING, EvalContext, builtin, integer_error, operand_error, whole
from authz.rego.errors import EVAL_TYPE, BuiltinError
from authz.rego.numbers import as_int
from authz.rego.values import Number, Value, type_name

_CACHED_ZONES: Final = 512
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@builtin("time.now_ns", result=NUMBER, deterministic=False, needs_context=True)
def now_ns(context: EvalContext) -> Value:
    return context.now_ns


@builtin("time.parse_ns", STRING, STRING, result=NUMBER)
def parse_ns(layout: str, text: str) -> Value:
    return _parsed("time.parse_ns", NAMED.get(layout, layout), text)


@builtin("time.parse_rfc3339_ns", STRING, result=NUMBER)
def parse_rfc3339_ns(text: str) -> Value:
    return _parsed("time.parse_rfc3339_ns", RFC3339, text)


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
        return go_time.parse_duration(text)
    except ValueError as error:
        raise BuiltinError(f"time.parse_duration_ns: {error}") from None


class _Moment:
    """An operand of a time function: nanoseconds, perhaps with a zone and a layout."""

    __slots__ = ("layout", "local", "nanosecond", "zone")

    def __init__(self, name: str, position: int, operand: Value) -> None:
        parts = operand if type(operand) is tuple else (operand,)
        if not parts or (parts is not operand and not isinstance(operand, (int, Decimal))):
            text = f"either number (ns) or [number (ns), string (tz)] but got {type_name(operand)}"
            raise BuiltinError(f"{name}: operand {position} must be {text}", EVAL_TYPE)
        nanoseconds = _nanoseconds(name, position, parts[0])
        zone, layout = (_text(name, position, parts, index) for index in (1, 2))
        self.zone = _zone(name, zone)
        self.layout = NAMED.get(layout, layout) or RFC3339_NANO
        self.nanosecond = nanoseconds % SECOND
        self.local = (_EPOCH + timedelta(seconds=nanoseconds // SECOND)).astimezone(self.zone)


def _nanoseconds(name: str, position: int, value: Value) -> int:
    if not isinstance(value, (int, Decimal)):
        raise operand_error(name, position, NUMBER, value)
    number = as_int(value)
    if number is None or not MIN_NS <= number <= MAX_NS:
        raise BuiltinError(f"{name}: timestamp too big")
    return number


def _text(name: str, position: int, parts: tuple[Value, ...], index: int) -> str:
    if len(parts) <= index:
        return ""
    text = parts[index]
    if type(text) is not str:
        raise operand_error(name, position, STRING, text)
    return text


def _zone(name: str, key: str) -> tzinfo:
    # "Local" would make a decision depend on the machine; servers run in UTC.
    if key in ("", "UTC", "Local"):
        return UTC
    if ".." in key or key[0] in "/\\":
        raise BuiltinError(f"{name}: time: invalid location name")
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
    moment = _Moment("time.format", 1, operand)
    if len(moment.layout) > MAX_TEXT:
        raise BuiltinError(f"time.format: layout has more than {MAX_TEXT} characters")
    return format_time(moment.local, moment.nanosecond, moment.layout)


@builtin("time.date", ANY, result=ARRAY)
def time_date(operand: Value) -> Value:
    local = _Moment("time.date", 1, operand).local
    return (local.year, local.month, local.day)


@builtin("time.clock", ANY, result=ARRAY)
def time_clock(operand: Value) -> Value:
    local = _Moment("time.clock", 1, operand).local
    return (local.hour, local.minute, local.second)


@builtin("time.weekday", ANY, result=STRING)
def time_weekday(operand: Value) -> Value:
    return WEEKDAYS[_Moment("time.weekday", 1, operand).local.weekday()]


@builtin("time.add_date", ANY, NUMBER, NUMBER, NUMBER, result=NUMBER)
def time_add_date(operand: Value, years: Number, months: Number, days: Number) -> Value:
    """Add to the calendar date, so that the clock stays; a day past its month's end runs into the next (Go's AddDate)."""
    name = "time.add_date"
    moment = _Moment(name, 1, operand)
    added = [_int64(name, position, number) for position, number in enumerate((years, months, days), 2)]
    local = moment.local
    date = days_from_civil(local.year + added[0], local.month + added[1], local.day + added[2])
    wall = (date * DAY // SECOND) + local.hour * 3_600 + local.minute * 60 + local.second
    _in_range(name, wall * SECOND - DAY if wall > 0 else wall * SECOND + DAY)
    return _in_range(name, (wall - _offset_of_wall(wall, moment.zone)) * SECOND + moment.nanosecond)


def _int64(name: str, position: int, number: Number) -> int:
    value = whole(name, position, number)
    if not MIN_NS <= value <= MAX_NS:
        raise integer_error(name, position)
    return value


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
    one, other = _Moment("time.diff", 1, left), _Moment("time.diff", 2, right)
    first, last = sorted((one.local, other.local.astimezone(one.zone)))
    units = [getattr(last, unit) - getattr(first, unit) for unit in ("year", "month", "day", "hour", "minute", "second")]
    sizes = (0, 12, go_time.days_in_month(first.year, first.month), 24, 60, 60)
    for index in (5, 4, 3, 2, 1):
        if units[index] < 0:
            units[index] += sizes[index]
            units[index - 1] -= 1
    return tuple(units)
