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
    INDEX,
    INTEGER,
    NULL_T,
    NUMBER,
    SET,
    STRING,
    EvalContext,
    builtin,
    operand_error,
)
from authz.rego.errors import EVAL_TYPE, BuiltinError
from authz.rego.render import quote
from authz.rego.values import Boolean, Number, Set, Value, number_text

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
        raise operand_error("minus", 2, SET if isinstance(right, numbers.NUMBERS) else NUMBER, right)
    return Set(left - right)


@builtin("numbers.range", INTEGER, INTEGER, result=ARRAY)
def number_range(first: int, last: int) -> Value:
    """Return the integers from `first` to `last`, both included, downwards if need be."""
    return _range("numbers.range", first, last, 1)


@builtin("numbers.range_step", INTEGER, INTEGER, INTEGER, result=ARRAY)
def number_range_step(first: int, last: int, step: int) -> Value:
    """Return every `step`th integer from `first` on; a positive step counts downwards too."""
    name = "numbers.range_step"
    if step <= 0:
        raise BuiltinError(f"{name}: {name}: step must be a positive integer")
    return _range(name, first, last, step)


def _range(name: str, first: int, last: int, step: int) -> Value:
    if abs(last - first) // step >= MAX_RANGE:
        raise BuiltinError(f"{name}: more than {MAX_RANGE} numbers in range")
    return tuple(range(first, last + 1, step) if first <= last else range(first, last - 1, -step))


@builtin("bits.and", INTEGER, INTEGER, result=NUMBER)
def bits_and(left: int, right: int) -> int:
    return left & right


@builtin("bits.or", INTEGER, INTEGER, result=NUMBER)
def bits_or(left: int, right: int) -> int:
    return left | right


@builtin("bits.xor", INTEGER, INTEGER, result=NUMBER)
def bits_xor(left: int, right: int) -> int:
    return left ^ right


@builtin("bits.negate", INTEGER, result=NUMBER)
def bits_negate(number: int) -> int:
    return ~number


@builtin("bits.lsh", INTEGER, INTEGER, result=NUMBER)
def bits_lsh(number: int, places: int) -> int:
    shift = _shift("bits.lsh", places)
    if shift > MAX_SHIFT and number:
        raise BuiltinError(f"bits.lsh: shift by more than {MAX_SHIFT} bits")
    return numbers.checked_size(number << shift if number else 0)


@builtin("bits.rsh", INTEGER, INTEGER, result=NUMBER)
def bits_rsh(number: int, places: int) -> int:
    return number >> _shift("bits.rsh", places)


def _shift(name: str, places: int) -> int:
    """Return how far to shift: the low 64 bits of `places`, as in OPA."""
    if places < 0:
        raise BuiltinError(f"{name}: operand 2 must be an unsigned integer number but got a negative integer", EVAL_TYPE)
    return places & (1 << 64) - 1


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


@builtin("rand.intn", STRING, INDEX, result=NUMBER, deterministic=False, needs_context=True)
def rand_intn(context: EvalContext, key: str, bound: int) -> Value:
    """Return a number below `bound`, the same for the same operands throughout an evaluation."""
    limit = abs(bound)
    if limit == 0:
        return 0
    return context.once(("rand.intn", key, limit), lambda: random.randrange(limit))  # noqa: S311 - OPA's is no secret either
