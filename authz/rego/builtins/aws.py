"""`providers.aws.sign_req`: signing a request as AWS wants it (Signature Version 4), without sending it.

Owns the operands and their errors; the signature itself is `sigv4`'s. The time is an operand; no clock is read.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from authz.rego.builtins.http_request import check_parameters
from authz.rego.builtins.registry import NUMBER, OBJECT, builtin
from authz.rego.builtins.sigv4 import UNSIGNED_PAYLOAD, AwsKeys, Scope, Signable, sha256_hex, signed_headers
from authz.rego.errors import EVAL_TYPE, BuiltinError
from authz.rego.numbers import as_index
from authz.rego.render import json_text
from authz.rego.render import quote as go_quote
from authz.rego.values import Boolean, Number, Object, Value, type_name

_NAME: Final = "providers.aws.sign_req"
_REQUIRED: Final = ("aws_access_key", "aws_region", "aws_secret_access_key", "aws_service")
_EPOCH: Final = datetime(1970, 1, 1)
_ESCAPED_PATH: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/\[\]]|%[0-9A-Fa-f]{2})*")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


@builtin(_NAME, OBJECT, OBJECT, NUMBER, result=OBJECT)
def sign_req(request: Object, config: Object, time_ns: Number) -> Value:
    """Return the request with the headers that prove who made it."""
    _check_config(config)
    nanoseconds = as_index(time_ns)
    if nanoseconds is None:
        raise _refused(3, "could not convert time_ns value into a unix timestamp")
    check_parameters(_NAME, request)
    headers = request.get("headers", Object())
    if not isinstance(headers, Object):
        raise BuiltinError(f"{_NAME}: operand 0 must be object but got {type_name(headers)}", EVAL_TYPE)
    invalid = [f'"{key}"' for key in ("method", "url") if not isinstance(request[key], str)]
    if invalid:
        raise _refused(1, f"invalid values for required request parameters(s): {{{', '.join(invalid)}}}")
    unsigned = config.get("disable_payload_signing")
    if unsigned is not None and not isinstance(unsigned, Boolean):
        raise _refused(2, "invalid value for 'disable_payload_signing' in AWS config")
    body_hash = UNSIGNED_PAYLOAD if unsigned else sha256_hex(_body(request))
    scope = Scope(_timestamp(nanoseconds), _text(config["aws_region"]), _text(config["aws_service"]))
    signed = _signed_headers(request, headers, config, scope, body_hash)
    return Object({**request, "headers": signed})


def _refused(position: int, text: str) -> BuiltinError:
    return BuiltinError(f"{_NAME}: operand {position} {text}", EVAL_TYPE)


def _check_config(config: Object) -> None:
    missing = [f'"{key}"' for key in _REQUIRED if key not in config]
    if missing:
        raise _refused(2, f"missing required AWS config parameters(s): {{{', '.join(missing)}}}")
    invalid = [f'"{key}"' for key in _REQUIRED if not isinstance(config[key], str)]
    if invalid:
        raise _refused(2, f"invalid values for required AWS config parameters(s): {{{', '.join(invalid)}}}")


def _timestamp(nanoseconds: int) -> str:
    try:
        moment = _EPOCH + timedelta(seconds=nanoseconds // 1_000_000_000)
    except OverflowError:
        raise _refused(3, "could not convert time_ns value into a unix timestamp") from None
    return moment.strftime("%Y%m%dT%H%M%SZ")


def _text(value: Value | None) -> str:
    return value if isinstance(value, str) else ""


def _body(request: Object) -> bytes:
    if "raw_body" in request:
        return _bytes(_text(request["raw_body"]))
    return _bytes(json_text(request["body"])) if "body" in request else b""


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _signed_headers(request: Object, headers: Object, config: Object, scope: Scope, body_hash: str) -> Object:
    """Return the request's headers with those that AWS wants and the signature of both."""
    host, path, query = _parsed(_text(request["url"]))
    given = {_text(name): _text(value) for name, value in headers.items()}
    keys = AwsKeys(_text(config["aws_access_key"]), _text(config["aws_secret_access_key"]), _text(config.get("aws_session_token")))
    return Object(signed_headers(Signable(_text(request["method"]), host, path, query, body_hash), given, keys, scope))


def _parsed(url: str) -> tuple[str, str, str]:
    """Return host, escaped path and query of a URL, as Go's net/url has them."""
    if any(char < " " or char == "\x7f" for char in url):
        raise BuiltinError(f"{_NAME}: parse {go_quote(url)}: net/url: invalid control character in URL")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BuiltinError(f"{_NAME}: parse {go_quote(url)}: {error}") from None
    bad = _BAD_ESCAPE.search(parts.path)
    if bad:
        raise BuiltinError(f'{_NAME}: parse {go_quote(url)}: invalid URL escape "{parts.path[bad.start() :][:3]}"')
    is_escaped = _ESCAPED_PATH.fullmatch(parts.path)
    path = parts.path if is_escaped else quote(unquote(parts.path, errors="surrogateescape"), safe="$&+,/:;=@", errors="surrogateescape")
    return parts.netloc.rpartition("@")[2], path, parts.query
