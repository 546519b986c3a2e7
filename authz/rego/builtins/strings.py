"""String functions. Positions and lengths count code points; case is mapped one code point at a time, as in Go.

Formatting with verbs is in `sprintf`, templates are in `templates`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from authz.rego.builtins.octets import text_of, units_of
from authz.rego.builtins.registry import ARRAY, BOOLEAN, INDEX, NUMBER, OBJECT, SET, STRING, builtin, element_error, operand_error
from authz.rego.errors import EVAL_TYPE, BuiltinError
from authz.rego.values import Object, Set, Value

MAX_TEXT: Final = 16 * 1024 * 1024
"""Code points that one call may produce: replacing can multiply two inputs."""

_MAX_CACHED: Final = 4096
"""Characters of what is kept from one call to the next; operands may be as long as a request."""

# White space to Go's unicode.IsSpace; Python's strip() would take U+001C..U+001F too.
_SPACE: Final = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"

_LOWER_DOTTED_I: Final = "\u0130"


def _mistyped(name: str, *operands: Value) -> BuiltinError:
    """Return the error for the first operand that is no string."""
    position, operand = next((place, item) for place, item in enumerate(operands, 1) if type(item) is not str)
    return operand_error(name, position, STRING, operand)


@builtin("startswith", STRING, STRING, result=BOOLEAN, checks_itself=True)
def startswith(text: str, prefix: str) -> bool:
    if type(text) is not str or type(prefix) is not str:
        raise _mistyped("startswith", text, prefix)
    return text.startswith(prefix)


@builtin("endswith", STRING, STRING, result=BOOLEAN, checks_itself=True)
def endswith(text: str, suffix: str) -> bool:
    if type(text) is not str or type(suffix) is not str:
        raise _mistyped("endswith", text, suffix)
    return text.endswith(suffix)


@builtin("contains", STRING, STRING, result=BOOLEAN, checks_itself=True)
def contains(text: str, part: str) -> bool:
    if type(text) is not str or type(part) is not str:
        raise _mistyped("contains", text, part)
    return part in text


@builtin("lower", STRING, result=STRING, checks_itself=True)
def lower(text: str) -> str:
    if type(text) is not str:
        raise _mistyped("lower", text)
    return text.lower() if text.isascii() else "".join(map(_lower_char, text))


@builtin("upper", STRING, result=STRING, checks_itself=True)
def upper(text: str) -> str:
    if type(text) is not str:
        raise _mistyped("upper", text)
    return text.upper() if text.isascii() else "".join(map(_upper_char, text))


def _lower_char(char: str) -> str:
    return "i" if char == _LOWER_DOTTED_I else char.lower()


def _upper_char(char: str) -> str:
    """Return the simple upper case: where Python's is several code points, the title case if that is one."""
    mapped = char.upper()
    if len(mapped) > 1:
        mapped = char.title()
    return mapped if len(mapped) == 1 else char


@builtin("split", STRING, STRING, result=ARRAY, checks_itself=True)
def split(text: str, separator: str) -> tuple[str, ...]:
    if type(text) is not str or type(separator) is not str:
        raise _mistyped("split", text, separator)
    return tuple(text.split(separator)) if separator else tuple(text)


@builtin("strings.split_n", STRING, STRING, INDEX, result=ARRAY)
def split_n(text: str, separator: str, limit: int) -> tuple[str, ...]:
    """Return the first `limit` parts, or the last ones if it is negative."""
    if limit < 0:
        return split(text, separator)[limit:]
    return split(text, separator)[:limit] if len(text) < limit or not separator else tuple(text.split(separator, limit)[:limit])


@builtin("concat", STRING, (SET, ARRAY), result=STRING, checks_itself=True)
def concat(separator: str, parts: tuple[Value, ...] | Set) -> str:
    if type(separator) is not str:
        raise operand_error("concat", 1, STRING, separator)
    items = parts.ordered() if isinstance(parts, Set) else parts
    if type(items) is not tuple:
        raise operand_error("concat", 2, (SET, ARRAY), items)
    try:
        return separator.join(items)  # type: ignore[arg-type]
    except TypeError:
        wrong = next(item for item in items if type(item) is not str)
        raise element_error("concat", 2, STRING, parts, wrong) from None


@builtin("substring", STRING, INDEX, INDEX, result=STRING)
def substring(text: str, offset: int, length: int) -> str:
    """Return `length` code points from `offset` on, or all of them if `length` is negative."""
    if offset < 0:
        raise BuiltinError("substring: negative offset")
    return text[offset:] if length < 0 else text[offset : offset + length]


@builtin("indexof", STRING, STRING, result=NUMBER)
def indexof(text: str, part: str) -> int:
    if not part:
        raise BuiltinError("indexof: empty search character")
    return text.find(part)


@builtin("indexof_n", STRING, STRING, result=ARRAY)
def indexof_n(text: str, part: str) -> Value:
    """Return every position of `part`, overlapping ones too."""
    if not part:
        raise BuiltinError("indexof_n: empty search character")
    found: list[int] = []
    position = text.find(part)
    while position >= 0:
        found.append(position)
        position = text.find(part, position + 1)
    return tuple(found)


