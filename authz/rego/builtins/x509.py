"""crypto.x509.* and crypto.parse_private_keys: reading certificates, requests and keys.

Owns which texts are accepted and when a chain is valid. Their JSON shape is `go_x509`'s.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_private_key
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID

from authz.rego.builtins.encoding import decode_base64
from authz.rego.builtins.go_x509 import certificate_document, private_jwk, private_key_document, request_document
from authz.rego.builtins.keys import MAX_KEY_TEXT, pem_blocks
from authz.rego.builtins.octets import bytes_of
from authz.rego.builtins.registry import ARRAY, OBJECT, STRING, EvalContext, builtin
from authz.rego.errors import BuiltinError
from authz.rego.values import FALSE, NULL, TRUE, Value, from_json

MAX_CERTIFICATES: Final = 32
"""Certificates that one text may hold: checking a chain costs a signature each."""

_VERIFY: Final = "crypto.x509.parse_and_verify_certificates"
_PRIVATE_KEYS: Final = ("RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Result = TypeVar("Result")


def _guarded(name: str, read: Callable[[], Result]) -> Result:
    """Run `read`, whatever is wrong with its text becoming the built-in's error."""
    try:
        with warnings.catch_warnings():
            # A serial number of zero is none of a policy's concern: Go reads it too.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return read()
    except (ValueError, UnsupportedAlgorithm, x509.UnsupportedGeneralNameType, x509.DuplicateExtension) as error:
        raise BuiltinError(f"{name}: {error}") from None


def _blocks(text: str) -> list[tuple[str, bytes]]:
    """Return the PEM blocks of a text, or of what it is the base64 of; one block without a type is DER."""
    if len(text) > MAX_KEY_TEXT:
        raise ValueError(f"more than {MAX_KEY_TEXT} characters")
    if text.startswith("-----BEGIN"):
        return pem_blocks(text)
    data = decode_base64(bytes_of(text))
    if data.startswith(b"-----BEGIN"):
        return pem_blocks(data.decode("utf-8", "replace"))
    return [("", data)]


def _certificates(text: str) -> list[x509.Certificate]:
    ders: list[bytes] = []
    for kind, data in _blocks(text):
        if kind not in ("", "CERTIFICATE"):
            raise ValueError(f"PEM block type is '{kind}', expected CERTIFICATE")
        ders += [data] if kind else _split_der(data)
    if len(ders) > MAX_CERTIFICATES:
        raise ValueError(f"more than {MAX_CERTIFICATES} certificates")
    try:
        return [x509.load_der_x509_certificate(der) for der in ders]
    except ValueError:
        raise ValueError("x509: malformed certificate") from None


def _split_der(data: bytes) -> list[bytes]:
    """Split concatenated DER values at their lengths (X.690, 8.1.3)."""
    parts: list[bytes] = []
    while data:
        size = 2 + data[1] if len(data) > 1 else len(data) + 1
        if len(data) > 1 and data[1] & 0x80:
            octets = data[1] & 0x7F
            size = 2 + octets + int.from_bytes(data[2 : 2 + octets], "big")
        if size > len(data):
            raise ValueError("x509: malformed certificate")
        parts.append(data[:size])
        data = data[size:]
    return parts


@builtin("crypto.x509.parse_certificates", STRING, result=ARRAY)
def parse_certificates(text: str) -> Value:
    return _guarded("crypto.x509.parse_certificates", lambda: _documents(_certificates(text)))


def _documents(certificates: list[x509.Certificate]) -> Value:
    return tuple(from_json(certificate_document(certificate)) for certificate in certificates)


@builtin("crypto.x509.parse_certificate_request", STRING, result=OBJECT)
def parse_certificate_request(text: str) -> Value:
    def read() -> Value:
        (kind, der), *_ = _blocks(text) or [("none", b"")]
        if kind not in ("", "CERTIFICATE REQUEST"):
            raise ValueError("invalid PEM-encoded certificate signing request")
        return from_json(request_document(x509.load_der_x509_csr(der)))

    return _guarded("crypto.x509.parse_certificate_request", read)


