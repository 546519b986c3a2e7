"""Rego values: equality, hashing, order and conversion from and to JSON.

Every other module of the language relies on Python's own `==` and `hash` being
Rego's. That holds because `true`, `false` and `null` are singletons of their own
(Python's `True == 1` is not Rego's), numbers are `int` or `Decimal` (`1 == 1.0`),
arrays are tuples, objects are `Object` and sets are `Set`. A string is text; bytes of it that
are no UTF-8 are lone surrogates, as in PEP 383, and U+FFFD in JSON. Undefined is Python's
`None`, so the type checker sees where it was forgotten. No I/O, no evaluation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, Final, TypeAlias, Union, cast

# JSON as Python holds it at the edges (orjson, json, msgspec).
Document: TypeAlias = Any

_DIGITS_AT_ONCE: Final = 4000
"""Python refuses to print an integer of more than 4,300 digits."""

_HTML: Final = re.compile("[<>&\u2028\u2029\ud800-\udfff]")

_SURROGATES: Final = dict.fromkeys(range(0xD800, 0xE000), 0xFFFD)

MAX_DEPTH: Final = 128
"""Nesting that a document may have; deeper ones are refused, not recursed into."""


class Null:
    """The type of Rego's `null`; `NULL` is its only instance."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NULL"

    def __reduce__(self) -> str:
        return "NULL"


class Boolean:
    """The type of `true` and `false`; `TRUE` and `FALSE` are its only instances."""

    __slots__ = ("truth",)

    def __init__(self, truth: bool) -> None:
        self.truth = truth

    def __bool__(self) -> bool:
        return self.truth

    def __repr__(self) -> str:
        return "TRUE" if self.truth else "FALSE"

    def __reduce__(self) -> str:
        return repr(self)


NULL: Final = Null()
TRUE: Final = Boolean(True)
FALSE: Final = Boolean(False)


class Object(dict["Value", "Value"]):
    """A Rego object. INVARIANT: never changed after it was first hashed or shared."""

    __slots__ = ("_hash", "_order")

    _hash: int
    _order: tuple[Value, ...]

    def __hash__(self) -> int:  # type: ignore[override]
        try:
            return self._hash
        except AttributeError:
            self._hash = hash(frozenset(self.items()))
            return self._hash

    def ordered(self) -> tuple[Value, ...]:
        """Return the keys in Rego's order."""
        try:
            return self._order
        except AttributeError:
            self._order = tuple(sort_values(self))
            return self._order

    def __reduce__(self) -> tuple[type[Object], tuple[dict[Value, Value]]]:
        return Object, (dict(self),)


class Set(frozenset["Value"]):
    """A Rego set."""

    __slots__ = ("_order",)

    _order: tuple[Value, ...]

    def ordered(self) -> tuple[Value, ...]:
        """Return the members in Rego's order."""
        try:
            return self._order
        except AttributeError:
            self._order = tuple(sort_values(self))
            return self._order

    def __reduce__(self) -> tuple[type[Set], tuple[tuple[Value, ...]]]:
        return Set, (self.ordered(),)


class Written(Decimal):
    """A number that its source spells otherwise than `int` or `Decimal` would: `-0`, `1e0`, `2.5e+06`. It equals every other spelling."""

    __slots__ = ("text",)

    text: str

    def __reduce__(self) -> tuple[Any, tuple[Number, str]]:  # type: ignore[override]  # Decimal's own would lose the text
        return spelled, (Decimal(self), self.text)


Number: TypeAlias = Union[int, Decimal]
Scalar: TypeAlias = Union[Null, Boolean, int, Decimal, str]
Value: TypeAlias = Union[Null, Boolean, int, Decimal, str, tuple["Value", ...], Object, Set]

EMPTY_OBJECT: Final = Object()
EMPTY_SET: Final = Set()

_RANK: Final[dict[type, int]] = {Null: 0, Boolean: 1, int: 2, Decimal: 2, Written: 2, str: 3, tuple: 4, Object: 5, Set: 6}
_NAMES: Final = ("null", "boolean", "number", "string", "array", "object", "set")


