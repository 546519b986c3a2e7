"""Keys of signatures as configured: an algorithm, what verifies, what signs. Reads no files.

A key is bound to its algorithm here; what a token says of itself never chooses one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from authz.bundle.errors import SignatureError
from authz.rego.builtins.jws import ALGORITHMS, Algorithm, SigningError, sign, verifies

DEFAULT_ALGORITHM: Final = "RS256"
_PROBE: Final = b"does this key sign by this algorithm?"


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
            if _algorithm(self).family != "HS" and not self._fits():
                raise SignatureError(f"key `{self.id}` does not fit the algorithm {self.algorithm}")
        if self.private_key:
            self.sign(_PROBE)

    def _fits(self) -> bool:
        public = self._load(self.key, _load_public)
        family = _algorithm(self).family
        if family == "ES":
            return isinstance(public, ec.EllipticCurvePublicKey) and public.curve.key_size == _algorithm(self).curve_bits
        return isinstance(public, rsa.RSAPublicKey if family in ("RS", "PS") else Ed25519PublicKey)

    def verifies(self, data: bytes, signature: bytes) -> bool:
        """Say whether the signature is this key's. Raises SignatureError if the key cannot verify anything."""
        algorithm = _algorithm(self)
        if algorithm.family == "HS":
            return verifies(algorithm, self._secret(self.key or self.private_key), data, signature)
        if not self.key:
            raise SignatureError(f"key `{self.id}` has no public key")
        return verifies(algorithm, self._load(self.key, _load_public), data, signature)

    def sign(self, data: bytes) -> bytes:
        """Return the signature of the data. Raises SignatureError if the key cannot sign."""
        algorithm = _algorithm(self)
        text = self.private_key or (self.key if algorithm.family == "HS" else "")
        if not text:
            raise SignatureError(f"key `{self.id}` has no private key")
        key = self._secret(text) if algorithm.family == "HS" else self._load(text, lambda pem: load_pem_private_key(pem, None))
        try:
            return sign(algorithm, key, data)
        except SigningError as error:
            raise SignatureError(f"key `{self.id}` does not fit the algorithm {self.algorithm}") from error

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
    algorithm = ALGORITHMS.get(key.algorithm)
    if algorithm is None:
        raise SignatureError(f"unknown signature algorithm: {key.algorithm}", help=f"one of {', '.join(sorted(ALGORITHMS))}")
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
