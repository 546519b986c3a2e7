"""Certificates, requests and keys, whole and damaged, are read as real OPA reads them."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import RSAAlgorithm

from authz.rego.errors import BuiltinError
from tests.rego.builtins.as_json import call
from tests.rego.builtins.test_x509 import EC_KEY, ED_KEY, LEAF, MIDDLE, NAMES, ROOT, RSA_KEY
from tests.rego.oracle import Oracle, RefusedError, oracle_tool

DAMAGED = 60
"""Damaged versions of each text."""

OCTETS = (0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0C, 0x13, 0x30, 0x31, 0x7F, 0x80, 0x82, 0xA0, 0xA3, 0xFF)
TOKEN = "eyJhbGciOiJSUzI1NiJ9.e30.AAAA"
REQUEST = x509.CertificateSigningRequestBuilder().subject_name(LEAF.subject).add_extension(NAMES, False).sign(EC_KEY, hashes.SHA256())
ADDRESS = re.compile("0x[0-9a-f]{8,}")
"""An address of memory, which some of OPA's messages have."""
MODULE = """package t
certificates := crypto.x509.parse_certificates(input)
request := crypto.x509.parse_certificate_request(input)
keys := crypto.parse_private_keys(input)
jwk := crypto.x509.parse_rsa_private_key(input)
verified := io.jwt.verify_rs256("TOKEN", input)
"""
NAMES_OF = {
    "certificates": "crypto.x509.parse_certificates",
    "request": "crypto.x509.parse_certificate_request",
    "keys": "crypto.parse_private_keys",
    "jwk": "crypto.x509.parse_rsa_private_key",
}


def pem(kind: str, data: bytes) -> str:
    return f"-----BEGIN {kind}-----\n{b64encode(data).decode()}\n-----END {kind}-----\n"


def private(key: Any, form: PrivateFormat) -> bytes:
    return bytes(key.private_bytes(Encoding.DER, form, NoEncryption()))


def damaged(data: bytes, seed: int) -> list[bytes]:
    """Return the octets themselves and versions of them in which one is another one, missing, or one too many."""
    random = Random(seed)  # noqa: S311
    versions = [data]
    for _ in range(DAMAGED):
        at, octet = random.randrange(len(data)), random.choice(OCTETS)
        versions.append(
            random.choice(
                [data[:at] + bytes((octet,)) + data[at + 1 :], data[:at] + data[at + 1 :], data[:at] + bytes((octet,)) + data[at:]]
            )
        )
    return versions


@pytest.fixture(scope="module")
def opa() -> Iterator[Oracle]:
    tool = oracle_tool()
    if tool is None:
        pytest.skip("real OPA is not available")
    judge = Oracle(tool, {"t.rego": MODULE.replace("TOKEN", TOKEN)}, {})
    yield judge
    judge.close()


def ours(rule: str, text: str) -> tuple[str, Any]:
    try:
        return "result", call("io.jwt.verify_rs256", TOKEN, text) if rule == "verified" else call(NAMES_OF[rule], text)
    except BuiltinError as error:
        return "error", error.message


def theirs(opa: Oracle, rule: str, text: str) -> tuple[str, Any]:
    try:
        return "result", opa.query(f"data.t.{rule} = x", text)[0]["x"]
    except RefusedError as error:
        return "error", str(error)


def agree(opa: Oracle, rule: str, text: str) -> None:
    """Check result or message."""
    (found, value), (wanted, result) = ours(rule, text), theirs(opa, rule, text)
    assert found == wanted, text
    assert value in result or ADDRESS.search(result) if wanted == "error" else value == result, text


@pytest.mark.parametrize("certificate", [ROOT, MIDDLE, LEAF], ids=["rsa", "ec", "ed25519"])
def test_certificates(opa: Oracle, certificate: x509.Certificate) -> None:
    for data in damaged(certificate.public_bytes(Encoding.DER), 1):
        agree(opa, "certificates", b64encode(data).decode())
        agree(opa, "certificates", pem("CERTIFICATE", data))


def test_requests(opa: Oracle) -> None:
    for data in damaged(REQUEST.public_bytes(Encoding.DER), 2):
        agree(opa, "request", pem("CERTIFICATE REQUEST", data))


@pytest.mark.parametrize(
    ("kind", "key", "form"),
    [
        ("RSA PRIVATE KEY", RSA_KEY, PrivateFormat.TraditionalOpenSSL),
        ("EC PRIVATE KEY", EC_KEY, PrivateFormat.TraditionalOpenSSL),
        ("EC PRIVATE KEY", ec.generate_private_key(ec.SECP224R1()), PrivateFormat.TraditionalOpenSSL),
        ("PRIVATE KEY", RSA_KEY, PrivateFormat.PKCS8),
        ("PRIVATE KEY", EC_KEY, PrivateFormat.PKCS8),
        ("PRIVATE KEY", ED_KEY, PrivateFormat.PKCS8),
    ],
)
def test_private_keys(opa: Oracle, kind: str, key: Any, form: PrivateFormat) -> None:
    for data in damaged(private(key, form), 3):
        agree(opa, "keys", pem(kind, data))
        agree(opa, "jwk", pem(kind, data))


def test_key_sets(opa: Oracle) -> None:
    key = RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True)
    for text in (json.dumps(key), json.dumps({"keys": [key]})):
        for data in damaged(text.encode(), 4):
            agree(opa, "verified", data.decode("latin-1"))
