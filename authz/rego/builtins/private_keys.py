"""Private keys in DER (PKCS #1, PKCS #8, SEC 1) as Go's crypto/x509 reads them, and as JSON: Go's own, and a JWK.

Owns which octets are a private key. Nothing is signed here.
"""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from typing import Final, TypeAlias, Union

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from authz.rego.builtins.asn1_values import Asn1Error, syntax_error
from authz.rego.builtins.der import DerError, Oid
from authz.rego.builtins.go_asn1 import Field, Slice, Struct, unmarshal
from authz.rego.builtins.public_keys import ALGORITHM_IDENTIFIER, CURVES, EC, ED25519, RSA, X25519, ec_document
from authz.rego.builtins.rsa_numbers import RsaNumbers, checked
from authz.rego.values import Document

PrivateKey: TypeAlias = Union[RsaNumbers, ec.EllipticCurvePrivateKey, Ed25519PrivateKey, X25519PrivateKey]

_PKCS8: Final = Struct("pkcs8", (("version", Field("int")), ("algorithm", Field(ALGORITHM_IDENTIFIER)), ("key", Field("octets"))))
_PRIME: Final = Struct("pkcs1AdditionalRSAPrime", (("prime", Field("big")), ("exp", Field("big")), ("coeff", Field("big"))))
_PKCS1: Final = Struct(
    "pkcs1PrivateKey",
    (
        ("version", Field("int")), ("n", Field("big")), ("e", Field("int")), ("d", Field("big")), ("p", Field("big")), ("q", Field("big")),
        ("dp", Field("big", optional=True)), ("dq", Field("big", optional=True)), ("qinv", Field("big", optional=True)),
        ("primes", Field(Slice(_PRIME), optional=True)),
    ),
)  # fmt: skip
_SEC1: Final = Struct(
    "ecPrivateKey",
    (
        ("version", Field("int")),
        ("key", Field("octets")),
        ("curve", Field("oid", optional=True, explicit=True, tag=0)),
        ("public", Field("bits", optional=True, explicit=True, tag=1)),
    ),
)
_SIZE: Final = 32


def parse_pkcs1(data: bytes) -> RsaNumbers:
    """Return an RSA key. Raises Asn1Error and DerError, as the other two do."""
    try:
        fields, rest = unmarshal(data, _PKCS1)
    except Asn1Error:
        _suggest(data, ("ParseECPrivateKey", _SEC1), ("ParsePKCS8PrivateKey", _PKCS8))
        raise
    if rest:
        raise syntax_error("trailing data")
    if fields["version"] > 1:
        raise DerError("x509: unsupported private key version")
    numbers = [fields[name] for name in ("n", "d", "p", "q", "dp", "dq", "qinv") if fields[name] is not None]
    if min(numbers) <= 0:
        raise DerError("x509: private key contains zero or negative value")
    if fields["primes"]:
        raise DerError("x509: keys of more than two primes are not supported")
    n, e, d, p, q, dp, dq, qinv = (fields[name] for name in ("n", "e", "d", "p", "q", "dp", "dq", "qinv"))
    return checked(n, e, (d, p, q), (dp, dq, qinv))


def parse_sec1(data: bytes, curve: Oid | None = None) -> ec.EllipticCurvePrivateKey:
    """Return a key of an elliptic curve, which the key itself names where nothing else does."""
    try:
        fields, _ = unmarshal(data, _SEC1)
    except Asn1Error as error:
        _suggest(data, ("ParsePKCS8PrivateKey", _PKCS8), ("ParsePKCS1PrivateKey", _PKCS1))
        raise DerError(f"x509: failed to parse EC private key: {error}") from None
    if fields["version"] != 1:
        raise DerError(f"x509: unknown EC private key version {fields['version']}")
    _, found = CURVES.get(curve or fields["curve"], ("", None))
    if found is None:
        raise DerError("x509: unknown elliptic curve")
    size, octets = (found.key_size + 7) // 8, fields["key"]
    if octets[:-size].strip(b"\x00"):
        raise DerError("x509: invalid private key length")
    number = int.from_bytes(octets, "big")
    if not number:
        raise DerError("ecdsa: private key is zero")
    try:
        return ec.derive_private_key(number, found)
    except ValueError:
        raise DerError("input overflows the modulus") from None


