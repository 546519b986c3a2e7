"""crypto.x509.* and crypto.parse_private_keys: Go's shapes, and which chains are valid."""

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

import jwt as pyjwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.rego.builtins.as_json import NOW_NS, call, failure

NOW = datetime.fromtimestamp(NOW_NS // 10**9, UTC)
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP384R1())
ED_KEY = Ed25519PrivateKey.generate()
SIGNS = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
ENCRYPTS = x509.KeyUsage(True, False, True, False, False, False, False, False, False)
NAMES = x509.SubjectAlternativeName(
    [
        x509.DNSName("a.b"),
        x509.IPAddress(ip_address("1.2.3.4")),
        x509.UniformResourceIdentifier("spiffe://td/a%20b"),
        x509.UniformResourceIdentifier("https://user@host:8/p?q=1#f"),
        x509.UniformResourceIdentifier("urn:x:y"),
    ]
)


def certificate(
    name: str,
    key: Any,
    issuer: tuple[x509.Certificate, Any] | None = None,
    basic: x509.BasicConstraints | None = None,
    extensions: Sequence[x509.ExtensionType] = (),
    until: datetime = NOW + timedelta(days=1),
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.COUNTRY_NAME, "DE")])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer[0].subject if issuer else subject).serial_number(7)
    builder = builder.public_key(key.public_key()).not_valid_before(NOW - timedelta(days=2)).not_valid_after(until)
    for extension in (*([basic] if basic else []), *extensions):
        builder = builder.add_extension(extension, critical=isinstance(extension, (x509.BasicConstraints, x509.NameConstraints)))
    signer = issuer[1] if issuer else key
    return builder.sign(signer, None if isinstance(signer, Ed25519PrivateKey) else hashes.SHA256())


def pem(*certificates: x509.Certificate) -> str:
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in certificates)


def private_pem(key: Any, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    encoded: bytes = key.private_bytes(Encoding.PEM, form, NoEncryption())
    return encoded.decode()


CA = x509.BasicConstraints(ca=True, path_length=None)
ROOT = certificate("root", RSA_KEY, basic=CA, extensions=[SIGNS])
MIDDLE = certificate("middle", EC_KEY, (ROOT, RSA_KEY), x509.BasicConstraints(ca=True, path_length=0), [SIGNS])
LEAF = certificate("leaf", ED_KEY, (MIDDLE, EC_KEY), extensions=[NAMES, ENCRYPTS])


def test_a_certificate_has_gos_members() -> None:
    [document] = call("crypto.x509.parse_certificates", pem(LEAF))
    assert document["Subject"]["CommonName"] == "leaf"
    assert document["Issuer"]["Country"] == ["DE"]
    assert document["Issuer"]["Names"][0] == {"Type": [2, 5, 4, 3], "Value": "middle"}
    assert (document["DNSNames"], document["IPAddresses"], document["EmailAddresses"]) == (["a.b"], ["1.2.3.4"], None)
    assert document["URIStrings"] == ["spiffe://td/a%20b", "https://user@host:8/p?q=1#f", "urn:x:y"]
    assert [uri["Path"] for uri in document["URIs"]] == ["/a b", "/p", ""]
    assert [uri["Host"] for uri in document["URIs"]] == ["td", "host:8", ""]
    assert [uri["User"] for uri in document["URIs"]] == [None, {}, None]
    assert document["URIs"][2]["Opaque"] == "x:y"
    assert (document["KeyUsage"], document["ExtKeyUsage"], document["SerialNumber"], document["Version"]) == (5, None, 7, 3)
    assert (document["PublicKeyAlgorithm"], document["SignatureAlgorithm"]) == (4, 10)
    assert (document["IsCA"], document["BasicConstraintsValid"], document["MaxPathLen"]) == (False, False, 0)
    assert document["NotAfter"] == (NOW + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert document["Raw"] == b64encode(LEAF.public_bytes(Encoding.DER)).decode()


def test_limits_and_public_keys_are_shown() -> None:
    constraints = x509.NameConstraints([x509.DNSName("a.b"), x509.IPAddress(ip_network("10.0.0.0/8"))], None)
    limited = certificate("limited", RSA_KEY, basic=CA, extensions=[constraints])
    documents = call("crypto.x509.parse_certificates", pem(MIDDLE, limited))
    assert (documents[0]["MaxPathLen"], documents[0]["MaxPathLenZero"], documents[1]["MaxPathLen"]) == (0, True, -1)
    assert documents[0]["PublicKey"]["X"] == EC_KEY.public_key().public_numbers().x
    assert documents[1]["PublicKey"] == {"E": 65537, "N": RSA_KEY.public_key().public_numbers().n}
    assert documents[1]["PermittedDNSDomains"] == ["a.b"]
    assert documents[1]["PermittedIPRanges"] == [{"IP": "10.0.0.0", "Mask": "/wAAAA=="}]


def test_pem_der_and_their_base64_are_accepted() -> None:
    ders = ROOT.public_bytes(Encoding.DER) + MIDDLE.public_bytes(Encoding.DER)
    wanted = call("crypto.x509.parse_certificates", pem(ROOT, MIDDLE))
    assert call("crypto.x509.parse_certificates", b64encode(ders).decode()) == wanted
    assert call("crypto.x509.parse_certificates", b64encode(pem(ROOT, MIDDLE).encode()).decode()) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foobar", "illegal base64 data at input byte 4"),
        ("YWJj", "x509: malformed certificate"),
        ("-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----", "x509: malformed certificate"),
        (private_pem(EC_KEY), "PEM block type is 'PRIVATE KEY', expected CERTIFICATE"),
        (pem(*[ROOT] * 33), "more than 32 certificates"),
        ("A" * 300_000, "more than 262144 characters"),
    ],
)
def test_what_is_no_certificate_is_an_error(text: str, message: str) -> None:
    assert failure("crypto.x509.parse_certificates", text) == message
    assert call("crypto.x509.parse_and_verify_certificates", text) == [False, []]


