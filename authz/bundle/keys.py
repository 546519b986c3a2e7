"""Keys of signatures as configured: an algorithm, what verifies, what signs. Reads no files.

A key is bound to its algorithm here; what a token says of itself never chooses one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from jwt.algorithms import Algorithm, get_default_algorithms

from authz.bundle.errors import SignatureError

DEFAULT_ALGORITHM: Final = "RS256"
_CURVE_BITS: Final = {"ES256": 256, "ES384": 384, "ES512": 521}
_ALGORITHMS: Final[dict[str, Algorithm]] = {
    name: algorithm
    for name, algorithm in get_default_algorithms().items()
    if name == "EdDSA" or name in _CURVE_BITS or name[:2] in ("HS", "RS", "PS")
}
ALGORITHM_NAMES: Final = tuple(sorted(_ALGORITHMS))
"""What bundles are signed by."""

_PROBE: Final = b"does this key sign by this algorithm?"


_Curve: TypeAlias = ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the configuration. `key` is a public key in PEM (PKIX, PKCS #1, or in a certificate) or an HMAC secret.

    `private_key` is a private key in PEM (an HMAC secret signs, too); either may be empty. `scope` is what a signature by this key
    is for, where a bundle's own settings do not say.
    """

    id: str
    key: str = field(default="", repr=False)
    algorithm: str = DEFAULT_ALGORITHM
    scope: str = ""
    private_key: str = field(default="", repr=False)

    def check(self) -> None:
        """Raise SignatureError if the key can neither verify nor sign, or does not fit its algorithm."""
        if not (self.key or self.private_key):
            raise SignatureError(f"key `{self.id}` has neither `key` nor `private_key`")
        if self.key:
            self.verifies(_PROBE, b"")
        if self.private_key:
            self.sign(_PROBE)

    @property
    def _is_secret(self) -> bool:
        return self.algorithm.startswith("HS")

    def verifies(self, data: bytes, signature: bytes) -> bool:
        """Say whether the signature is this key's. Raises SignatureError if the key cannot verify anything."""
        algorithm = _algorithm(self)
        if self._is_secret:
            return algorithm.verify(data, self._secret(self.key or self.private_key), signature)
        if not self.key:
            raise SignatureError(f"key `{self.id}` has no public key")
        public = self._load(self.key, _load_public)
        if not self._fits(public, ec.EllipticCurvePublicKey, rsa.RSAPublicKey, Ed25519PublicKey):
            raise SignatureError(f"key `{self.id}` does not fit the algorithm {self.algorithm}")
        return algorithm.verify(data, public, signature)

    def sign(self, data: bytes) -> bytes:
        """Return the signature of the data. Raises SignatureError if the key cannot sign."""
        algorithm = _algorithm(self)
        text = self.private_key or (self.key if self._is_secret else "")
        if not text:
            raise SignatureError(f"key `{self.id}` has no private key")
        if self._is_secret:
            return algorithm.sign(data, self._secret(text))
        private = self._load(text, lambda pem: load_pem_private_key(pem, None))
        if not self._fits(private, ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey, Ed25519PrivateKey):
            raise SignatureError(f"key `{self.id}` does not fit the algorithm {self.algorithm}")
        return algorithm.sign(data, private)

    def _fits(self, key: object, curve: type[_Curve], modulus: type[object], edwards: type[object]) -> bool:
        """Tell whether a key is of its algorithm's kind."""
        if self.algorithm in _CURVE_BITS:
            return isinstance(key, curve) and key.curve.key_size == _CURVE_BITS[self.algorithm]
        return isinstance(key, edwards if self.algorithm == "EdDSA" else modulus)

    def _secret(self, text: str) -> bytes:
        if "-----BEGIN" in text:  # an attacker who knows a public key must not be able to sign with it
            raise SignatureError(f"key `{self.id}` is PEM, but {self.algorithm} takes a secret", help="name the key's own algorithm")
        return text.encode()

    def _load(self, text: str, load: Callable[[bytes], object]) -> object:
        try:
            return load(text.strip().encode())
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            advice = "a PEM text keeps its line breaks: in YAML, write it as a block (`key: |`)"
            raise SignatureError(f"key `{self.id}` is not a PEM key for {self.algorithm}", help=advice) from error


def _algorithm(key: Key) -> Algorithm:
    algorithm = _ALGORITHMS.get(key.algorithm)
    if algorithm is None:
        raise SignatureError(f"unknown signature algorithm: {key.algorithm}", help=f"one of {', '.join(ALGORITHM_NAMES)}")
    return algorithm


def _load_public(pem: bytes) -> object:
    if b"-----BEGIN CERTIFICATE-----" in pem:
        return load_pem_x509_certificate(pem).public_key()
    return load_pem_public_key(pem)


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a configuration, by id."""

    by_id: Mapping[str, Key] = field(default_factory=dict)

    @classmethod
    def from_config(cls, config: Mapping[str, Mapping[str, str]]) -> Keys:
        """Read `keys: {id: {key, algorithm, scope, private_key}}`; raises SignatureError for a key that is of no use."""
        found: dict[str, Key] = {}
        for name, fields in config.items():
            unknown = fields.keys() - {"key", "algorithm", "scope", "private_key"}
            if unknown:
                raise SignatureError(f"key `{name}`: `{min(unknown)}` is not a field of a key")
            key = Key(name, **fields)
            key.check()
            found[name] = key
        return cls(found)
