"""One operand under one verb, as Go's `fmt` prints it: flags, width, precision, and the text for a verb that does not fit.

It knows Go's kinds of operands (`int64`, `*big.Int`, `float64`, `string`), not where a
format comes from nor how operands are numbered: that is `sprintf`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from authz.rego.builtins.octets import bytes_of
from authz.rego.render import quote
from authz.rego.values import number_text

MAX_RUNE: Final = 0x10FFFF
REPLACEMENT: Final = "\ufffd"

_BASES: Final = {"b": "b", "o": "o", "O": "o", "d": "d", "v": "d", "x": "x", "X": "X"}
_PREFIXES: Final = {"b": "0b", "x": "0x", "X": "0X"}
_DOUBLE_BITS: Final = 53
_PLAIN_BELOW: Final = 6


class Big(int):
    """An integer that Go holds as a `*big.Int`: one beyond 64 bits."""


Operand = int | Big | float | str


@dataclass(slots=True)
class Flags:
    """What stands between `%` and the verb."""

    plus: bool = False
    minus: bool = False
    sharp: bool = False
    space: bool = False
    zero: bool = False
    width: int | None = None
    precision: int | None = None

    def pad(self, text: str) -> str:
        """Fill `text` up to the width."""
        missing = (self.width or 0) - len(text)
        if missing <= 0:
            return text
        if self.minus:
            return text + " " * missing
        return ("0" if self.zero else " ") * missing + text

    def sign(self, negative: bool) -> str:
        """Return the sign that a number shows."""
        if negative:
            return "-"
        return "+" if self.plus else " " if self.space else ""


def go_type(operand: Operand) -> str:
    """Return the operand's Go type, as `%T` and errors name it."""
    if isinstance(operand, Big):
        return "*big.Int"
    return {int: "int64", float: "float64", str: "string"}[type(operand)]


def print_operand(operand: Operand, verb: str, flags: Flags) -> str:
    """Return the operand under `verb`."""
    if verb == "T":
        return flags.pad(go_type(operand))
    if isinstance(operand, Big):
        return _print_big(operand, verb, flags)
    if isinstance(operand, int):
        return _print_int(operand, verb, flags)
    if isinstance(operand, float):
        return _print_float(operand, verb, flags)
    return _print_string(operand, verb, flags)


def mismatch(operand: Operand, verb: str, flags: Flags) -> str:
    """Return Go's text for a verb that the operand does not know."""
    return f"%!{verb}({go_type(operand)}={print_operand(operand, 'v', flags)})"


def _print_string(text: str, verb: str, flags: Flags) -> str:
    if verb in {"x", "X"}:
        return _print_bytes(bytes_of(text), verb, flags)
    shown = text if flags.precision is None else text[: flags.precision]
    if verb in {"s", "v"}:
        return flags.pad(shown)
    if verb != "q":
        return mismatch(text, verb, flags)
    if flags.sharp and _is_raw(shown):
        return flags.pad(f"`{shown}`")
    return flags.pad(quote(shown, ascii_only=flags.plus))


def _is_raw(text: str) -> bool:
    """Return whether Go would write `text` between backquotes."""
    return all(char == "\t" or (char >= " " and char not in "`\x7f\ufeff") for char in text)


def _print_bytes(data: bytes, verb: str, flags: Flags) -> str:
    shown = data if flags.precision is None else data[: flags.precision]
    prefix = f"0{verb}" if flags.sharp and shown else ""
    digits = " ".join(f"{prefix}{byte:02x}" for byte in shown) if flags.space else prefix + shown.hex()
    return flags.pad(digits.upper() if verb == "X" else digits)


def _print_int(number: int, verb: str, flags: Flags) -> str:
    if verb in _BASES:
        return _print_digits(number, verb, flags)
    if verb == "c":
        return flags.pad(_rune(number))
    if verb == "q":
        return flags.pad(_quoted_rune(_rune(number), flags.plus))
    if verb == "U":
        return _print_code_point(number, flags)
    return mismatch(number, verb, flags)


def _print_digits(number: int, verb: str, flags: Flags) -> str:
    sign = flags.sign(number < 0)
    if flags.precision == 0 and number == 0:
        return " " * (flags.width or 0)
    least = flags.precision or 0
    if flags.precision is None and flags.zero and not flags.minus and flags.width is not None:
        least = flags.width - len(sign)
    digits = format(abs(number), _BASES[verb]).rjust(least, "0")
    plain = Flags(minus=flags.minus, width=flags.width)  # zeros are digits by now
    return plain.pad(sign + _prefixed(digits, verb, flags.sharp))


def _prefixed(digits: str, verb: str, sharp: bool) -> str:
    if verb == "O":
        return "0o" + ("0" + digits if sharp and digits[0] != "0" else digits)
    if not sharp:
        return digits
    if verb == "o":
        return digits if digits[0] == "0" else "0" + digits
    return _PREFIXES.get(verb, "") + digits


