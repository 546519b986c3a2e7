"""Built-ins that turn values into JSON and YAML text and back.

Owns JSON's syntax errors in Go's words and its pretty printing. How a value is
rendered is `render`'s business, how YAML is read and written `yaml_reader`'s and `yaml_writer`'s.
"""

from __future__ import annotations

import json
import re
from typing import Final

from authz.rego import numbers
from authz.rego.builtins.octets import without_surrogates
from authz.rego.builtins.registry import ANY, BOOLEAN, OBJECT, STRING, builtin
from authz.rego.builtins.yaml_reader import YamlError, yaml_to_value
from authz.rego.builtins.yaml_writer import yaml_to_text
from authz.rego.errors import EVAL_TYPE, BuiltinError
from authz.rego.render import json_text, quote
from authz.rego.values import Boolean, Document, Object, Value, from_json, type_name

_LONE_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_SPACE: Final = " \t\r\n"


@builtin("json.marshal", ANY, result=STRING)
def json_marshal(value: Value) -> Value:
    return json_text(value)


@builtin("json.marshal_with_options", ANY, OBJECT, result=STRING)
def json_marshal_with_options(value: Value, options: Object) -> Value:
    texts = {"indent": "\t", "prefix": ""}
    pretty: bool | None = None
    for key in options.ordered():
        option = options[key]
        if key == "pretty":
            if not isinstance(option, Boolean):
                raise _bad_option('key "pretty" failed cast to bool')
            pretty = bool(option)
        elif key in texts:
            if not isinstance(option, str):
                raise _bad_option(f'key "{key}" failed cast to string: operand 0 must be string but got {type_name(option)}')
            texts[str(key)] = option
        else:
            raise _bad_option(f"object contained unknown key {quote(key) if isinstance(key, str) else json_text(key)}")
    compact = json_text(value)
    if not (bool(options) if pretty is None else pretty):
        return compact
    return texts["prefix"] + _indented(compact, texts["prefix"], texts["indent"])


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
        value_of_json(text)
    except ValueError:
        return False
    return True


def value_of_json(text: str) -> Value:
    """Parse JSON with exact numbers. Raises ValueError with Go's text for what is not JSON."""
    try:
        document = json.loads(text, parse_float=numbers.parse, parse_constant=_constant)
        if _LONE_SURROGATE.search(text):
            document = _paired(document)
        return from_json(document)
    except json.JSONDecodeError as error:
        raise ValueError(_go_error(text, error)) from None
    except RecursionError:
        raise ValueError("exceeded max depth") from None


def _constant(name: str) -> Document:
    """Refuse `NaN`, `Infinity` and `-Infinity`, which Python reads as numbers and JSON does not know."""
    if name.startswith("-"):
        raise ValueError("invalid character 'I' in numeric literal")
    raise ValueError(f"invalid character '{name[0]}' looking for beginning of value")


def _paired(document: Document) -> Document:
    """Replace the lone surrogates that `\\ud800` and the like stand for; Go gives U+FFFD for each."""
    if isinstance(document, str):
        return without_surrogates(document)
    if isinstance(document, list):
        return [_paired(item) for item in document]
    if isinstance(document, dict):
        return {without_surrogates(key): _paired(item) for key, item in document.items()}
    return document


def _go_error(text: str, error: json.JSONDecodeError) -> str:
    """Say in Go's words what Python's decoder found."""
    found = text[error.pos : error.pos + 1]
    what = error.msg
    if what.startswith("Invalid \\escape"):
        return _invalid(text[error.pos + 1 : error.pos + 2], "in string escape code")
    if what.startswith("Invalid \\u"):
        return _invalid(text[error.pos + 1 :].lstrip("uU0123456789abcdefABCDEF")[:1], "in \\u hexadecimal character escape")
    if what.startswith("Invalid control character"):
        return _invalid(found, "in string literal")
    if what.startswith("Unterminated"):
        return _UNEXPECTED_END
    if found and found in ".eE" and text[error.pos - 1].isdecimal():
        return _unfinished_number(text, error.pos)
    if what == "Extra data":
        return "error: " + _invalid(found, "after top-level value")
    if what.startswith("Expecting ':'"):
        return _invalid(found, "after object key")
    if what.startswith("Expecting ','"):
        return _invalid(found, "after array element" if _in_array(text[: error.pos]) else "after object key:value pair")
    return _unexpected(text, error.pos, "property" in what or what.endswith("object"))


_UNEXPECTED_END: Final = "unexpected EOF"


def _invalid(found: str, where: str) -> str:
    if not found:
        return _UNEXPECTED_END
    byte = chr(found.encode("utf-8", "replace")[0])
    shown = {"'": r"\'", '"': '"'}.get(byte, quote(byte)[1:-1])
    return f"invalid character '{shown}' {where}"


def _unfinished_number(text: str, position: int) -> str:
    in_exponent = text[position] != "."
    after = text[position + 1 :].lstrip("+-" if in_exponent else "")[:1]
    return _invalid(after, "in exponent of numeric literal" if in_exponent else "after decimal point in numeric literal")


def _unexpected(text: str, position: int, wants_key: bool) -> str:
    """Say what stands where a value or a key should begin."""
    if not text.strip(_SPACE):
        return "EOF"
    rest = text[position:].lstrip(_SPACE)
    if rest.startswith("-"):
        return _invalid(rest[1:2], "in numeric literal")
    for literal in ("true", "false", "null"):
        if rest.startswith(literal[0]):
            same = next(index for index, char in enumerate(literal) if rest[index : index + 1] != char)
            return _invalid(rest[same : same + 1], f"in literal {literal} (expecting '{literal[same]}')")
    return _invalid(rest[:1], f"looking for beginning of {'object key string' if wants_key else 'value'}")


def _in_array(before: str) -> bool:
    """Tell whether the innermost bracket left open before a position is an array's."""
    stack = [""]
    for part in _PART.findall(before):
        if part in ("{", "["):
            stack.append(part)
        elif part in ("}", "]"):
            stack.pop()
    return stack[-1] == "["


@builtin("yaml.marshal", ANY, result=STRING)
def yaml_marshal(value: Value) -> Value:
    return yaml_to_text(value)


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
