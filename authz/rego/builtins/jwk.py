"""JSON Web Keys and sets of them (RFC 7517) as the JOSE library of OPA reads them, in its words.

Owns which members a key has and what they may be. What key their octets make is `jwk_keys`'.
"""

from __future__ import annotations

import json
from typing import Final

from authz.rego.builtins.asn1_values import Asn1Error
from authz.rego.builtins.certificate import parse_certificate
from authz.rego.builtins.der import DerError
from authz.rego.builtins.encoding import decode_base64
from authz.rego.builtins.fast_json import FastJsonError, members_of
from authz.rego.builtins.json_errors import value_error
from authz.rego.builtins.jwk_keys import CURVES, Jwk, JwkError, validate
from authz.rego.builtins.octets import bytes_of
from authz.rego.render import quote
from authz.rego.values import without_surrogates

MAX_KEYS: Final = 1000

_ALGORITHMS: Final = frozenset(
    [f"{family}{size}" for family in ("HS", "RS", "PS", "ES") for size in (256, 384, 512)]
    + ["none", "ES256K", "EdDSA", "Ed25519", "dir", "RSA1_5", "RSA-OAEP", "RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512"]
    + ["ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW"]
    + [f"A{size}{end}" for size in (128, 192, 256) for end in ("KW", "GCMKW", "GCM")]
    + ["PBES2-HS256+A128KW", "PBES2-HS384+A192KW", "PBES2-HS512+A256KW", "A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512"]
)
_TEXTS: Final = ("kid", "use", "x5t", "x5t#S256", "x5u")
_OCTETS: Final = {
    ("RSA", False): ("e", "n"),
    ("RSA", True): ("d", "dp", "dq", "e", "n", "p", "q", "qi"),
    ("EC", False): ("x", "y"),
    ("EC", True): ("d", "x", "y"),
    ("OKP", False): ("x",),
    ("OKP", True): ("d", "x"),
    ("oct", False): ("k",),
    ("oct", True): ("k",),
}
_OPTIONAL: Final = ("dp", "dq", "p", "q", "qi")


class _Members(list[tuple[str, object]]):
    """The members of a JSON object in their order, doubles included."""


class _Number(str):
    """A JSON number's text."""


def parse_jwks(text: str) -> list[Jwk]:
    """Return the keys of a set, or the one key that a text is."""
    try:
        is_set = "keys" in members_of(text)
    except FastJsonError:
        is_set = False
    try:
        return _set(_json(text)) if is_set else [_key(_json(text, _PROBING))]
    except JwkError as error:
        raise JwkError(f"jwk.Parse: failed to {'unmarshal JWK set' if is_set else 'parse sole key'}: {error}") from None


_PROBING: Final = "jwk.ParseKey: jwk.Parse: failed to probe data: probe: failed to unmarshal data: "
"""What stands before the errors of the first look at a key."""


def _json(text: str, reading: str = "") -> object:
    """Read one value; what follows it is not looked at."""
    error = value_error(text)
    if error is not None:
        raise JwkError(f"{reading}{error}")
    decoder = json.JSONDecoder(object_pairs_hook=_Members, parse_int=_Number, parse_float=_Number, strict=False)
    try:
        return decoder.raw_decode(without_surrogates(text).lstrip(" \t\r\n"))[0]
    except RecursionError:
        raise JwkError(f"{reading}exceeded max depth") from None


def _set(document: object) -> list[Jwk]:
    keys: list[Jwk] = []
    for name, value in document if isinstance(document, _Members) else ():
        if name != "keys":
            continue
        if not isinstance(value, list) or isinstance(value, _Members):
            raise JwkError(f"failed to decode \"keys\": expected '[' but got {_shown(value)}")
        for position, item in enumerate(value):
            if len(keys) >= MAX_KEYS:
                raise JwkError(f'too many keys in "keys" array: max {MAX_KEYS}')
            try:
                keys.append(_key(item))
            except JwkError as error:
                raise JwkError(f'failed to decode key #{position} in "keys": {error}') from None
    return keys


