"""io.jwt.*: tokens made here and elsewhere, and every way in which one must not pass."""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt as pyjwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.rego.builtins.as_json import NOW_NS, call, failure

SECRET = "a secret of at least thirty-two octets"
NOW = NOW_NS // 10**9
UNVERIFIED = [False, {}, {}]

RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEYS = {
    256: ec.generate_private_key(ec.SECP256R1()),
    384: ec.generate_private_key(ec.SECP384R1()),
    512: ec.generate_private_key(ec.SECP521R1()),
}
ED_KEY = Ed25519PrivateKey.generate()
SIGNERS: dict[str, Any] = {
    **{f"{family}{size}": RSA_KEY for family in ("RS", "PS") for size in (256, 384, 512)},
    **{f"ES{size}": key for size, key in EC_KEYS.items()},
    "EdDSA": ED_KEY,
}


def pem(key: Any) -> str:
    encoded: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return encoded.decode()


def jwk(algorithm: str, key: Any, *, private: bool = False, **members: str) -> dict[str, Any]:
    maker = pyjwt.get_algorithm_by_name(algorithm)
    document: dict[str, Any] = json.loads(maker.to_jwk(key if private else key.public_key()))
    document.pop("key_ops", None)
    return document | members


def certificate(key: Any) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    start = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    signed = builder.not_valid_before(start).not_valid_after(start + timedelta(days=1)).sign(key, hashes.SHA256())
    return signed.public_bytes(Encoding.PEM).decode()


def token(claims: Any, algorithm: str = "HS256", key: Any = SECRET, **headers: Any) -> str:
    return pyjwt.encode(claims, key, algorithm, headers={"typ": None} | headers)


def raw_token(header: bytes, payload: bytes) -> str:
    return ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in (header, payload)) + "."


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_a_signature_verifies_with_key_certificate_and_jwk(algorithm: str) -> None:
    signed = token({"sub": "a"}, algorithm, SIGNERS[algorithm])
    name = f"io.jwt.verify_{algorithm.lower()}"
    keys = [
        pem(SIGNERS[algorithm]),
        json.dumps(jwk(algorithm, SIGNERS[algorithm])),
        json.dumps({"keys": [jwk(algorithm, SIGNERS[algorithm])]}),
    ]
    if algorithm != "EdDSA":
        keys.append(certificate(SIGNERS[algorithm]))
    for key in keys:
        assert call(name, signed, key) is True
        assert call("io.jwt.decode_verify", signed, {"cert": key}) == [True, {"alg": algorithm}, {"sub": "a"}]
    head, _, tail = signed.rpartition(".")
    assert call(name, f"{head}.{'A' * len(tail)}", keys[0]) is False


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_another_key_or_kind_of_key_verifies_nothing(algorithm: str) -> None:
    signed = token({}, algorithm, SIGNERS[algorithm])
    for other in (OTHER_RSA_KEY, ec.generate_private_key(ec.SECP256R1()), Ed25519PrivateKey.generate()):
        assert call(f"io.jwt.verify_{algorithm.lower()}", signed, pem(other)) is False
        assert call("io.jwt.decode_verify", signed, {"cert": pem(other)}) == UNVERIFIED


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_secret_verifies_its_own_macs(algorithm: str) -> None:
    signed = token({"a": 1}, algorithm, SECRET * 2)
    assert call(f"io.jwt.verify_{algorithm.lower()}", signed, SECRET * 2) is True
    assert call(f"io.jwt.verify_{algorithm.lower()}", signed, "wrong") is False
    assert call("io.jwt.decode_verify", signed, {"secret": SECRET * 2}) == [True, {"alg": algorithm}, {"a": 1}]
    assert call("io.jwt.decode_verify", signed, {"secret": "wrong"}) == UNVERIFIED


def test_a_public_key_is_never_a_secret() -> None:
    """The classic forgery: an HMAC keyed with the text of the public key."""
    forged = call("io.jwt.encode_sign", {"alg": "HS256"}, {}, {"kty": "oct", "k": urlsafe_b64encode(pem(RSA_KEY).encode()).decode()})
    assert call("io.jwt.verify_hs256", forged, pem(RSA_KEY)) is True  # it is what it claims to be
    assert call("io.jwt.decode_verify", forged, {"cert": pem(RSA_KEY)}) == UNVERIFIED
    assert call("io.jwt.verify_rs256", forged, pem(RSA_KEY)) is False


@pytest.mark.parametrize("header", [b'{"alg":"none"}', b'{"alg":"HS999"}', b"{}", b'{"alg":""}'])
def test_no_algorithm_is_no_signature(header: bytes) -> None:
    assert call("io.jwt.decode_verify", raw_token(header, b"{}"), {"secret": SECRET}) == UNVERIFIED