def parse_pkcs8(data: bytes) -> PrivateKey:
    """Return a key of any kind that Go knows."""
    try:
        fields, _ = unmarshal(data, _PKCS8)
    except Asn1Error:
        _suggest(data, ("ParseECPrivateKey", _SEC1), ("ParsePKCS1PrivateKey", _PKCS1))
        raise
    oid, parameters = fields["algorithm"]["algorithm"], fields["algorithm"]["parameters"]
    if oid == RSA:
        return _embedded("RSA", lambda: parse_pkcs1(fields["key"]))
    if oid == EC:
        return _embedded("EC", lambda: parse_sec1(fields["key"], _curve(parameters.full if parameters else b"")))
    if oid not in (ED25519, X25519):
        raise DerError(f"x509: PKCS#8 wrapping contained private key with unknown algorithm: {'.'.join(map(str, oid))}")
    name = "Ed25519" if oid == ED25519 else "X25519"
    if parameters:
        raise DerError(f"x509: invalid {name} private key parameters")
    try:
        seed, _ = unmarshal(fields["key"], "octets")
    except Asn1Error as error:
        raise DerError(f"x509: invalid {name} private key: {error}") from None
    if len(seed) != _SIZE:
        raise DerError(
            f"x509: invalid Ed25519 private key length: {len(seed)}" if oid == ED25519 else "crypto/ecdh: invalid private key size"
        )
    return Ed25519PrivateKey.from_private_bytes(seed) if oid == ED25519 else X25519PrivateKey.from_private_bytes(seed)


def _embedded(kind: str, read: Callable[[], PrivateKey]) -> PrivateKey:
    try:
        return read()
    except (Asn1Error, DerError) as error:
        raise DerError(f"x509: failed to parse {kind} private key embedded in PKCS#8: {error}") from None


def _curve(parameters: bytes) -> Oid | None:
    try:
        oid: Oid = unmarshal(parameters, "oid")[0]
    except Asn1Error:
        return None
    return oid


def _suggest(data: bytes, *formats: tuple[str, Struct]) -> None:
    """Say so if the octets are a key of another format."""
    for name, struct in formats:
        try:
            unmarshal(data, struct)
        except Asn1Error:
            continue
        raise DerError(f"x509: failed to parse private key (use {name} instead for this key format)")


def private_key_document(key: PrivateKey) -> Document:
    """Return the JSON of a Go private key."""
    if isinstance(key, RsaNumbers):
        derived = {"Dp": key.dp, "Dq": key.dq, "Qinv": key.qinv, "CRTValues": []}
        return {"N": key.n, "E": key.e, "D": key.d, "Primes": [key.p, key.q], "Precomputed": derived}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        document = ec_document(key.public_key())
        return {**document, "D": key.private_numbers().private_value} if isinstance(document, dict) else None
    if isinstance(key, Ed25519PrivateKey):
        return b64encode(key.private_bytes_raw() + key.public_key().public_bytes_raw()).decode()
    return {}


def private_jwk(key: PrivateKey) -> Document:
    """Return the key as a private JWK (RFC 7518, 6; RFC 8037)."""
    if isinstance(key, RsaNumbers):
        members = {"n": key.n, "e": key.e, "d": key.d, "p": key.p, "q": key.q, "dp": key.dp, "dq": key.dq, "qi": key.qinv}
        return {"kty": "RSA"} | {name: _base64url(number) for name, number in members.items()}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        if key.curve.name == "secp224r1":
            kind = "jwk: failed to get algorithm for converting ECDSA private key to JWK: unknown elliptic curve"
            raise DerError(f"failed to initialize *jwk.ecdsaPrivateKey from *ecdsa.PrivateKey: {kind}: P-224")
        point, size = key.public_key().public_numbers(), (key.curve.key_size + 7) // 8
        coordinates = {"x": point.x, "y": point.y, "d": key.private_numbers().private_value}
        return {"kty": "EC", "crv": f"P-{key.curve.key_size}"} | {name: _base64url(number, size) for name, number in coordinates.items()}
    halves = {"d": key.private_bytes_raw(), "x": key.public_key().public_bytes_raw()}
    curve = "Ed25519" if isinstance(key, Ed25519PrivateKey) else "X25519"
    return {"kty": "OKP", "crv": curve} | {name: _base64url(int.from_bytes(half, "big"), _SIZE) for name, half in halves.items()}


def _base64url(number: int, size: int = 0) -> str:
    return urlsafe_b64encode(number.to_bytes(size or (number.bit_length() + 7) // 8, "big")).decode().rstrip("=")
