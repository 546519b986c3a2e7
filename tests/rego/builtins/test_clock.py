"""time.*: Go's layouts, durations, zones and calendar arithmetic."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.rego.builtins.go_layout import NAMED
from authz.rego.builtins.go_time import MAX_NS, MIN_NS, parse_time
from tests.rego.builtins.as_json import NOW_NS, call, failure

MOMENT = 1_670_006_453_141_828_752


def test_now_is_the_evaluations_own_time() -> None:
    assert call("time.now_ns") == NOW_NS


@pytest.mark.parametrize(
    ("layout", "text", "ns"),
    [
        ("2006-01-02T15:04:05Z07:00", "2017-06-02T19:00:00-07:00", 1496455200000000000),
        ("2006-01-02T15:04:05Z07:00", "1677-09-21T00:12:43.145224192-00:00", MIN_NS),
        ("2006-01-02T15:04:05Z07:00", "2262-04-11T23:47:16.854775807-00:00", MAX_NS),
        ("01/02 03:04:05PM '06 -0700", "06/02 07:00:00PM '17 -0700", 1496455200000000000),
        ("RFC822Z", "02 Jun 17 19:00 -0700", 1496455200000000000),
        ("RFC1123", "fri, 02 JUN 2017 19:00:00 GMT", 1496430000000000000),
        ("UnixDate", "Fri Jun  2 19:00:00 PST 2017", 1496430000000000000),
        ("2006 002", "2020 060", 1582934400000000000),
        ("2006 __2", "2020  60", 1582934400000000000),
        ("2006-01-02 03 PM", "2020-01-01 12 AM", 1577836800000000000),
        ("2006-01-02 15:04:05.999", "2020-01-01 13:00:00", 1577883600000000000),
        ("2006-01-02T15:04:05Z070000", "2020-01-01T13:00:00+010203", 1577879877000000000),
        ("2006-01-02 -0700 MST", "2020-01-01 +0200 UTC", 1577836800000000000),
        ("2006-01-02 -07:00:00", "2020-01-01 -00:00:01", 1577836800000000000),
        ("2006-01-02 MST", "2020-01-01 GMT+005", 1577836800000000000),
        ("2006 06", "2006 +5", 1104537600000000000),
        ("2006 05.00", "2020 07.+5", 1577836807050000000),
        ("2006 15 PM pm", "2020 10 AM pm", 1577916000000000000),
    ],
)
def test_a_time_is_parsed_by_its_layout(layout: str, text: str, ns: int) -> None:
    assert call("time.parse_ns", layout, text) == ns


@pytest.mark.parametrize(
    ("layout", "text", "message"),
    [
        ("2006", "x", 'parsing time "x" as "2006": cannot parse "x" as "2006"'),
        ("Kitchen", "3:04PM", 'parsing time "3:04PM" as "Kitchen": cannot parse "3:04PM" as "Kitchen"'),
        ("2006-01-02", "2021-02-30", 'parsing time "2021-02-30": day out of range'),
        ("2006-01-02", "2021-02-03x", 'parsing time "2021-02-03x": extra text: "x"'),
        ("2006-01-02", "2021-13-03", 'parsing time "2021-13-03": month out of range'),
        ("2006 002", "2021 366", 'parsing time "2021 366": day-of-year out of range'),
        ("2006 002 02", "2020 060 28", 'parsing time "2020 060 28": day-of-year does not match day'),
        ("2006-01-02 15:04:05.000", "2020-01-01 13:00:00.1", None),
        ("2006-01-02", "9999-01-01", "time outside of valid range"),
        ("15:04", "12:30", "time outside of valid range"),
        ("2006-01-02T15:04:05Z07:00", "1677-09-21T00:12:43.145224191-00:00", "time outside of valid range"),
        ("é", 'a"', 'parsing time "a\\"" as "\\xc3\\xa9": cannot parse "a\\"" as "\\xc3\\xa9"'),
        ("-0700", "+2561", 'parsing time "+2561": time zone offset minute out of range'),
        ("05.00", "07.-5", 'parsing time "07.-5": fractional second out of range'),
        ("MST", "+0700", 'parsing time "+0700" as "MST": cannot parse "+0700" as "MST"'),
    ],
)
def test_what_is_no_time_is_refused_in_go_s_words(layout: str, text: str, message: str | None) -> None:
    error = failure("time.parse_ns", layout, text)
    assert error == message if message else 'cannot parse ".1" as ".000"' in error


def test_rfc3339_takes_fractions_and_offsets() -> None:
    assert call("time.parse_rfc3339_ns", "2017-06-02T19:00:00.123456789123Z") == 1496430000123456789
    assert call("time.parse_rfc3339_ns", "2017-06-02T9:00:00,5Z") == 1496394000500000000
    assert failure("time.parse_rfc3339_ns", "2017-06-02T25:00:00Z") == 'parsing time "2017-06-02T25:00:00Z": hour out of range'
    assert 'cannot parse "t19:00:00z" as "T"' in failure("time.parse_rfc3339_ns", "2017-06-02t19:00:00z")


def outcome(parse: Callable[[], int]) -> int | str:
    try:
        return parse()
    except ValueError as error:
        return str(error)


@given(
    st.one_of(
        st.datetimes().map(lambda time: time.isoformat()),
        st.from_regex(r"(1[67]|19|20|22)[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{0,11})?", fullmatch=True),
    ),
    st.sampled_from(("Z", "Z", "Z", "z", "+00:00", "", "\u0661Z")),
)
def test_a_plain_time_is_what_go_s_parser_makes_of_it(start: str, end: str) -> None:
    text = start + end
    expected = outcome(lambda: parse_time(NAMED["RFC3339"], text))
    if isinstance(expected, int) and not MIN_NS <= expected <= MAX_NS:
        expected = "time outside of valid range"
    asked = call if isinstance(expected, int) else failure
    assert asked("time.parse_rfc3339_ns", text) == expected


@given(st.integers(MIN_NS - 2, MAX_NS + 2))
def test_the_clock_of_nanoseconds_is_that_of_the_zone_utc(ns: int) -> None:
    if MIN_NS <= ns <= MAX_NS:
        assert call("time.clock", ns) == call("time.clock", [ns, "UTC"])
    else:
        assert failure("time.clock", ns) == failure("time.clock", [ns, "UTC"])


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1d", 86400 * 10**9),
        ("1.5h3m.5s", 5580500000000),
        ("-1us", -1000),
        ("0", 0),
        ("+5m", 300 * 10**9),
        ("1y1w", 32140800 * 10**9),
        ("1µs", 1000),
        ("1d1ms", 86400001 * 10**6),
        ("0.1111111111111111111h", 400 * 10**9),
    ],
)
def test_a_duration_has_units_up_to_years(text: str, ns: int) -> None:
    assert call("time.parse_duration_ns", text) == ns


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("1", 'time: missing unit in duration "1"'),
        ("1x", 'time: unknown unit "x" in duration "1x"'),
        (".s", 'time: invalid duration ".s"'),
        ("- 1s", 'time: invalid duration "- 1s"'),
        ("99999999h", 'time: invalid duration "99999999h"'),
        ("1%d", 'time: invalid duration "1%d"'),
        ("1day", 'time: invalid duration "1day"'),
        ("1d1x", 'time: unknown unit "x" in duration "1d1x"'),
        ("1é", 'time: unknown unit "\\xc3\\xa9" in duration "1\\xc3\\xa9"'),
    ],
)
def test_what_is_no_duration_is_refused(text: str, message: str) -> None:
    assert failure("time.parse_duration_ns", text) == message


@pytest.mark.parametrize(
    ("operand", "text"),
    [
        (MOMENT, "2022-12-02T18:40:53.141828752Z"),
        ([MOMENT, "Asia/Kolkata"], "2022-12-03T00:10:53.141828752+05:30"),
        ([MOMENT, "Asia/Kolkata", "RFC1123Z"], "Sat, 03 Dec 2022 00:10:53 +0530"),
        ([MOMENT, "UTC", "Kitchen"], "Kitchen"),
        ([123456789, "America/New_York", "RFC850"], "Wednesday, 31-Dec-69 19:00:00 EST"),
        ([-4 * 10**18, "Europe/Amsterdam", "2006-01-02T15:04:05Z07:00:00 -0700"], "1843-03-31T17:12:52+00:19:32 +0019"),
        ([10**18 + 5, "UTC", ".0000000000"], ".000000005"),
        ([10**18, "UTC", "Januaryx Janx Monx MSTx 16 000 __2 .000 .999"], "Septemberx Janx Monx UTCx 96 000 252 .000 "),
    ],
)
def test_a_time_is_written_by_its_layout(operand: Any, text: str) -> None:
    assert call("time.format", operand) == text


@given(st.integers(MIN_NS, MAX_NS))
def test_what_is_written_with_nanoseconds_is_parsed_as_it_was(ns: int) -> None:
    assert parse_time(NAMED["RFC3339Nano"], call("time.format", ns)) == ns


@given(st.text("0126357 :-TZ+.,JanMoSTPM_", max_size=20), st.text("0126357 :-TZ+.,JanMoSTPM_", max_size=20))
def test_any_layout_parses_or_fails_cleanly(layout: str, text: str) -> None:
    try:
        ns = parse_time(layout, text)
    except ValueError:
        assert failure("time.parse_ns", layout, text).startswith("parsing time")
    else:
        assert isinstance(ns, int)


def test_date_clock_and_weekday_are_the_zones() -> None:
    late = 1517814000 * 10**9
    assert call("time.date", late) == [2018, 2, 5]
    assert call("time.date", [late, "America/Los_Angeles"]) == [2018, 2, 4]
    assert call("time.clock", [1517832000 * 10**9, "America/New_York"]) == [7, 0, 0]
    assert call("time.clock", -1) == [23, 59, 59]
    assert call("time.weekday", [1517814000 * 10**9, "America/Los_Angeles"]) == "Sunday"


@pytest.mark.parametrize(
    ("operand", "message"),
    [
        (2**63, "timestamp too big"),
        (1.5, "timestamp too big"),
        ([0, "Foo/Bar"], "unknown time zone Foo/Bar"),
        ([0, "europe/berlin"], "unknown time zone europe/berlin"),
        ([0, "Europe"], "unknown time zone Europe"),
        ([0, "../x"], "time: invalid location name"),
        ([0, "/etc/passwd"], "time: invalid location name"),
        ([0, "a\0"], "invalid argument"),
        ([1.5, "Foo/Bar"], "unknown time zone Foo/Bar"),
        ([0, "x" * 10_000], f"unknown time zone {'x' * 10_000}"),
        ("x", "operand 1 must be either number (ns) or [number (ns), string (tz)] but got string"),
        ([], "operand 1 must be either number (ns) or [number (ns), string (tz)] but got array"),
        (["x"], "operand 1 must be number but got string"),
        ([1, 2], "operand 1 must be string but got number"),
    ],
)
def test_what_is_no_moment_is_refused(operand: Any, message: str) -> None:
    for name in ("time.date", "time.clock", "time.weekday", "time.format"):
        assert failure(name, operand) == message


@pytest.mark.parametrize(
    ("operands", "ns"),
    [
        ((1585852421593912000, 3, 9, 12), 1705257221593912000),
        ((1585852421593912000, -1, -1, -1), 1551465221593912000),
        ((2674800000000000, 0, 1, 0), 5353200000000000),
        (([0, "Asia/Tokyo"], 0, 1, 0), 2678400000000000),
        (([1711846800 * 10**9 - 86400 * 10**9, "Europe/Berlin"], 0, 0, 1), 1711846800 * 10**9),
    ],
)
def test_a_date_is_added_on_the_calendar(operands: tuple[Any, ...], ns: int) -> None:
    assert call("time.add_date", *operands) == ns


def test_a_clock_stays_across_daylight_saving() -> None:
    noon_before = [1711796400 * 10**9, "Europe/Berlin"]  # 2024-03-30 12:00, the night in which an hour is left out
    assert call("time.clock", [call("time.add_date", noon_before, 0, 0, 1), "Europe/Berlin"]) == [12, 0, 0]


def test_a_date_out_of_range_is_refused() -> None:
    assert failure("time.add_date", 0, 2262, 1, 1) == "time outside of valid range"
    assert failure("time.add_date", 0, 0, 2**62, 0) == "time outside of valid range"
    assert failure("time.add_date", 0, 0, 1.5, 0) == "operand 3 must be integer number but got floating-point number"
    assert failure("time.add_date", 0, 2**70, 0, 0) == "operand 2 must be integer number but got floating-point number"


@pytest.mark.parametrize(
    ("left", "right", "units"),
    [
        (0, 61 * 10**9, [0, 0, 0, 0, 1, 1]),
        (0, 10**18, [31, 8, 8, 1, 46, 40]),
        (10**18, 0, [31, 8, 8, 1, 46, 40]),
        (1580601600 * 10**9, 1583020800 * 10**9, [0, 0, 28, 0, 0, 0]),
        ([0, "Asia/Tokyo"], [86400 * 10**9, "UTC"], [0, 0, 1, 0, 0, 0]),
        # 2024-10-27 02:50 and an hour's end later 02:10, as clocks in Berlin are put back
        ([1729990200 * 10**9, "Europe/Berlin"], 1729991400 * 10**9, [-1, 11, 30, 23, 20, 0]),
    ],
)
def test_a_difference_is_in_calendar_units(left: Any, right: Any, units: list[int]) -> None:
    assert call("time.diff", left, right) == units


def test_the_second_operand_of_a_difference_is_called_the_first_as_in_opa() -> None:
    assert failure("time.diff", 0, "x").startswith("operand 1 must be either number (ns)")
