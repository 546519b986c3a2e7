"""YAML text to values, as OPA's YAML library (go-yaml v2) reads it.

Owns what a plain scalar means (YAML 1.1's booleans, 1.2's octals, dates as text) and
the bounds on aliases and depth. Scanning is libyaml's. Writes nothing.
"""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Final, cast

import yaml

from authz.rego.builtins.octets import text_of
from authz.rego.values import FALSE, MAX_DEPTH, NULL, TRUE, Boolean, Null, Object, Value, Written, json_key, without_surrogates

MAX_NODES: Final = 1_000_000
"""Nodes that a document may stand for with its aliases expanded ("billion laughs")."""

_PARSER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TAG: Final = "tag:yaml.org,2002:"
_RESOLVED_TAGS: Final = frozenset(_TAG + name for name in ("int", "float", "bool", "null", "timestamp"))
_WORDS: Final[dict[str, Value]] = {
    **{word: TRUE for name in ("y", "yes", "true", "on") for word in (name, name.capitalize(), name.upper())},
    **{word: FALSE for name in ("n", "no", "false", "off") for word in (name, name.capitalize(), name.upper())},
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), NULL),
}
_NOT_FINITE: Final = {
    **dict.fromkeys((".nan", ".NaN", ".NAN"), "NaN"),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), "+Inf"),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), "-Inf"),
}
_INTEGER: Final = re.compile(r"[-+]?(?:0[bB][01]+|0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|[1-9][0-9]*|0)")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BETWEEN_DIGITS: Final = re.compile(r"(?<=[0-9])_(?=[0-9])")
_EXPONENT_FROM: Final = 1e21
"""Doubles from here on are written with an exponent (Go's encoding/json)."""


class YamlError(Exception):
    """The text is not YAML, or not YAML that can be JSON; the message is go-yaml's."""


def yaml_to_value(text: str) -> Value:
    """Return the value of the first document, `null` where there is none."""
    try:
        return _Builder(text).document()
    except yaml.MarkedYAMLError as error:
        raise YamlError(f"yaml: {_line(error)}{error.problem or 'unknown problem parsing YAML content'}") from None
    except yaml.reader.ReaderError as error:
        raise YamlError(f"yaml: {error.reason}") from None


def _line(error: yaml.MarkedYAMLError) -> str:
    """Name the line as go-yaml does: 0 is not named, and only the scanner's lines count from 1."""
    line = (error.context_mark.line if error.context_mark else 0) or (error.problem_mark.line if error.problem_mark else 0)
    if not line:
        return ""
    return f"line {line + isinstance(error, yaml.scanner.ScannerError)}: "


