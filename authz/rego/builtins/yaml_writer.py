"""Values to block YAML text, as OPA writes it: their JSON, read as YAML, written by go-yaml v2's rules.

Owns key order and quoting; folding and escaping is libyaml's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cmp_to_key
from typing import Final

import yaml

from authz.rego.builtins.yaml_decoder import GoMap, GoValue, decode
from authz.rego.builtins.yaml_scalars import format_g, resolve
from authz.rego.render import json_text
from authz.rego.values import Value

_EMITTER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_INT64: Final = 2**64 - 1  # Go counts in int64, which wraps
_SIGN: Final = 2**63
_BASE_60: Final = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")


def yaml_to_text(value: Value) -> str:
    """Return the value as block YAML. Raises YamlError for text that YAML does not allow."""
    events = [yaml.StreamStartEvent(), yaml.DocumentStartEvent(explicit=False), *_events(decode(json_text(value)))]
    events += [yaml.DocumentEndEvent(explicit=False), yaml.StreamEndEvent()]
    text: str = yaml.emit(events, Dumper=_EMITTER, allow_unicode=True)
    return text.removesuffix("...\n")


def _events(value: GoValue) -> Iterator[yaml.Event]:
    if isinstance(value, GoMap):
        yield yaml.MappingStartEvent(None, None, implicit=True, flow_style=not value)
        pairs = {str(key): item for (_, key), item in value.items()}
        for key in sorted(pairs, key=cmp_to_key(_compare_keys)):
            yield _text_event(key)
            yield from _events(pairs[key])
        yield yaml.MappingEndEvent()
    elif isinstance(value, list):
        yield yaml.SequenceStartEvent(None, None, implicit=True, flow_style=not value)
        for item in value:
            yield from _events(item)
        yield yaml.SequenceEndEvent()
    elif isinstance(value, str):
        yield _text_event(value)
    else:
        yield yaml.ScalarEvent(None, None, (True, True), _scalar_text(value))


def _text_event(text: str) -> yaml.Event:
    style = "|" if "\n" in text else None if _is_plain(text) else '"'
    return yaml.ScalarEvent(None, None, (True, True), text, style=style)


def _is_plain(text: str) -> bool:
    """Tell whether the text, unquoted, would be read as itself."""
    return resolve("", text)[0] == "!!str" and not _BASE_60.fullmatch(text)


def _scalar_text(value: bool | float | None) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return format_g(value) if isinstance(value, float) else str(value)


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
        end, number = index, lead
        while end < len(text) and text[end].isdecimal():
            number = (number * 10 + ord(text[end]) - ord("0")) & _INT64
            end += 1
        keys.append((number - 2 * (number & _SIGN), end, text[index]))
    return -1 if keys[0] < keys[1] else 1
