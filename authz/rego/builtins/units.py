"""Amounts with a unit: `units.parse` (SI and binary, `m` is milli) and `units.parse_bytes` (any case, whole bytes)."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Final

from authz.rego import numbers
from authz.rego.builtins.octets import bytes_of, text_of
from authz.rego.builtins.registry import NUMBER, STRING, builtin
from authz.rego.builtins.strings import lower
from authz.rego.errors import BuiltinError
from authz.rego.values import Number, spelled

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
    amount, written = _split("units.parse", "amount", text.replace('"', ""))
    unit = _lowered(written)
    size = _unit_size(unit)
    if size is None:
        raise BuiltinError(f"units.parse: units.parse: unit {unit} not recognized")
    product = Fraction(_amount("units.parse", "amount", amount)) * size
    if product.denominator == 1:
        return numbers.checked_size(product.numerator)
    scaled, half = abs(product) * 10**_PLACES, Fraction(1, 2)
    digits = f"{(scaled + half).__floor__():0{_PLACES + 1}d}"
    text = f"{'-' if product < 0 else ''}{digits[:-_PLACES]}.{digits[-_PLACES:]}"
    return spelled(Decimal(text), text)


def _lowered(unit: str) -> str:
    """Return the unit in lower case but for its first byte, which tells `m` from `M`."""
    data = bytes_of(unit)
    return text_of(data[:1]) + lower(text_of(data[1:])) if len(data) > 1 else unit


def _unit_size(unit: str) -> int | Fraction | None:
    if unit == "m":
        return _MILLI
    if unit == "":
        return 1
    any_case = unit.lower()
    return _DECIMAL.get(any_case) or _BINARY.get(any_case)


@builtin("units.parse_bytes", STRING, result=NUMBER)
def parse_bytes(text: str) -> Number:
    """Return the number of bytes, its fraction cut off."""
    amount, unit = _split("units.parse_bytes", "byte amount", lower(text).replace('"', ""))
    if unit not in _BYTE_UNITS:
        raise BuiltinError(f"units.parse_bytes: units.parse_bytes: byte unit {unit} not recognized")
    number = numbers.to_float(_amount("units.parse_bytes", "byte amount", amount))
    return numbers.truncated_float(numbers.multiply(number, numbers.to_float(_BYTE_UNITS[unit])))


def _split(name: str, what: str, text: str) -> tuple[str, str]:
    """Return the number's text and the unit's."""
    if " " in text:
        raise BuiltinError(f"{name}: {name}: spaces not allowed in resource strings")
    matched = _NUMBER_PART.match(text)
    number = matched[0] if matched else ""
    if any(len(exponent) > _EXPONENT_DIGITS for exponent in _EXPONENT.findall(number)):
        raise BuiltinError(f"{name}: {name}: exponent too large")
    if not number:
        raise BuiltinError(f"{name}: {name}: no {what} provided")
    return number, text[len(number) :]


def _amount(name: str, what: str, text: str) -> Decimal:
    if not _AMOUNT.match(text) or len(text) > _MAX_LENGTH:
        raise BuiltinError(f"{name}: {name}: could not parse {what} to a number")
    amount = Decimal(text)
    if abs(amount.adjusted()) > numbers.MAX_EXPONENT:
        raise BuiltinError(f"{name}: {name}: exponent too large")
    return amount
