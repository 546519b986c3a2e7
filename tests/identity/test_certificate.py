"""Certificates as Envoy hands them over, and what an element says about one."""

import base64
import hashlib
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from authz.errors import ErrorCode
from authz.identity import (
    CertConsistency,
    CertificateError,
    Refusal,
    XfccElement,
    cert_consistency,
    parse_certificate,
    parse_xfcc,
    x5t_s256,
)
from tests.identity.certificates import certificate, encoded, pem
from tests.identity.vectors import Vector, each

ONE = certificate("spiffe://td.test/a")
OTHER = certificate("spiffe://td.test/b")
_DER = ONE.public_bytes(Encoding.DER)


@each("cert_consistency")
def test_an_element_is_compared_with_its_certificate(vector: Vector) -> None:
    assert cert_consistency(parse_xfcc(vector["header"])[-1]) == vector["result"]


@each("x5t")
def test_a_hash_becomes_a_confirmation_value(vector: Vector) -> None:
    assert x5t_s256(vector["hash"]) == vector["x5t_s256"]


@pytest.mark.parametrize("text", [None, "0" * 63 + " ", "0" * 62 + "0\n", "\u0660" * 64, " " + "0" * 63, "0" * 65])
def test_only_64_hex_digits_are_a_digest(text: str | None) -> None:
    assert x5t_s256(text) is None


def test_the_certificate_of_the_connection_is_read() -> None:
    leaf = parse_certificate(encoded(ONE))
    assert leaf.uris == ("spiffe://td.test/a",)
    assert leaf.sha256 == hashlib.sha256(_DER).digest()
    assert leaf.is_svid


@pytest.mark.parametrize(
    ("uris", "dns"),
    [
        ((), ()),
        ((), ("a.test",)),
        (("https://a.test",), ()),
        (("spiffe://td.test",), ()),
        (("spiffe://td.test/a", "spiffe://td.test/b"), ()),
    ],
)
def test_only_a_single_workload_id_makes_an_svid(uris: tuple[str, ...], dns: tuple[str, ...]) -> None:
    leaf = parse_certificate(encoded(certificate(*uris, dns=dns)))
    assert leaf.uris == uris
    assert not leaf.is_svid


@pytest.mark.parametrize(
    "text",
    [
        "",
        "%zz",
        quote(pem(ONE))[:-4] + "%",
        encoded(ONE, OTHER),
        quote("junk\n" + pem(ONE)),
        quote(pem(ONE) + "junk"),
        quote(pem(ONE).replace("CERTIFICATE", "X509 CRL")),
        quote(pem(ONE).replace("M", "", 1)),
        quote(pem(ONE).replace("M", "=", 1)),
        quote("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        quote("-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----\n"),
        "%FF%FE",
        "\ud800",
    ],
)
def test_anything_but_one_readable_certificate_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(CertificateError) as caught:
        parse_certificate(text)
    assert caught.value.reason is Refusal.BAD_CERTIFICATE
    assert caught.value.code == ErrorCode.IDENTITY
    assert "PEM" not in str(caught.value)


def test_a_raw_plus_is_base64_and_no_space() -> None:
    text = next(text for text in (pem(certificate("spiffe://td.test/a", serial=serial)) for serial in range(1, 200)) if "+" in text)
    assert parse_certificate(quote(text, safe="+")).uris == ("spiffe://td.test/a",)


@given(st.lists(st.tuples(st.integers(0, len(_DER) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_a_damaged_certificate_is_read_or_refused(damage: list[tuple[int, int]]) -> None:
    der = bytearray(_DER)
    for index, octet in damage:
        der[index] = octet
    text = "-----BEGIN CERTIFICATE-----\n" + base64.b64encode(der).decode() + "\n-----END CERTIFICATE-----\n"
    try:
        leaf = parse_certificate(quote(text))
    except CertificateError:
        return
    assert len(leaf.sha256) == 32


def _element(**parts: object) -> XfccElement:
    header = "".join(f';{key}="{value}"' for key, value in parts.items())
    return parse_xfcc(header[1:])[0]


_HASH = parse_certificate(encoded(ONE)).sha256.hex()


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (_element(Hash=_HASH, URI="spiffe://td.test/a"), CertConsistency.ERROR),
        (_element(Hash=_HASH, Cert=encoded(ONE), URI="spiffe://td.test/a"), CertConsistency.CONSISTENT),
        (_element(Hash=_HASH, Cert=encoded(ONE)), CertConsistency.MISMATCH),
        (_element(Hash="abc", Cert=encoded(ONE), URI="spiffe://td.test/a"), CertConsistency.MISMATCH),
        (_element(Hash=_HASH, Cert=encoded(ONE), Chain=encoded(ONE, OTHER), URI="spiffe://td.test/a"), CertConsistency.CONSISTENT),
        (_element(Hash=_HASH, Cert=encoded(ONE), Chain=encoded(OTHER, ONE), URI="spiffe://td.test/a"), CertConsistency.MISMATCH),
        (_element(Hash=_HASH, Cert=encoded(ONE), Chain="junk", URI="spiffe://td.test/a"), CertConsistency.ERROR),
    ],
)
def test_hash_uri_and_chain_must_fit_the_certificate(element: XfccElement, expected: CertConsistency) -> None:
    assert cert_consistency(element) is expected


def test_the_json_form_carries_plain_pem() -> None:
    element = XfccElement(hash=_HASH, cert=pem(ONE), chain=(pem(ONE), pem(OTHER)), uri=("spiffe://td.test/a",))
    assert cert_consistency(element) is CertConsistency.CONSISTENT
