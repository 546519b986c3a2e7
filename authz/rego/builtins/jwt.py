"""io.jwt.*: decoding and verifying JSON Web Tokens (RFC 7515, RFC 7519).

Owns tokens, their headers and claims; `jwt_sign` makes them. Keys are `keys`' and signatures `jws`'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import takewhile
from typing import Final

from authz.rego import numbers
from authz.rego.builtins.documents import value_of_json
from authz.rego.builtins.encoding import base64url_decode
from authz.rego.builtins.jws import ALGORITHMS, Algorithm, has_mac, verifies, verifies_strictly
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
_TEXT_CONSTRAINTS: Final = ("alg", "iss", "aud", "secret")


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
            members = _json_object(_part("JWT header", self.header_text))
        except InvalidJsonError as error:
            raise TokenError(f"bad JWT header: {error}") from None
        if "enc" in members:
            raise TokenError("JWT is a JWE object, which is not supported")
        return members

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
        if "cty" in header and type(header["cty"]) is not str:
            raise TokenError("cty: must be a string")
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
            return has_mac(algorithm, bytes_of(key_text), token.signed(), token.signature())
        keys, signature, data = verification_keys(key_text), token.signature(), token.signed()
        return any(verifies(algorithm, key.key, data, signature) for key in _eligible(keys, Header(token.header())))
    except (TokenError, KeyTextError) as error:
        raise BuiltinError(f"{name}: {error}") from None


for _name, _algorithm in ALGORITHMS.items():
    _builtin_name = f"io.jwt.verify_{_name.lower()}"
    builtin(_builtin_name, STRING, STRING, result=BOOLEAN)(partial(_verify, _builtin_name, _algorithm))


class Header:
    """What of a header decides verification (RFC 7515, 4.1). Raises TokenError for a member of a wrong type."""

    def __init__(self, members: Object) -> None:
        self.texts = dict.fromkeys(_HEADER_TEXTS, "")
        self.is_understood = True
        for name in members.ordered():
            value = members[name]
            if name == "crit":
                self._note_critical(value)
            elif name in self.texts:
                if type(value) is not str:
                    raise TokenError(f"{name}: must be a string")
                self.texts[str(name)] = value
        self.algorithm, self.key_id, _, self.content_type = self.texts.values()

    def _note_critical(self, value: Value) -> None:
        if type(value) is not tuple:
            raise TokenError("crit: must be a list")
        names = list(takewhile(lambda name: type(name) is str, value))
        if not names:
            raise TokenError("crit: must be a nonempty list")
        # RFC 7515, 4.1.11: what is critical must be understood. Stricter than OPA, which lets absent members pass.
        self.is_understood = set(names) <= {*_HEADER_TEXTS, "crit"}


def _eligible(keys: tuple[VerificationKey, ...], header: Header) -> Iterable[VerificationKey]:
    """Return the key that the header names, else every key that is not bound to another algorithm."""
    named = [key for key in keys if key.key_id == header.key_id] if header.key_id else []
    return named[:1] or [key for key in keys if key.algorithm in ("", header.algorithm)]


@dataclass(frozen=True, slots=True)
class Constraints:
    """What io.jwt.decode_verify demands of a token; "" demands nothing."""

    keys: tuple[VerificationKey, ...]
    algorithm: str
    issuer: str
    audience: str
    time: float


def _constraints(operand: Object, now_ns: int) -> Constraints:
    texts = dict.fromkeys(_TEXT_CONSTRAINTS, "")
    keys: tuple[VerificationKey, ...] | None = None
    seconds: float | None = None
    for name in operand.ordered():
        value = operand[name]
        if name == "time":
            seconds = _seconds(value)
        elif name == "cert" or name in texts:
            if type(value) is not str:
                raise TokenError(f"{name} constraint: must be a string")
            keys = verification_keys(value) if name == "cert" else keys
            texts[str(name)] = value
        else:
            raise TokenError(f"unknown token validation constraint: {name if isinstance(name, str) else json_text(name)}")
    seconds = _seconds(now_ns) if seconds is None else seconds
    if keys is not None and texts["secret"]:
        raise TokenError("duplicate key constraints")
    if keys is None and not texts["secret"]:
        raise TokenError("no key constraint")
    keys = (VerificationKey(bytes_of(texts["secret"])),) if keys is None else keys
    return Constraints(keys, texts["alg"], texts["iss"], texts["aud"], seconds)


def _seconds(time: Value) -> float:
    """Return nanoseconds as seconds, a double as OPA's."""
    if not isinstance(time, (int, Decimal)):
        raise TokenError("token time constraint: must be a number")
    try:
        nanoseconds = float(time)
    except OverflowError:
        nanoseconds = math.inf
    if math.isinf(nanoseconds):
        raise TokenError("token time constraint: unvalid float64")
    if nanoseconds < 0:
        raise TokenError("token time constraint: must not be negative")
    return nanoseconds / 1e9


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
    if not header.algorithm or not header.is_understood or constraints.algorithm not in ("", header.algorithm):
        return False
    signature, data = token.signature(), token.signed()
    algorithm = ALGORITHMS.get(header.algorithm)
    # A key knows whether it is a secret's octets or a public key: the one never serves as the other.
    return algorithm is not None and any(
        verifies_strictly(algorithm, key.key, data, signature) for key in _eligible(constraints.keys, header)
    )


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
    now = numbers.parse(repr(constraints.time))
    expiry = _date(claims, "exp")
    if expiry is not None and now >= expiry:
        return False
    not_before = _date(claims, "nbf")
    return not_before is None or now >= not_before


def _date(claims: Object, name: str) -> Number | None:
    if name not in claims:
        return None
    value = claims[name]
    if not isinstance(value, (int, Decimal)):
        raise TokenError(f"{name} value must be a number")
    return value
