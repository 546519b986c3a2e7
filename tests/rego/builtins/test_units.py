"""Amounts with units."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.rego.builtins.harness import call, failure


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("10", "10"),
        ("1.5", "1.5"),
        ("-5k", "-5000"),
        ("10Ki", "10240"),
        ("10kI", "10240"),
        ("1M", "1000000"),
        ("1mI", "1048576"),
        ("5E", "5e18"),
        ("5e3", "5000"),
        ("5e3k", "5000000"),
        ('"5k"', "5000"),
        (".5k", "500"),
        ("1500m", "1.5"),
        ("1.50000000005", "1.5000000001"),
        ("-1.50000000005", "-1.5000000001"),
        ("1e-11", "0"),
    ],
)
def test_units_parse(text: str, amount: str) -> None:
    assert call("units.parse", text) == Decimal(amount)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1.5KB", 1500),
        ("1.5kib", 1536),
        ("0.1eb", 10**17),
        ("5", 5),
        ("5e", 5 * 10**18),
        ("-5kb", -5000),
        ("1.9", 1),
        ("1e30", 1000000000000000000024696061952),
    ],
)
def test_units_parse_bytes(text: str, size: int) -> None:
    result = call("units.parse_bytes", text)
    assert result == size
    assert type(result) is int


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no amount provided"),
        ("k", "no amount provided"),
        ("5 k", "spaces not allowed in resource strings"),
        ("5x", "unit x not recognized"),
        ("5XY", "unit Xy not recognized"),
        ("1kb", "unit kb not recognized"),
        ("5.5.5k", "could not parse amount to a number"),
        ("5e1234567", "exponent too large"),
        ("5e99999", "exponent too large"),
        ("9" * 5000, "could not parse amount to a number"),
    ],
)
def test_what_is_no_amount_is_an_error(text: str, message: str) -> None:
    assert failure("units.parse", text) == f"eval_builtin_error: units.parse: units.parse: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kb", "no byte amount provided"),
        ("5q", "byte unit q not recognized"),
        ("1..5k", "could not parse byte amount to a number"),
        ("1 k", "spaces not allowed in resource strings"),
    ],
)
def test_what_is_no_byte_amount_is_an_error(text: str, message: str) -> None:
    assert failure("units.parse_bytes", text) == f"eval_builtin_error: units.parse_bytes: units.parse_bytes: {message}"
