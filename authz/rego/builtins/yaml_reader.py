"""YAML text to values, as OPA reads it: what is no JSON (keys that are null, numbers that are not finite) is refused.

Reading YAML itself is `yaml_decoder`'s. Writes nothing.
"""

from __future__ import annotations

import math

from authz.rego.builtins.yaml_decoder import GoMap, GoValue, decode, go_syntax
from authz.rego.builtins.yaml_scalars import MAX_INT, GoScalar, YamlError, format_g, json_number
from authz.rego.numbers import parse
from authz.rego.values import NULL, Object, Value, boolean, without_surrogates


def yaml_to_value(text: str) -> Value:
    """Return the value of the first document, `null` where there is none. Raises YamlError."""
    converter = _Converter()
    value = converter.value(decode(text))
    if converter.unsupported is not None:
        raise YamlError(f"json: unsupported value: {converter.unsupported}")
    return value


class _Converter:
    """Makes values of Go's. What several aliases share is converted once; `unsupported` is a number that JSON cannot hold."""

    def __init__(self) -> None:
        self.made: dict[int, Value] = {}
        self.unsupported: str | None = None

    def value(self, source: GoValue) -> Value:
        if source is None:
            return NULL
        if isinstance(source, bool):
            return boolean(source)
        if isinstance(source, int):
            return source
        if isinstance(source, float):
            return self.number(source)
        if isinstance(source, str):
            return without_surrogates(source)
        if id(source) not in self.made:
            self.made[id(source)] = self.collection(source)
        return self.made[id(source)]

    def collection(self, source: list[GoValue] | GoMap) -> Value:
        if isinstance(source, list):
            return tuple(self.value(item) for item in source)
        members = {without_surrogates(_key_text(key, item)): item for (_, key), item in source.items()}
        return Object((key, self.value(members[key])) for key in sorted(members))

    def number(self, source: float) -> Value:
        if math.isfinite(source):
            return parse(json_number(source))
        self.unsupported = self.unsupported or format_g(source)
        return NULL


def _key_text(key: GoScalar, item: GoValue) -> str:
    """Return the JSON key for a YAML key."""
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, float):
        text = format_g(key, 32)
        return {"+Inf": ".inf", "-Inf": "-.inf", "NaN": ".nan"}.get(text, text)
    if key is None:
        raise YamlError(f"unsupported map key of type: %!s(<nil>), key: <nil>, value: {go_syntax(item)}")
    if key > MAX_INT:
        raise YamlError(f"unsupported map key of type: uint64, key: {key:#x}, value: {go_syntax(item)}")
    return str(key)
