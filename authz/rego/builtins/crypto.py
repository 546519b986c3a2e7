"""Hashes and HMACs, as hexadecimal text. Certificates and keys are `x509`'s."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from authz.rego.builtins.octets import bytes_of
from authz.rego.builtins.registry import BOOLEAN, STRING, builtin
from authz.rego.values import Value


def _declare_hash(name: str) -> None:
    digest: Callable[..., hashlib._Hash] = getattr(hashlib, name)

    @builtin(f"crypto.{name}", STRING, result=STRING)
    def _hash(text: str) -> Value:
        # Policies compare digests that others made; MD5 and SHA-1 protect nothing here.
        return digest(bytes_of(text), usedforsecurity=False).hexdigest()


def _declare_hmac(name: str) -> None:
    @builtin(f"crypto.hmac.{name}", STRING, STRING, result=STRING)
    def _mac(text: str, key: str) -> Value:
        return hmac.new(bytes_of(key), bytes_of(text), name).hexdigest()


for _name in ("md5", "sha1", "sha256"):
    _declare_hash(_name)
for _name in ("md5", "sha1", "sha256", "sha512"):
    _declare_hmac(_name)


@builtin("crypto.hmac.equal", STRING, STRING, result=BOOLEAN)
def hmac_equal(left: str, right: str) -> bool:
    """Compare in a time that does not depend on where the texts differ."""
    return hmac.compare_digest(bytes_of(left), bytes_of(right))