def _shown(value: object) -> str:
    """Return a JSON value as Go's `%v` writes the first token of it."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, _Number):
        number = float(value)
        return f"{number:.0f}" if number.is_integer() and abs(number) < 1e21 else repr(number)
    return "{" if isinstance(value, _Members) else str(value)


def _key(value: object) -> Jwk:
    kind, is_private = _probed(value)
    if (kind, is_private) not in _OCTETS:
        raise JwkError(f"jwk.ParseKey: invalid key type from JSON ({kind})")
    jwk = Jwk(kind, is_private)
    try:
        for name, member in value if isinstance(value, _Members) else ():
            _read(jwk, name, member)
        required = [name for name in _OCTETS[kind, is_private] if name not in _OPTIONAL]
        missing = ["crv"] if kind in ("EC", "OKP") and not jwk.curve else [name for name in required if name not in jwk.octets]
        if missing:
            raise JwkError(f"required field {missing[0]} is missing")
    except JwkError as error:
        unmarshal = f"failed to unmarshal JSON into key ({jwk.go_type}): "
        raise JwkError(f"jwk.ParseKey: {unmarshal}{unmarshal}{error}") from None
    try:
        validate(jwk)
    except JwkError as error:
        raise JwkError(f"jwk.ParseKey: jwk.Parse: key validation failed: key validation failed: {error}") from None
    return jwk


def _probed(value: object) -> tuple[str, bool]:
    """Return what a first look at a key finds: its type, and whether it is private. Names count in any case there."""
    probing = f"{_PROBING}json: cannot unmarshal"
    if value is not None and not isinstance(value, _Members):
        probe = 'struct { Kty string "json:\\"kty\\""; D json.RawMessage "json:\\"d,omitempty\\"" }'
        raise JwkError(f"{probing} {_kind(value)} into Go value of type {probe}")
    kind, is_private = "", False
    for name, member in value or ():
        folded = name.replace("\u212a", "k").lower()
        is_private = is_private or folded == "d"
        if folded != "kty" or member is None:
            continue
        if type(member) is not str:
            raise JwkError(f"{probing} {_kind(member)} into Go struct field .kty of type string")
        kind = member
    return kind, is_private


def _read(jwk: Jwk, name: str, value: object) -> None:
    """Take one member of a key; those of no meaning pass."""
    octets = _OCTETS[jwk.kind, jwk.is_private]
    if name == "kty":
        if value != jwk.kind:
            raise JwkError(f"invalid kty value for RSAPublicKey ({_text(value)})")
    elif name in octets or name in ("alg", "crv", "key_ops", "x5c", *_TEXTS):
        try:
            _take(jwk, name, value, is_octets=name in octets)
        except JwkError as error:
            raise JwkError(f"failed to decode value for key {name}: {error}") from None


def _take(jwk: Jwk, name: str, value: object, *, is_octets: bool) -> None:
    if is_octets:
        jwk.octets[name] = _octets(_next_text(value))
    elif name in _TEXTS:
        text = _next_text(value)
        jwk.key_id = text if name == "kid" else jwk.key_id
    elif name == "alg":
        jwk.algorithm = _algorithm(_text(value))
    elif name == "key_ops":
        _operations(value)
    elif name == "x5c":
        _certificates(value)
    elif jwk.kind in ("EC", "OKP"):
        jwk.curve = _curve(value)


def _next_text(value: object) -> str:
    try:
        return _text(value)
    except JwkError as error:
        raise JwkError(f"error reading next value: {error}") from None


def _text(value: object, go_type: str = "string") -> str:
    if value is None:
        return ""
    if type(value) is not str:
        raise JwkError(f"json: cannot unmarshal {_kind(value)} into Go value of type {go_type}")
    return value


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, _Number):
        return "number"
    return "object" if isinstance(value, _Members) else "array" if isinstance(value, list) else "string"


def _algorithm(name: str) -> str:
    if name not in _ALGORITHMS:
        shown = name if len(name) <= 64 else f"{name[:64]}..."
        raise JwkError(f"invalid key value: {quote(shown)}: invalid key algorithm")
    return name


def _curve(value: object) -> str:
    try:
        name = _text(value)
    except JwkError as error:
        raise JwkError(f"failed to unmarshal EllipticCurveAlgorithm: {error}") from None
    if name not in CURVES:
        raise JwkError(f"unknown EllipticCurveAlgorithm: {quote(name)}")
    return name


def _operations(value: object) -> None:
    if value is not None and (not isinstance(value, list) or isinstance(value, _Members)):
        raise JwkError(f"json: cannot unmarshal {_kind(value)} into Go value of type jwk.KeyOperationList")
    for operation in value or ():
        _text(operation, "jwk.KeyOperation")


def _certificates(value: object) -> None:
    if not isinstance(value, list) or isinstance(value, _Members):
        raise JwkError("failed to unmarshal certificate chain: expected JSON array")
    for position, item in enumerate(value):
        try:
            parse_certificate(_certificate(item))
        except JwkError as error:
            raise JwkError(f"failed to decode certificate at index {position}: {error}") from None
        except (Asn1Error, DerError) as error:
            raise JwkError(f"failed to decode certificate at index {position}: failed to parse x509 certificate: {error}") from None


def _certificate(value: object) -> bytes:
    try:
        return decode_base64(bytes_of("".join(_text(value).split())))
    except JwkError:
        raise
    except ValueError as error:
        raise JwkError(f"failed to base64 decode the certificate: {error}") from None


def _octets(text: str) -> bytes:
    """Decode base64 of whichever alphabet and padding its characters are of."""
    data = bytes_of(text)
    is_raw, is_url = not data.endswith(b"="), b"+" not in data and b"/" not in data
    joined = data.translate(None, b"\r\n")
    try:
        if (is_raw and b"=" in joined) or len(joined) % 4 == 1 or (not is_url and (b"-" in joined or b"_" in joined)):
            raise ValueError
        return decode_base64(joined.translate(bytes.maketrans(b"-_", b"+/")) + b"=" * (-len(joined) % 4 if is_raw else 0))
    except ValueError:
        raise JwkError("expected base64 encoded []byte (string)") from None
