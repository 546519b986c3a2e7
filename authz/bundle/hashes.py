"""Digests of a bundle's files, as its signature lists them: of bytes, or of a document's canonical text.

The rules are OPA's (bundle signing). Knows neither keys nor archives.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from authz.bundle.archive import ArchiveFile, BundleError
from authz.bundle.json_text import DocumentError
from authz.bundle.yaml_text import parse_yaml

ALGORITHMS: Final[dict[str, str]] = {
    "MD5": "md5", "SHA-1": "sha1", "SHA-224": "sha224", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512",
    "SHA-512-224": "sha512_224", "SHA-512-256": "sha512_256",
}  # fmt: skip

WEAK: Final = frozenset({"MD5", "SHA-1"})
"""Known for collisions: somebody who prepares a bundle to be signed could prepare a second one to the same digest."""

_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_ESCAPES_OF_LINES: Final = {"\u2028": "\\u2028", "\u2029": "\\u2029"}


class _Number(str):
    """A number by its text: `1.0` stays `1.0`."""

    __slots__ = ()


def digest(file: ArchiveFile, algorithm: str) -> str:
    """Return the digest in lower-case hexadecimal. Raises BundleError for a document that cannot be read."""
    name = file.path.rpartition("/")[2]
    content = file.content
    if name == "data.json" or file.path.endswith(".manifest"):
        content = _canonical(file, _parsed_json)
    elif name == "data.yaml":
        content = _canonical(file, parse_yaml)
    return hashlib.new(ALGORITHMS[algorithm], content, usedforsecurity=algorithm not in WEAK).hexdigest()


def canonical(document: Any) -> str:
    """Return a document as compact JSON with sorted keys, its strings as Go's encoder writes them."""
    return "".join(_pieces(document))


def _canonical(file: ArchiveFile, parse: Callable[[str], Any]) -> bytes:
    try:
        return canonical(parse(file.content.decode("utf-8", "replace"))).encode()
    except (DocumentError, RecursionError, ValueError) as error:
        raise BundleError(f"{file.path}: {error}") from error


def _parsed_json(text: str) -> Any:
    return json.loads(text, parse_int=_Number, parse_float=_Number)


def _pieces(value: Any) -> Iterator[str]:
    match value:
        case dict():
            yield "{"
            for position, key in enumerate(sorted(value)):
                yield f"{',' if position else ''}{_quoted(key)}:"
                yield from _pieces(value[key])
            yield "}"
        case list():
            yield "["
            for position, item in enumerate(value):
                yield "," if position else ""
                yield from _pieces(item)
            yield "]"
        case None | True | False:
            yield json.dumps(value)
        case _Number():
            yield value
        case str():
            yield _quoted(value)
        case _:
            yield _number(value)


def _quoted(text: str) -> str:
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char < " ":
        return f"\\u{ord(char):04x}"
    if "\ud800" <= char <= "\udfff":
        return "\ufffd"
    return _ESCAPES_OF_LINES.get(char, char)


def _number(value: int | float | Decimal) -> str:
    """Return a number of YAML as Go's JSON encoder writes it: ES6's form (ECMA-262, Number::toString)."""
    if isinstance(value, int) or value == int(value):
        whole = int(value)
        if abs(whole) < 10**21:
            return str(whole)
    mantissa, _, exponent = repr(float(value)).partition("e")
    if exponent:
        return f"{mantissa.removesuffix('.0')}e{'+' if int(exponent) > 0 else '-'}{abs(int(exponent)):02d}"
    return mantissa
