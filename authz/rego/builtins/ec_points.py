"""Points of NIST's elliptic curves: which octets are one, in the words of Go's crypto/internal/nistec.

Knows neither certificates nor JSON Web Keys, and no signatures.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from authz.rego.builtins.der import DerError

_FIELDS: Final = {
    "P224": 2**224 - 2**96 + 1,
    "P256": 2**256 - 2**224 + 2**192 + 2**96 - 1,
    "P384": 2**384 - 2**128 - 2**96 + 2**32 - 1,
    "P521": 2**521 - 1,
}
_ELEMENTS: Final = {"P224": "P224Element", "P256": "P256 element", "P384": "P384Element", "P521": "P521Element"}


def ec_point(name: str, curve: ec.EllipticCurve, data: bytes) -> ec.EllipticCurvePublicKey:
    """Return the key of an uncompressed point; `name` is Go's for the curve. Raises DerError."""
    size = (curve.key_size + 7) // 8
    if data[:1] != b"\x04":
        raise DerError("ecdsa: invalid uncompressed public key")
    if len(data) != 1 + 2 * size:
        raise DerError(f"invalid {name} point encoding")
    coordinates = int.from_bytes(data[1 : 1 + size], "big"), int.from_bytes(data[1 + size :], "big")
    if max(coordinates) >= _FIELDS[name]:
        raise DerError(f"invalid {_ELEMENTS[name]} encoding")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, data)
    except ValueError:
        raise DerError(f"{name} point not on curve") from None