def type_name(value: Value) -> str:
    """Return Rego's name of the value's type, as `type_name` gives it."""
    return _NAMES[_RANK[type(value)]]


def number_text(number: Number) -> str:
    """Return the number as its source wrote it."""
    kind = type(number)
    if kind is Written:
        return cast(Written, number).text
    if kind is Decimal:
        return str(number).lower().replace("e+", "e")
    try:
        return str(number)
    except ValueError:
        return _long_text(cast(int, number))


def _long_text(number: int) -> str:
    head, tail = divmod(abs(number), 10**_DIGITS_AT_ONCE)
    return f"{'-' if number < 0 else ''}{number_text(head)}{tail:0{_DIGITS_AT_ONCE}d}"


def spelled(number: Number, text: str) -> Number:
    """Return the number so that `text` is how it is written."""
    if number_text(number) == text:
        return number
    written = Written(number)
    written.text = text
    return written


def boolean(truth: bool) -> Boolean:
    """Return Rego's boolean for Python's."""
    return TRUE if truth else FALSE


def order_key(value: Value) -> tuple[Any, ...]:
    """Return a key that sorts values in Rego's order.

    null < false < true < numbers < strings by code point < arrays < objects < sets
    (OPA docs, policy reference: comparison of values).
    """
    kind = type(value)
    rank = _RANK[kind]
    if rank in (2, 3):
        return (rank, value)
    if rank == 4:
        return (rank, tuple(order_key(item) for item in cast("tuple[Value, ...]", value)))
    if rank == 5:
        obj = cast(Object, value)
        return (rank, tuple(part for key in obj.ordered() for part in (order_key(key), order_key(obj[key]))))
    if rank == 6:
        return (rank, tuple(order_key(item) for item in cast(Set, value).ordered()))
    return (rank, bool(value) if rank == 1 else 0)


def sort_values(values: Iterable[Value]) -> list[Value]:
    """Return the values in Rego's order."""
    items = list(values)
    if len(items) < 2:
        return items
    if all(type(item) is str for item in items):
        return sorted(cast("list[str]", items))  # type: ignore[return-value]
    return sorted(items, key=order_key)


def compare(left: Value, right: Value) -> int:
    """Return -1, 0 or 1 as `left` is before, equal to or after `right`."""
    kind = type(left)
    if kind is type(right) and (kind is int or kind is str):
        return -1 if left < right else int(left != right)  # type: ignore[operator]
    first, second = order_key(left), order_key(right)
    return -1 if first < second else int(first != second)


def from_json(document: Document, depth: int = 0) -> Value:
    """Convert a JSON document to a value.

    Raises ValueError for what JSON cannot hold (NaN, infinities, other types,
    lone surrogates are kept) and for nesting beyond MAX_DEPTH.
    """
    converter = _FROM_JSON.get(type(document))
    if converter is None:
        return _from_subclass(document, depth)
    if depth > MAX_DEPTH:
        raise ValueError(f"document is nested deeper than {MAX_DEPTH} levels")
    return converter(document, depth)


def _from_float(document: float, _depth: int) -> Value:
    if not math.isfinite(document):
        raise ValueError(f"number {document} is not a JSON number")
    return Decimal(repr(document))


def _from_decimal(document: Decimal, _depth: int) -> Value:
    if not document.is_finite():
        raise ValueError(f"number {document} is not a JSON number")
    return document


def _from_mapping(document: Mapping[Any, Any], depth: int) -> Value:
    return Object((from_json(key, depth + 1), from_json(item, depth + 1)) for key, item in document.items())


def _from_sequence(document: Iterable[Any], depth: int) -> Value:
    return tuple(from_json(item, depth + 1) for item in document)


