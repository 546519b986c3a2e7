"""Arithmetic as OPA does it; the expected texts are OPA 1.20's."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.rego import numbers
from authz.rego.errors import BuiltinError
from authz.rego.numbers import MAX_BITS, MAX_EXPONENT, as_index, as_int, parse
from authz.rego.values import Number, number_text

OPERATIONS: dict[str, Callable[[Number, Number], Number]] = {
    "+": numbers.add,
    "-": numbers.sub,
    "*": numbers.mul,
    "/": numbers.div,
    "%": numbers.rem,
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0.1 + 0.2", "0.3"),
        ("1 / 3", "0.33333333333333333334"),
        ("2 / 3", "0.6666666666666666667"),
        ("1.1 * 1.1", "1.21"),
        ("1e109 / 1e100", "1000000000"),
        ("1e30 + 1", "1000000000000000000000000000001"),
        ("3.0 + 1", "4"),
        ("1.5 - 0.5", "1"),
        ("6 / 3", "2"),
        ("-6 / 4", "-1.5"),
        ("0 / 5", "0"),
        ("9223372036854775807 / 2", "4.6116860184273879035e+18"),
        ("28857836529306024611913 / 3", "9619278843102008204000"),
        ("1e21 / 7", "142857142857142857144"),
        ("28857836529306024611913 * 3", "86573509587918073835739"),
        ("1e20 + 0.5", "100000000000000000000"),
        ("-648856311488042411946 + 18.830635978367226", "-648856311488042411960"),
        ("1000000 + 0.5", "1.0000005e+06"),
        ("100000 + 0.5", "100000.5"),
        ("1 / 8192", "0.0001220703125"),
        ("1 / 16384", "6.103515625e-05"),
        ("0 / -5", "-0"),
        ("-0.0 * 1.5", "-0"),
        ("1e-300 * 1e-300", "9.9999999999999999994e-601"),
        ("1.00000000000000000000001 + 1", "2"),
        ("-7 % 3", "-1"),
        ("7 % -3", "1"),
        ("5.0 % 2", "1"),
        ("10 % 18446744073709551616", "10"),
    ],
)
def test_operations_give_opas_digits(expression: str, expected: str) -> None:
    left, operation, right = expression.split()
    result = OPERATIONS[operation](parse(left), parse(right))
    assert number_text(result) == expected


def test_whole_results_are_integers() -> None:
    assert type(numbers.add(Decimal("1.5"), Decimal("1.5"))) is int
    assert type(numbers.add(Decimal("1.5"), 1)) is Decimal


@pytest.mark.parametrize(
    ("operation", "left", "right", "message"),
    [
        ("/", "1", "0", "div: divide by zero"),
        ("/", "1", "0.0", "div: divide by zero"),
        ("%", "1", "0", "rem: modulo by zero"),
        ("%", "1.1", "1", "rem: modulo on floating-point number"),
    ],
)
def test_impossible_divisions_fail_with_opas_words(operation: str, left: str, right: str, message: str) -> None:
    with pytest.raises(BuiltinError, match=f"^{message}$"):
        OPERATIONS[operation](parse(left), parse(right))


@pytest.mark.parametrize(
    ("function", "operand", "expected"),
    [
        (numbers.half_away, "2.5", 3),
        (numbers.half_away, "-2.5", -3),
        (numbers.half_away, "0.49999999999999999999999", 1),
        (numbers.half_away, "28857836529306024611913", 28857836529306024611840),
        (numbers.ceiling, "1.01", 2),
        (numbers.ceiling, "-1.99999", -1),
        (numbers.ceiling, "-0.5", 1),
        (numbers.floored, "1.5", 1),
        (numbers.floored, "-1.001", -2),
        (numbers.floored, "-0.5", 0),
        (numbers.absolute, "-1.50", Decimal("1.5")),
        (numbers.absolute, "-28857836529306024611913", 28857836529306024612000),
    ],
)
def test_rounding_is_opas_with_its_quirks(function: Callable[[Number], Number], operand: str, expected: Number) -> None:
    assert function(parse(operand)) == expected


@pytest.mark.parametrize(("text", "index"), [("1", 1), ("1.0", 1), ("1e0", None), ("1e2", None), ("1.5", None), (str(2**63), None)])
def test_positions_are_whole_numbers_written_without_exponent(text: str, index: int | None) -> None:
    assert as_index(parse(text)) == index


@pytest.mark.parametrize(("text", "whole"), [("1e2", 100), ("1.0", 1), ("1.5", None), ("-3", -3)])
def test_whole_numbers_are_recognised_in_any_form(text: str, whole: int | None) -> None:
    assert as_int(parse(text)) == whole


@pytest.mark.parametrize("text", ["", "01x", "+1", ".5", "5.", "1e", "0x10", "1_000", "nan", " 1", "1\n"])
def test_only_json_numbers_are_parsed(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        parse(text)


@pytest.mark.parametrize("operation", ["+", "-", "*", "/", "%"])
@pytest.mark.parametrize("text", ["1e1000000000", f"1e{MAX_EXPONENT + 1}", "1e-1000000000"])
def test_enormous_exponents_are_refused_at_once(operation: str, text: str) -> None:
    with pytest.raises(BuiltinError, match="out of range"):
        OPERATIONS[operation](parse(text), 3)


def test_enormous_exponents_may_be_compared() -> None:
    assert parse("1e1000000000") > 5
    assert parse("1e1000000000") == parse("10e999999999")


def test_products_stop_growing_at_the_limit() -> None:
    with pytest.raises(BuiltinError, match="longer than"):
        numbers.mul(1 << (MAX_BITS // 2 + 1), 1 << (MAX_BITS // 2 + 1))


exact = st.one_of(
    st.integers(-(10**30), 10**30), st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=6)
)


@given(exact, exact)
def test_results_are_within_one_part_in_2_to_the_62(left: Number, right: Number) -> None:
    for symbol, true in (("+", Fraction(left) + Fraction(right)), ("*", Fraction(left) * Fraction(right))):
        result = Fraction(OPERATIONS[symbol](left, right))
        scale = abs(Fraction(left)) + abs(Fraction(right)) if symbol == "+" else abs(true)
        assert abs(result - true) * 2**62 <= scale


@given(st.integers(1, 2**64 - 1), st.integers(-300, 300))
def test_the_shortest_text_is_within_half_a_unit_of_the_last_place(mantissa: int, exponent: int) -> None:
    true = Fraction(mantissa) * Fraction(2) ** exponent
    assert abs(Fraction(numbers.from_float((mantissa, exponent))) - true) * 2**64 <= true


@given(st.integers(), st.integers())
def test_integers_are_exact(left: int, right: int) -> None:
    assert numbers.add(left, right) == left + right
    assert numbers.sub(left, right) == left - right
    assert numbers.mul(left, right) == left * right


@pytest.mark.parametrize(
    ("left", "right", "total"),
    [
        (-(2**64 - 1), Decimal("-0.5"), -(2**64)),
        (2**64 - 1, Decimal("0.5"), 2**64),
        (2**64 - 1, Decimal("0.25"), 2**64 - 1),
    ],
)
def test_rounding_up_to_a_power_of_two_keeps_to_the_mantissa(left: int, right: Decimal, total: int) -> None:
    assert numbers.add(left, right) == total
