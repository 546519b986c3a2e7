"""What a YAML scalar means to OPA's YAML library (go-yaml v2): YAML 1.1's booleans, 1.2's octals, dates as text.

Owns the resolution of tags and how doubles are written. Knows nothing of documents.
"""

from __future__ import annotations

import math
import re
import struct
from decimal import Decimal
from typing import Final, TypeAlias, Union

from authz.rego.builtins.encoding import decode_base64
from authz.rego.builtins.go_time import parse_time
from authz.rego.builtins.octets import bytes_of, text_of

GoScalar: TypeAlias = Union[bool, int, float, str, None]

_LONG: Final = "tag:yaml.org,2002:"
_RESOLVABLE: Final = frozenset(("", *(f"!!{name}" for name in ("str", "bool", "int", "float", "null", "timestamp"))))
_WORDS: Final[dict[str, tuple[str, GoScalar]]] = {
    **{word: ("!!bool", True) for name in ("y", "yes", "true", "on") for word in (name, name.capitalize(), name.upper())},
    **{word: ("!!bool", False) for name in ("n", "no", "false", "off") for word in (name, name.capitalize(), name.upper())},
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), ("!!null", None)),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), ("!!float", math.nan)),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), ("!!float", math.inf)),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), ("!!float", -math.inf)),
    "<<": ("!!merge", "<<"),
}
_INTEGER: Final = re.compile(r"([-+]?)(0[bB][01]+|0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|[1-9][0-9]*|0)")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BETWEEN_DIGITS: Final = re.compile(r"(?<=[0-9])_(?=[0-9])")
_YEAR: Final = re.compile(r"[0-9]{4}-")
_TIMESTAMPS: Final = ("2006-1-2T15:4:5.999999999Z07:00", "2006-1-2t15:4:5.999999999Z07:00", "2006-1-2 15:4:5.999999999", "2006-1-2")
_BASES: Final = {"0b": 2, "0x": 16, "0o": 8}
_MAX_DIGITS: Final = 400
MAX_INT: Final = 2**63 - 1


class YamlError(Exception):
    """The text is not YAML, or not YAML that can be JSON; the message is go-yaml's."""


def scalar(tag: str, text: str, *, is_plain: bool) -> GoScalar:
    """Return the value of a scalar with its tag ("" if it has none). Raises YamlError."""
    if not tag and not is_plain:
        return text
    if tag == _LONG + "binary":
        try:
            return text_of(decode_base64(bytes_of(text)))
        except ValueError:
            raise YamlError("yaml: !!binary value contains invalid base64 data") from None
    short = "!!" + tag.removeprefix(_LONG) if tag.startswith(_LONG) else tag
    if short not in _RESOLVABLE or short == "!!str":
        return text
    found, value = resolve(short, text)
    if short in ("", found):
        return text if found == "!!timestamp" else value
    if short == "!!float" and isinstance(value, int) and found == "!!int" and value <= MAX_INT:
        return float(value)
    raise YamlError(f"yaml: cannot decode {found} `{text}` as a {short}")


def resolve(tag: str, text: str) -> tuple[str, GoScalar]:
    """Return the tag and the value that a plain scalar stands for; `tag` is what its author says it is."""
    if text in _WORDS:
        return _WORDS[text]
    first = text[:1]
    if first == ".":
        return _float(_BETWEEN_DIGITS.sub("", text), text)
    if not (first.isascii() and first.isdecimal()) and first not in ("+", "-"):
        return "!!str", text
    if tag in ("", "!!timestamp") and is_timestamp(text):
        return "!!timestamp", text
    plain = text.replace("_", "")
    number = _integer(plain)
    return ("!!int", number) if number is not None else _float(plain, text)


def is_timestamp(text: str) -> bool:
    if not _YEAR.match(text):
        return False
    for layout in _TIMESTAMPS:
        try:
            parse_time(layout, text)
        except ValueError:
            continue
        return True
    return False


def _integer(text: str) -> int | None:
    """Return an integer that 64 bits hold, with a sign or without."""
    found = _INTEGER.fullmatch(text)
    if found is None or len(text) > _MAX_DIGITS:
        return None
    sign, digits = found.groups()
    base = _BASES.get(digits[:2].lower()) or (8 if digits[0] == "0" else 10)
    number = int(digits[2:] if digits[:2].lower() in _BASES else digits, base)
    if sign == "-":
        return -number if number <= MAX_INT + 1 else None
    return number if number <= MAX_INT or (not sign and number < 2**64) else None


def _float(plain: str, text: str) -> tuple[str, GoScalar]:
    number = float(plain) if _FLOAT.fullmatch(plain) else math.inf
    return ("!!str", text) if math.isinf(number) else ("!!float", number)


def format_g(number: float, bits: int = 64) -> str:
    """Format as Go's `strconv.FormatFloat(number, 'g', -1, bits)`."""
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "+Inf" if number > 0 else "-Inf"
    digits = Decimal(repr(number) if bits == 64 else _shortest_single(number)).normalize()
    if number == 0:
        return "-0" if math.copysign(1, number) < 0 else "0"
    exponent = digits.adjusted()
    return f"{digits:f}" if -4 <= exponent < 6 else _with_exponent(digits)


def _shortest_single(number: float) -> str:
    """Return the shortest digits that read back as the nearest single-precision number."""
    single = _as_single(number)
    return next((text for places in range(1, 9) if _as_single(float(text := f"{single:.{places}g}")) == single), f"{single:.9g}")


def _as_single(number: float) -> float:
    single: float = struct.unpack("f", struct.pack("f", number))[0]
    return single


def _with_exponent(digits: Decimal) -> str:
    sign, figures, _ = digits.as_tuple()
    mantissa = "".join(map(str, figures))
    point = f".{mantissa[1:]}" if len(mantissa) > 1 else ""
    return f"{'-' * sign}{mantissa[0]}{point}e{digits.adjusted():+03d}"


def json_number(number: float) -> str:
    """Write a finite double as Go's encoding/json does: with an exponent below 1e-6 and from 1e21 on."""
    digits = Decimal(repr(number)).normalize()
    if number == 0 or -7 < digits.adjusted() < 21:
        return format_g(number) if number == 0 else f"{digits:f}"
    mantissa, exponent = _with_exponent(digits).split("e")
    return f"{mantissa}e{exponent[0]}{exponent[1:].lstrip('0')}"
