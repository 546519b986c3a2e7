"""Built-ins that turn values into JSON and YAML text and back.

Owns JSON's pretty printing. How a value is rendered is `render`'s business, what is wrong
with JSON `json_errors`', how YAML is read and written `yaml_reader`'s and `yaml_writer`'s.
"""

from __future__ import annotations

import json
import re
from typing import Final

from authz.rego import numbers
from authz.rego.builtins.json_errors import is_valid, syntax_error
from authz.rego.builtins.registry import ANY, BOOLEAN, OBJECT, STRING, builtin
from authz.rego.builtins.yaml_reader import yaml_to_value
from authz.rego.builtins.yaml_scalars import YamlError
from authz.rego.builtins.yaml_writer import yaml_to_text
from authz.rego.errors import EVAL_TYPE, BuiltinError
from authz.rego.render import json_text, quote, to_text
from authz.rego.values import Boolean, Document, Object, Value, from_json, type_name, without_surrogates

_LONE_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_SPACE: Final = " \t\r\n"


@builtin("json.marshal", ANY, result=STRING)
def json_marshal(value: Value) -> Value:
    return json_text(value)


@builtin("json.marshal_with_options", ANY, OBJECT, result=STRING)
def json_marshal_with_options(value: Value, options: Object) -> Value:
    texts = {"indent": "\t", "prefix": ""}
    pretty: bool | None = None
    for at, key in enumerate(options.ordered()):
        option = options[key]
        if not isinstance(key, str):
            raise _bad_option(f"failed to stringify key {to_text(key)} at index {at}: {_not_text(at, key)}")
        if key == "pretty":
            if not isinstance(option, Boolean):
                raise _bad_option('key "pretty" failed cast to bool')
            pretty = bool(option)
        elif key in texts:
            if not isinstance(option, str):
                raise _bad_option(f'key "{key}" failed cast to string: {_not_text(at, option)}')
            texts[key] = option
        else:
            raise _bad_option(f"object contained unknown key {quote(key)}")
    compact = json_text(value)
    if not (bool(options) if pretty is None else pretty):
        return compact
    return texts["prefix"] + _indented(compact, texts["prefix"], texts["indent"])


def _not_text(at: int, value: Value) -> str:
    return f"operand {at} must be string but got {type_name(value)}"


def _bad_option(text: str) -> BuiltinError:
    return BuiltinError(f"json.marshal_with_options: operand 2 {text}", EVAL_TYPE)


_PART: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\{\}|\[\]|[{}\[\],:]|[^"{}\[\],:]+')


def _indented(compact: str, prefix: str, indent: str) -> str:
    """Spread compact JSON over lines as Go's json.Indent does."""
    parts: list[str] = []
    depth = 0
    for part in _PART.findall(compact):
        if part in ("{", "["):
            depth += 1
            parts += (part, "\n", prefix, indent * depth)
        elif part in ("}", "]"):
            depth -= 1
            parts += ("\n", prefix, indent * depth, part)
        elif part == ",":
            parts += (",\n", prefix, indent * depth)
        else:
            parts.append(": " if part == ":" else part)
    return "".join(parts)


@builtin("json.unmarshal", STRING)
def json_unmarshal(text: str) -> Value:
    try:
        return value_of_json(text)
    except ValueError as error:
        raise BuiltinError(f"json.unmarshal: {error}") from None


@builtin("json.is_valid", ANY, result=BOOLEAN)
def json_is_valid(text: Value) -> bool:
    if type(text) is not str:
        return False
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_refused)  # the numbers themselves do not matter
    except json.JSONDecodeError:
        return False
    except RecursionError:
        return is_valid(text)
    return True


def value_of_json(text: str) -> Value:
    """Parse JSON with exact numbers. Raises ValueError with Go's text for what is not JSON."""
    written, text = text, without_surrogates(text)
    parse_int = numbers.parse if "-0" in text else None  # only `-0` has a form to keep
    try:
        document = json.loads(text, parse_float=numbers.parse, parse_int=parse_int, parse_constant=_refused)
    except RecursionError:
        raise ValueError("exceeded max depth") from None
    except json.JSONDecodeError:
        error = syntax_error(written)
        if error is not None:
            raise ValueError(error) from None
        document, _ = json.JSONDecoder(parse_float=numbers.parse).raw_decode(text.lstrip(_SPACE))
    if _LONE_SURROGATE.search(text):
        document = _paired(document)
    return from_json(document)


def _refused(name: str) -> Document:
    """Refuse `NaN`, `Infinity` and `-Infinity`, which Python reads as numbers and JSON does not know."""
    raise json.JSONDecodeError(name, "", 0)


def _paired(document: Document) -> Document:
    """Replace the lone surrogates that `\\ud800` and the like stand for; Go gives U+FFFD for each."""
    if isinstance(document, str):
        return without_surrogates(document)
    if isinstance(document, list):
        return [_paired(item) for item in document]
    if isinstance(document, dict):
        return {without_surrogates(key): _paired(item) for key, item in document.items()}
    return document


@builtin("yaml.marshal", ANY, result=STRING)
def yaml_marshal(value: Value) -> Value:
    try:
        return yaml_to_text(value)
    except YamlError as error:
        raise BuiltinError(f"yaml.marshal: {error}") from None


@builtin("yaml.unmarshal", STRING)
def yaml_unmarshal(text: str) -> Value:
    try:
        return yaml_to_value(text)
    except YamlError as error:
        raise BuiltinError(f"yaml.unmarshal: {error}") from None


@builtin("yaml.is_valid", ANY, result=BOOLEAN)
def yaml_is_valid(text: Value) -> bool:
    if type(text) is not str:
        return False
    try:
        yaml_to_value(text)
    except YamlError:
        return False
    return True
