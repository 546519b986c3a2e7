"""What a JSON Web Key is, and the key that its octets make (RFC 7518, 6; RFC 8037).

Owns which numbers make a key. How a JWK is read is `jwk`'s, what is signed with it `jws`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias, Union

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from authz.rego.builtins.der import DerError
from authz.rego.builtins.ec_points import ec_point
from authz.rego.builtins.rsa_numbers import checked

CURVES: Final = ("Ed25519", "Ed448", "P-256", "P-384", "P-521", "X25519", "X448")
MIN_RSA_BITS: Final = 1024
"""Shorter RSA keys neither sign nor verify, as in Go."""

_EC: Final[dict[str, ec.EllipticCurve]] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
_OKP_SIZES: Final = {"Ed25519": 32, "X25519": 32}
_GO_NAMES: Final = {"RSA": "RSA", "EC": "ECDSA", "OKP": "OKP", "oct": "Symmetric"}
_MAX_EXPONENT: Final = 2**31 - 1

PublicKey: TypeAlias = Union[rsa.RSAPublicKey, ec.EllipticCurvePublicKey, Ed25519PublicKey, bytes]
PrivateKey: TypeAlias = Union[rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, Ed25519PrivateKey, bytes]


class JwkError(ValueError):
    """The text is no key or set of keys; the message is the library's."""


@dataclass(frozen=True, slots=True)
class UnusableKey:
    """A key that signs and verifies nothing: an agreement key, or numbers that no algorithm takes, for the reason given."""

    reason: str = "the numbers of the key do not belong together"


@dataclass(slots=True)
class Jwk:
    """A key as it was read. `key_id` and `algorithm` are "" where there is none."""

    kind: str
    is_private: bool
    octets: dict[str, bytes] = field(default_factory=dict)
    curve: str = ""
    key_id: str = ""
    algorithm: str = ""

    @property
    def go_type(self) -> str:
        """Return the name of the key's type in the library, which its messages have."""
        return f"*jwk.{_GO_NAMES[self.kind].lower()}{self._side}Key"

    @property
    def interface(self) -> str:
        return f"jwk.{_GO_NAMES[self.kind]}{self._side}Key"

    @property
    def _side(self) -> str:
        return "" if self.kind == "oct" else "Private" if self.is_private else "Public"


def validate(jwk: Jwk) -> None:
    """Check that the octets can be a key's. Raises JwkError."""
    checks = {"RSA": _validate_rsa, "EC": _validate_ec, "OKP": _validate_okp, "oct": _validate_octets}
    try:
        checks[jwk.kind](jwk)
    except JwkError as error:
        raise JwkError(f"{jwk.interface}: {error}") from None


def _validate_octets(jwk: Jwk) -> None:
    if not jwk.octets["k"]:
        raise JwkError('missing "k" field')


def _validate_rsa(jwk: Jwk) -> None:
    modulus, exponent = _number(jwk, "n"), _number(jwk, "e")
    if not modulus:
        raise JwkError('missing "n" value')
    if not exponent:
        raise JwkError('missing "e" value')
    if exponent % 2 == 0:
        raise JwkError("invalid rsa public exponent: must be a positive odd integer")
    if exponent.bit_length() >= 64:
        raise JwkError(f"rsa public exponent too large for this platform: {exponent.bit_length()} bits (max 63)")
    if jwk.is_private and not jwk.octets["d"]:
        raise JwkError('missing "d" value')


def _validate_ec(jwk: Jwk) -> None:
    curve = _EC.get(jwk.curve)
    if curve is None:
        raise JwkError(f'invalid curve algorithm "{jwk.curve}": unknown elliptic curve algorithm: "{jwk.curve}"')
    size = (curve.key_size + 7) // 8
    for name in ("x", "y"):
        if len(jwk.octets[name]) != size:
            raise JwkError(f'invalid "{name}" length ({len(jwk.octets[name])}) for curve "{jwk.curve}"')
    _point(jwk, curve)
    if jwk.is_private and len(jwk.octets["d"]) != size:
        raise JwkError(f'invalid "d" length ({len(jwk.octets["d"])}) for curve "{jwk.curve}"')


