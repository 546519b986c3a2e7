from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from authz.bundle.archive import ArchiveFile
from authz.bundle.digests import HASHES, digest
from authz.bundle.errors import BundleError, SignatureError
from authz.bundle.keys import ALGORITHM_NAMES, Key, Keys
from authz.bundle.signatures import SIGNATURES_NAME, Signature, Verification, read_token, sign, verify
from tests.bundle.archives import files

NOW: Final = 1_700_000_000.0
FILES: Final = files({"policy.rego": "package a\n", "a/data.json": '{"x": 1.0}', ".manifest": "{}", "notes.txt": "n"})
SECRET: Final = Key("k", "a secret of some length, " * 4, "HS256")


def pem_pair(private: Any) -> tuple[str, str]:
    private_pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private_pem.decode(), public.decode()


RSA: Final = pem_pair(rsa.generate_private_key(65537, 2048))
CURVES: Final = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


def key_of(algorithm: str) -> Key:
    match algorithm[:2]:
        case "HS":
            return Key("k", SECRET.key, algorithm)
        case "ES":
            private, public = pem_pair(ec.generate_private_key(CURVES[algorithm]))
        case "Ed":
            private, public = pem_pair(Ed25519PrivateKey.generate())
        case _:
            private, public = RSA
    return Key("k", public, algorithm, private_key=private)


def verification(key: Key = SECRET, **changes: Any) -> Verification:
    return replace(Verification(Keys({key.id: key}), NOW), **changes)


def verified(content: bytes, how: Verification | None = None, among: list[ArchiveFile] = FILES) -> Signature:
    return verify(read_token(content), among, how or verification())


def refusal(content: bytes, how: Verification | None = None, among: list[ArchiveFile] = FILES) -> str:
    with pytest.raises(SignatureError) as caught:
        verified(content, how, among)
    return caught.value.message


def signed(payload: Mapping[str, Any], header: Mapping[str, Any] | None = None, secret: str = SECRET.key) -> bytes:
    """Return a signature file made by another library."""
    token = jwt.encode(dict(payload), secret, "HS256", {"kid": "k", **(header or {})})
    return json.dumps({"signatures": [token]}).encode()


def listing(**changes: dict[str, str]) -> list[dict[str, str]]:
    entries = [{"name": file.path, "hash": digest(file), "algorithm": "SHA-256"} for file in FILES]
    return [entry | changes.get(entry["name"].replace(".", "_").replace("/", "_"), {}) for entry in entries]


@pytest.mark.parametrize("algorithm", ALGORITHM_NAMES)
def test_what_is_signed_by_any_algorithm_verifies(algorithm: str) -> None:
    key = key_of(algorithm)
    content = sign(FILES, key, {"scope": "s"})
    assert verified(content, verification(key, scope="s")) == Signature("k", algorithm, "s", is_verified=True)


@pytest.mark.parametrize("algorithm", ALGORITHM_NAMES)
def test_another_library_verifies_what_is_signed(algorithm: str) -> None:
    key = key_of(algorithm)
    token = json.loads(sign(FILES, key))["signatures"][0]
    payload = jwt.decode(token, key.key, [algorithm])
    assert payload == {"files": listing(), "keyid": "k"}


def test_a_signature_file_has_the_shape_of_opas() -> None:
    document = json.loads(sign(FILES, SECRET))
    assert document["plugin"] == "_default"
    assert jwt.get_unverified_header(document["signatures"][0]) == {"alg": "HS256", "kid": "k", "typ": "JWT"}
    assert jwt.get_unverified_header(json.loads(sign(FILES, replace(SECRET, id="")))["signatures"][0]) == {"alg": "HS256", "typ": "JWT"}


@pytest.mark.parametrize("name", HASHES)
def test_every_hash_that_opa_knows_is_known(name: str) -> None:
    entries = [{"name": file.path, "hash": digest(file, name), "algorithm": name} for file in FILES]
    assert verified(signed({"files": entries})).is_verified


