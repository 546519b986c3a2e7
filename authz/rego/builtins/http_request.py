"""The operand of `http.send`, from a Rego object to a request that can be sent.

Owns OPA's rules and error texts for its parameters. Sends nothing, and does not know which hosts may be asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from authz.rego.builtins.go_duration import parse_duration
from authz.rego.builtins.octets import bytes_of
from authz.rego.errors import EVAL_TYPE, BuiltinError
from authz.rego.numbers import as_index
from authz.rego.pending import HTTP_SEND, HttpRequest, TlsOptions
from authz.rego.render import json_text, quote, to_text
from authz.rego.values import FALSE, NULL, TRUE, Boolean, Object, Value, json_key, type_name, without_surrogates

_REQUIRED: Final = ("method", "url")
_MAX_FORCE_CACHE_S: Final = 2**31 - 1
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")
_NOT_GOS_UNIT: Final = re.compile(r"[0-9.]([dwy])(?![a-z])")

_FRAMING: Final = frozenset({
    "Connection", "Content-Length", "Expect", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
})  # fmt: skip
"""Headers that are the connection's business and never sent: with them a policy could smuggle a second request."""


def raises_error(request: Object) -> bool:
    """Tell whether a request that fails is an error (`raise_error`), rather than an answer that says so. Raises BuiltinError."""
    wanted = request.get("raise_error", TRUE)
    if not isinstance(wanted, Boolean):
        raise _invalid("invalid value for raise_error field")
    return wanted is TRUE


def read_request(request: Object) -> HttpRequest:
    """Return what is to be sent. Raises BuiltinError in OPA's words."""
    check_parameters(HTTP_SEND, request)
    key = _cache_key(request)
    caches, force_cache_s = _caching(request)
    fields: dict[str, Any] = {}
    tls: dict[str, Any] = {}
    for name in request.ordered():
        target, read = PARAMETERS[str(name)]
        if read is not None:
            (tls if str(name).startswith("tls_") else fields)[target] = read(str(name), request[name])
    return HttpRequest(
        key,
        **fields,
        raises=raises_error(request),
        caches=caches,
        force_cache_s=force_cache_s,
        forces_json=_boolean(request, "force_json_decode"),
        forces_yaml=_boolean(request, "force_yaml_decode"),
        tls=TlsOptions(**tls),
    )


def _invalid(text: str) -> BuiltinError:
    return BuiltinError(f"{HTTP_SEND}: {text}")


def check_parameters(name: str, request: Object) -> None:
    """Raise eval_type_error for a request that has an unknown parameter or lacks a required one; `name` is the built-in's."""
    unknown = [key for key in request.ordered() if key not in PARAMETERS]
    if unknown:
        names = ", ".join(to_text(key) for key in unknown)
        raise BuiltinError(f"{name}: operand 1 invalid request parameters(s): {{{names}}}", EVAL_TYPE)
    missing = [f'"{key}"' for key in _REQUIRED if key not in request]
    if missing:
        raise BuiltinError(f"{name}: operand 1 missing required request parameters(s): {{{', '.join(missing)}}}", EVAL_TYPE)


# Caching


def _cache_key(request: Object) -> str:
    """Return the text of the whole request, but for the headers in `cache_ignored_headers`: what equal requests share."""
    ignored, headers = request.get("cache_ignored_headers"), request.get("headers")
    if ignored is None or not isinstance(headers, Object):
        return to_text(Object({**request, "cache_ignored_headers": NULL}))
    if not isinstance(ignored, tuple) or not all(isinstance(name, str) for name in ignored):
        raise _invalid("cache_ignored_headers must be an array of strings")
    kept = Object((name, value) for name, value in headers.items() if json_key(name) not in ignored)
    return to_text(Object({**request, "cache_ignored_headers": NULL, "headers": kept}))


def _caching(request: Object) -> tuple[bool, int]:
    """Return whether an answer may come from, and go to, the cache; and the seconds that the policy wants it to be good for."""
    caches = _boolean(request, "cache")
    if not _boolean(request, "force_cache"):
        return caches, 0
    duration = request.get("force_cache_duration_seconds")
    if duration is None:
        raise _invalid("'force_cache' set but 'force_cache_duration_seconds' parameter is missing")
    if not isinstance(duration, int):
        raise _invalid(f"strconv.ParseInt: parsing {quote(to_text(duration))}: invalid syntax")
    if abs(duration) > _MAX_FORCE_CACHE_S:
        raise _invalid(f'strconv.ParseInt: parsing "{to_text(duration)}": value out of range')
    return True, max(0, duration)


def _boolean(request: Object, name: str) -> bool:
    value = request.get(name, FALSE)
    if not isinstance(value, Boolean):
        raise _invalid(f'invalid value for "{name}" field')
    return value is TRUE


