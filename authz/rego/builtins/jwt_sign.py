"""io.jwt.encode_sign and encode_sign_raw: making signed tokens.

Owns which headers may be signed. Keys are `keys`' and signatures `jws`'s.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode

from authz.rego.builtins.documents import value_of_json
from authz.rego.builtins.jws import ALGORITHMS, Algorithm, SigningError, sign
from authz.rego.builtins.jwt import TokenError
from authz.rego.builtins.keys import KeyTextError, signing_key
from authz.rego.builtins.octets import bytes_of
from authz.rego.builtins.registry import OBJECT, STRING, builtin
from authz.rego.errors import BuiltinError
from authz.rego.render import json_text
from authz.rego.values import EMPTY_OBJECT, Object, Value


@builtin("io.jwt.encode_sign", OBJECT, OBJECT, OBJECT, result=STRING, deterministic=False)
def jwt_encode_sign(headers: Object, payload: Object, key: Object) -> Value:
    return _encoded("io.jwt.encode_sign", json_text(headers), json_text(payload), json_text(key))


@builtin("io.jwt.encode_sign_raw", STRING, STRING, STRING, result=STRING, deterministic=False)
def jwt_encode_sign_raw(headers: str, payload: str, key: str) -> Value:
    return _encoded("io.jwt.encode_sign_raw", headers, payload, key)


def _encoded(name: str, headers: str, payload: str, key_text: str) -> str:
    try:
        key = signing_key(key_text)
        algorithm = _signing_algorithm(headers, payload)
        data = f"{_base64url(bytes_of(headers))}.{_base64url(bytes_of(payload))}"
        return f"{data}.{_base64url(sign(algorithm, key, data.encode()))}"
    except (TokenError, KeyTextError, SigningError) as error:
        raise BuiltinError(f"{name}: {error}") from None


def _signing_algorithm(headers: str, payload: str) -> Algorithm:
    members = _signing_headers(headers)
    name = members.get("alg")
    if name is None:
        raise TokenError("missing or invalid 'alg' header: jwsbb: header \"alg\" not found")
    if type(name) is not str:
        raise TokenError("missing or invalid 'alg' header: value doesn't contain string")
    algorithm = ALGORITHMS.get(name)
    if algorithm is None:
        raise TokenError(f"unknown JWS algorithm: {name}")
    if members.get("typ", "JWT") == "JWT":
        try:
            value_of_json(payload)
        except ValueError:
            raise TokenError("type is JWT but payload is not JSON") from None
    return algorithm


def _signing_headers(headers: str) -> Object:
    if not headers:
        raise TokenError("missing or invalid 'alg' header: cannot parse JSON: cannot parse empty string; unparsed tail: \"\"")
    try:
        value = value_of_json(headers)
    except ValueError as error:
        # OPA's parser takes any run of a number's characters for a number, `e` among them.
        if set(headers.strip()) <= set("0123456789+-.eE"):
            return EMPTY_OBJECT
        raise TokenError(f"missing or invalid 'alg' header: cannot parse JSON: {error}") from None
    return value if isinstance(value, Object) else EMPTY_OBJECT


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