def test_documents_are_hashed_by_what_they_say() -> None:
    spaced = ArchiveFile("a/data.json", b'{ "x" : 1.0 }\n')
    assert verified(sign(FILES, SECRET), among=[spaced if file.path == spaced.path else file for file in FILES]).is_verified
    other = ArchiveFile("a/data.json", b'{"x": 1.00}')
    assert "a/data.json: digest mismatch" in refusal(
        sign(FILES, SECRET), among=[other if file.path == other.path else file for file in FILES]
    )


def test_names_in_a_signature_may_begin_with_a_slash() -> None:
    assert verified(signed({"files": [entry | {"name": f"/{entry['name']}"} for entry in listing()]})).is_verified


@pytest.mark.parametrize("path", ["policy.rego", "notes.txt", "a/data.json"])
def test_a_file_that_was_changed_is_refused(path: str) -> None:
    changed = [replace(file, content=file.content.replace(b"x", b"y") + b" ") if file.path == path else file for file in FILES]
    if path != "a/data.json":
        assert f"{path}: digest mismatch (want: " in refusal(sign(FILES, SECRET), among=changed)
    else:
        assert f"{path}: digest mismatch" in refusal(sign(FILES, SECRET), among=changed)


def test_a_file_more_is_refused() -> None:
    assert refusal(sign(FILES, SECRET), among=[*FILES, ArchiveFile("b.rego", b"")]) == "file b.rego not included in bundle signature"


def test_a_file_less_is_refused() -> None:
    wanted = "file(s) ['policy.rego'] specified in bundle signatures but not found in the target bundle"
    assert refusal(sign(FILES, SECRET), among=FILES[1:]) == wanted


def test_excluded_files_need_not_be_signed_and_may_be_missing() -> None:
    how = verification(exclude_files=("*.txt", "extra/*", "["))
    others = [replace(file, content=b"changed") if file.path == "notes.txt" else file for file in FILES]
    assert verified(sign(FILES, SECRET), how, [*others, ArchiveFile("extra/x", b"")]).is_verified
    assert verified(sign(FILES, SECRET), how, [file for file in FILES if file.path != "notes.txt"]).is_verified
    assert "file extra/x/y not included" in refusal(sign(FILES, SECRET), how, [*FILES, ArchiveFile("extra/x/y", b"")])


@pytest.mark.parametrize("of_key", ["", "other"])
def test_a_signature_for_another_scope_is_refused(of_key: str) -> None:
    how = verification(replace(SECRET, scope=of_key))
    assert refusal(sign(FILES, SECRET, {"scope": "read"}), how) == f"scope mismatch: the bundle is signed for `read`, expected `{of_key}`"


def test_the_scope_that_is_asked_for_counts_before_that_of_the_key() -> None:
    how = verification(replace(SECRET, scope="other"), scope="")
    assert verified(sign(FILES, SECRET), how).is_verified


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"exp": NOW}, "the signature has expired"),
        ({"exp": NOW - 1}, "the signature has expired"),
        ({"nbf": NOW + 1}, "the signature is not valid yet"),
        ({"exp": "never"}, "`exp` of the signature must be a number"),
        ({"exp": True}, "`exp` of the signature must be a number"),
    ],
)
def test_a_signature_out_of_its_time_is_refused(claims: dict[str, Any], message: str) -> None:
    assert refusal(sign(FILES, SECRET, claims)) == message


def test_a_signature_in_its_time_verifies() -> None:
    assert verified(sign(FILES, SECRET, {"exp": NOW + 1, "nbf": NOW, "iat": 5, "iss": "x"})).is_verified


def test_a_key_that_is_not_known_is_refused() -> None:
    assert refusal(sign(FILES, replace(SECRET, id="x"))) == "verification key corresponding to ID x not found"
    assert refusal(sign(FILES, SECRET), Verification(Keys(), NOW)) == "verification key not provided"
    assert refusal(sign(FILES, replace(SECRET, id=""))) == "verification key ID is empty"


def test_the_key_that_is_asked_for_counts_before_what_the_token_names() -> None:
    other = Key("other", "another secret", "HS256")
    how = Verification(Keys({"k": SECRET, "other": other}), NOW, key_id="other")
    assert refusal(sign(FILES, SECRET), how) == "the signature is not that of key `other`"
    assert verified(sign(FILES, replace(other, id="k")), how).key_id == "other"