def _rune(code: int) -> str:
    return chr(code) if 0 <= code <= MAX_RUNE and not 0xD800 <= code < 0xE000 else REPLACEMENT


def _quoted_rune(char: str, ascii_only: bool) -> str:
    if char in {"'", "\\"}:
        return f"'\\{char}'"
    return "'\"'" if char == '"' else f"'{quote(char, ascii_only=ascii_only)[1:-1]}'"


def _print_code_point(number: int, flags: Flags) -> str:
    digits = format(number % (1 << 64), "X").rjust(max(4, flags.precision or 0), "0")
    shown = f"U+{digits}"
    if flags.sharp and 0 <= number <= MAX_RUNE and chr(number).isprintable():
        shown += f" '{chr(number)}'"
    return Flags(minus=flags.minus, width=flags.width).pad(shown)


def _print_big(number: Big, verb: str, flags: Flags) -> str:
    """Print as big.Int's own Format method does, which knows `%s` and pads in its own way."""
    if verb not in _BASES and verb != "s":
        return f"%!{verb}(big.Int={number_text(int(number))})"
    base = _BASES.get(verb, "d")
    magnitude = abs(int(number))
    digits = number_text(magnitude) if base == "d" else format(magnitude, base)
    prefix = "0o" if verb == "O" else ("0" if verb == "o" else _PREFIXES.get(verb, "")) if flags.sharp else ""
    sign = flags.sign(number < 0)
    zeros = max(0, (flags.precision or 0) - len(digits))
    missing = (flags.width or 0) - len(sign) - len(prefix) - len(digits) - zeros
    if missing > 0 and flags.zero and not flags.minus and flags.precision is None:
        zeros = missing
    return Flags(minus=flags.minus, width=flags.width).pad(sign + prefix + "0" * zeros + digits)


def _print_float(number: float, verb: str, flags: Flags) -> str:
    if verb not in "vbgGxXfFeE":
        return mismatch(number, verb, flags)
    text = _float_text(abs(number), verb, flags)
    if flags.sharp and verb != "b":
        text = _with_point(text, verb, flags)
    sign = flags.sign(math.copysign(1, number) < 0)
    if flags.zero and not flags.minus and sign:
        return sign + text.rjust((flags.width or 0) - 1, "0")
    return flags.pad(sign + text)


def _float_text(number: float, verb: str, flags: Flags) -> str:
    if verb in "fFeE":
        places = 6 if flags.precision is None else flags.precision
        return f"%.{places}{verb}" % number
    if verb in "vgG":
        text = shortest_text(number) if flags.precision is None else f"%.{max(1, flags.precision)}g" % number
        return text.upper() if verb == "G" else text
    if verb == "b":
        fraction, exponent = math.frexp(number)
        return f"{int(fraction * (1 << _DOUBLE_BITS))}p{exponent - _DOUBLE_BITS:+d}"
    return _hexadecimal(number, verb, flags.precision)


def shortest_text(number: float) -> str:
    """Return Go's `%g` of a double that is not negative: shortest digits, with an exponent below -4 and from 6 up."""
    if number == 0:
        return "0"
    _, places, scale = Decimal(repr(number)).normalize().as_tuple()
    digits = "".join(map(str, places))
    power = len(digits) + int(scale) - 1
    if -4 <= power < _PLAIN_BELOW:
        return format(Decimal(repr(number)).normalize(), "f")
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{'-' if power < 0 else '+'}{abs(power):02d}"


def _with_point(text: str, verb: str, flags: Flags) -> str:
    """Return the text with a decimal point and, for `%#g`, the zeros that `%g` leaves out."""
    mark = "p" if verb in "xX" else "e"
    head, separator, tail = text.partition(mark if mark in text else mark.upper())
    missing = 0
    if verb in "vgGxX":
        missing = 6 if flags.precision is None else flags.precision
        significant = head.replace(".", "").lstrip("0")
        missing -= len(significant) + (head == "0")
    return head + ("" if "." in head else ".") + "0" * missing + separator + tail


def _hexadecimal(number: float, verb: str, precision: int | None) -> str:
    fraction, exponent = math.frexp(number)
    places = 13 if precision is None else precision
    scaled = round(math.ldexp(fraction, 1 + 4 * places)) if places < 13 else int(math.ldexp(fraction, 53)) << (4 * (places - 13))
    if scaled >> (4 * places) > 1:
        scaled, exponent = scaled >> 1, exponent + 1
    digits = format(scaled & ((1 << (4 * places)) - 1), "x").rjust(places, "0") if places else ""
    if precision is None:
        digits = digits.rstrip("0")
    power = exponent - 1 if number else 0
    text = f"0x{1 if number else 0}{'.' if digits else ''}{digits}p{'-' if power < 0 else '+'}{abs(power):02d}"
    return text.upper() if verb == "X" else text
