"""Rego's arithmetic: exact on integers, binary floats with a 64-bit mantissa elsewhere.

Those floats are OPA's (Go's `big.Float`): not doubles, so `0.1 + 0.2` is 0.3. A result is
the shortest decimal that reads back as the same float; a whole one is an `int`. This module
knows numbers only: neither the types of operands nor the text of other values.
"""

from __future__ import annotations

import itertools
import re
from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias

from authz.rego.errors import BuiltinError
from authz.rego.values import Number, number_text, spelled

MANTISSA_BITS: Final = 64
"""Precision of a result that is not an exact integer."""

MAX_BITS: Final = 1 << 16
"""Size of an integer that an operation may make; products and shifts beyond it are errors, not minutes of work."""

MAX_EXPONENT: Final = 5000
"""Decimal exponent up to which a number may be calculated with: `1e1000000000` may be compared, not added to."""

MAX_INDEX_LENGTH: Final = 19
"""Characters of an index' text but for its sign: the digits of 2**63, or fewer and a point."""

Float: TypeAlias = tuple[int, int]
"""A binary float: (mantissa, exponent), of value mantissa * 2**exponent."""

NUMBERS: Final = (int, Decimal)
"""The classes of numbers, for isinstance."""

_INDEX: Final = re.compile(r"([-+]?)(([0-9]*)(?:\.0*)?)\Z")
_LITERAL: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z")


def parse(text: str) -> Number:
    """Return the number that `text` writes as JSON does; it keeps the text.

    Raises ValueError for any other text, and for integers longer than Python reads (4,300 digits).
    """
    matched = _LITERAL.match(text)
    if matched is None:
        raise ValueError(f"invalid number literal {text!r}")
    if matched[1] is None and matched[2] is None:
        return spelled(int(text), text)
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"number {text} is out of range") from error
    if not number.is_finite():
        raise ValueError(f"number {text} is out of range")
    return spelled(number, text)


def as_int(number: Number) -> int | None:
    """Return the number as an int if it is whole, else None."""
    if isinstance(number, int):
        return number
    decimal = _bounded(number)
    return int(decimal) if decimal == decimal.to_integral_value() else None


def as_index(number: Number) -> int | None:
    """Return the number as an int where OPA takes it for a position or a length, else None.

    OPA asks the number's text: `1.0` will do; `1e0` will not, nor will more than 64 bits or a text longer than those need.
    """
    if isinstance(number, int):
        return number if -(1 << 63) <= number < 1 << 63 else None
    return index_of(number_text(number))


def index_of(text: str) -> int | None:
    """Return the position that a text names, None if it names none."""
    found = _INDEX.match(text)
    if found is None or not 0 < len(found[2]) <= MAX_INDEX_LENGTH:
        return None
    return as_index(int(found[1] + (found[3] or "0")))


def float_as_int(number: Number) -> int | None:
    """Return the nearest binary float as an int if it is whole, else None."""
    value = to_float(number)
    return truncated_float(value) if _is_whole(value) else None


def add(left: Number, right: Number) -> Number:
    """Return left + right."""
    if type(left) is int and type(right) is int:
        return left + right
    first, second = as_int(left), as_int(right)
    if first is not None and second is not None:
        return first + second
    return from_float(_add(to_float(left), to_float(right)))


def add_float(left: Number, right: Number) -> Number:
    """Return left + right as floats, whole or not: how OPA sums as soon as one of several is not whole."""
    return from_float(_add(to_float(left), to_float(right)))


def sub(left: Number, right: Number) -> Number:
    """Return left - right."""
    if type(left) is int and type(right) is int:
        return left - right
    first, second = as_int(left), as_int(right)
    if first is not None and second is not None:
        return first - second
    mantissa, exponent = to_float(right)
    return from_float(_add(to_float(left), (-mantissa, exponent)))


def mul(left: Number, right: Number) -> Number:
    """Return left * right; BuiltinError if it is an integer beyond MAX_BITS."""
    if type(left) is int and type(right) is int:
        return checked_size(left * right)
    first, second = as_int(left), as_int(right)
    if first is not None and second is not None:
        return checked_size(first * second)
    return _signed(from_float(multiply(to_float(left), to_float(right))), left, right)


def div(left: Number, right: Number) -> Number:
    """Return left / right, which never truncates; BuiltinError if `right` is zero."""
    if right == 0:
        raise BuiltinError("div: divide by zero")
    if type(left) is int and type(right) is int and left and _is_small(left) and _is_small(right) and left % right == 0:
        return left // right
    return _signed(from_float(_divide(to_float(left), to_float(right))), left, right)