def test_a_chain_is_given_from_leaf_to_root() -> None:
    valid, chain = call("crypto.x509.parse_and_verify_certificates", pem(ROOT, MIDDLE, LEAF))
    assert valid is True
    assert [one["Subject"]["CommonName"] for one in chain] == ["leaf", "middle", "root"]


TOO_DEEP = certificate("too deep", EC_KEY, (MIDDLE, EC_KEY), CA)
NO_CA = certificate("no ca", RSA_KEY)
NO_SIGNER = certificate("no signer", RSA_KEY, basic=CA, extensions=[ENCRYPTS])
CONSTRAINED = certificate("constrained", RSA_KEY, basic=CA, extensions=[x509.NameConstraints([x509.DNSName("a.b")], None)])


@pytest.mark.parametrize(
    "chain",
    [
        [ROOT],
        [ROOT, LEAF],
        [LEAF, MIDDLE, ROOT],
        [ROOT, MIDDLE, TOO_DEEP, certificate("deep", ED_KEY, (TOO_DEEP, EC_KEY))],
        [ROOT, certificate("expired", ED_KEY, (ROOT, RSA_KEY), until=NOW - timedelta(days=1))],
        [ROOT, certificate("client", ED_KEY, (ROOT, RSA_KEY), extensions=[x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])])],
        [ROOT, certificate("forged", ED_KEY, (ROOT, rsa.generate_private_key(65537, 2048)))],
        [NO_CA, certificate("leaf", ED_KEY, (NO_CA, RSA_KEY))],
        [NO_SIGNER, certificate("leaf", ED_KEY, (NO_SIGNER, RSA_KEY))],
        [CONSTRAINED, certificate("leaf", ED_KEY, (CONSTRAINED, RSA_KEY))],
    ],
    ids=["alone", "gap", "reversed", "too deep", "expired", "client", "forged", "no ca", "no signer", "constrained"],
)
def test_a_broken_chain_is_not_valid(chain: list[x509.Certificate]) -> None:
    assert call("crypto.x509.parse_and_verify_certificates", pem(*chain)) == [False, []]


def test_a_request_is_read() -> None:
    builder = x509.CertificateSigningRequestBuilder().subject_name(ROOT.subject).add_extension(NAMES, critical=False)
    request = builder.sign(EC_KEY, hashes.SHA256())
    for text in (request.public_bytes(Encoding.PEM).decode(), b64encode(request.public_bytes(Encoding.DER)).decode()):
        document = call("crypto.x509.parse_certificate_request", text)
        assert document["Subject"]["CommonName"] == "root"
        assert document["DNSNames"] == ["a.b"]
    assert failure("crypto.x509.parse_certificate_request", pem(ROOT)) == "illegal base64 data at input byte 0"


@pytest.mark.parametrize(("algorithm", "key"), [("RS256", RSA_KEY), ("ES384", EC_KEY), ("EdDSA", ED_KEY)])
def test_a_private_key_becomes_a_jwk_that_signs(algorithm: str, key: Any) -> None:
    jwk = call("crypto.x509.parse_rsa_private_key", private_pem(key))
    signed = call("io.jwt.encode_sign", {"alg": algorithm}, {"a": 1}, jwk)
    assert pyjwt.decode(signed, key.public_key(), [algorithm]) == {"a": 1}


def test_no_private_key_is_null_or_an_error() -> None:
    assert call("crypto.x509.parse_rsa_private_key", "nope") is None
    assert failure("crypto.x509.parse_rsa_private_key", "") == "input PEM data was empty"
    assert failure("crypto.x509.parse_rsa_private_key", "invalid") == "illegal base64 data at input byte 4"
    assert call("crypto.parse_private_keys", "") is None
    assert call("crypto.parse_private_keys", "nope") == []


def test_private_keys_have_gos_members() -> None:
    text = private_pem(RSA_KEY, PrivateFormat.TraditionalOpenSSL) + private_pem(EC_KEY) + private_pem(ED_KEY)
    one, two, three = call("crypto.parse_private_keys", text)
    numbers = RSA_KEY.private_numbers()
    assert (one["D"], one["Primes"], one["Precomputed"]["Qinv"]) == (numbers.d, [numbers.p, numbers.q], numbers.iqmp)
    assert two["D"] == EC_KEY.private_numbers().private_value
    assert three == b64encode(ED_KEY.private_bytes_raw() + ED_KEY.public_key().public_bytes_raw()).decode()
    assert call("crypto.parse_private_keys", b64encode(text.encode()).decode()) == [one, two, three]


def test_a_keypair_belongs_together() -> None:
    pair = call("crypto.x509.parse_keypair", pem(MIDDLE, ROOT), private_pem(EC_KEY))
    assert pair["Certificate"] == [b64encode(one.public_bytes(Encoding.DER)).decode() for one in (MIDDLE, ROOT)]
    assert pair["PrivateKey"]["D"] == EC_KEY.private_numbers().private_value
    assert failure("crypto.x509.parse_keypair", pem(ROOT), private_pem(EC_KEY)) == "tls: private key type does not match public key type"
    other = private_pem(ec.generate_private_key(ec.SECP384R1()))
    assert failure("crypto.x509.parse_keypair", pem(MIDDLE), other) == "tls: private key does not match public key"
