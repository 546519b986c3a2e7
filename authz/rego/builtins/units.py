"""Amounts with a unit: `units.parse` (SI and binary, `m` is milli) and `units.parse_bytes` (any case, whole bytes)."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Final

from authz.rego import numbers
from authz.rego.builtins.registry import NUMBER, STRING, builtin
from authz.rego.errors import BuiltinError
from authz.rego.values import Number

_LETTERS: Final = "kmgtpe"
_DECIMAL: Final = {letter: 1000**power for power, letter in enumerate(_LETTERS, 1)}
_BINARY: Final = {f"{letter}i": 1024**power for power, letter in enumerate(_LETTERS, 1)}
_BYTE_UNITS: Final = {"": 1} | _DECIMAL | _BINARY | {f"{unit}b": size for unit, size in (_DECIMAL | _BINARY).items()}

# OPA multiplies by the double 0.001, so that `1500m` is not exactly 1.5 before it is rounded.
_MILLI: Final = Fraction(0.001)
_PLACES: Final = 10

_AMOUNT: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
# The number ends before the first `e` without digits behind it, or any other letter.
_NUMBER_PART: Final = re.compile(r"(?:[0-9.+-]|[eE](?=[0-9+-])[+-]?)*")
_EXPONENT: Final = re.compile(r"[eE][+-]?([0-9]+)")
_EXPONENT_DIGITS: Final = 6
_MAX_LENGTH: Final = 4000


@builtin("units.parse", STRING, result=NUMBER)
def parse(text: str) -> Number:
    """Return the amount exactly, or in ten decimal places."""
    amount, unit = _split("units.parse", "amount", text.replace('"', ""))
    size = _unit_size(unit)
    if size is None:
        raise BuiltinError(f"units.parse: unit {unit} not recognized")
    product = Fraction(_amount("units.parse", "amount", amount)) * size
    if product.denominator == 1:
        return numbers.checked_size(product.numerator)
    scaled, half = abs(product) * 10**_PLACES, Fraction(1, 2)
    digits = (scaled + half).__floor__()
    return Decimal((0 if product > 0 else 1, tuple(map(int, str(digits))), -_PLACES))


def _unit_size(unit: str) -> int | Fraction | None:
    """Return what a unit stands for: only `m` and `M` differ by case, and only in the first letter."""
    if unit == "m":
        return _MILLI
    lower = unit.lower()
    if lower == "":
        return 1
    return _DECIMAL.get(lower) or _BINARY.get(lower)


@builtin("units.parse_bytes", STRING, result=NUMBER)
def parse_bytes(text: str) -> Number:
    """Return the number of bytes, its fraction cut off."""
    amount, unit = _split("units.parse_bytes", "byte amount", text.lower().replace('"', ""))
    if unit not in _BYTE_UNITS:
        raise BuiltinError(f"units.parse_bytes: byte unit {unit} not recognized")
    number = numbers.to_float(_amount("units.parse_bytes", "byte amount", amount))
    return numbers.truncated_float(numbers.multiply(number, numbers.to_float(_BYTE_UNITS[unit])))


def _split(name: str, what: str, text: str) -> tuple[str, str]:
    """Return the number's text and the unit's."""
    if " " in text:
        raise BuiltinError(f"{name}: spaces not allowed in resource strings")
    matched = _NUMBER_PART.match(text)
    number = matched[0] if matched else ""
    if any(len(exponent) > _EXPONENT_DIGITS for exponent in _EXPONENT.findall(number)):
        raise BuiltinError(f"{name}: exponent too large")
    if not number:
        raise BuiltinError(f"{name}: no {what} provided")
    return number, text[len(number) :]


def _amount(name: str, what: str, text: str) -> Decimal:
    if not _AMOUNT.match(text) or len(text) > _MAX_LENGTH:
        raise BuiltinError(f"{name}: could not parse {what} to a number")
    amount = Decimal(text)
    if abs(amount.adjusted()) > numbers.MAX_EXPONENT:
        raise BuiltinError(f"{name}: exponent too large")
    return amount
