"""`providers.aws.sign_req`: signing a request as AWS wants it (Signature Version 4), without sending it.

Owns the canonical form of a request, the signing key and the headers (AWS documentation,
"Create a signed AWS API request"). The time is an operand; no clock is read.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from authz.rego.builtins.http_request import check_parameters
from authz.rego.builtins.registry import NUMBER, OBJECT, builtin
from authz.rego.errors import EVAL_TYPE, BuiltinError
from authz.rego.numbers import as_index
from authz.rego.render import json_text
from authz.rego.render import quote as go_quote
from authz.rego.values import Boolean, Number, Object, Value, type_name

_NAME: Final = "providers.aws.sign_req"
_REQUIRED: Final = ("aws_access_key", "aws_region", "aws_secret_access_key", "aws_service")
_HASHED: Final = frozenset({"s3", "glacier"})
"""Services that want the body's hash as a header."""
_UNSIGNED: Final = frozenset({"authorization", "user-agent", "x-amzn-trace-id"})
"""Headers that proxies may change on the way."""
_EPOCH: Final = datetime(1970, 1, 1)
_ESCAPED_PATH: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/\[\]]|%[0-9A-Fa-f]{2})*")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


class _Scope(NamedTuple):
    """What a signature is valid for."""

    timestamp: str
    region: str
    service: str

    @property
    def date(self) -> str:
        return self.timestamp[:8]

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


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
    body_hash = "UNSIGNED-PAYLOAD" if unsigned else hashlib.sha256(_body(request)).hexdigest()
    scope = _Scope(_timestamp(nanoseconds), _text(config["aws_region"]), _text(config["aws_service"]))
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


def _signed_headers(request: Object, headers: Object, config: Object, scope: _Scope, body_hash: str) -> Object:
    """Return the request's headers with those that AWS wants and the signature of both."""
    host, path, query = _parsed(_text(request["url"]))
    given = {_text(name): _text(value) for name, value in headers.items()}
    wanted = {"host": host, "x-amz-date": scope.timestamp}
    if scope.service in _HASHED:
        wanted["x-amz-content-sha256"] = body_hash
    token = _text(config.get("aws_session_token"))
    if token:
        wanted["x-amz-security-token"] = token
    # OPA signs what the request says where it already has one of these headers, and yet sends its own.
    covered = wanted | {name.lower(): value for name, value in given.items() if name.lower() not in _UNSIGNED}
    names = ";".join(sorted(covered))
    lines = [_text(request["method"]), path, query, *(f"{name}:{covered[name]}" for name in sorted(covered)), "", names, body_hash]
    signature = _signature("\n".join(lines), scope, _text(config["aws_secret_access_key"]))
    credential = f"Credential={_text(config['aws_access_key'])}/{scope}"
    authorization = f"AWS4-HMAC-SHA256 {credential},SignedHeaders={names},Signature={signature}"
    return Object({**given, "Authorization": authorization, **wanted})


def _signature(canonical: str, scope: _Scope, secret: str) -> str:
    digest = hashlib.sha256(_bytes(canonical)).hexdigest()
    key = _bytes("AWS4" + secret)
    for part in (scope.date, scope.region, scope.service, "aws4_request"):
        key = _mac(key, part)
    return _mac(key, f"AWS4-HMAC-SHA256\n{scope.timestamp}\n{scope}\n{digest}").hex()


def _mac(key: bytes, message: str) -> bytes:
    return hmac.digest(key, _bytes(message), "sha256")


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