def test_a_key_may_be_named_in_the_payload() -> None:
    token = jwt.encode({"files": listing(), "keyid": "k"}, SECRET.key, "HS256")
    assert verified(json.dumps({"signatures": [token]}).encode()).key_id == "k"


def part(document: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["none", "None", "", None, 1, "HS384", "RS256"])
def test_an_algorithm_that_is_not_the_keys_is_refused(algorithm: object) -> None:
    text = f"{part({'alg': algorithm, 'kid': 'k'})}.{part({'files': listing()})}"
    for signature in ("", base64.urlsafe_b64encode(hmac.digest(SECRET.key.encode(), text.encode(), "sha256")).rstrip(b"=").decode()):
        content = json.dumps({"signatures": [f"{text}.{signature}"]}).encode()
        assert refusal(content) == f"signed by the algorithm `{algorithm}`, but key `k` is for HS256"


def test_a_public_key_is_no_secret() -> None:
    public = RSA[1]
    text = f"{part({'alg': 'HS256', 'kid': 'k'})}.{part({'files': listing()})}"
    mac = base64.urlsafe_b64encode(hmac.digest(public.encode(), text.encode(), "sha256")).rstrip(b"=").decode()
    content = json.dumps({"signatures": [f"{text}.{mac}"]}).encode()
    assert "signed by the algorithm `HS256`" in refusal(content, verification(Key("k", public, "RS256")))
    assert "is PEM, but HS256 takes a secret" in refusal(content, verification(Key("k", public, "HS256")))


def test_a_token_that_was_changed_is_refused() -> None:
    token = json.loads(sign(FILES, SECRET))["signatures"][0]
    header, _, signature = token.split(".")
    other = f"{header}.{part({'files': listing(policy_rego={'hash': 'x'}), 'keyid': 'k'})}.{signature}"
    assert refusal(json.dumps({"signatures": [other]}).encode()) == "the signature is not that of key `k`"


def test_every_other_text_of_a_token_is_refused() -> None:
    token = json.loads(sign(FILES, SECRET))["signatures"][0]
    for at in range(0, len(token), 7):
        other = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        refusal(json.dumps({"signatures": [other]}).encode())
    for other in (token + "=", token + "A", token.replace(".", "..", 1), f" {token}"):
        refusal(json.dumps({"signatures": [other]}).encode())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ".signatures.json: not valid JSON"),
        (b"\xff", ".signatures.json: not valid UTF-8"),
        (b"[]", ".signatures.json: must be an object"),
        (b"{}", ".signatures.json: missing JWT (expected exactly one)"),
        (b'{"signatures": []}', ".signatures.json: missing JWT (expected exactly one)"),
        (b'{"signatures": ["a", "b"]}', ".signatures.json: multiple JWTs not supported (expected exactly one)"),
        (b'{"signatures": [1]}', ".signatures.json: `signatures` must be an array of strings"),
        (b'{"signatures": ["a.b"]}', ".signatures.json: not a JWT of three parts"),
        (b'{"signatures": ["!.b.c"]}', ".signatures.json: the JWT is not base64url"),
        (b'{"signatures": ["\\u00e9.b.c"]}', ".signatures.json: the JWT is not base64url"),
        (b'{"signatures": ["W10.W10.W10"]}', "header of the JWT: must be an object"),
        (b'{"signatures": ["e30.W10.W10"]}', "payload of the JWT: must be an object"),
        (b'{"signatures": ["e30.e30.e30"], "plugin": "x"}', ".signatures.json: signed by the plugin `x`, which is not supported"),
        (b'{"signatures": ["a.b.c"], "signatures": ["a.b.c"]}', "key `signatures` appears twice"),
    ],
)
def test_a_signature_file_that_is_wrong_is_refused(content: bytes, message: str) -> None:
    assert message in refusal(content)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({}, "file policy.rego not included in bundle signature"),
        ({"files": {}}, "file policy.rego not included in bundle signature"),
        ({"files": "x"}, "`files` of the signature must be an array of objects"),
        ({"files": [1]}, "`files` of the signature must be an array of objects"),
        ({"files": [{"name": 1}]}, "`files` of the signature must be an array of objects"),
        ({"files": listing(policy_rego={"algorithm": ""})}, "no hashing algorithm provided for file policy.rego"),
        ({"files": listing(policy_rego={"algorithm": "CRC"})}, "unsupported hashing algorithm: CRC"),
        ({"files": [*listing(), listing()[0]]}, "file policy.rego is twice in the bundle signature"),
        ({"files": listing(), "scope": 1}, "scope mismatch"),
    ],
)
def test_a_payload_that_is_wrong_is_refused(payload: dict[str, Any], message: str) -> None:
    assert message in refusal(signed(payload))


