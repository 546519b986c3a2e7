"""io.jwt.*: decoding and verifying JSON Web Tokens (RFC 7515, RFC 7519).

Owns tokens, their headers and claims; `jwt_sign` makes them. Keys are `keys`' and signatures `jws`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Final

from authz.rego import numbers
from authz.rego.builtins.documents import value_of_json
from authz.rego.builtins.encoding import base64url_decode
from authz.rego.builtins.jws import ALGORITHMS, Algorithm, verifies
from authz.rego.builtins.keys import KeyTextError, VerificationKey, verification_keys
from authz.rego.builtins.octets import bytes_of, text_of
from authz.rego.builtins.registry import ARRAY, BOOLEAN, OBJECT, STRING, EvalContext, builtin
from authz.rego.errors import BuiltinError
from authz.rego.render import json_text
from authz.rego.values import EMPTY_OBJECT, FALSE, TRUE, Number, Object, Value

MAX_TOKEN: Final = 262_144
"""Characters that a token may have."""

_HEADER_TEXTS: Final = ("alg", "kid", "typ", "cty")
_UNVERIFIED: Final[Value] = (FALSE, EMPTY_OBJECT, EMPTY_OBJECT)
_CONSTRAINTS: Final = ("alg", "iss", "aud", "secret", "cert", "time")


class TokenError(ValueError):
    """The token or a constraint is malformed; the message is OPA's."""


