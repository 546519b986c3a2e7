"""`sprintf`: a format and its operands, read as Go's `fmt.Sprintf` reads them.

Numbers reach the verbs as OPA hands them over: whole ones as `int64` or `*big.Int`, those
with a point in their text as `float64`, `1e3` as a string. How a verb prints is in `verbs`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import Final

from authz.rego.builtins.registry import ARRAY, STRING, builtin
from authz.rego.builtins.strings import MAX_TEXT
from authz.rego.builtins.verbs import Big, Flags, Operand, go_type, mismatch, print_operand
from authz.rego.errors import BuiltinError
from authz.rego.numbers import as_index
from authz.rego.render import display_text, to_text
from authz.rego.values import Value, number_text

MAX_WIDTH: Final = 10_000
"""Width and precision; Go stops at a million."""

_MAX_CACHED: Final = 1024
_SIMPLE: Final = re.compile(r"%([sdv%])")
_DIGITS: Final = "0123456789"
_MAX_DIGITS: Final = 9
_FLAGS: Final = {"+": "plus", "-": "minus", "#": "sharp", " ": "space", "0": "zero"}


@builtin("sprintf", STRING, ARRAY, result=STRING)
def sprintf(text: str, values: tuple[Value, ...]) -> str:
    simple = _simple(text) if len(text) <= _MAX_CACHED else None
    if simple is not None and simple[1] == len(values):
        parts = _fill(simple[0], values)
        if parts is not None:
            return "".join(parts)
    return Formatter(text, [operand_of(value) for value in values]).run()


@lru_cache(maxsize=1024)
def _simple(text: str) -> tuple[tuple[str, ...], int] | None:
    """Return literals and verbs in turn, and the number of verbs, if every verb is a bare `%s`, `%d` or `%v`."""
    parts = _SIMPLE.split(text)
    if any("%" in literal for literal in parts[::2]):
        return None
    return tuple(parts), sum(verb != "%" for verb in parts[1::2])


def _fill(parts: tuple[str, ...], values: tuple[Value, ...]) -> list[str] | None:
    """Return the texts to join, or None where an operand needs the full rules. Must equal Formatter.run."""
    filled = list(parts)
    operands = iter(values)
    for position in range(1, len(parts), 2):
        verb = parts[position]
        if verb == "%":
            continue
        value = next(operands)
        kind = type(value)
        if isinstance(value, Decimal) or (kind is int) != (verb == "d" or (verb == "v" and kind is int)):
            return None
        filled[position] = display_text(value)
    return filled


def operand_of(value: Value) -> Operand:
    """Return the value as OPA passes it to Go."""
    if isinstance(value, str):
        return value
    if not isinstance(value, int | Decimal):
        return to_text(value)
    small = as_index(value)
    if small is not None:
        return small
    if isinstance(value, int):
        return Big(value)
    text = number_text(value)
    return float(text) if "." in text and abs(value) < Decimal("1e308") else text


class Formatter:
    """One run over a format (Go's `doPrintf`). `position` is in the format, `next_operand` in the operands."""

    def __init__(self, text: str, operands: list[Operand]) -> None:
        self.text = text
        self.operands = operands
        self.position = 0
        self.next_operand = 0
        self.is_reordered = False
        self.is_indexed = False  # an [n] stands right before this point
        self.is_index_good = True
        self.parts: list[str] = []

    def run(self) -> str:
        """Return the formatted text; BuiltinError if it gets too long."""
        size = 0
        while self.position < len(self.text):
            mark = self.text.find("%", self.position)
            stop = len(self.text) if mark < 0 else mark
            self.parts.append(self.text[self.position : stop])
            self.position = stop + 1
            if mark >= 0:
                self._directive()
            size += sum(map(len, self.parts[-2:]))
            if size > MAX_TEXT:
                raise BuiltinError(f"sprintf: result is longer than {MAX_TEXT} characters")
        if not self.is_reordered and self.next_operand < len(self.operands):
            extra = self.operands[self.next_operand :]
            shown = ", ".join(f"{go_type(operand)}={print_operand(operand, 'v', Flags())}" for operand in extra)
            self.parts.append(f"%!(EXTRA {shown})")
        return "".join(self.parts)

    def _directive(self) -> None:
        """Print what follows a `%`."""
        flags = self._flags()
        self.is_index_good, self.is_indexed = True, False
        self._operand_index()
        self._width(flags)
        if self._peek() == "." and self.position + 1 < len(self.text):
            self.position += 1
            self._precision(flags)
        if not self.is_indexed:
            self._operand_index()
        verb = self._peek()
        if not verb:
            self.parts.append("%!(NOVERB)")
            return
        self.position += 1
        self.parts.append(self._print(verb, flags))

    def _print(self, verb: str, flags: Flags) -> str:
        if verb == "%":
            return "%"
        if not self.is_index_good:
            return f"%!{verb}(BADINDEX)"
        if self.next_operand >= len(self.operands):
            return f"%!{verb}(MISSING)"
        operand = self.operands[self.next_operand]
        self.next_operand += 1
        if verb == "v" and not isinstance(operand, Big):
            return self._print_plain(operand, flags)
        if verb == "p":
            return mismatch(operand, verb, flags)
        return print_operand(operand, verb, flags)

    def _print_plain(self, operand: Operand, flags: Flags) -> str:
        """Print under `%v`, where `+` and `#` have meanings of their own: `%#v` is Go syntax."""
        verb = "q" if flags.sharp and isinstance(operand, str) else "v"
        flags.sharp = flags.plus = False
        return print_operand(operand, verb, flags)

    def _peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def _flags(self) -> Flags:
        flags = Flags()
        while (name := _FLAGS.get(self._peek())) is not None:
            setattr(flags, name, True)
            self.position += 1
        return flags

    def _width(self, flags: Flags) -> None:
        if self._peek() == "*":
            self.position += 1
            flags.width = self._star("BADWIDTH")
            if flags.width is not None and flags.width < 0:
                flags.width, flags.minus, flags.zero = -flags.width, True, False
            return
        flags.width = self._number()
        if self.is_indexed and flags.width is not None:
            self.is_index_good = False  # "%[3]2d"

    def _precision(self, flags: Flags) -> None:
        if self.is_indexed:
            self.is_index_good = False  # "%[3].2d"
        self._operand_index()
        if self._peek() == "*":
            self.position += 1
            flags.precision = self._star("BADPREC", least=0)
            return
        flags.precision = self._number() or 0

    def _star(self, complaint: str, least: int = -MAX_WIDTH) -> int | None:
        """Return the operand that gives a width or precision."""
        self.is_indexed = False
        operand: Operand | None = None
        if self.next_operand < len(self.operands):
            operand = self.operands[self.next_operand]
            self.next_operand += 1
        if type(operand) is int and least <= operand <= MAX_WIDTH:
            return operand
        self.parts.append(f"%!({complaint})")
        return None

    def _number(self) -> int | None:
        """Return the digits here as a number; None if there are none. Too large a number eats the format, as in Go."""
        start = self.position
        while self.position < len(self.text) and self.text[self.position] in _DIGITS:
            self.position += 1
        digits = self.text[start : self.position]
        if len(digits) > _MAX_DIGITS or int(digits or 0) > MAX_WIDTH:
            self.position = len(self.text)
            return None
        return int(digits) if digits else None

    def _operand_index(self) -> None:
        """Read an explicit operand index `[n]`, if one stands here."""
        self.is_indexed = False
        if self._peek() != "[":
            return
        self.is_reordered = True
        close = self.text.find("]", self.position)
        if close < 0:
            self.position += 1
            self.is_index_good = False
            return
        digits = self.text[self.position + 1 : close]
        self.position = close + 1
        self.is_indexed = digits.isascii() and digits.isdecimal() and len(digits) <= _MAX_DIGITS
        if self.is_indexed and 1 <= int(digits) <= len(self.operands):
            self.next_operand = int(digits) - 1
        else:
            self.is_index_good = False
