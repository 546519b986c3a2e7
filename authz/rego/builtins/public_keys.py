"""The public keys of certificates: which there are, and how Go's crypto packages write them as JSON.

Reads SubjectPublicKeyInfo (RFC 5280, 4.1.2.7). Private keys are `private_keys`'.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from authz.rego.builtins.der import NULL, SEQUENCE, Der, DerError, Oid, right_aligned
from authz.rego.builtins.ec_points import ec_point
from authz.rego.builtins.go_asn1 import Field, Struct, unmarshal
from authz.rego.builtins.jwk_keys import MIN_RSA_BITS
from authz.rego.values import Document

RSA: Final = (1, 2, 840, 113549, 1, 1, 1)
DSA: Final = (1, 2, 840, 10040, 4, 1)
EC: Final = (1, 2, 840, 10045, 2, 1)
X25519: Final = (1, 3, 101, 110)
ED25519: Final = (1, 3, 101, 112)
CURVES: Final[dict[Oid, tuple[str, ec.EllipticCurve]]] = {
    (1, 3, 132, 0, 33): ("P224", ec.SECP224R1()),
    (1, 2, 840, 10045, 3, 1, 7): ("P256", ec.SECP256R1()),
    (1, 3, 132, 0, 34): ("P384", ec.SECP384R1()),
    (1, 3, 132, 0, 35): ("P521", ec.SECP521R1()),
}
ALGORITHM_IDENTIFIER: Final = Struct("AlgorithmIdentifier", (("algorithm", Field("oid")), ("parameters", Field("raw", optional=True))))
SPKI: Final = Struct("publicKeyInfo", (("algorithm", Field(ALGORITHM_IDENTIFIER)), ("key", Field("bits"))))
_NUMBERS: Final = {RSA: 1, DSA: 2, EC: 3, ED25519: 4}
"""Go's numbers for the kinds of keys; 0 is for those that it does not know."""


@dataclass(frozen=True, slots=True)
class AlgorithmIdentifier:
    """An algorithm and the octets of its parameters, empty where there are none."""

    oid: Oid
    parameters: bytes


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key: Go's number for its kind, its JSON, and the key itself where it can verify anything."""

    algorithm: int
    document: Document
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey | Ed25519PublicKey | None = None


def read_algorithm(der: Der) -> AlgorithmIdentifier:
    oid = der.oid("x509: malformed OID")
    return AlgorithmIdentifier(oid, der.any_element("x509: malformed parameters")[2] if der else b"")


def read_public_key(algorithm: AlgorithmIdentifier, data: bytes, unused_bits: int) -> PublicKey:
    """Return the key; one of a kind that Go does not know has no document. Raises DerError."""
    return _known_key(algorithm, data, unused_bits) if algorithm.oid in _NUMBERS else PublicKey(0, None)


def read_spki(data: bytes) -> PublicKey:
    """Return the key of a SubjectPublicKeyInfo that stands alone, as in a PEM block. Raises Asn1Error and DerError."""
    fields, rest = unmarshal(data, SPKI)
    if rest:
        raise DerError("x509: trailing data after ASN.1 of public-key")
    oid, parameters = fields["algorithm"]["algorithm"], fields["algorithm"]["parameters"]
    if oid == X25519:
        return PublicKey(0, {})
    if oid not in _NUMBERS:
        raise DerError("x509: unknown public key algorithm")
    return _known_key(AlgorithmIdentifier(oid, parameters.full if parameters else b""), *fields["key"])


def _known_key(algorithm: AlgorithmIdentifier, data: bytes, unused_bits: int) -> PublicKey:
    read = {RSA: _rsa, DSA: _dsa, EC: _ec, ED25519: _ed25519}
    return read[algorithm.oid](algorithm, right_aligned(data, unused_bits) if unused_bits else data)


def _rsa(algorithm: AlgorithmIdentifier, data: bytes) -> PublicKey:
    if algorithm.parameters != NULL:
        raise DerError("x509: RSA key missing NULL parameters")
    der = Der(data).value(SEQUENCE, "x509: invalid RSA public key")
    modulus = der.integer("x509: invalid RSA modulus")
    exponent = der.int64("x509: invalid RSA public exponent")
    if modulus <= 0:
        raise DerError("x509: RSA modulus is not a positive number")
    if exponent <= 0:
        raise DerError("x509: RSA public exponent is not a positive number")
    return PublicKey(1, {"N": modulus, "E": exponent}, rsa_key(modulus, exponent))


def rsa_key(modulus: int, exponent: int) -> rsa.RSAPublicKey | None:
    """Return the key of these numbers; None for those that Go verifies nothing with."""
    if modulus.bit_length() < MIN_RSA_BITS or not 2 <= exponent < 2**31:
        return None
    try:
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        return None


def _dsa(algorithm: AlgorithmIdentifier, data: bytes) -> PublicKey:
    y = Der(data).integer("x509: invalid DSA public key")
    parameters = Der(algorithm.parameters).value(SEQUENCE, "x509: invalid DSA parameters")
    p, q, g = (parameters.integer("x509: invalid DSA parameters") for _ in range(3))
    if min(y, p, q, g) <= 0:
        raise DerError("x509: zero or negative DSA parameter")
    return PublicKey(2, {"P": p, "Q": q, "G": g, "Y": y})


def _ec(algorithm: AlgorithmIdentifier, data: bytes) -> PublicKey:
    curve = CURVES.get(Der(algorithm.parameters).oid("x509: invalid ECDSA parameters"))
    if curve is None:
        raise DerError("x509: unsupported elliptic curve")
    key = ec_point(*curve, data)
    return PublicKey(3, ec_document(key), key)


def ec_document(key: ec.EllipticCurvePublicKey) -> Document:
    point = key.public_numbers()
    return {"Curve": {}, "X": point.x, "Y": point.y}


def _ed25519(algorithm: AlgorithmIdentifier, data: bytes) -> PublicKey:
    if algorithm.parameters:
        raise DerError("x509: Ed25519 key encoded with illegal parameters")
    if len(data) != 32:
        raise DerError("x509: wrong Ed25519 public key size")
    return PublicKey(4, b64encode(data).decode(), Ed25519PublicKey.from_public_bytes(data))