def _signed(result: Number, left: Number, right: Number) -> Number:
    """Return the product or quotient; one that is zero is written with the sign that OPA's floats keep."""
    if result:
        return result
    return spelled(result, "-0") if number_text(left).startswith("-") != number_text(right).startswith("-") else result


def rem(left: Number, right: Number) -> Number:
    """Return the remainder, of the dividend's sign; BuiltinError if `right` is zero or either is not whole."""
    first, second = as_int(left), as_int(right)
    if first is None or second is None:
        raise BuiltinError("rem: modulo on floating-point number")
    if second == 0:
        raise BuiltinError("rem: modulo by zero")
    rest = abs(first) % abs(second)
    return -rest if first < 0 else rest


def absolute(number: Number) -> Number:
    """Return the number without its sign; integers beyond 64 bits are rounded as OPA rounds them."""
    if isinstance(number, int) and _is_small(number):
        return abs(number)
    mantissa, exponent = to_float(number)
    return from_float((abs(mantissa), exponent))


def half_away(number: Number) -> int:
    """Return the nearest integer, halves away from zero."""
    if isinstance(number, int) and number.bit_length() < MANTISSA_BITS:  # with a half it needs a bit more
        return number
    value = to_float(number)
    return truncated_float(_add(value, (-1 if value[0] < 0 else 1, -1)))


def ceiling(number: Number) -> int:
    """Return OPA's ceil: numbers between -1 and 0 give 1, because their whole part has lost its sign."""
    if isinstance(number, int) and _is_small(number):
        return number
    value = to_float(number)
    whole = truncated_float(value)
    return whole if whole < 0 or _is_whole(value) else whole + 1


def floored(number: Number) -> int:
    """Return OPA's floor: numbers between -1 and 0 give 0, for the same reason as in `ceiling`."""
    if isinstance(number, int) and _is_small(number):
        return number
    value = to_float(number)
    whole = truncated_float(value)
    return whole if whole >= 0 or _is_whole(value) else whole - 1


def truncated(number: Number) -> int:
    """Return the number without its fraction."""
    return number if isinstance(number, int) else truncated_float(to_float(number))


def checked_size(number: int) -> int:
    """Return `number`, or raise BuiltinError if it is beyond MAX_BITS."""
    if number.bit_length() > MAX_BITS:
        raise BuiltinError(f"result is longer than {MAX_BITS} bits")
    return number


def to_float(number: Number) -> Float:
    """Return the nearest binary float."""
    if isinstance(number, int):
        return rounded(number, 0)
    decimal = _bounded(number)
    numerator, denominator = decimal.as_integer_ratio()
    if denominator == 1:
        return rounded(numerator, 0)
    return _divide((numerator, 0), (denominator, 0))


def rounded(mantissa: int, exponent: int, bits: int = MANTISSA_BITS) -> Float:
    """Return mantissa * 2**exponent in `bits` bits, ties to even."""
    excess = mantissa.bit_length() - bits
    if excess <= 0:
        return mantissa, exponent
    sign, magnitude = (-1, -mantissa) if mantissa < 0 else (1, mantissa)
    kept, half = magnitude >> excess, 1 << (excess - 1)
    rest = magnitude & ((1 << excess) - 1)
    if rest > half or (rest == half and kept & 1):
        kept += 1
        if kept.bit_length() > bits:  # carried into the next power of two: what is shifted out is zero
            kept, excess = kept >> 1, excess + 1
    return sign * kept, exponent + excess


def from_float(value: Float, bits: int = MANTISSA_BITS) -> Number:
    """Return the number of the shortest decimal text that reads back as `value` in `bits` bits."""
    mantissa, exponent = value
    if _is_whole(value):
        whole = truncated_float(value)
        if whole.bit_length() <= bits:
            return whole
    digits, scale = _shortest(abs(mantissa), exponent, bits)
    if scale >= 0:
        padded: int = digits * 10**scale
        return -padded if mantissa < 0 else padded
    sign = "-" if mantissa < 0 else ""
    return spelled(Decimal(f"{sign}{digits}E{scale}"), sign + _go_text(str(digits), scale))


def go_text(number: Number) -> str:
    """Return the number's binary float as Go's `%v` writes it: six places before the point at most."""
    mantissa, exponent = to_float(number)
    if mantissa == 0:
        return "0"
    digits, scale = _shortest(abs(mantissa), exponent, MANTISSA_BITS)
    return ("-" if mantissa < 0 else "") + _go_text(str(digits), scale)


