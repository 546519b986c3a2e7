"""Client certificates as Envoy hands them over: what they name, and whether a header agrees with them.

No validity, no trust: a certificate is public, so agreeing with one authenticates nobody. This module knows no clock and no trust bundle.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import unquote

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from authz.errors import AuthzError, ErrorCode
from authz.identity.element import XfccElement
from authz.identity.refusal import Refusal
from authz.identity.spiffe import SpiffeId, SpiffeIdError

_PEM_BLOCK: Final = re.compile(r"\n*+-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=\n]++)-----END CERTIFICATE-----(?:\n++|\Z)")
_SHA256_HEX: Final = re.compile(r"[0-9A-Fa-f]{64}")
# The warning is about a serial number that RFC 5280 forbids; it is raised where a process turns warnings into errors.
_UNREADABLE: Final = (
    ValueError,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    x509.InvalidVersion,
    CryptographyDeprecationWarning,
)


class CertificateError(AuthzError):
    """A text holds no readable certificate, or not exactly one. The message never quotes it."""

    code = ErrorCode.IDENTITY
    reason = Refusal.BAD_CERTIFICATE

    def __init__(self) -> None:
        super().__init__("client certificate refused: not one readable certificate")


class CertConsistency(StrEnum):
    """How the certificate inside an element relates to what else the element says."""

    CONSISTENT = "consistent"
    CONSISTENT_NOT_SVID = "consistent_not_svid"
    MISMATCH = "mismatch"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class LeafCertificate:
    """What matters of a client certificate: its SHA-256 over the DER bytes and its URI SANs in order."""

    sha256: bytes
    uris: tuple[str, ...]

    @property
    def is_svid(self) -> bool:
        """Tell whether the only URI SAN is a workload's SPIFFE ID (X509-SVID 2)."""
        if len(self.uris) != 1:
            return False
        try:
            return SpiffeId.parse(self.uris[0]).is_workload
        except SpiffeIdError:
            return False


def parse_certificate(encoded: str) -> LeafCertificate:
    """Read exactly one URL-encoded PEM certificate, as in `source.certificate`; raise CertificateError."""
    blocks = _der_blocks(_percent_decode(encoded))
    if len(blocks) != 1:
        raise CertificateError
    return _leaf(blocks[0])


def cert_consistency(element: XfccElement) -> CertConsistency:
    """Compare an element's Cert with its Hash, its URI values and the first certificate of its Chain."""
    try:
        if element.cert is None:
            return CertConsistency.ERROR
        leaf = _parse_either_form(element.cert)
        chain = [der for text in element.chain for der in _der_blocks(_decode_either_form(text))]
    except CertificateError:
        return CertConsistency.ERROR
    if sha256_of_hash(element.hash) != leaf.sha256 or element.uri != leaf.uris:
        return CertConsistency.MISMATCH
    if chain and hashlib.sha256(chain[0]).digest() != leaf.sha256:
        return CertConsistency.MISMATCH
    return CertConsistency.CONSISTENT if leaf.is_svid else CertConsistency.CONSISTENT_NOT_SVID


def sha256_of_hash(text: str | None) -> bytes | None:
    """Return the digest that a `Hash` value spells, or None where it is not 64 hex digits."""
    return bytes.fromhex(text) if text is not None and _SHA256_HEX.fullmatch(text) else None


def x5t_s256(text: str | None) -> str | None:
    """Return the `x5t#S256` confirmation value (RFC 8705, 3.1) for a `Hash` value, or None where that is unusable."""
    digest = sha256_of_hash(text)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() if digest is not None else None


def _parse_either_form(text: str) -> LeafCertificate:
    blocks = _der_blocks(_decode_either_form(text))
    if len(blocks) != 1:
        raise CertificateError
    return _leaf(blocks[0])


def _decode_either_form(text: str) -> str:
    """Return plain PEM. Only the JSON form can hold a line break; the text form's is always `%0A`."""
    return text if "\n" in text else _percent_decode(text)


def _percent_decode(text: str) -> str:
    """Decode, and leave `+` alone: form decoding would turn a raw one into a space and break the base64.

    A broken escape stays in the text, where the PEM reader refuses it.
    """
    return unquote(text)


def _der_blocks(pem: str) -> list[bytes]:
    """Return every certificate of a text that holds nothing but PEM certificates."""
    blocks: list[bytes] = []
    position = 0
    while position < len(pem):
        match = _PEM_BLOCK.match(pem, position)
        if match is None:
            raise CertificateError
        try:
            blocks.append(base64.b64decode(match[1].replace("\n", ""), validate=True))
        except binascii.Error as error:
            raise CertificateError from error
        position = match.end()
    return blocks


def _leaf(der: bytes) -> LeafCertificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = tuple(names.get_values_for_type(x509.UniformResourceIdentifier))
    except x509.ExtensionNotFound:
        uris = ()
    except _UNREADABLE as error:
        raise CertificateError from error
    return LeafCertificate(hashlib.sha256(der).digest(), uris)