@pytest.mark.parametrize(
    ("claims", "constraints", "verified"),
    [
        ({"iss": "x"}, {"iss": "x"}, True),
        ({"iss": "x"}, {"iss": "y"}, False),
        ({}, {"iss": "x"}, False),
        ({"aud": "a"}, {"aud": "a"}, True),
        ({"aud": ["b", "a"]}, {"aud": "a"}, True),
        ({"aud": ["b"]}, {"aud": "a"}, False),
        ({"aud": "a"}, {}, False),
        ({"aud": []}, {"aud": "a"}, False),
        ({}, {"aud": "a"}, False),
        ({}, {"alg": "HS256"}, True),
        ({}, {"alg": "HS512"}, False),
        ({"exp": NOW + 1}, {}, True),
        ({"exp": NOW}, {}, False),
        ({"exp": NOW + 0.5}, {"time": NOW_NS + 499_999_000}, True),
        ({"exp": NOW + 0.5}, {"time": NOW_NS + 499_999_999}, False),  # a double, as in OPA
        ({"exp": NOW + 0.5}, {"time": NOW_NS + 500_000_000}, False),
        ({"nbf": NOW}, {}, True),
        ({"nbf": NOW + 1}, {}, False),
        ({"nbf": NOW + 1}, {"time": NOW_NS + 10**9}, True),
    ],
)
def test_claims_must_meet_the_constraints(claims: dict[str, Any], constraints: dict[str, Any], verified: bool) -> None:
    result = call("io.jwt.decode_verify", token(claims), {"secret": SECRET, **constraints})
    assert result == ([True, {"alg": "HS256"}, claims] if verified else UNVERIFIED)


def test_a_key_id_picks_the_key_and_an_algorithm_binds_it() -> None:
    keys = {"keys": [jwk("RS256", OTHER_RSA_KEY, kid="other"), jwk("RS256", RSA_KEY, kid="mine", alg="RS256")]}
    check = {"cert": json.dumps(keys)}
    assert call("io.jwt.decode_verify", token({}, "RS256", RSA_KEY, kid="mine"), check)[0] is True
    assert call("io.jwt.decode_verify", token({}, "RS256", RSA_KEY, kid="unknown"), check)[0] is True
    assert call("io.jwt.decode_verify", token({}, "RS256", RSA_KEY), check)[0] is True
    assert call("io.jwt.decode_verify", token({}, "RS256", RSA_KEY, kid="other"), check) == UNVERIFIED
    assert call("io.jwt.decode_verify", token({}, "RS512", RSA_KEY), check) == UNVERIFIED
    assert call("io.jwt.decode_verify", token({}, "RS512", RSA_KEY, kid="mine"), check)[0] is True  # the name comes first, as in OPA


def test_critical_headers_must_be_understood() -> None:
    assert call("io.jwt.decode_verify", token({}, crit=["alg"]), {"secret": SECRET})[0] is True
    assert call("io.jwt.decode_verify", token({}, crit=["foo"], foo=1), {"secret": SECRET}) == UNVERIFIED
    assert call("io.jwt.decode_verify", token({}, crit=["foo"]), {"secret": SECRET}) == UNVERIFIED


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"crit": []}, "crit: must be a nonempty list"),
        ({"crit": "x"}, "crit: must be a list"),
        ({"cty": 1}, "cty: must be a string"),
        ({"typ": 1}, "typ: must be a string"),
    ],
)
def test_headers_of_other_types_are_errors(headers: dict[str, Any], message: str) -> None:
    assert failure("io.jwt.decode_verify", token({}, **headers), {"secret": SECRET}) == message


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ({}, "no key constraint"),
        ({"secret": ""}, "no key constraint"),
        ({"secret": "x", "cert": '{"keys":[]}'}, "duplicate key constraints"),
        ({"secret": "x", "foo": 1}, "unknown token validation constraint: foo"),
        ({"secret": 1}, "secret constraint: must be a string"),
        ({"secret": "x", "time": "x"}, "token time constraint: must be a number"),
        ({"secret": "x", "time": -1}, "token time constraint: must not be negative"),
    ],
)
def test_bad_constraints_are_errors(constraints: dict[str, Any], message: str) -> None:
    assert failure("io.jwt.decode_verify", token({}), constraints) == message


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("x", "failed to parse a JWK key (set)"),
        ("{}", "failed to parse a JWK key (set)"),
        ('{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}', "failed to parse a JWK key (set)"),
        (
            '{"kty":"EC","crv":"P-999","x":"AA","y":"AA"}',
            "failed to parse a JWK key (set): jwk.ParseString: failed to parse string: jwk.Parse: failed to parse sole key: jwk.ParseKey: "
            "failed to unmarshal JSON into key (*jwk.ecdsaPublicKey): failed to unmarshal JSON into key (*jwk.ecdsaPublicKey): "
            "failed to decode value for key crv: "
            'unknown EllipticCurveAlgorithm: "P-999"',
        ),
        ("-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----", "failed to parse a PEM certificate"),
        ("-----BEGIN PUBLIC KEY-----\nYQ==\n-----END PUBLIC KEY-----", "failed to parse a PEM public key"),
        ("-----BEGIN FOO-----\nYQ==\n-----END FOO-----", "failed to extract a Key from the PEM certificate"),
        (pem(RSA_KEY) + "x", "extra data after a PEM certificate block"),
    ],
)
def test_bad_keys_are_errors(key: str, message: str) -> None:
    assert failure("io.jwt.verify_rs256", token({}, "RS256", RSA_KEY), key).startswith(message)