# One parameter each: its name and value → what a request holds


def _text(name: str, value: Value) -> str:
    """Return a text without the quotes around it: OPA strips them, wherever they come from."""
    if not isinstance(value, str):
        raise _invalid(f'"{name}" must be a string')
    return without_surrogates(value.strip('"'))


def _truth(_: str, value: Value) -> bool:
    """Return what Go reads as a boolean in the value's text: 1 and 0 will do."""
    text = to_text(value)
    if text not in ("true", "1", "false", "0"):
        raise _invalid(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")
    return text in ("true", "1")


def _method(name: str, value: Value) -> str:
    method = _text(name, value).upper() or "GET"
    if _TOKEN.fullmatch(method) is None:
        raise _invalid(f"net/http: invalid method {quote(method)}")
    return method


def _json_body(_: str, value: Value) -> bytes:
    return bytes_of(json_text(value))


def _raw_body(name: str, value: Value) -> bytes:
    return bytes_of(_text(name, value))


def _headers(_: str, value: Value) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Object):
        raise _invalid("invalid type for headers key")
    headers: dict[str, str] = {}
    for key in value.ordered():
        text = value[key]
        if not isinstance(text, str):
            raise _invalid(f"invalid type for headers value {quote(to_text(text))}")
        headers[canonical(json_key(key))] = without_surrogates(text)
    return tuple((name, text) for name, text in headers.items() if name not in _FRAMING)


def canonical(name: str) -> str:
    """Return a header's name as Go writes it, `X-Request-Id`; one that is no token as it is."""
    return "-".join(part.capitalize() for part in name.split("-")) if _TOKEN.fullmatch(name) else name


def _timeout(_: str, value: Value) -> int:
    """Return nanoseconds; 0 where a negative number or none says: for ever."""
    if isinstance(value, str):
        return max(0, _duration(value))
    if not isinstance(value, int | Decimal):
        message = f"{HTTP_SEND}: operand 1 'timeout' must be one of {{string, number}} but got {type_name(value)}"
        raise BuiltinError(message, EVAL_TYPE)
    timeout_ns = as_index(value)
    if timeout_ns is None:
        raise _invalid(f"invalid timeout number value {to_text(value)}, must be int64")
    return max(0, timeout_ns)


def _duration(text: str) -> int:
    try:
        if _INTEGER.fullmatch(text) and as_index(int(text)) is not None:
            return int(text)
        unit = _NOT_GOS_UNIT.search(text)
        if unit is not None:
            raise ValueError(f"time: unknown unit {quote(unit[1])} in duration {quote(text)}")
        return parse_duration(text)
    except ValueError as error:
        raise _invalid(f"invalid timeout value {quote(text)}: {error}") from None


def _retries(name: str, value: Value) -> int:
    attempts = as_index(value) if isinstance(value, int | Decimal) else None
    if attempts is None or attempts < 0:
        raise _invalid(f'invalid value {to_text(value)} for field "{name}"')
    return attempts


def _environment(name: str, value: Value) -> None:
    """Refuse: the environment is not read here, and a policy should not be able to ask what is in it."""
    _text(name, value)
    raise _invalid(f'"{name}" is not supported: give a file or the text itself')


_Reader = Callable[[str, Value], Any]

PARAMETERS: Final[dict[Value, tuple[str, _Reader | None]]] = {
    "method": ("method", _method),
    "url": ("url", _text),
    "body": ("body", _json_body),
    "raw_body": ("body", _raw_body),  # after `body` in their order, so it wins
    "headers": ("headers", _headers),
    "timeout": ("timeout_ns", _timeout),
    "enable_redirect": ("follows_redirects", _truth),
    "max_retry_attempts": ("retries", _retries),
    "tls_ca_cert": ("ca_cert", _text),
    "tls_ca_cert_file": ("ca_cert_file", _text),
    "tls_ca_cert_env_variable": ("", _environment),
    "tls_client_cert": ("client_cert", _text),
    "tls_client_cert_file": ("client_cert_file", _text),
    "tls_client_cert_env_variable": ("", _environment),
    "tls_client_key": ("client_key", _text),
    "tls_client_key_file": ("client_key_file", _text),
    "tls_client_key_env_variable": ("", _environment),
    "tls_insecure_skip_verify": ("insecure_skip_verify", _truth),
    "tls_server_name": ("server_name", _text),
    "tls_use_system_certs": ("use_system_certs", _truth),
    # Read with the request as a whole, or of no effect here (`caching_mode`):
    **dict.fromkeys(("cache", "cache_ignored_headers", "caching_mode", "force_cache", "force_cache_duration_seconds"), ("", None)),
    **dict.fromkeys(("force_json_decode", "force_yaml_decode", "raise_error"), ("", None)),
}
