"""Values to block YAML text, as OPA's YAML library (go-yaml v2) writes it.

Owns key order and quoting; folding and escaping is libyaml's. Reads nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cmp_to_key
from typing import Final, cast

import yaml

from authz.rego.builtins.yaml_reader import is_word, resolve
from authz.rego.values import Boolean, Null, Number, Object, Set, Value, json_key, without_surrogates

_EMITTER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_DATE: Final = re.compile(
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ][0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(?:\.[0-9]+)?(?:Z|[-+][0-9]{2}:[0-9]{2})?)?"
)
_BASE_60: Final = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")


def yaml_to_text(value: Value) -> str:
    """Return the value as block YAML with go-yaml's key order and quoting."""
    events = [yaml.StreamStartEvent(), yaml.DocumentStartEvent(explicit=False), *_events(value)]
    events += [yaml.DocumentEndEvent(explicit=False), yaml.StreamEndEvent()]
    text: str = yaml.emit(events, Dumper=_EMITTER, allow_unicode=True)
    return text.removesuffix("...\n")


def _events(value: Value) -> Iterator[yaml.Event]:
    if isinstance(value, Object):
        yield yaml.MappingStartEvent(None, None, implicit=True, flow_style=not value)
        pairs = {without_surrogates(json_key(key)): item for key, item in value.items()}
        for key in sorted(pairs, key=cmp_to_key(_compare_keys)):
            yield _text_event(key)
            yield from _events(pairs[key])
        yield yaml.MappingEndEvent()
    elif isinstance(value, (tuple, Set)):
        yield yaml.SequenceStartEvent(None, None, implicit=True, flow_style=not value)
        for item in value.ordered() if isinstance(value, Set) else value:
            yield from _events(item)
        yield yaml.SequenceEndEvent()
    elif isinstance(value, str):
        yield _text_event(value)
    else:
        yield yaml.ScalarEvent(None, None, (True, True), _scalar_text(value))


def _text_event(text: str) -> yaml.Event:
    text = without_surrogates(text)
    style = "|" if "\n" in text else None if _is_plain(text) else '"'
    return yaml.ScalarEvent(None, None, (True, True), text, style=style)


def _is_plain(text: str) -> bool:
    """Tell whether the text, unquoted, would be read as itself."""
    if is_word(text):
        return False
    return type(resolve(text)) is str and not _DATE.fullmatch(text) and not _BASE_60.fullmatch(text)


def _scalar_text(value: Value) -> str:
    if isinstance(value, Null):
        return "null"
    if isinstance(value, Boolean):
        return "true" if value else "false"
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        return str(value)
    number = float(cast(Number, value))
    return json_key(value) if math.isinf(number) else format_g(number)


def format_g(number: float) -> str:
    """Format as Go's `strconv.FormatFloat(number, 'g', -1, 64)`."""
    digits = Decimal(repr(number)).normalize()
    exponent = digits.adjusted()
    if number == 0:
        return "0"
    if -4 <= exponent < 6:
        return f"{digits:f}"
    sign, figures, _ = digits.as_tuple()
    mantissa = "".join(map(str, figures))
    point = f".{mantissa[1:]}" if len(mantissa) > 1 else ""
    return f"{'-' * sign}{mantissa[0]}{point}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _compare_keys(left: str, right: str) -> int:
    """Order keys as go-yaml does: letters after all else, runs of digits by their number."""
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one == other:
            continue
        if one.isalpha() and other.isalpha():
            return -1 if one < other else 1
        if one.isalpha() or other.isalpha():
            return -1 if other.isalpha() else 1
        return _compare_digits(left, right, index)
    return len(left) - len(right)


def _compare_digits(left: str, right: str, index: int) -> int:
    lead = 0
    if "0" in (left[index], right[index]):
        back = index
        while back and left[back - 1].isdecimal():
            back -= 1
        lead = int(bool(left[back:index].strip("0")))
    keys = []
    for text in (left, right):
        end = index
        while end < len(text) and text[end].isdecimal():
            end += 1
        keys.append((int(f"{lead}{text[index:end]}"), end, text[index]))
    return -1 if keys[0] < keys[1] else 1
