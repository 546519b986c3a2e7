"""Text of a YAML file to a JSON document: JSON's types, exact numbers, no key twice, bounded aliases.

Built from the parser's events, so that nesting is counted before it is descended into. Knows no files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml
from yaml.resolver import Resolver

from authz.bundle.json_text import DocumentError, exact_number
from authz.rego.values import MAX_DEPTH, Document

MAX_NODES: Final = 2_000_000
"""Values that one text may hold, aliases expanded (the "billion laughs" attack). Data larger than this belongs in JSON."""

_MERGE: Final = object()
_TAG: Final = "tag:yaml.org,2002:"
_JSON_NUMBER: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def parse_yaml(text: str) -> Document:
    """Parse one YAML document; an empty text is null. Raises DocumentError.

    As OPA reads it: boolean and numeric keys become strings, a null key is refused. Dates stay text.
    """
    try:
        return _Builder(yaml.parse(text, Loader=yaml.CSafeLoader)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = f"not valid YAML: {error.problem or error.context}"
        raise DocumentError(message, *((mark.line + 1, mark.column + 1) if mark else ())) from error
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise DocumentError(f"not valid YAML: {str(error).splitlines()[0]}") from error


class _Builder:
    """Builds the document of one event stream."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._resolver = Resolver()
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0

    def document(self) -> Document:
        """Return the only document of the stream."""
        next(self._events)  # stream start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        value = self._value(next(self._events), 0)
        next(self._events)  # document end
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise _error("more than one document in the file", after)
        return value

    def _value(self, event: yaml.Event, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise _error(f"nested deeper than {MAX_DEPTH} levels", event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self._nodes
        self._count(1, event)
        value = self._construct(event, depth)
        if event.anchor is not None:  # type: ignore[attr-defined]
            self._anchors[event.anchor] = value, self._nodes - before  # type: ignore[attr-defined]
        return value

    def _construct(self, event: yaml.Event, depth: int) -> Any:
        match event:
            case yaml.ScalarEvent():
                return self._scalar(event)
            case yaml.SequenceStartEvent():
                return self._sequence(depth + 1)
            case _:
                return self._mapping(depth + 1)

    def _alias(self, event: yaml.AliasEvent) -> Any:
        if event.anchor not in self._anchors:
            raise _error(f"alias `{event.anchor}` stands before its anchor, or inside it", event)
        value, size = self._anchors[event.anchor]
        self._count(size, event)
        return _copy(value)  # documents are merged in place later: two places must not be one object

    def _count(self, nodes: int, event: yaml.Event) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise _error(f"more than {MAX_NODES} values after aliases are expanded", event)

    def _sequence(self, depth: int) -> list[Any]:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, depth))
        return items

    def _mapping(self, depth: int) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._value(event, depth)
            value = self._value(next(self._events), depth)
            if key is _MERGE:
                _merge(merged, value, event)
                continue
            name = _key(key, event)
            if name in own:
                raise _error(f"key `{name}` appears twice in one mapping", event)
            own[name] = value
        return {**merged, **own}

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        if event.tag is None and not event.style and _JSON_NUMBER.fullmatch(event.value):
            return _number(event)  # YAML 1.1 alone would make text of `1e5`
        tag = event.tag or self._resolver.resolve(yaml.ScalarNode, event.value, event.implicit)  # type: ignore[no-untyped-call]
        match tag.removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return event.value.lower() in ("true", "yes", "on")
            case "int" | "float":
                return _number(event)
            case "merge":
                return _MERGE
            case "str" | "timestamp" | "value" | "!":
                return event.value
        raise _error(f"type `{tag}` has no meaning in JSON", event)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _merge(merged: dict[str, Any], value: Any, event: yaml.Event) -> None:
    for source in value if isinstance(value, list) else [value]:
        if not isinstance(source, dict):
            raise _error("`<<` takes a mapping or a list of mappings", event)
        for key, item in source.items():
            merged.setdefault(key, item)


def _key(key: Any, event: yaml.Event) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    if key is None or isinstance(key, (dict, list)):
        raise _error("a key must be a string, a number or a boolean", event)
    return str(key)


def _number(event: yaml.ScalarEvent) -> Any:
    text = event.value.replace("_", "")
    sign, digits = (-1 if text.startswith("-") else 1), text.lstrip("+-")
    if ":" in digits:
        return event.value  # YAML 1.1's base 60: `12:30` is text to everybody else
    try:
        if digits[:2].lower() in ("0x", "0b"):
            return sign * int(digits, 0)
        if digits.isdecimal():
            return sign * int(digits, 8 if digits.startswith("0") and len(digits) > 1 else 10)
        return exact_number(text)
    except DocumentError as error:
        raise _error(error.message, event) from error
    except (ValueError, ArithmeticError) as error:  # `.nan`, `.inf`, `09`, too many digits
        raise _error(f"`{event.value[:40]}` is not a JSON number", event) from error


def _error(message: str, event: yaml.Event) -> DocumentError:
    mark = event.start_mark
    return DocumentError(message, *((mark.line + 1, mark.column + 1) if mark else ()))
