"""Operators and functions on numbers: arithmetic, rounding, bits, ranges, and numbers from and to text."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Final

from authz.rego import numbers
from authz.rego.builtins.registry import (
    ARRAY,
    BOOLEAN,
    NULL_T,
    NUMBER,
    SET,
    STRING,
    EvalContext,
    builtin,
    index,
    operand_error,
    whole,
)
from authz.rego.errors import EVAL_TYPE, BuiltinError
from authz.rego.render import number_text, quote
from authz.rego.values import Boolean, Number, Set, Value

MAX_RANGE: Final = 1_000_000
"""Members that `numbers.range` may make; OPA stops at its time limit only."""

MAX_SHIFT: Final = numbers.MAX_BITS

# Go's strconv.ParseFloat: decimal, or hexadecimal with a binary exponent; `_` between digits.
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9][0-9_]*)?\Z")
_HEXADECIMAL: Final = re.compile(r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]{1,5}\Z")
_NO_NUMBERS: Final = frozenset({"inf", "infinity", "nan"})
_MAX_DOUBLE: Final = Decimal("1.7976931348623157e308")
_MAX_LITERAL: Final = 4300
"""Characters of a number that are read; Python reads no longer integers."""

_DIGITS: Final[dict[str, Callable[[int], str]]] = {
    "2": lambda number: f"{number:b}",
    "8": lambda number: f"{number:o}",
    "10": number_text,
    "16": lambda number: f"{number:x}",
}


builtin("plus", NUMBER, NUMBER, result=NUMBER)(numbers.add)
builtin("mul", NUMBER, NUMBER, result=NUMBER)(numbers.mul)
builtin("div", NUMBER, NUMBER, result=NUMBER)(numbers.div)
builtin("rem", NUMBER, NUMBER, result=NUMBER)(numbers.rem)
builtin("abs", NUMBER, result=NUMBER)(numbers.absolute)
builtin("ceil", NUMBER, result=NUMBER)(numbers.ceiling)
builtin("floor", NUMBER, result=NUMBER)(numbers.floored)
builtin("round", NUMBER, result=NUMBER)(numbers.half_away)


@builtin("minus", (NUMBER, SET), (NUMBER, SET), checks_itself=True)
def minus(left: Value, right: Value) -> Value:
    """Subtract numbers, or remove the members of one set from another."""
    if isinstance(left, numbers.NUMBERS):
        if not isinstance(right, numbers.NUMBERS):
            raise operand_error("minus", 2, NUMBER, right)
        return numbers.sub(left, right)
    if not isinstance(left, Set):
        raise operand_error("minus", 1, (NUMBER, SET), left)
    if not isinstance(right, Set):
        raise operand_error("minus", 2, SET, right)
    return Set(left - right)


@builtin("numbers.range", NUMBER, NUMBER, result=ARRAY)
def number_range(first: Number, last: Number) -> Value:
    """Return the integers from `first` to `last`, both included, downwards if need be."""
    return _range("numbers.range", whole("numbers.range", 1, first), whole("numbers.range", 2, last), 1)


@builtin("numbers.range_step", NUMBER, NUMBER, NUMBER, result=ARRAY)
def number_range_step(first: Number, last: Number, step: Number) -> Value:
    """Return every `step`th integer from `first` on; a positive step counts downwards too."""
    name = "numbers.range_step"
    start, stop, stride = whole(name, 1, first), whole(name, 2, last), whole(name, 3, step)
    if stride <= 0:
        raise BuiltinError(f"{name}: step must be a positive integer")
    return _range(name, start, stop, stride)


def _range(name: str, first: int, last: int, step: int) -> Value:
    if abs(last - first) // step >= MAX_RANGE:
        raise BuiltinError(f"{name}: more than {MAX_RANGE} numbers in range")
    return tuple(range(first, last + 1, step) if first <= last else range(first, last - 1, -step))


@builtin("bits.and", NUMBER, NUMBER, result=NUMBER)
def bits_and(left: Number, right: Number) -> int:
    return whole("bits.and", 1, left) & whole("bits.and", 2, right)


@builtin("bits.or", NUMBER, NUMBER, result=NUMBER)
def bits_or(left: Number, right: Number) -> int:
    return whole("bits.or", 1, left) | whole("bits.or", 2, right)


@builtin("bits.xor", NUMBER, NUMBER, result=NUMBER)
def bits_xor(left: Number, right: Number) -> int:
    return whole("bits.xor", 1, left) ^ whole("bits.xor", 2, right)


@builtin("bits.negate", NUMBER, result=NUMBER)
def bits_negate(number: Number) -> int:
    return ~whole("bits.negate", 1, number)


@builtin("bits.lsh", NUMBER, NUMBER, result=NUMBER)
def bits_lsh(number: Number, places: Number) -> int:
    value, shift = whole("bits.lsh", 1, number), _shift("bits.lsh", places)
    if shift > MAX_SHIFT and value:
        raise BuiltinError(f"bits.lsh: shift by more than {MAX_SHIFT} bits")
    return numbers.checked_size(value << shift if value else 0)


@builtin("bits.rsh", NUMBER, NUMBER, result=NUMBER)
def bits_rsh(number: Number, places: Number) -> int:
    value = whole("bits.rsh", 1, number)
    return value >> _shift("bits.rsh", places)


def _shift(name: str, places: Number) -> int:
    shift = whole(name, 2, places)
    if shift < 0:
        raise BuiltinError(f"{name}: operand 2 must be an unsigned integer number but got a negative integer", EVAL_TYPE)
    return shift


@builtin("format_int", NUMBER, NUMBER, result=STRING)
def format_int(number: Number, base: Number) -> str:
    """Return the number's digits in `base`, its fraction cut off."""
    write = _DIGITS.get(number_text(base))
    if write is None:
        raise BuiltinError("format_int: operand 2 must be one of {2, 8, 10, 16}", EVAL_TYPE)
    return write(numbers.truncated(number))


