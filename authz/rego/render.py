"""The texts of values: Rego's (as `print` and `sprintf` show composites) and JSON's (as `json.marshal` gives).

A number keeps the form in which its source wrote it: `1.0` stays `1.0`, `1e3` stays
`1e3`. This module decides no equality or order, and evaluates nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, Final, cast

import orjson

from authz.rego.values import Boolean, Null, Object, Set, Value, Written, number_text

_QUOTED: Final = {'"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}

# What Go's encoding/json escapes beyond the necessary; a lone surrogate is no UTF-8 and becomes U+FFFD.
_HTML: Final = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def quote(text: str, *, ascii_only: bool = False) -> str:
    """Quote as Go's `strconv.Quote` (or `QuoteToASCII`) does."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_quoted(char, ascii_only) for char in text) + '"'


def _quoted(char: str, ascii_only: bool) -> str:
    if char in _QUOTED:
        return _QUOTED[char]
    if char.isprintable() and (char.isascii() or not ascii_only):
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    if 0xD800 <= code < 0xE000:
        return "\\ufffd" if ascii_only else "\ufffd"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def display_text(value: Value) -> str:
    """Return the value as it stands inside a larger text: a string bare, anything else as Rego."""
    return value if type(value) is str else to_text(value)


def to_text(value: Value) -> str:
    """Return the value as Rego writes it: `{"a": [1, {2, 3}]}`, `set()`, strings quoted."""
    return _TEXT[type(value)](value)


def _array_text(items: tuple[Value, ...]) -> str:
    return "[" + ", ".join([_TEXT[type(item)](item) for item in items]) + "]"


def _object_text(value: Object) -> str:
    return "{" + ", ".join([f"{to_text(key)}: {to_text(value[key])}" for key in value.ordered()]) + "}"


def _set_text(value: Set) -> str:
    return "{" + ", ".join([_TEXT[type(item)](item) for item in value.ordered()]) + "}" if value else "set()"


_TEXT: Final[dict[type, Callable[[Any], str]]] = {
    Null: lambda _: "null",
    Boolean: lambda value: "true" if value else "false",
    int: number_text,
    Decimal: number_text,
    Written: number_text,
    str: quote,
    tuple: _array_text,
    Object: _object_text,
    Set: _set_text,
}


def json_text(value: Value) -> str:
    """Return the value's compact JSON: keys sorted, sets as sorted arrays, `<`, `>` and `&` escaped, numbers as written."""
    if type(value) is str:
        return _string_json(value)
    try:
        # 15x on an object of 20 strings; must equal `_composed`, which takes what orjson refuses:
        # integers beyond 64 bits, keys that are not strings, lone surrogates.
        text = orjson.dumps(value, default=_plain, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        return _composed(value)
    return _HTML.sub(_escaped, text)


def _plain(value: object) -> Any:
    """Return what orjson writes for a value that is none of Python's own."""
    if type(value) is Boolean:
        return value.truth
    if type(value) is Null:
        return None
    if isinstance(value, Decimal):
        return orjson.Fragment(number_text(value))
    if type(value) is Set:
        return value.ordered()
    raise TypeError


def _composed(value: Value) -> str:
    kind = type(value)
    if kind is str:
        return _string_json(cast(str, value))
    if kind is Object:
        texts = _keyed(cast(Object, value))
        return "{" + ",".join([f"{_string_json(key)}:{_composed(texts[key])}" for key in sorted(texts)]) + "}"
    if kind is tuple or kind is Set:
        items = cast(Set, value).ordered() if kind is Set else cast("tuple[Value, ...]", value)
        return "[" + ",".join([_composed(item) for item in items]) + "]"
    return to_text(value)


def _keyed(value: Object) -> dict[str, Value]:
    """Return the members by their keys' JSON text; where one of them is also a string key, the string key wins."""
    texts = {_composed(key): item for key, item in value.items() if type(key) is not str}
    texts.update((key, item) for key, item in value.items() if type(key) is str)
    return texts


def _string_json(text: str) -> str:
    quoted: str = encode_basestring(text)
    return _HTML.sub(_escaped, quoted)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return "\\ufffd" if 0xD800 <= code < 0xE000 else f"\\u{code:04x}"
