"""io.jwt.encode_sign and encode_sign_raw: making signed tokens.

Owns which headers may be signed. Keys are `keys`' and signatures `jws`'s.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Final

from authz.rego.builtins.fast_json import FastJsonError, members_of
from authz.rego.builtins.json_errors import is_valid
from authz.rego.builtins.jws import ALGORITHMS, Algorithm, SigningError, sign
from authz.rego.builtins.jwt import TokenError
from authz.rego.builtins.keys import KeyTextError, signing_key
from authz.rego.builtins.octets import bytes_of
from authz.rego.builtins.registry import OBJECT, STRING, builtin, operand_error
from authz.rego.errors import BuiltinError
from authz.rego.render import json_text
from authz.rego.values import Value

_RAW: Final = "io.jwt.encode_sign_raw"


@builtin("io.jwt.encode_sign", OBJECT, OBJECT, OBJECT, result=STRING, deterministic=False, checks_itself=True)
def jwt_encode_sign(headers: Value, payload: Value, key: Value) -> Value:
    """Sign the JSON of the operands, which like OPA's may be of any type."""
    return _encoded("io.jwt.encode_sign", json_text(headers), json_text(payload), json_text(key))


@builtin(_RAW, STRING, STRING, STRING, result=STRING, deterministic=False, checks_itself=True)
def jwt_encode_sign_raw(headers: Value, payload: Value, key: Value) -> Value:
    """Sign the operands as they are; OPA looks at the key first."""
    for position, operand in ((3, key), (1, headers), (2, payload)):
        if type(operand) is not str:
            raise operand_error(_RAW, position, STRING, operand)
    return _encoded(_RAW, str(headers), str(payload), str(key))


def _encoded(name: str, headers: str, payload: str, key_text: str) -> str:
    try:
        jwk, key = signing_key(key_text)
        algorithm = _signing_algorithm(headers, payload)
        data = f"{_base64url(bytes_of(headers))}.{_base64url(bytes_of(payload))}"
        return f"{data}.{_base64url(sign(algorithm, jwk, key, bytes_of(data)))}"
    except (TokenError, KeyTextError, SigningError) as error:
        raise BuiltinError(f"{name}: {error}") from None


def _signing_algorithm(headers: str, payload: str) -> Algorithm:
    try:
        members = members_of(headers)
    except FastJsonError as error:
        raise TokenError(f"missing or invalid 'alg' header: {error}") from None
    name, kind = members.get("alg"), members.get("typ")
    if name is None:
        raise TokenError("missing or invalid 'alg' header: jwsbb: header \"alg\" not found")
    if name.kind != "string":
        raise TokenError(f"missing or invalid 'alg' header: value doesn't contain string; it contains {name.kind}")
    algorithm = ALGORITHMS.get(name.text)
    if algorithm is None:
        raise TokenError(f"unknown JWS algorithm: {name.text}")
    if (kind is None or kind.kind != "string" or kind.text == "JWT") and not is_valid(payload):
        raise TokenError("type is JWT but payload is not JSON")
    return algorithm


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