@builtin("strings.count", STRING, STRING, result=NUMBER)
def count(text: str, part: str) -> int:
    """Return how often `part` occurs without overlap; the empty string, once around each code point."""
    return text.count(part)


@builtin("strings.reverse", STRING, result=STRING)
def reverse(text: str) -> str:
    return text[::-1]


@builtin("replace", STRING, STRING, STRING, result=STRING)
def replace(text: str, old: str, new: str) -> str:
    """Replace every `old`; the empty string is found around each byte, as in OPA: what it splits is no text any more."""
    if len(text) * len(new) > MAX_TEXT:
        _check_size("replace", len(text) + text.count(old) * len(new))
    return text.replace(old, new) if old or text.isascii() else _in_bytes(text, lambda units: units.replace("", units_of(new)))


@builtin("strings.replace_n", OBJECT, STRING, result=STRING)
def replace_n(patterns: Object, text: str) -> str:
    """Replace in one pass; where several patterns match at a position, the first in order wins."""
    replacements = _replacements(patterns)
    if not replacements:
        return text
    keys = tuple(replacements)
    expression = _alternatives(keys) if sum(map(len, keys)) <= _MAX_CACHED else _alternatives.__wrapped__(keys)
    if (len(text) + 1) * max(map(len, replacements.values())) > MAX_TEXT:
        _check_size("strings.replace_n", sum(len(replacements[match[0]]) for match in expression.finditer(text)))
    if "" in replacements and not text.isascii():
        in_bytes = {units_of(old): units_of(new) for old, new in replacements.items()}
        return _in_bytes(text, lambda units: _alternatives.__wrapped__(tuple(in_bytes)).sub(lambda match: in_bytes[match[0]], units))
    return expression.sub(lambda match: replacements[match[0]], text)


def _in_bytes(text: str, replaced: Callable[[str], str]) -> str:
    return text_of(replaced(units_of(text)).encode("latin-1"))


def _replacements(patterns: Object) -> dict[str, str]:
    checked: dict[str, str] = {}
    for key in patterns.ordered():
        value = patterns[key]
        if not isinstance(key, str) or not isinstance(value, str):
            wrong = "value" if isinstance(key, str) else "key"
            raise BuiltinError(f"strings.replace_n: operand 1 non-string {wrong} found in pattern object", EVAL_TYPE)
        checked[key] = value
    return checked


@lru_cache(maxsize=256)
def _alternatives(keys: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, keys)))


def _check_size(name: str, size: int) -> None:
    if size > MAX_TEXT:
        raise BuiltinError(f"{name}: result is longer than {MAX_TEXT} characters")


@builtin("trim", STRING, STRING, result=STRING)
def trim(text: str, cutset: str) -> str:
    return text.strip(cutset)


@builtin("trim_left", STRING, STRING, result=STRING)
def trim_left(text: str, cutset: str) -> str:
    return text.lstrip(cutset)


@builtin("trim_right", STRING, STRING, result=STRING)
def trim_right(text: str, cutset: str) -> str:
    return text.rstrip(cutset)


@builtin("trim_prefix", STRING, STRING, result=STRING)
def trim_prefix(text: str, prefix: str) -> str:
    return text.removeprefix(prefix)


@builtin("trim_suffix", STRING, STRING, result=STRING)
def trim_suffix(text: str, suffix: str) -> str:
    return text.removesuffix(suffix)


@builtin("trim_space", STRING, result=STRING)
def trim_space(text: str) -> str:
    return text.strip(_SPACE)


_TEXTS: Final = (STRING, SET, ARRAY)


@builtin("strings.any_prefix_match", _TEXTS, _TEXTS, result=BOOLEAN, checks_itself=True)
def any_prefix_match(texts: Value, prefixes: Value) -> bool:
    """Return whether any of the texts starts with any of the prefixes."""
    candidates, wanted = _texts("strings.any_prefix_match", 1, texts), _texts("strings.any_prefix_match", 2, prefixes)
    for text in candidates:  # noqa: SIM110 - half the time of any()
        if text.startswith(wanted):
            return True
    return False


@builtin("strings.any_suffix_match", _TEXTS, _TEXTS, result=BOOLEAN, checks_itself=True)
def any_suffix_match(texts: Value, suffixes: Value) -> bool:
    """Return whether any of the texts ends with any of the suffixes."""
    candidates, wanted = _texts("strings.any_suffix_match", 1, texts), _texts("strings.any_suffix_match", 2, suffixes)
    for text in candidates:  # noqa: SIM110 - half the time of any()
        if text.endswith(wanted):
            return True
    return False


def _texts(name: str, position: int, operand: Value) -> tuple[str, ...]:
    if isinstance(operand, str):
        return (operand,)
    if not isinstance(operand, tuple | Set):
        raise operand_error(name, position, _TEXTS, operand)
    items = tuple(operand)
    for item in items:
        if type(item) is not str:
            wrong = next(member for member in _ordered(operand) if type(member) is not str)
            raise element_error(name, position, STRING, operand, wrong)
    return items  # type: ignore[return-value]


def _ordered(operand: tuple[Value, ...] | Set) -> tuple[Value, ...]:
    return operand.ordered() if isinstance(operand, Set) else operand