class _Builder:
    """Builds one document's value from its events.

    Aliases share the value they name, so they cost no memory here; `nodes` counts
    them expanded, since whoever walks the value meets them so.
    """

    def __init__(self, text: str) -> None:
        self.events: Iterator[yaml.Event] = yaml.parse(without_surrogates(text), Loader=_PARSER)
        self.anchors: dict[str, tuple[Value, int] | None] = {}
        self.nodes = 0

    def document(self) -> Value:
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                return self.value(next(self.events), 0)
        return NULL

    def value(self, event: yaml.Event, depth: int) -> Value:
        if depth > MAX_DEPTH:
            raise YamlError("yaml: exceeded max depth")
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event.anchor or "")
        self.count(1)
        before = self.nodes
        anchor: str | None = event.anchor  # type: ignore[attr-defined]
        if anchor:
            self.anchors[anchor] = None
        value = self.content(event, depth)
        if anchor:
            self.anchors[anchor] = (value, self.nodes - before + 1)
        return value

    def content(self, event: yaml.Event, depth: int) -> Value:
        if isinstance(event, yaml.SequenceStartEvent):
            return tuple(self.value(item, depth + 1) for item in self.until(yaml.SequenceEndEvent))
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(depth)
        return _scalar(cast(yaml.ScalarEvent, event))

    def until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        while not isinstance(event := next(self.events), end):
            yield event

    def mapping(self, depth: int) -> Value:
        result: dict[Value, Value] = {}
        for event in self.until(yaml.MappingEndEvent):
            if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]:
                # In go-yaml a merge overrides the keys before it, and of several the first wins.
                for source in reversed(_merge_sources(self.value(next(self.events), depth + 1))):
                    result.update(source)
                continue
            key = self.value(event, depth + 1)
            result[_key_text(key)] = self.value(next(self.events), depth + 1)
        return Object(result)

    def alias(self, anchor: str) -> Value:
        if anchor not in self.anchors:
            raise YamlError(f"yaml: unknown anchor '{anchor}' referenced")
        known = self.anchors[anchor]
        if known is None:
            raise YamlError(f"yaml: anchor '{anchor}' value contains itself")
        self.count(known[1])
        return known[0]

    def count(self, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise YamlError("yaml: document contains excessive aliasing")


def _merge_sources(value: Value) -> list[Object]:
    sources = value if type(value) is tuple else (value,)
    objects = [source for source in sources if isinstance(source, Object)]
    if len(objects) != len(sources):
        raise YamlError("yaml: map merge requires map or sequence of maps as the value")
    return objects


def _key_text(key: Value) -> Value:
    """Return the JSON key for a YAML key: scalars become text, `null` and collections are refused."""
    if type(key) is str:
        return key
    if isinstance(key, (tuple, Object)):
        raise YamlError(f"yaml: invalid map key: {json_key(key)}")
    if isinstance(key, Null):
        raise YamlError("unsupported map key of type: %!s(<nil>), key: <nil>")
    return json_key(key)


def _scalar(event: yaml.ScalarEvent) -> Value:
    tag, text = event.tag, event.value
    if tag is None or tag == "!":
        return resolve(text) if event.implicit[0] and tag is None else text
    if tag == _TAG + "binary":
        return _binary(text)
    if tag not in _RESOLVED_TAGS:
        return text
    value = resolve(text)
    wanted = tag.removeprefix(_TAG)
    kind = _kind(value)
    if wanted not in (kind, "timestamp") and (wanted, kind) != ("float", "int"):
        raise YamlError(f"yaml: cannot decode !!{kind} `{text}` as a !!{wanted}")
    return value


def _kind(value: Value) -> str:
    return {int: "int", Decimal: "float", Written: "float", Boolean: "bool", Null: "null"}.get(type(value), "str")


def _binary(text: str) -> Value:
    try:
        return text_of(binascii.a2b_base64("".join(text.split()), strict_mode=True))
    except ValueError:
        raise YamlError("yaml: !!binary value contains invalid base64 data") from None


def resolve(text: str) -> Value:
    """Return what a plain scalar stands for (go-yaml v2's resolve)."""
    if text in _WORDS:
        return _WORDS[text]
    if text in _NOT_FINITE:
        raise YamlError(f"json: unsupported value: {_NOT_FINITE[text]}")
    first = text[0]
    if not (first.isdecimal() and first.isascii()) and first not in "+-.":
        return text
    plain = _BETWEEN_DIGITS.sub("", text) if first == "." else text.replace("_", "")
    if _INTEGER.fullmatch(plain):
        return _integer(plain)
    number = float(plain) if _FLOAT.fullmatch(plain) else math.inf
    return text if math.isinf(number) else _number(number)


def _integer(text: str) -> Value:
    """Return an integer of 64 bits as it is, any larger one as the double that go-yaml makes of it."""
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.removeprefix("+"))
    prefix = digits[:2].lower()
    base = {"0b": 2, "0x": 16, "0o": 8}.get(prefix)
    if base is None:
        base, start = (8, 1) if len(digits) > 1 and digits[0] == "0" else (10, 0)
    else:
        start = 2
    if len(digits) > 400:
        return text
    number = sign * int(digits[start:], base)
    if -(2**63) <= number < 2**64:
        return number
    return _number(float(number)) if base == 10 else text


def _number(number: float) -> Value:
    exact = Decimal(repr(number))
    return int(exact) if number.is_integer() and abs(number) < _EXPONENT_FROM else exact


def is_word(text: str) -> bool:
    """Tell whether a plain scalar of this text is a boolean, null or a number that JSON cannot hold."""
    return text in _WORDS or text in _NOT_FINITE