@builtin(_VERIFY, STRING, result=ARRAY, deterministic=False, needs_context=True)
def parse_and_verify_certificates(context: EvalContext, text: str) -> Value:
    """Return [true, chain from leaf to root] if the last certificate chains to the first, the root; else [false, []]."""
    try:
        certificates = _guarded(_VERIFY, lambda: _certificates(text))
    except BuiltinError:
        return (FALSE, ())
    now = _EPOCH + timedelta(seconds=context.now_ns // 1_000_000_000)
    chain = _chain(certificates[-1], certificates[1:-1], certificates[0], now) if len(certificates) > 1 else None
    if chain is None:
        return (FALSE, ())
    return (TRUE, _guarded(_VERIFY, lambda: _documents(chain)))


def _chain(
    leaf: x509.Certificate, intermediates: list[x509.Certificate], root: x509.Certificate, now: datetime
) -> list[x509.Certificate] | None:
    """Return a path from the leaf to the root in which each is signed by the next, or None.

    Go's rules, or stricter: every certificate in its time, issuers that may issue and
    their path lengths kept, TLS server use allowed throughout; what this cannot check
    (name constraints, unknown critical extensions) fails.
    """
    path = [leaf]
    while path[-1] != root:
        below = len(path) - 1
        candidates = [one for one in (root, *intermediates) if one not in path and _issues(one, path[-1], below)]
        if not candidates:
            return None
        path.append(candidates[0])
    return path if all(_is_usable(certificate, now) for certificate in path) else None


def _issues(issuer: x509.Certificate, subject: x509.Certificate, below: int) -> bool:
    """Tell whether `issuer` signed `subject` and may; `below` counts the intermediates under the issuer."""
    try:
        subject.verify_directly_issued_by(issuer)
        limits = {type(extension.value): extension.value for extension in issuer.extensions}
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    basic, usage = limits.get(x509.BasicConstraints), limits.get(x509.KeyUsage)
    if not isinstance(basic, x509.BasicConstraints) or not basic.ca:
        return False
    # Without a KeyUsage every use is allowed (RFC 5280, 4.2.1.3).
    may_sign = not isinstance(usage, x509.KeyUsage) or usage.key_cert_sign
    return may_sign and (basic.path_length is None or below <= basic.path_length)


_UNDERSTOOD: Final = (
    x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.SubjectAlternativeName, x509.CertificatePolicies,
)  # fmt: skip


def _is_usable(certificate: x509.Certificate, now: datetime) -> bool:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        return False
    try:
        extensions = list(certificate.extensions)
    except ValueError:
        return False
    for extension in extensions:
        if isinstance(extension.value, x509.NameConstraints) or (extension.critical and not isinstance(extension.value, _UNDERSTOOD)):
            return False
        if isinstance(extension.value, x509.ExtendedKeyUsage) and not {
            ExtendedKeyUsageOID.SERVER_AUTH,
            ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        } & set(extension.value):
            return False
    return True


@builtin("crypto.x509.parse_rsa_private_key", STRING, result=OBJECT)
def parse_rsa_private_key(text: str) -> Value:
    """Return the first key, of any kind, as a private JWK; null where there is none."""

    def read() -> Value:
        if not text:
            raise ValueError("input PEM data was empty")
        keys = [load_der_private_key(der, None) for kind, der in _blocks(text) if kind in _PRIVATE_KEYS]
        return from_json(private_jwk(keys[0])) if keys else NULL

    return _guarded("crypto.x509.parse_rsa_private_key", read)


@builtin("crypto.parse_private_keys", STRING, result=ARRAY)
def parse_private_keys(text: str) -> Value:
    """Return every private key of the text's PEM blocks; null for no text at all."""
    if not text:
        return NULL
    return _guarded("crypto.parse_private_keys", lambda: tuple(from_json(private_key_document(key)) for key in _private_keys(text)))


def _private_keys(text: str) -> list[object]:
    if len(text) > MAX_KEY_TEXT:
        raise ValueError(f"more than {MAX_KEY_TEXT} characters")
    blocks = pem_blocks(text)
    if not blocks and not text.startswith("-----BEGIN"):
        try:
            blocks = pem_blocks(decode_base64(bytes_of(text)).decode("utf-8", "replace"))
        except ValueError:
            return []
    return [load_der_private_key(der, None) for kind, der in blocks if kind in _PRIVATE_KEYS]


@builtin("crypto.x509.parse_keypair", STRING, STRING, result=OBJECT)
def parse_keypair(certificate_text: str, key_text: str) -> Value:
    """Return certificate chain and key in the shape of Go's `tls.Certificate`. They must belong together."""

    def read() -> Value:
        certificates = _certificates(certificate_text)
        keys = [load_der_private_key(der, None) for kind, der in _blocks(key_text) if kind in ("", *_PRIVATE_KEYS)]
        if not certificates:
            raise ValueError("tls: failed to find any PEM data in certificate input")
        if not keys:
            raise ValueError("tls: failed to find any PEM data in key input")
        if keys[0].public_key() != certificates[0].public_key():
            raise ValueError("tls: private key does not match public key")
        documents = [certificate_document(certificate) for certificate in certificates]
        return from_json(
            {
                "Certificate": [document["Raw"] for document in documents],
                "Leaf": {name: member for name, member in documents[0].items() if name != "URIStrings"},
                "OCSPStaple": None,
                "PrivateKey": private_key_document(keys[0]),
                "SignedCertificateTimestamps": None,
                "SupportedSignatureAlgorithms": None,
            }
        )

    return _guarded("crypto.x509.parse_keypair", read)