class Token:
    """The three parts of a compact token, decoded on demand. Raises TokenError where one does not decode."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_TOKEN:
            raise TokenError(f"encoded JWT has more than {MAX_TOKEN} characters")
        parts = text.split(".")
        if len(parts) == 1:
            raise TokenError("encoded JWT had no period separators")
        if len(parts) != 3:
            raise TokenError(f"encoded JWT must have 3 sections, found {len(parts)}")
        self.header_text, self.payload_text, self.signature_text = parts

    def header(self) -> Object:
        try:
            return _json_object(_part("JWT header", self.header_text))
        except InvalidJsonError as error:
            raise TokenError(f"bad JWT header: {error}") from None

    def payload(self) -> str:
        return text_of(_part("JWT payload", self.payload_text))

    def signature(self) -> bytes:
        try:
            return base64url_decode(self.signature_text)
        except ValueError as error:
            raise TokenError(str(error)) from None

    def signed(self) -> bytes:
        return bytes_of(f"{self.header_text}.{self.payload_text}")


class InvalidJsonError(TokenError):
    """A part is not a JSON object."""


def _part(what: str, text: str) -> bytes:
    try:
        return base64url_decode(text)
    except ValueError as error:
        raise TokenError(f"{what} had invalid encoding: {error}") from None


def _json_object(data: bytes) -> Object:
    try:
        value = value_of_json(text_of(data))
    except ValueError as error:
        raise InvalidJsonError(f"invalid JSON: {error}") from None
    if not isinstance(value, Object):
        raise InvalidJsonError("decoded JSON type was not an Object")
    return value


@builtin("io.jwt.decode", STRING, result=ARRAY)
def jwt_decode(text: str) -> Value:
    """Return header, payload and signature (hex), nothing of it verified."""
    try:
        return _decoded(text)
    except TokenError as error:
        raise BuiltinError(f"io.jwt.decode: {error}") from None


def _decoded(text: str) -> Value:
    while True:
        token = Token(text)
        header, payload = token.header(), token.payload()
        if header.get("cty") != "JWT":
            break
        # A nested token is quoted by some issuers (jwt.io). Each one is shorter, so this ends.
        text = payload.strip("\"'")
    claims = _json_object(bytes_of(payload))
    return (header, claims, _part("JWT signature", token.signature_text).hex())


def _verify(name: str, algorithm: Algorithm, text: str, key_text: str) -> bool:
    try:
        token = Token(text)
        if algorithm.family == "HS":
            return verifies(algorithm, bytes_of(key_text), token.signed(), token.signature())
        keys, signature = verification_keys(key_text), token.signature()
        return _is_signed(keys, Header(token.header()), algorithm, token.signed(), signature)
    except (TokenError, KeyTextError) as error:
        raise BuiltinError(f"{name}: {error}") from None


for _name, _algorithm in ALGORITHMS.items():
    _builtin_name = f"io.jwt.verify_{_name.lower()}"
    builtin(_builtin_name, STRING, STRING, result=BOOLEAN)(partial(_verify, _builtin_name, _algorithm))


class Header:
    """What of a header decides verification (RFC 7515, 4.1). Raises TokenError for a member of a wrong type."""

    def __init__(self, members: Object) -> None:
        texts = {name: members.get(name, "") for name in _HEADER_TEXTS}
        for name, text in texts.items():
            if type(text) is not str:
                raise TokenError(f"{name}: must be a string")
        self.algorithm, self.key_id, _, self.content_type = map(str, texts.values())
        critical = members.get("crit", ())
        if type(critical) is not tuple:
            raise TokenError("crit: must be a list")
        if "crit" in members and not any(type(name) is str for name in critical):
            raise TokenError("crit: must be a nonempty list")
        # RFC 7515, 4.1.11: what is critical must be understood. Stricter than OPA, which lets absent members pass.
        self.is_understood = bool(self.algorithm) and all(name in _HEADER_TEXTS for name in critical)


def _is_signed(keys: tuple[VerificationKey, ...], header: Header, algorithm: Algorithm, data: bytes, signature: bytes) -> bool:
    """Try the key that the header names, else every key that is not bound to another algorithm."""
    named = [key for key in keys if key.key_id == header.key_id] if header.key_id else []
    return any(
        verifies(algorithm, key.key, data, signature) for key in named[:1] or keys if not key.algorithm or key.algorithm == header.algorithm
    )


@dataclass(frozen=True, slots=True)
class Constraints:
    """What io.jwt.decode_verify demands of a token; "" demands nothing."""

    keys: tuple[VerificationKey, ...]
    is_secret: bool
    algorithm: str
    issuer: str
    audience: str
    time: Number


def _constraints(operand: Object, now_ns: int) -> Constraints:
    for key in operand.ordered():
        if key not in _CONSTRAINTS:
            raise TokenError(f"unknown token validation constraint: {key if isinstance(key, str) else json_text(key)}")
    texts: dict[str, str] = {}
    for name in _CONSTRAINTS[:5]:
        text = operand.get(name, "")
        if type(text) is not str:
            raise TokenError(f"{name} constraint: must be a string")
        texts[name] = text
    keys = verification_keys(texts["cert"]) if "cert" in operand else ()
    if "cert" in operand and texts["secret"]:
        raise TokenError("duplicate key constraints")
    if "cert" not in operand and not texts["secret"]:
        raise TokenError("no key constraint")
    keys = keys or (VerificationKey(bytes_of(texts["secret"])),) if texts["secret"] else keys
    return Constraints(keys, bool(texts["secret"]), texts["alg"], texts["iss"], texts["aud"], _time(operand.get("time", now_ns)))


def _time(time: Value) -> Number:
    if not isinstance(time, (int, Decimal)):
        raise TokenError("token time constraint: must be a number")
    if time < 0:
        raise TokenError("token time constraint: must not be negative")
    return time


@builtin("io.jwt.decode_verify", STRING, OBJECT, result=ARRAY, deterministic=False, needs_context=True)
def jwt_decode_verify(context: EvalContext, text: str, operand: Object) -> Value:
    """Return [true, header, payload] of a token that meets every constraint, else [false, {}, {}]."""
    try:
        constraints = _constraints(operand, context.now_ns)
        while True:
            token = Token(text)
            members = token.header()
            header = Header(members)
            if not _has_good_signature(token, header, constraints):
                return _UNVERIFIED
            payload = token.payload()
            if header.content_type.upper() != "JWT":
                break
            text = payload
        claims = _json_object(bytes_of(payload))
        return (TRUE, members, claims) if _meets(claims, constraints) else _UNVERIFIED
    except (TokenError, KeyTextError) as error:
        raise BuiltinError(f"io.jwt.decode_verify: {error}") from None


def _has_good_signature(token: Token, header: Header, constraints: Constraints) -> bool:
    algorithm = ALGORITHMS.get(header.algorithm)
    if not header.is_understood or constraints.algorithm not in ("", header.algorithm):
        return False
    signature = token.signature()
    # A secret never serves as a public key's octets nor the reverse: the classic confusion of algorithms.
    if algorithm is None or constraints.is_secret != (algorithm.family == "HS"):
        return False
    return _is_signed(constraints.keys, header, algorithm, token.signed(), signature)


def _meets(claims: Object, constraints: Constraints) -> bool:
    """Check the registered claims (RFC 7519, 4.1). A token for an audience needs the constraint to name it."""
    if constraints.issuer and claims.get("iss") != constraints.issuer:
        return False
    audience = claims.get("aud")
    if audience is None:
        if constraints.audience:
            return False
    elif constraints.audience not in (audience if type(audience) is tuple else (audience,)):
        return False
    # OPA compares seconds as a double does; exact decimals differ from it by less than a microsecond.
    now = numbers.div(constraints.time, 1_000_000_000)
    expiry, not_before = _date(claims, "exp"), _date(claims, "nbf")
    return (expiry is None or now < expiry) and (not_before is None or now >= not_before)


def _date(claims: Object, name: str) -> Number | None:
    value = claims.get(name)
    if value is not None and not isinstance(value, (int, Decimal)):
        raise TokenError(f"{name} value must be a number")
    return value
