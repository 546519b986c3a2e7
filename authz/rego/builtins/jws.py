"""JSON Web Signature algorithms (RFC 7518, 3; RFC 8037): verifying and signing octets.

A key that does not fit the algorithm (type, curve) verifies nothing. Knows no headers
and no claims.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One entry of the registry: `family` is the name's first two letters; `curve_bits` is ECDSA's."""

    family: str
    hash: hashes.HashAlgorithm
    hash_name: str
    curve_bits: int


_SIZES: Final[dict[str, tuple[hashes.HashAlgorithm, int]]] = {
    "256": (hashes.SHA256(), 256),
    "384": (hashes.SHA384(), 384),
    "512": (hashes.SHA512(), 521),
}
ALGORITHMS: Final = {
    f"{family}{size}": Algorithm(family, algorithm, f"sha{size}", curve_bits)
    for family in ("HS", "RS", "PS", "ES")
    for size, (algorithm, curve_bits) in _SIZES.items()
} | {"EdDSA": Algorithm("Ed", hashes.SHA512(), "sha512", 0)}
"""Every algorithm that a token may be signed by; `none` is not one."""


class SigningError(ValueError):
    """The key cannot sign by the algorithm."""


def verifies(algorithm: Algorithm, key: object, data: bytes, signature: bytes) -> bool:
    """Tell whether the signature of `data` is the key's. A key of another kind is no error, only not the signer's."""
    if algorithm.family == "HS":
        return isinstance(key, bytes) and hmac.compare_digest(hmac.digest(key, data, algorithm.hash_name), signature)
    try:
        return _verify(algorithm, key, data, signature)
    except InvalidSignature:
        return False


def _verify(algorithm: Algorithm, key: object, data: bytes, signature: bytes) -> bool:
    if algorithm.family in ("RS", "PS") and isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, data, _padding(algorithm, padding.PSS.AUTO), algorithm.hash)
        return True
    if algorithm.family == "ES" and isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size == algorithm.curve_bits:
        size = (algorithm.curve_bits + 7) // 8
        if len(signature) != 2 * size:
            return False
        parts = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        key.verify(encode_dss_signature(*parts), data, ec.ECDSA(algorithm.hash))
        return True
    if algorithm.family == "Ed" and isinstance(key, Ed25519PublicKey):
        key.verify(signature, data)
        return True
    return False


def _padding(algorithm: Algorithm, salt: object) -> padding.AsymmetricPadding:
    if algorithm.family == "RS":
        return padding.PKCS1v15()
    return padding.PSS(padding.MGF1(algorithm.hash), salt)  # type: ignore[arg-type]  # a length or one of PSS's markers


def sign(algorithm: Algorithm, key: object, data: bytes) -> bytes:
    """Return the signature of `data`. Raises SigningError for a key of another kind."""
    if algorithm.family == "HS" and isinstance(key, bytes):
        return hmac.digest(key, data, algorithm.hash_name)
    if algorithm.family in ("RS", "PS") and isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, _padding(algorithm, padding.PSS.DIGEST_LENGTH), algorithm.hash)
    if algorithm.family == "ES" and isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size == algorithm.curve_bits:
        size = (algorithm.curve_bits + 7) // 8
        return b"".join(part.to_bytes(size, "big") for part in decode_dss_signature(key.sign(data, ec.ECDSA(algorithm.hash))))
    if algorithm.family == "Ed" and isinstance(key, Ed25519PrivateKey):
        return key.sign(data)
    raise SigningError("jwsbb.Sign: invalid key type")
