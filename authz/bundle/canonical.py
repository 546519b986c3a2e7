"""The text of a document that signatures are about and bundles are written in: sorted keys, no spaces, exact numbers.

Strings, and the numbers of YAML, are as Go's encoder writes them, for that is what OPA hashes. Knows no hash and no signature.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import orjson

from authz.bundle.errors import BundleError
from authz.bundle.json_text import DocumentError, parse_json
from authz.bundle.yaml_text import parse_yaml
from authz.rego.values import Document, Number, number_text

_LINE_SEPARATORS: Final = (("\u2028".encode(), rb"\u2028"), ("\u2029".encode(), rb"\u2029"))
_MAX_DEPTH: Final = 254  # orjson's own
_INT64: Final = range(-(2**63), 2**63)
_UINT64: Final = range(-(2**63), 2**64)
_FIXED: Final = range(-6, 21)
"""Exponents of numbers that Go writes without one."""


def canonical_json(text: str) -> bytes:
    """Return the canonical text of a JSON text, numbers as they are written there; raises BundleError."""
    try:
        return _dumped(parse_json(text, number=orjson.Fragment), number_text)
    except DocumentError as error:
        raise BundleError(error.message) from error


def canonical_yaml(text: str) -> bytes:
    """Return the canonical text of a YAML text; raises BundleError."""
    try:
        return _dumped(parse_yaml(text), _go_number)
    except DocumentError as error:
        raise BundleError(error.message) from error


def canonical(document: Document) -> bytes:
    """Return the canonical text of a document; raises BundleError."""
    return _dumped(document, number_text)


def _dumped(document: Any, number: Callable[[Number], str]) -> bytes:
    def default(value: Number) -> orjson.Fragment:
        return orjson.Fragment(number(value))

    try:
        text = orjson.dumps(document, default, orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer of more than 64 bits, or half of a surrogate pair
        text = orjson.dumps(_plain(document, number, 0), default, orjson.OPT_SORT_KEYS)
    for raw, escaped in _LINE_SEPARATORS:
        text = text.replace(raw, escaped)
    return text


def _plain(document: Any, number: Callable[[Number], str], depth: int) -> Any:
    """Return the document as it can be written: half of a surrogate pair is U+FFFD in Go."""
    if depth >= _MAX_DEPTH:
        raise BundleError(f"nested deeper than {_MAX_DEPTH} levels")
    if isinstance(document, dict):
        return {_plain(key, number, depth): _plain(value, number, depth + 1) for key, value in document.items()}
    if isinstance(document, list):
        return [_plain(item, number, depth + 1) for item in document]
    if isinstance(document, str):
        return document.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(document, int) and document not in _INT64:
        return orjson.Fragment(number(document))
    return document


def _go_number(number: Number) -> str:
    """Return a number as it is after Go has read it from YAML: an integer of 64 bits, else a float."""
    if isinstance(number, int) and number in _UINT64:
        return str(number)
    sign, digits, exponent = Decimal(repr(float(number))).normalize().as_tuple()
    if not isinstance(exponent, int):
        raise BundleError("a number is out of range")
    written = "".join(map(str, digits))
    power = len(written) + exponent - 1  # of the first digit
    if written == "0":
        text = "0"
    elif power in _FIXED:
        whole = written.ljust(power + 1, "0") if power >= 0 else written.rjust(len(written) - power, "0")
        point = power + 1 if power >= 0 else 1
        text = whole[:point] + (f".{whole[point:]}" if whole[point:] else "")
    else:
        text = f"{written[0]}{'.' if written[1:] else ''}{written[1:]}e{power:+d}"
    return "-" * sign + text