def test_an_empty_key_set_verifies_nothing() -> None:
    assert call("io.jwt.verify_rs256", token({}, "RS256", RSA_KEY), '{"keys":[]}') is False
    assert call("io.jwt.decode_verify", token({}, "RS256", RSA_KEY), {"cert": '{"keys":[]}'}) == UNVERIFIED


def test_decode_gives_header_payload_and_signature_unverified() -> None:
    text = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIwIiwiaXNzIjoib3BhIn0.XmVoLoHI3pxMtMO_WRONMSJzGUDP9pDjy8Jp0_tdRXY"
    signature = "5e65682e81c8de9c4cb4c3bf59138d3122731940cff690e3cbc269d3fb5d4576"
    assert call("io.jwt.decode", text) == [{"alg": "HS256", "typ": "JWT"}, {"iss": "opa", "sub": "0"}, signature]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("e30", "encoded JWT had no period separators"),
        ("e30.e30", "encoded JWT must have 3 sections, found 2"),
        ("a.e30.", "JWT header had invalid encoding: illegal base64url string: a"),
        ("Zm9v.e30.", "bad JWT header: invalid JSON: invalid character 'o' in literal false (expecting 'a')"),
        ("W10.e30.", "bad JWT header: decoded JSON type was not an Object"),
        ("e30.W10.", "decoded JSON type was not an Object"),
        ("e30.e30.a", "JWT signature had invalid encoding: illegal base64url string: a"),
        ("x" * 300_000, "encoded JWT has more than 262144 characters"),
    ],
)
def test_what_is_no_token_is_an_error(text: str, message: str) -> None:
    assert failure("io.jwt.decode", text) == message


def test_nested_tokens_are_unwrapped_and_each_signature_counts() -> None:
    inner = token({"a": 1})
    outer = raw_signed({"alg": "HS256", "cty": "JWT"}, inner, SECRET)
    assert call("io.jwt.decode_verify", outer, {"secret": SECRET}) == [True, {"alg": "HS256"}, {"a": 1}]
    assert call("io.jwt.decode", raw_signed({"alg": "HS256", "cty": "JWT"}, f'"{inner}"', SECRET))[1] == {"a": 1}
    forged = raw_signed({"alg": "HS256", "cty": "JWT"}, token({"a": 1}, key="wrong" * 8), SECRET)
    assert call("io.jwt.decode_verify", forged, {"secret": SECRET}) == UNVERIFIED


def raw_signed(headers: dict[str, str], payload: str, secret: str) -> str:
    key = {"kty": "oct", "k": urlsafe_b64encode(secret.encode()).decode().rstrip("=")}
    result: str = call("io.jwt.encode_sign_raw", json.dumps({"typ": "x"} | headers), payload, json.dumps(key))
    return result


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_a_signed_token_is_valid_elsewhere(algorithm: str) -> None:
    signed = call("io.jwt.encode_sign", {"alg": algorithm}, {"b": 1, "a": {"x"}}, jwk(algorithm, SIGNERS[algorithm], private=True))
    assert pyjwt.decode(signed, SIGNERS[algorithm].public_key(), [algorithm]) == {"a": ["x"], "b": 1}


@pytest.mark.parametrize(
    ("headers", "payload", "key", "message"),
    [
        ("", "{}", None, "missing or invalid 'alg' header: cannot parse JSON: cannot parse empty string; unparsed tail: \"\""),
        ("e", "{}", None, "missing or invalid 'alg' header: jwsbb: header \"alg\" not found"),
        ('{"alg":"none"}', "{}", None, "unknown JWS algorithm: none"),
        ('{"alg":"HS256"}', "x", None, "type is JWT but payload is not JSON"),
        (
            '{"alg":"RS256"}',
            "{}",
            None,
            "jwsbb.Sign: invalid key type *jwk.symmetricKey. *rsa.PrivateKey is required: failed to produce rsa.PrivateKey from "
            "*jwk.symmetricKey: jwk.Export: no suitable exporter found for key type '*jwk.symmetricKey'",
        ),
        ('{"alg":"HS256"}', "{}", '{"keys":[]}', "no keys found in JWK set"),
        (
            '{"alg":"HS256"}',
            "{}",
            '{"kty":"oct"}',
            "jwk.Parse: failed to parse sole key: jwk.ParseKey: failed to unmarshal JSON into key (*jwk.symmetricKey): "
            "failed to unmarshal JSON into key (*jwk.symmetricKey): required field k is missing",
        ),
    ],
)
def test_what_cannot_be_signed_is_an_error(headers: str, payload: str, key: str | None, message: str) -> None:
    assert failure("io.jwt.encode_sign_raw", headers, payload, key or '{"kty":"oct","k":"YWJj"}') == message
