"""Certificates that tests need and no certificate authority would issue."""

from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

_KEY = Ed25519PrivateKey.generate()


@lru_cache
def certificate(*uris: str, dns: tuple[str, ...] = (), serial: int = 1) -> x509.Certificate:
    """Return a self-signed certificate with these URI and DNS SANs; without any it has no SAN extension."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(_KEY.public_key())
        .serial_number(serial)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2099, 1, 1, tzinfo=UTC))
    )
    names = [*map(x509.UniformResourceIdentifier, uris), *map(x509.DNSName, dns)]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(_KEY, None)


def pem(cert: x509.Certificate) -> str:
    """Return the certificate as PEM."""
    return cert.public_bytes(Encoding.PEM).decode()


def encoded(*certs: x509.Certificate) -> str:
    """Return certificates as Envoy sends them: PEM, URL-encoded."""
    return quote("".join(map(pem, certs)), safe="")