def _point(jwk: Jwk, curve: ec.EllipticCurve) -> ec.EllipticCurvePublicKey:
    x, y = _number(jwk, "x"), _number(jwk, "y")
    if not x and not y:
        raise JwkError("invalid ECDSA public key: identity point is not a valid public key")
    for name, number in (("x", x), ("y", y)):
        if number.bit_length() > curve.key_size:
            bits = f'{number.bit_length()} bits, exceeds curve "{jwk.curve}" field size of {curve.key_size} bits'
            raise JwkError(f"invalid ECDSA public key: {name} coordinate is {bits}")
    size = (curve.key_size + 7) // 8
    try:
        return ec_point(jwk.curve.replace("-", ""), curve, b"\x04" + x.to_bytes(size, "big") + y.to_bytes(size, "big"))
    except DerError as error:
        raise JwkError(f"invalid ECDSA public key: {error}") from None


def _validate_okp(jwk: Jwk) -> None:
    if not jwk.octets["x"]:
        raise JwkError('missing "x" field')
    size = _OKP_SIZES.get(jwk.curve)
    if size is not None and len(jwk.octets["x"]) != size:
        raise JwkError(f"{jwk.curve.lower()}: wrong public key size")
    if jwk.is_private and not jwk.octets["d"]:
        raise JwkError('missing "d" field')
    if jwk.is_private and size is not None and len(jwk.octets["d"]) != size:
        raise JwkError(f"{jwk.curve.lower()}: wrong private key size")


def export(jwk: Jwk) -> PublicKey | PrivateKey | UnusableKey:
    """Return the key of a JWK, private if that is. Raises JwkError."""
    try:
        return _EXPORTS[jwk.kind](jwk)
    except JwkError as error:
        raise JwkError(f"jwk.Export: failed to export jwk.Key to raw format: {error}") from None


def _export_rsa(jwk: Jwk) -> rsa.RSAPublicKey | rsa.RSAPrivateKey | UnusableKey:
    exponent, modulus = _number(jwk, "e"), _number(jwk, "n")
    for name in ("q", "p") if jwk.is_private else ():
        if name not in jwk.octets:
            raise JwkError(f'missing "{name}" value')
    if jwk.is_private:
        return _rsa_private(jwk, modulus, exponent)
    if modulus.bit_length() < MIN_RSA_BITS or not 3 <= exponent <= _MAX_EXPONENT:
        return UnusableKey()
    try:
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return UnusableKey()


def _rsa_private(jwk: Jwk, modulus: int, exponent: int) -> rsa.RSAPrivateKey | UnusableKey:
    if modulus.bit_length() < MIN_RSA_BITS:
        link = "https://go.dev/pkg/crypto/rsa#hdr-Minimum_key_size"
        return UnusableKey(f"crypto/rsa: {modulus.bit_length()}-bit keys are insecure (see {link})")
    p, q, d = (_number(jwk, name) for name in ("p", "q", "d"))
    dp, dq, qinv = (_number(jwk, name) if name in jwk.octets else None for name in ("dp", "dq", "qi"))
    try:
        return checked(modulus, exponent, (d, p, q), (dp, dq, qinv)).private_key()
    except ValueError as error:
        return UnusableKey(str(error))


def _export_ec(jwk: Jwk) -> ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey | UnusableKey:
    public = _point(jwk, _EC[jwk.curve])
    if not jwk.is_private:
        return public
    try:
        return ec.EllipticCurvePrivateNumbers(_number(jwk, "d"), public.public_numbers()).private_key()
    except ValueError:
        return UnusableKey()


def _export_okp(jwk: Jwk) -> Ed25519PublicKey | Ed25519PrivateKey | UnusableKey:
    if jwk.curve not in _OKP_SIZES:
        raise JwkError(f"{jwk.interface}: failed to build {jwk._side.lower()} key: invalid curve algorithm {jwk.curve}")
    if jwk.curve == "X25519":
        return UnusableKey()
    if not jwk.is_private:
        return Ed25519PublicKey.from_public_bytes(jwk.octets["x"])
    private = Ed25519PrivateKey.from_private_bytes(jwk.octets["d"])
    if private.public_key().public_bytes_raw() != jwk.octets["x"]:
        raise JwkError(f"{jwk.interface}: failed to build private key: ed25519: invalid x value given d value")
    return private


_EXPORTS: Final[dict[str, Callable[[Jwk], PublicKey | PrivateKey | UnusableKey]]] = {
    "RSA": _export_rsa,
    "EC": _export_ec,
    "OKP": _export_okp,
    "oct": lambda jwk: jwk.octets["k"],
}


def _number(jwk: Jwk, name: str) -> int:
    return int.from_bytes(jwk.octets[name], "big")