@builtin("to_number", (NULL_T, BOOLEAN, NUMBER, STRING), result=NUMBER)
def to_number(value: Value) -> Number:
    """Return the number that a string writes, with its form; null and false are 0, true is 1."""
    if isinstance(value, numbers.NUMBERS):
        return value
    if isinstance(value, str):
        return _read_number(value)
    return 1 if isinstance(value, Boolean) and value else 0


def _read_number(text: str) -> Number:
    if text.lstrip("+-").lower() in _NO_NUMBERS:
        raise BuiltinError("to_number: operand 1 must be valid number string but got string", EVAL_TYPE)
    hexadecimal = _HEXADECIMAL.match(text)
    if len(text) > _MAX_LITERAL or not (hexadecimal or (_DECIMAL.match(text) and "__" not in text)):
        raise _unreadable(text, "invalid syntax")
    try:
        return _finite(text, Decimal(float.fromhex(text)) if hexadecimal else _decimal(text.replace("_", "")))
    except (InvalidOperation, OverflowError):
        raise _unreadable(text, "value out of range") from None


def _decimal(text: str) -> Number:
    return int(text) if text.lstrip("+-").isdecimal() else Decimal(text)


def _finite(text: str, number: Number) -> Number:
    """Return `number` if a double can hold one of its size, as OPA asks."""
    if not -_MAX_DOUBLE <= number <= _MAX_DOUBLE:
        raise _unreadable(text, "value out of range")
    return number


def _unreadable(text: str, reason: str) -> BuiltinError:
    return BuiltinError(f"to_number: strconv.ParseFloat: parsing {quote(text)}: {reason}")


@builtin("rand.intn", STRING, NUMBER, result=NUMBER, deterministic=False, needs_context=True)
def rand_intn(context: EvalContext, key: str, bound: Number) -> Value:
    """Return a number below `bound`, the same for the same operands throughout an evaluation."""
    limit = abs(index("rand.intn", 2, bound))
    if limit == 0:
        return 0
    return context.once(("rand.intn", key, limit), lambda: random.randrange(limit))  # noqa: S311 - OPA's is no secret either
