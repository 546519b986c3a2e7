"""What `http.send` gives a policy: an answer's parts in OPA's shape, or the failure that takes its place.

Owns how a body is decoded. Knows neither sockets nor caches.
"""

from __future__ import annotations

import json
import re
from typing import Final

from authz.rego.builtins.documents import value_of_json
from authz.rego.builtins.octets import text_of
from authz.rego.builtins.yaml_reader import yaml_to_value
from authz.rego.builtins.yaml_scalars import YamlError
from authz.rego.pending import HttpRequest
from authz.rego.values import NULL, Object, Value

NETWORK_ERROR: Final = "eval_http_send_network_error"
INTERNAL_ERROR: Final = "eval_http_send_internal_error"

_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER: Final = rf"[ \t]*;[ \t]*(?:({_NAME})=(?:{_NAME}|\"(?:[^\"\\]|\\.)*\"))?"
_JSON_TYPE: Final = re.compile(rf"[ \t]*application/(?:json|{_NAME}\+json)[ \t]*((?:{_PARAMETER})*)[ \t]*", re.IGNORECASE)
_YAML_TYPES: Final = ("application/yaml", "application/x-yaml")
_SPACE: Final = " \t\r\n"
_GO_ON: Final = (".", "e", "E")

Fields = tuple[tuple[str, str], ...]
"""A message's headers in their order, names in lower case."""


def response_value(status: str, code: int, headers: Fields, body: bytes, request: HttpRequest) -> Object:
    """Return the answer to a request; `body` is null where it is neither JSON nor YAML."""
    decoded = _decoded(body, field(headers, "content-type"), request)
    return Object({"status": status, "status_code": code, "headers": headers_value(headers), "raw_body": text_of(body), "body": decoded})


def headers_value(headers: Fields) -> Object:
    """Return the headers by name, each with all its values."""
    values: dict[Value, Value] = {}
    for name, _ in headers:
        if name not in values:
            values[name] = tuple(value for known, value in headers if known == name)
    return Object(values)


def field(headers: Fields, name: str) -> str:
    """Return the first value of a header, empty if it is not there."""
    return next((value for known, value in headers if known == name), "")


def failure(code: str, message: str) -> Object:
    """Return the answer that a request has which failed."""
    return Object({"status_code": 0, "error": Object({"code": code, "message": message})})


def _decoded(body: bytes, content_type: str, request: HttpRequest) -> Value:
    try:
        if request.forces_json or is_json(content_type):
            return _leading_json(text_of(body))
        if request.forces_yaml or any(kind in content_type for kind in _YAML_TYPES):
            return _json_or_yaml(body)
    except (ValueError, YamlError, RecursionError):
        return NULL
    return NULL


def is_json(content_type: str) -> bool:
    """Tell whether a media type is JSON's; one with parameters that are malformed or repeated is none."""
    found = _JSON_TYPE.fullmatch(content_type)
    if found is None:
        return False
    names = [name.lower() for name in re.findall(_PARAMETER, found[1]) if name]
    return len(names) == len(set(names))


def _leading_json(text: str) -> Value:
    """Return the JSON value that a text begins with. Raises ValueError.

    OPA reads a body as a stream and does not look at what follows its first value.
    """
    try:
        return value_of_json(text)
    except ValueError:
        _, end = json.JSONDecoder().raw_decode(text, len(text) - len(text.lstrip(_SPACE)))
        if text[end - 1].isdecimal() and text[end : end + 1] in _GO_ON:
            raise  # a number that is broken off
        return value_of_json(text[:end])


def _json_or_yaml(body: bytes) -> Value:
    """Return the value of a text that is JSON, else of its first YAML document. Raises ValueError, YamlError."""
    try:
        return value_of_json(text_of(body))
    except ValueError:
        return yaml_to_value(body.decode())