_FROM_JSON: Final[dict[type, Callable[[Any, int], Value]]] = {
    str: lambda document, _: document,
    int: lambda document, _: document,
    bool: lambda document, _: TRUE if document else FALSE,
    type(None): lambda _document, _: NULL,
    float: _from_float,
    Decimal: _from_decimal,
    Written: lambda document, _: document,
    dict: _from_mapping,
    list: _from_sequence,
    tuple: _from_sequence,
    set: lambda document, depth: Set(from_json(item, depth + 1) for item in document),
    frozenset: lambda document, depth: Set(from_json(item, depth + 1) for item in document),
    Null: lambda document, _: document,
    Boolean: lambda document, _: document,
    Object: lambda document, _: document,
    Set: lambda document, _: document,
}


_BASES: Final[tuple[type, ...]] = (str, bool, int, float, Decimal, Mapping, list, tuple)


def _from_subclass(document: Document, depth: int) -> Value:
    for base in _BASES:
        if isinstance(document, base):
            if base is Mapping:
                return _from_mapping(cast("Mapping[Any, Any]", document), depth)
            return from_json(base(document), depth)
    raise ValueError(f"a {type(document).__name__} is not a JSON value")


def to_json(value: Value) -> Document:
    """Convert a value to JSON: sets become sorted arrays, keys become strings.

    A key that is not a string becomes its compact JSON text; of two keys with one text
    the later in Rego's order wins (OPA's behaviour). A number stays exact: `int`, a
    `float` that prints as the same number, else `Decimal`.
    """
    kind = type(value)
    if kind is int:
        return value
    if kind is str:
        return without_surrogates(cast(str, value))
    if kind is Boolean:
        return bool(value)
    if kind is Null:
        return None
    if kind is Decimal or kind is Written:
        return _number_to_json(Decimal(cast(Decimal, value)))
    if kind is Object:
        return _object_to_json(cast(Object, value))
    items = cast(Set, value).ordered() if kind is Set else cast("tuple[Value, ...]", value)
    return [to_json(item) for item in items]


def _number_to_json(number: Decimal) -> int | float | Decimal:
    if number == number.to_integral_value() and number.adjusted() < 400:
        return int(number)
    approximate = float(number)
    return approximate if math.isfinite(approximate) and Decimal(repr(approximate)) == number else number


def _object_to_json(value: Object) -> dict[str, Document]:
    return {json_key(key): to_json(value[key]) for key in value.ordered()}


def json_key(key: Value) -> str:
    """Return the text that stands for `key` in a JSON object."""
    return without_surrogates(key) if type(key) is str else compact_json(key)


def compact_json(value: Value) -> str:
    """Return the value's compact JSON: keys sorted, sets as sorted arrays, `<`, `>` and `&` escaped, numbers as written."""
    kind = type(value)
    if kind is str:
        return json_string(cast(str, value))
    if kind is Object:
        texts = {json_key(key): compact_json(cast(Object, value)[key]) for key in cast(Object, value).ordered()}
        return "{" + ",".join([f"{json_string(key)}:{texts[key]}" for key in sorted(texts)]) + "}"
    if kind is tuple or kind is Set:
        items = cast(Set, value).ordered() if kind is Set else cast("tuple[Value, ...]", value)
        return "[" + ",".join([compact_json(item) for item in items]) + "]"
    if kind is Null:
        return "null"
    return ("true" if value else "false") if kind is Boolean else number_text(cast(Number, value))


def json_string(text: str) -> str:
    """Return the text as a JSON string, escaped as Go's encoding/json escapes."""
    return html_escaped(encode_basestring(text))


def without_surrogates(text: str) -> str:
    """Return the text with every lone surrogate replaced by U+FFFD."""
    return text if text.isascii() else text.translate(_SURROGATES)


def html_escaped(text: str) -> str:
    """Escape what Go's encoding/json escapes beyond the necessary; a lone surrogate is no UTF-8 and becomes U+FFFD."""
    return _HTML.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return "\\ufffd" if 0xD800 <= code < 0xE000 else f"\\u{code:04x}"
