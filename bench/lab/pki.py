"""A certificate authority for the lab: X.509-SVIDs and certificates that must be refused.

Makes files; knows neither TLS connections nor Envoy. The profile is that of the
SPIFFE X.509-SVID standard (one URI SAN, CA false, digitalSignature).
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME: Final = datetime.timedelta(hours=24)
CLOCK_SKEW: Final = datetime.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Credential:
    """Where a certificate and its private key lie, and the SPIFFE ID that it carries, if any."""

    certificate: Path
    key: Path
    spiffe_id: str | None


class Authority:
    """One CA with its directory; every certificate it issues is written there."""

    def __init__(self, directory: Path, name: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self._issued = 0
        self.certificate = directory / "ca.pem"
        self.certificate.write_bytes(_pem(self._self_signed()))

    def issue(self, name: str, spiffe_id: str | None, *, dns: Sequence[str] = (), is_server: bool = False) -> Credential:
        """Issue a leaf; without `spiffe_id` it has no URI SAN and is no SVID."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._leaf(name, key.public_key(), _alternative_names(spiffe_id, dns, is_server))
        self._issued += 1
        stem = self._directory / f"{self._issued:03d}-{name}"
        paths = stem.with_suffix(".pem"), stem.with_suffix(".key")
        paths[0].write_bytes(_pem(certificate))
        paths[1].touch(mode=0o600)
        paths[1].write_bytes(_key_pem(key))
        return Credential(*paths, spiffe_id)

    def _self_signed(self) -> x509.Certificate:
        usage = _key_usage(is_ca=True)
        builder = _builder(self._name, self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        return builder.add_extension(usage, critical=True).sign(self._key, hashes.SHA256())

    def _leaf(self, name: str, key: ec.EllipticCurvePublicKey, names: x509.SubjectAlternativeName) -> x509.Certificate:
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
        builder = _builder(_name(name), self._name, key)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(is_ca=False), critical=True).add_extension(purposes, critical=False)
        return builder.add_extension(names, critical=False).sign(self._key, hashes.SHA256())


def _alternative_names(spiffe_id: str | None, dns: Sequence[str], is_server: bool) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in dns]
    if is_server:  # clients of the lab check the host they dialled, as real ones do
        names += [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    if spiffe_id is not None:
        names.append(x509.UniformResourceIdentifier(spiffe_id))
    return x509.SubjectAlternativeName(names)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    return builder.serial_number(x509.random_serial_number()).not_valid_before(now - CLOCK_SKEW).not_valid_after(now + LIFETIME)


def _key_usage(*, is_ca: bool) -> x509.KeyUsage:
    """Return the usage of X509-SVID 4.3: keyCertSign only for a CA, digitalSignature for a leaf."""
    return x509.KeyUsage(
        digital_signature=not is_ca,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
