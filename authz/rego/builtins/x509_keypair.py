"""crypto.x509.parse_keypair: a certificate chain with its private key, as Go's crypto/tls reads the two.

Owns that they belong together, and what is said of texts that hold something else.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from authz.rego.builtins.asn1_values import Asn1Error
from authz.rego.builtins.certificate import Certificate, parse_certificate
from authz.rego.builtins.der import DerError
from authz.rego.builtins.encoding import decode_base64
from authz.rego.builtins.pem import Block, blocks
from authz.rego.builtins.private_keys import PrivateKey, parse_pkcs1, parse_pkcs8, parse_sec1, private_key_document
from authz.rego.builtins.registry import OBJECT, STRING, builtin
from authz.rego.builtins.rsa_numbers import RsaNumbers
from authz.rego.builtins.x509 import guarded, octets_of
from authz.rego.values import Document, Value, from_json

_NAME: Final = "crypto.x509.parse_keypair"
_KINDS: Final = {1: RsaNumbers, 3: ec.EllipticCurvePrivateKey, 4: Ed25519PrivateKey}


@builtin(_NAME, STRING, STRING, result=OBJECT)
def parse_keypair(certificate_text: str, key_text: str) -> Value:
    """Return certificate chain and key in the shape of Go's `tls.Certificate`. They must belong together."""

    def read() -> Value:
        certificates = _blocks(octets_of(certificate_text), "CERTIFICATE")
        return from_json(_pair(certificates, _blocks(octets_of(key_text), "PRIVATE KEY")))

    return guarded(_NAME, read)


def _blocks(data: bytes, kind: str) -> list[Block]:
    """Return the blocks of PEM, or of its base64; what is neither is one block of that kind."""
    if not data.startswith(b"-----BEGIN "):
        data = decode_base64(data)
    return blocks(data) if data.startswith(b"-----BEGIN") else [Block(kind, data)]


def _pair(certificate_blocks: list[Block], key_blocks: list[Block]) -> Document:
    chain = [block.data for block in certificate_blocks if block.kind == "CERTIFICATE"]
    if not chain:
        raise DerError(_no_certificate([block.kind for block in certificate_blocks]))
    keys = [block.data for block in key_blocks if block.kind.endswith(" PRIVATE KEY") or block.kind == "PRIVATE KEY"]
    if not keys:
        raise DerError(_no_key([block.kind for block in key_blocks]))
    leaf = parse_certificate(chain[0])
    key = _private_key(keys[0])
    _check_pair(leaf, key)
    return {
        "Certificate": [b64encode(der).decode() for der in chain],
        "Leaf": {name: member for name, member in leaf.document.items() if name != "URIStrings"},
        "OCSPStaple": None,
        "PrivateKey": private_key_document(key),
        "SignedCertificateTimestamps": None,
        "SupportedSignatureAlgorithms": None,
    }


def _no_certificate(kinds: list[str]) -> str:
    if not kinds:
        return "tls: failed to find any PEM data in certificate input"
    if len(kinds) == 1 and kinds[0].endswith("PRIVATE KEY"):
        found = "but did find a private key; PEM inputs may have been switched"
        return f"tls: failed to find certificate PEM data in certificate input, {found}"
    skipped = f"after skipping PEM blocks of the following types: [{' '.join(kinds)}]"
    return f'tls: failed to find "CERTIFICATE" PEM block in certificate input {skipped}'


def _no_key(kinds: list[str]) -> str:
    if not kinds:
        return "tls: failed to find any PEM data in key input"
    if kinds == ["CERTIFICATE"]:
        return "tls: found a certificate rather than a key in the PEM for the private key"
    skipped = f"after skipping PEM blocks of the following types: [{' '.join(kinds)}]"
    return f'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input {skipped}'


def _private_key(data: bytes) -> PrivateKey:
    for read in (parse_pkcs1, parse_pkcs8, parse_sec1):
        try:
            key = read(data)
        except (Asn1Error, DerError):
            continue
        if isinstance(key, RsaNumbers | ec.EllipticCurvePrivateKey | Ed25519PrivateKey):
            return key
        raise DerError("tls: found unknown private key type in PKCS#8 wrapping")
    raise DerError("tls: failed to parse private key")


def _check_pair(leaf: Certificate, key: PrivateKey) -> None:
    kind = _KINDS.get(leaf.public_key.algorithm)
    if kind is None:
        raise DerError("tls: unknown public key algorithm")
    if not isinstance(key, kind):
        raise DerError("tls: private key type does not match public key type")
    if isinstance(key, RsaNumbers):
        is_pair = leaf.public_key.document == {"N": key.n, "E": key.e}
    else:
        is_pair = key.public_key() == leaf.public_key.key
    if not is_pair:
        raise DerError("tls: private key does not match public key")
