"""Keys as policies write them: PEM certificates and public keys, JWK and JWKS text, private JWKs.

Owns reading them, with a bounded cache, since a policy has few keys and checks many
tokens. Knows no tokens and no algorithms.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias, Union

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from authz.rego.builtins.documents import value_of_json
from authz.rego.builtins.encoding import base64url_decode, decode_base64
from authz.rego.values import Object, Value

MAX_KEY_TEXT: Final = 262_144
"""Characters that a certificate, a key or a key set may have."""

_CACHED_TEXTS: Final = 256
_CURVES: Final[dict[str, ec.EllipticCurve]] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
_PEM: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s*?\n?(?:[A-Za-z-]+: [^\n]*\n)*([A-Za-z0-9+/=\s]*?)-----END \1-----\r?\n?")

PublicKey: TypeAlias = Union[rsa.RSAPublicKey, ec.EllipticCurvePublicKey, Ed25519PublicKey, bytes]
PrivateKey: TypeAlias = Union[rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, Ed25519PrivateKey, bytes]


class KeyTextError(ValueError):
    """The text holds no usable key; the message is for the built-in's error."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key to verify with: `key_id` and `algorithm` are "" where the text does not bind it to one."""

    key: object
    key_id: str = ""
    algorithm: str = ""


def pem_blocks(text: str) -> list[tuple[str, bytes]]:
    """Return (type, DER) of every PEM block in the text; what stands between them is ignored."""
    blocks: list[tuple[str, bytes]] = []
    for found in _PEM.finditer(text):
        try:
            blocks.append((found[1], decode_base64("".join(found[2].split()).encode())))
        except ValueError:
            continue
    return blocks


@lru_cache(_CACHED_TEXTS)
def verification_keys(text: str) -> tuple[VerificationKey, ...]:
    """Return the public keys of a PEM certificate or key, a JWK or a JWKS. Raises KeyTextError."""
    if len(text) > MAX_KEY_TEXT:
        raise KeyTextError(f"key has more than {MAX_KEY_TEXT} characters")
    found = _PEM.search(text)
    if found is None:
        return tuple(_verification_key(jwk) for jwk in _jwks("failed to parse a JWK key (set): jwk.ParseString", text))
    if found.end() != len(text):
        raise KeyTextError("extra data after a PEM certificate block")
    return (VerificationKey(_pem_key(*pem_blocks(text)[0])),)


def _pem_key(kind: str, der: bytes) -> object:
    what, load = _PEM_LOADERS.get(kind, ("", None))
    if load is None:
        raise KeyTextError("failed to extract a Key from the PEM certificate")
    try:
        return load(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyTextError(f"failed to parse a PEM {what}: {error}") from None


_PEM_LOADERS: Final[dict[str, tuple[str, Callable[[bytes], object]]]] = {
    "CERTIFICATE": ("certificate", lambda der: x509.load_der_x509_certificate(der).public_key()),
    "PUBLIC KEY": ("public key", load_der_public_key),
}


def _jwks(prefix: str, text: str) -> list[Object]:
    try:
        document = value_of_json(text)
    except ValueError as error:
        raise KeyTextError(f"{prefix}: failed to unmarshal data: {error}") from None
    keys = document.get("keys", (document,)) if isinstance(document, Object) else (document,)
    members = [key for key in keys if isinstance(key, Object)] if isinstance(keys, tuple) else []
    if not isinstance(keys, tuple) or len(members) != len(keys):
        raise KeyTextError(f"{prefix}: a key must be an object")
    return members


def _verification_key(jwk: Object) -> VerificationKey:
    try:
        key = _public_key(jwk)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyTextError(f"failed to parse a JWK key (set): {error}") from None
    return VerificationKey(key, _member(jwk, "kid", ""), _member(jwk, "alg", ""))


def _public_key(jwk: Object) -> PublicKey:
    kind = _member(jwk, "kty", "")
    if kind == "RSA":
        return rsa.RSAPublicNumbers(_number(jwk, "e"), _number(jwk, "n")).public_key()
    if kind == "EC":
        return ec.EllipticCurvePublicNumbers(_number(jwk, "x"), _number(jwk, "y"), _curve(jwk)).public_key()
    if kind == "OKP" and _member(jwk, "crv") == "Ed25519":
        return Ed25519PublicKey.from_public_bytes(_octets(jwk, "x"))
    if kind == "oct":
        return _octets(jwk, "k")
    raise ValueError(f"jwk.ParseKey: invalid key type from JSON ({kind})")


@lru_cache(_CACHED_TEXTS)
def signing_key(text: str) -> PrivateKey:
    """Return the private (or shared) key of a JWK, or of a JWKS's first key. Raises KeyTextError."""
    if len(text) > MAX_KEY_TEXT:
        raise KeyTextError(f"key has more than {MAX_KEY_TEXT} characters")
    keys = _jwks("jwk.Parse", text)
    if not keys:
        raise KeyTextError("no keys found in JWK set")
    try:
        return _private_key(keys[0])
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyTextError(f"jwk.Parse: {error}") from None


def _private_key(jwk: Object) -> PrivateKey:
    kind = _member(jwk, "kty", "")
    if kind == "oct":
        return _octets(jwk, "k")
    if kind == "RSA":
        p, q, d = (_number(jwk, name) for name in ("p", "q", "d"))
        public = rsa.RSAPublicNumbers(_number(jwk, "e"), _number(jwk, "n"))
        crt = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
        return rsa.RSAPrivateNumbers(p, q, d, *crt, public).private_key()
    if kind == "EC":
        public_numbers = ec.EllipticCurvePublicNumbers(_number(jwk, "x"), _number(jwk, "y"), _curve(jwk))
        return ec.EllipticCurvePrivateNumbers(_number(jwk, "d"), public_numbers).private_key()
    if kind == "OKP" and _member(jwk, "crv") == "Ed25519":
        return Ed25519PrivateKey.from_private_bytes(_octets(jwk, "d"))
    raise ValueError(f"jwk.ParseKey: invalid key type from JSON ({kind})")


def _member(jwk: Object, name: str, default: str | None = None) -> str:
    value: Value | None = jwk.get(name, default)
    if type(value) is not str:
        raise ValueError(f"required field {name} is missing" if value is None else f"field {name} must be a string")
    return value


def _octets(jwk: Object, name: str) -> bytes:
    return base64url_decode(_member(jwk, name))


def _number(jwk: Object, name: str) -> int:
    return int.from_bytes(_octets(jwk, name), "big")


def _curve(jwk: Object) -> ec.EllipticCurve:
    name = _member(jwk, "crv")
    if name not in _CURVES:
        raise ValueError(f"invalid curve algorithm {name}")
    return _CURVES[name]
