"""JSON Web Signature algorithms (RFC 7518, 3; RFC 8037): verifying and signing octets.

A key of another kind than the algorithm's verifies nothing. Knows no headers and no claims.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from authz.rego.builtins.jwk_keys import MIN_RSA_BITS, Jwk, JwkError, UnusableKey


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One entry of the registry: `family` is the name's first two letters."""

    family: str
    hash: hashes.HashAlgorithm
    hash_name: str


_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
ALGORITHMS: Final = {
    f"{family}{size}": Algorithm(family, algorithm, f"sha{size}")
    for family in ("HS", "RS", "PS", "ES")
    for size, algorithm in _HASHES.items()
} | {"EdDSA": Algorithm("Ed", hashes.SHA512(), "sha512")}
"""Every algorithm that a token may be signed by; `none` is not one."""


class SigningError(ValueError):
    """The key cannot sign by the algorithm."""


def has_mac(algorithm: Algorithm, secret: bytes, data: bytes, signature: bytes) -> bool:
    return hmac.compare_digest(hmac.digest(secret, data, algorithm.hash_name), signature)


def verifies(algorithm: Algorithm, key: object, data: bytes, signature: bytes) -> bool:
    """Tell whether the signature of `data` is the key's, by io.jwt.verify_*: only public keys, and salts of PSS of any length."""
    if algorithm.family == "HS" or isinstance(key, bytes):
        return False
    if isinstance(key, ec.EllipticCurvePublicKey):
        half = len(signature) // 2
        return _is_signed(algorithm, key, data, _dss(signature[:half], signature[half:]), padding.PSS.AUTO)
    return _is_signed(algorithm, key, data, signature, padding.PSS.AUTO)


def verifies_strictly(algorithm: Algorithm, key: object, data: bytes, signature: bytes) -> bool:
    """Tell the same by io.jwt.decode_verify: a private key stands for its public one, octets are a secret, lengths are RFC 7518's."""
    if isinstance(key, bytes):
        return algorithm.family == "HS" and has_mac(algorithm, key, data, signature)
    if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey):
        key = key.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        size = (key.curve.key_size + 7) // 8
        if len(signature) != 2 * size:
            return False
        signature = _dss(signature[:size], signature[size:])
    return _is_signed(algorithm, key, data, signature, padding.PSS.DIGEST_LENGTH)


def _dss(r: bytes, s: bytes) -> bytes:
    return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))


def _is_signed(algorithm: Algorithm, key: object, data: bytes, signature: bytes, salt: object) -> bool:
    try:
        if algorithm.family in ("RS", "PS") and isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
            key.verify(signature, data, _padding(algorithm, salt), algorithm.hash)
        elif algorithm.family == "ES" and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(algorithm.hash))
        elif algorithm.family == "Ed" and isinstance(key, Ed25519PublicKey):
            key.verify(signature, data)
        else:
            return False
    except (InvalidSignature, ValueError):
        return False
    return True


def _padding(algorithm: Algorithm, salt: object) -> padding.AsymmetricPadding:
    if algorithm.family == "RS":
        return padding.PKCS1v15()
    return padding.PSS(padding.MGF1(algorithm.hash), salt)  # type: ignore[arg-type]  # a length or one of PSS's markers


def sign(algorithm: Algorithm, jwk: Jwk, key: object, data: bytes) -> bytes:
    """Return the signature of `data` by a JWK, of which `key` is what it exports, or why it does not. Raises SigningError."""
    if jwk.kind != _KINDS[algorithm.family] or (jwk.kind != "oct" and not jwk.is_private) or jwk.curve == "X25519":
        _refuse(algorithm, jwk, _mismatch(algorithm, jwk))
    if isinstance(key, JwkError):
        _refuse(algorithm, jwk, str(key))
    if isinstance(key, bytes):
        return hmac.digest(key, data, algorithm.hash_name)
    if isinstance(key, rsa.RSAPrivateKey):
        try:
            return key.sign(data, _padding(algorithm, padding.PSS.DIGEST_LENGTH), algorithm.hash)
        except ValueError:
            raise SigningError("crypto/rsa: message too long for RSA key size") from None
    if isinstance(key, ec.EllipticCurvePrivateKey):
        size = (key.curve.key_size + 7) // 8
        return b"".join(part.to_bytes(size, "big") for part in decode_dss_signature(key.sign(data, ec.ECDSA(algorithm.hash))))
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(data)
    raise SigningError(key.reason if isinstance(key, UnusableKey) else "the key is of another kind")


_KINDS: Final = {"HS": "oct", "RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_GO_KEYS: Final = {
    "HS": ("[]byte", "keyconv: failed to produce []byte", "*[]uint8"),
    "RS": ("*rsa.PrivateKey", "failed to produce rsa.PrivateKey", "*rsa.PrivateKey"),
    "PS": ("*rsa.PrivateKey", "failed to produce rsa.PrivateKey", "*rsa.PrivateKey"),
    "ES": ("*ecdsa.PrivateKey", "keyconv: failed to produce ecdsa.PrivateKey", "*ecdsa.PrivateKey"),
    "Ed": ("ed25519.PrivateKey", "failed to produce ed25519.PrivateKey", "*ed25519.PrivateKey"),
}
"""For each family of algorithms the type of its key in Go, and what the library says of it."""


def _refuse(algorithm: Algorithm, jwk: Jwk, reason: str) -> NoReturn:
    required, failure, _ = _GO_KEYS[algorithm.family]
    raise SigningError(f"jwsbb.Sign: invalid key type {jwk.go_type}. {required} is required: {failure} from {jwk.go_type}: {reason}")


def _mismatch(algorithm: Algorithm, jwk: Jwk) -> str:
    if jwk.kind != "OKP":
        return f"jwk.Export: no suitable exporter found for key type '{jwk.go_type}'"
    side = "PrivateKey" if jwk.is_private else "PublicKey"
    found = f"*ecdh.{side}" if jwk.curve == "X25519" else f"ed25519.{side}"
    wanted = _GO_KEYS[algorithm.family][2]
    return f"jwk.Export: failed to assign key: argument to AssignIfCompatible() must be compatible with {found} (was {wanted})"
