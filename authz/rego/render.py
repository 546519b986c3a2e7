"""The texts of values: Rego's (as `print` and `sprintf` show composites) and JSON's (as `json.marshal` gives).

A number keeps the form in which its source wrote it: `1.0` stays `1.0`, `1e3` stays
`1e3`. This module decides no equality or order, and evaluates nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import orjson

from authz.rego.values import Boolean, Null, Object, Set, Value, Written, compact_json, html_escaped, json_string, number_text

_QUOTED: Final = {'"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


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
    if 0xDC80 <= code < 0xDD00:
        return f"\\x{code - 0xDC00:02x}"
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
        return json_string(value)
    try:
        # 15x on an object of 20 strings; must equal `compact_json`, which takes what orjson refuses:
        # integers beyond 64 bits, keys that are not strings, lone surrogates.
        text = orjson.dumps(value, default=_plain, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        return compact_json(value)
    return html_escaped(text)


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
