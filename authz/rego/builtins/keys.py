"""Keys as policies write them: PEM certificates and public keys, JWK and JWKS text.

Owns the cache of those that were read: a policy has few keys and checks many tokens with them. Knows no tokens
and no algorithms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from authz.rego.builtins.asn1_values import Asn1Error
from authz.rego.builtins.certificate import parse_certificate
from authz.rego.builtins.der import DerError
from authz.rego.builtins.jwk import parse_jwks
from authz.rego.builtins.jwk_keys import Jwk, JwkError, export
from authz.rego.builtins.octets import bytes_of
from authz.rego.builtins.pem import next_block
from authz.rego.builtins.public_keys import read_spki

MAX_KEY_TEXT: Final = 262_144
"""Characters that a certificate, a key or a key set may have."""

_CACHED_TEXTS: Final = 256
_VERIFIABLE: Final = frozenset(
    [f"{family}{size}" for family in ("HS", "RS", "PS", "ES") for size in (256, 384, 512)] + ["EdDSA"],
)  # fmt: skip


class KeyTextError(ValueError):
    """The text holds no usable key; the message is for the built-in's error."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key to verify with: `key_id` and `algorithm` are "" where the text does not bind it to one."""

    key: object
    key_id: str = ""
    algorithm: str = ""


@lru_cache(_CACHED_TEXTS)
def verification_keys(text: str) -> tuple[VerificationKey, ...]:
    """Return the public keys of a PEM certificate or key, a JWK or a JWKS. Raises KeyTextError."""
    _check_size(text)
    data = bytes_of(text)
    block, end = next_block(data)
    if block is None:
        return _set_keys(text)
    if end != len(data):
        raise KeyTextError("extra data after a PEM certificate block")
    what, load = _PEM_LOADERS.get(block.kind, ("", None))
    if load is None:
        raise KeyTextError("failed to extract a Key from the PEM certificate")
    try:
        return (VerificationKey(load(block.data)),)
    except (Asn1Error, DerError) as error:
        raise KeyTextError(f"failed to parse a PEM {what}: {error}") from None


_PEM_LOADERS: Final[dict[str, tuple[str, Callable[[bytes], object]]]] = {
    "CERTIFICATE": ("certificate", lambda der: parse_certificate(der).public_key.key),
    "PUBLIC KEY": ("public key", lambda der: read_spki(der).key),
}


def _set_keys(text: str) -> tuple[VerificationKey, ...]:
    try:
        jwks = parse_jwks(text)
    except JwkError as error:
        raise KeyTextError(f"failed to parse a JWK key (set): jwk.ParseString: failed to parse string: {error}") from None
    try:
        keys = [VerificationKey(export(jwk), jwk.key_id, jwk.algorithm) for jwk in jwks]
    except JwkError as error:
        raise KeyTextError(str(error)) from None
    return tuple(key for key in keys if not key.algorithm or key.algorithm in _VERIFIABLE)


@lru_cache(_CACHED_TEXTS)
def signing_key(text: str) -> tuple[Jwk, object]:
    """Return the first key of a JWK or a JWKS, and what it exports, or a JwkError that says why not. Raises KeyTextError."""
    _check_size(text)
    try:
        keys = parse_jwks(text)
    except JwkError as error:
        raise KeyTextError(str(error)) from None
    if not keys:
        raise KeyTextError("no keys found in JWK set")
    try:
        return keys[0], export(keys[0])
    except JwkError as error:
        return keys[0], error


def _check_size(text: str) -> None:
    if len(text) > MAX_KEY_TEXT:
        raise KeyTextError(f"key has more than {MAX_KEY_TEXT} characters")