def _go_text(digits: str, scale: int) -> str:
    """Return digits * 10**scale as Go's `%g` writes it: with an exponent of two digits where that is below -4 or above 5."""
    exponent = len(digits) - 1 + scale
    if scale >= 0 and exponent < 6:
        return digits + "0" * scale
    if -5 < exponent < 6:
        padded = digits.rjust(1 - scale, "0")
        return f"{padded[:scale]}.{padded[scale:]}"
    return f"{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e{exponent:+03d}"


def multiply(left: Float, right: Float, bits: int = MANTISSA_BITS) -> Float:
    """Return the product in `bits` bits."""
    return rounded(left[0] * right[0], left[1] + right[1], bits)


def _is_small(number: int) -> bool:
    return number.bit_length() <= MANTISSA_BITS


def _bounded(number: Decimal) -> Decimal:
    """Return `number`; refuse one whose digits would fill memory when written out."""
    exponent = number.as_tuple().exponent
    if type(exponent) is not int or not -MAX_EXPONENT <= exponent <= MAX_EXPONENT or abs(number.adjusted()) > MAX_EXPONENT:
        raise BuiltinError(f"number {number} is out of range")
    return number


def _add(left: Float, right: Float) -> Float:
    (first, low), (second, high) = (left, right) if left[1] <= right[1] else (right, left)
    return rounded(first + (second << (high - low)), low)


def _divide(left: Float, right: Float) -> Float:
    """Return the quotient, correctly rounded: two spare bits and a sticky one keep what is cut off."""
    numerator, denominator = abs(left[0]), abs(right[0])
    if numerator == 0:
        return 0, 0
    shift = max(0, MANTISSA_BITS + 2 - numerator.bit_length() + denominator.bit_length())
    quotient, rest = divmod(numerator << shift, denominator)
    quotient = quotient << 1 | (rest != 0)
    negative = (left[0] < 0) != (right[0] < 0)
    return rounded(-quotient if negative else quotient, left[1] - right[1] - shift - 1)


def _is_whole(value: Float) -> bool:
    mantissa, exponent = value
    return exponent >= 0 or mantissa & ((1 << -exponent) - 1) == 0


def truncated_float(value: Float) -> int:
    """Return the float without its fraction."""
    mantissa, exponent = value
    if exponent >= 0:
        return mantissa << exponent
    whole = abs(mantissa) >> -exponent
    return -whole if mantissa < 0 else whole


def _shortest(mantissa: int, exponent: int, bits: int) -> tuple[int, int]:
    """Return (digits, scale) of the shortest decimal digits * 10**scale within half a unit of the last binary place.

    As Go's `big.Float` finds it: the value's digits, cut where they and those of both ends of the interval differ. The interval
    is symmetric (even below a power of two) and closed if the mantissa is even; a tie goes to the even digit.
    """
    spare = bits - mantissa.bit_length()
    mantissa, exponent = mantissa << spare, exponent - spare
    closed = mantissa & 1 == 0
    value, lower, upper = (_Digits(2 * mantissa + half, exponent - 1) for half in (0, -1, 1))
    digits = 0
    for place in itertools.count():
        low, digit, high = lower.next(), value.next(), upper.next()
        digits = digits * 10 + digit
        down = low != digit or (closed and lower.length == place + 1)
        up = digit != high and (closed or digit + 1 < high or upper.length is None)
        if down or up or not value.rest:
            break
    if up and (not down or value.is_above_half(digits)):
        digits += 1
    scale = value.power - place
    while digits and digits % 10 == 0:
        digits, scale = digits // 10, scale + 1
    return digits, scale


class _Digits:
    """The decimal digits of mantissa * 2**exponent, the first one not zero; `length` is known once the last one was read."""

    def __init__(self, mantissa: int, exponent: int) -> None:
        self.rest, self.unit = (mantissa << exponent, 1) if exponent >= 0 else (mantissa, 1 << -exponent)
        self.power = (mantissa.bit_length() + exponent) * 30103 // 100000 + 1  # log10(2); at least that of the first digit
        self.rest, self.unit = (self.rest, self.unit * 10**self.power) if self.power >= 0 else (self.rest * 10**-self.power, self.unit)
        while self.rest < self.unit:
            self.rest, self.power = self.rest * 10, self.power - 1
        self.read = 0
        self.length: int | None = None

    def next(self) -> int:
        digit, rest = divmod(self.rest, self.unit)
        self.rest, self.read = rest * 10, self.read + 1
        if not rest and self.length is None:
            self.length = self.read
        return digit

    def is_above_half(self, digits: int) -> bool:
        """Say whether what is left of `digits` rounds up."""
        half = self.unit * 5
        return self.rest > half or (self.rest == half and digits & 1 == 1)
