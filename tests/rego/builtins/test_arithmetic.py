"""Numbers: operators, bits, ranges, and numbers from and to text. Expected texts are OPA's."""

from __future__ import annotations

from decimal import Decimal

import pytest

from authz.rego.builtins.arithmetic import MAX_RANGE, MAX_SHIFT
from authz.rego.numbers import parse
from tests.rego.builtins.harness import Evaluation, call, failure, value

INTEGER = "must be integer number but got floating-point number"


def test_operators_calculate() -> None:
    assert call("plus", 1, 2) == 3
    assert call("minus", 1, 2) == -1
    assert call("mul", 3, 4) == 12
    assert call("div", 5, 2) == Decimal("2.5")
    assert call("rem", -7, 3) == -1
    assert call("abs", -10) == 10
    assert call("round", 2.5) == 3
    assert call("ceil", 1.01) == 2
    assert call("floor", -1.001) == -2


def test_minus_takes_sets_apart() -> None:
    assert call("minus", {1, 2}, {2, 3}) == value({1})


@pytest.mark.parametrize(
    ("name", "operands", "message"),
    [
        ("plus", ("a", 1), "operand 1 must be number but got string"),
        ("plus", (1, True), "operand 2 must be number but got boolean"),
        ("minus", ({1}, 2), "operand 2 must be set but got number"),
        ("minus", ({1}, "a"), "operand 2 must be number but got string"),
        ("minus", (2, {1}), "operand 2 must be number but got set"),
        ("minus", ("a", 1), "operand 1 must be one of {number, set} but got string"),
        ("bits.negate", (1.5,), f"operand 1 {INTEGER}"),
        ("bits.or", (1.5, 1), f"operand 1 {INTEGER}"),
        ("bits.or", (1.5, "a"), f"operand 1 {INTEGER}"),
        ("bits.or", (1, "a"), "operand 2 must be integer but got string"),
        ("bits.and", (1, 1.5), f"operand 2 {INTEGER}"),
        ("bits.xor", (1.5, 1), f"operand 1 {INTEGER}"),
        ("bits.lsh", (1.5, 1), f"operand 1 {INTEGER}"),
        ("bits.rsh", (5, -1), "operand 2 must be an unsigned integer number but got a negative integer"),
        ("numbers.range", (1.5, 3), f"operand 1 {INTEGER}"),
        ("numbers.range_step", (1, 3, 1.5), f"operand 3 {INTEGER}"),
        ("format_int", ("a", 10), "operand 1 must be number but got string"),
        ("format_int", (15, 3), "operand 2 must be one of {2, 8, 10, 16}"),
        ("format_int", (15, Decimal("10.0")), "operand 2 must be one of {2, 8, 10, 16}"),
        ("rand.intn", ("a", 1.5), f"operand 2 {INTEGER}"),
        ("rand.intn", ("a", "b"), "operand 2 must be number but got string"),
        ("to_number", ("nan",), "operand 1 must be valid number string but got string"),
        ("to_number", ("-Infinity",), "operand 1 must be valid number string but got string"),
        ("to_number", ([],), "operand 1 must be one of {null, boolean, number, string} but got array"),
    ],
)
def test_wrong_operands_are_type_errors(name: str, operands: tuple[object, ...], message: str) -> None:
    assert failure(name, *operands) == f"eval_type_error: {name}: {message}"


def test_division_by_zero_is_a_builtin_error() -> None:
    assert failure("div", 1, 0) == "eval_builtin_error: div: divide by zero"


def test_bits_are_those_of_unbounded_integers() -> None:
    assert call("bits.and", -5, 3) == 3
    assert call("bits.or", parse("1e30"), 1) == 10**30 + 1
    assert call("bits.xor", 28857836529306024611913, 1) == 28857836529306024611912
    assert call("bits.negate", 5) == -6
    assert call("bits.lsh", 1, 100) == 1 << 100
    assert call("bits.rsh", -5, 1) == -3
    assert call("bits.rsh", 5, 2**64) == 5  # OPA looks at the low 64 bits of how far to shift


def test_shifts_are_bounded() -> None:
    assert "shift by more" in failure("bits.lsh", 1, MAX_SHIFT + 1)
    assert "longer than" in failure("bits.lsh", 2**100, MAX_SHIFT)
    assert call("bits.lsh", 0, 10**12) == 0
    assert call("bits.rsh", 1, 10**12) == 0


def test_ranges_go_up_and_down() -> None:
    assert call("numbers.range", 1, 3) == (1, 2, 3)
    assert call("numbers.range", 3, 1) == (3, 2, 1)
    assert call("numbers.range", parse("1e2"), 101) == (100, 101)
    assert call("numbers.range_step", 10, 3, 2) == (10, 8, 6, 4)
    assert call("numbers.range_step", 2, 5, 2) == (2, 4)
    name = "numbers.range_step"
    assert failure(name, 0, 10, -2) == f"eval_builtin_error: {name}: {name}: step must be a positive integer"


def test_ranges_are_bounded() -> None:
    assert "more than" in failure("numbers.range", 0, MAX_RANGE)
    assert "more than" in failure("numbers.range_step", 0, 10**30, 7)


@pytest.mark.parametrize(
    ("number", "base", "text"),
    [
        (15.5, 16, "f"),
        (-15.5, 16, "-f"),
        (8, 8, "10"),
        (5, 2, "101"),
        (0.3, 2, "0"),
        (28857836529306024611913, 10, "28857836529306024611913"),
    ],
)
def test_format_int_cuts_the_fraction_off(number: object, base: int, text: str) -> None:
    assert call("format_int", number, base) == text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3", "3"),
        ("-0", "0"),
        ("007", "7"),
        ("+5", "5"),
        ("1_000", "1000"),
        (".5", "0.5"),
        ("5.", "5"),
        ("0x1p-2", "0.25"),
        ("1e308", "1e308"),
    ],
)
def test_to_number_reads_what_go_reads(text: str, number: str) -> None:
    assert call("to_number", text) == parse(number)


def test_to_number_keeps_the_form_of_the_text() -> None:
    assert str(call("to_number", "1.0")) == "1.0"


@pytest.mark.parametrize("text", ["", " 1", "0x10", "0b1", "-", "1__0", "broken", "1e", "\u0661", "9" * 5000])
def test_to_number_refuses_what_is_no_number(text: str) -> None:
    assert failure("to_number", text).endswith(": invalid syntax")


@pytest.mark.parametrize("text", ["1e309", "-1e400", "1e999999999999999999999", "0x1p99999"])
def test_to_number_refuses_what_no_double_holds(text: str) -> None:
    assert failure("to_number", text).endswith(": value out of range")


def test_to_number_of_null_and_booleans() -> None:
    assert [call("to_number", operand) for operand in (None, False, True, 1.5)] == [0, 0, 1, Decimal("1.5")]


def test_random_numbers_stay_the_same_within_an_evaluation() -> None:
    evaluation = Evaluation()
    numbers = {call("rand.intn", "key", 10**9, evaluation=evaluation) for _ in range(50)}
    assert len(numbers) == 1
    assert 0 <= numbers.pop() < 10**9
    assert call("rand.intn", "key", 0) == 0
    assert call("rand.intn", "key", -1) == 0