def test_extensions_of_a_token_are_refused() -> None:
    assert "has `crit`" in refusal(signed({"files": listing()}, {"crit": ["x"], "x": 1}))


def test_a_document_that_cannot_be_read_has_no_digest() -> None:
    twice = ArchiveFile("a/data.json", b'{"x": 1, "x": 2}')
    with pytest.raises(BundleError, match=r"^a/data\.json: key `x` appears twice"):
        digest(twice)
    assert "key `x` appears twice" in refusal(sign(FILES, SECRET), among=[twice if file.path == twice.path else file for file in FILES])


def test_claims_that_are_made_from_the_bundle_are_refused() -> None:
    wrong: list[dict[str, Any]] = [{"files": []}, {"keyid": 1}, {"scope": []}]
    for claims in wrong:
        with pytest.raises(SignatureError):
            sign(FILES, SECRET, claims)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "key `k` has neither `key` nor `private_key`"),
        ({"key": "x", "algorithm": "none"}, "unknown signature algorithm: none"),
        ({"key": "x"}, "key `k` is not a PEM key for RS256"),
        ({"key": RSA[1], "algorithm": "ES256"}, "key `k` does not fit the algorithm ES256"),
        ({"key": RSA[1], "algorithm": "EdDSA"}, "key `k` does not fit the algorithm EdDSA"),
        ({"key": key_of("ES384").key, "algorithm": "ES256"}, "key `k` does not fit the algorithm ES256"),
        ({"key": RSA[1], "algorithm": "HS256"}, "key `k` is PEM, but HS256 takes a secret"),
        ({"private_key": RSA[1]}, "key `k` is not a PEM key for RS256"),
        ({"private_key": RSA[0], "algorithm": "ES256"}, "key `k` does not fit the algorithm ES256"),
        ({"key": "x", "size": "1"}, "key `k`: `size` is not a field of a key"),
    ],
)
def test_a_key_that_is_of_no_use_is_refused(config: dict[str, str], message: str) -> None:
    with pytest.raises(SignatureError) as caught:
        Keys.from_config({"k": config})
    assert message in caught.value.message


@pytest.mark.parametrize("algorithm", ALGORITHM_NAMES)
def test_keys_are_read_from_the_configuration(algorithm: str) -> None:
    key = key_of(algorithm)
    keys = Keys.from_config({"k": {"key": key.key, "private_key": key.private_key, "algorithm": algorithm, "scope": "s"}})
    assert keys.by_id["k"] == replace(key, scope="s")
    assert verified(sign(FILES, keys.by_id["k"], {"scope": "s"}), Verification(keys, NOW)).scope == "s"


def test_a_key_that_only_verifies_does_not_sign() -> None:
    with pytest.raises(SignatureError, match="key `k` has no private key"):
        sign(FILES, Key("k", RSA[1]))


def test_keys_are_not_shown() -> None:
    assert SECRET.key not in repr(Keys({"k": SECRET}))


def test_the_fixture_of_opas_own_documentation_is_hashed_alike() -> None:
    assert digest(ArchiveFile(".manifest", b'{"revision": "quickbrownfaux"}'), "MD5") == "a005c38a509dc2d5a7407b9494efb2ad"
    assert digest(ArchiveFile("policy.rego", b"x")) == hashlib.sha256(b"x").hexdigest()
    assert digest(ArchiveFile(SIGNATURES_NAME, b"x")) == hashlib.sha256(b"x").hexdigest()
