"""A bundle counts only if all of it is signed, by a key that is known, in the way that the configuration says."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from authz.bundle.archive import ArchiveFile, BundleError
from authz.bundle.hashes import ALGORITHMS, canonical, digest
from authz.bundle.signatures import Key, Verification, sign, verify

SECRET = "a secret that is long enough to sign with, also for HS512 which wants sixty-four bytes"
FILES = (
    ArchiveFile(".manifest", b'{"revision": "r1"}'),
    ArchiveFile("a/data.json", b'{"b": 1.50, "a": [1e3, "<\xc3\xa9>"]}'),
    ArchiveFile("p.rego", b"package p\n"),
)
HS = Verification({"k": Key(SECRET, "HS256")}, key_id="k")


def signed(**options: Any) -> list[ArchiveFile]:
    return [*FILES, sign(FILES, SECRET, "HS256", **options)]


def refusal(files: list[ArchiveFile], verification: Verification = HS, now_s: float = 0) -> str:
    with pytest.raises(BundleError) as caught:
        verify(files, verification, now_s)
    return caught.value.message


def with_token(token: str) -> list[ArchiveFile]:
    return [*FILES, ArchiveFile(".signatures.json", json.dumps({"signatures": [token]}).encode())]


def with_payload(payload: dict[str, Any], **headers: Any) -> list[ArchiveFile]:
    return with_token(jwt.encode(payload, SECRET, "HS256", headers=headers))


def listed() -> list[dict[str, str]]:
    return [{"name": file.path, "hash": digest(file, "SHA-256"), "algorithm": "SHA-256"} for file in FILES]


def key_pairs() -> list[tuple[str, Any]]:
    rsa_key, curve = rsa.generate_private_key(65537, 2048), ec.SECP256R1()
    return [
        *((name, rsa_key) for name in ("RS256", "RS512", "PS256", "PS384")),
        ("ES256", ec.generate_private_key(curve)),
        ("ES384", ec.generate_private_key(ec.SECP384R1())),
        ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
    ]


@pytest.mark.parametrize(("algorithm", "private"), key_pairs(), ids=lambda part: part if isinstance(part, str) else "")
def test_what_is_signed_verifies_with_the_public_key_and_with_no_other(algorithm: str, private: Any) -> None:
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    public = private.public_key()
    text = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    files = [*FILES, sign(FILES, pem, algorithm, key_id="k")]
    assert verify(files, Verification({"k": Key(text, algorithm)}), 0) == "k"
    other = "RS256" if algorithm != "RS256" else "PS256"
    assert "cannot be verified" in refusal(files, Verification({"k": Key(text, other)}))


def test_the_algorithm_is_the_configured_one_and_never_the_headers() -> None:
    public = rsa.generate_private_key(65537, 2048).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    payload = {"files": listed()}
    unsigned = jwt.encode(payload, "", "none", headers={"kid": "k"})
    assert "cannot be verified" in refusal(with_token(unsigned), Verification({"k": Key(pem)}))
    assert "cannot be verified" in refusal(with_payload(payload, kid="k"), Verification({"k": Key(pem)}))
    assert "cannot be verified" in refusal(with_payload(payload, kid="k"), Verification({"k": Key(pem, "HS256")}))


# Which bundles need one


def test_an_unsigned_bundle_is_refused_unless_it_may_be() -> None:
    assert "missing .signatures.json" in refusal(list(FILES))
    assert "missing .signatures.json" in refusal(list(FILES), Verification(key_id="k", is_required=False))
    assert verify(FILES, Verification(is_required=False), 0) is None


def test_a_signed_bundle_is_verified_even_where_it_need_not_be() -> None:
    assert refusal(signed(), Verification(is_required=False)) == "verification key not provided"
    wrong = Verification({"k": Key(SECRET[:-1] + "!", "HS256")}, key_id="k", is_required=False)
    assert "cannot be verified" in refusal(signed(), wrong)


def test_the_key_is_the_configured_one_else_the_headers_else_the_payloads() -> None:
    keys = {"right": Key(SECRET, "HS256"), "wrong": Key(SECRET[::-1], "HS256")}
    files = with_payload({"files": listed(), "keyid": "wrong"}, kid="right")
    assert verify(files, Verification(keys), 0) == "right"
    assert "cannot be verified" in refusal(files, Verification(keys, key_id="wrong"))
    assert verify(with_payload({"files": listed(), "keyid": "right"}), Verification(keys), 0) == "right"
    assert refusal(with_payload({"files": listed()}), Verification(keys)) == "verification key ID is empty"
    assert refusal(files, Verification(keys, key_id="none")) == "verification key corresponding to ID none not found"


@pytest.mark.parametrize(
    ("signed_for", "of_key", "configured", "is_right"),
    [("", "", "", True), ("w", "w", "", True), ("w", "", "w", True), ("w", "r", "w", True), ("w", "", "", False), ("", "w", "", False)],
)
def test_a_signature_counts_for_one_scope(signed_for: str, of_key: str, configured: str, is_right: bool) -> None:
    files = signed(scope=signed_for)
    verification = Verification({"k": Key(SECRET, "HS256", of_key)}, key_id="k", scope=configured)
    if is_right:
        assert verify(files, verification, 0) == "k"
    else:
        assert "scope mismatch" in refusal(files, verification)


def test_a_signature_that_expires_counts_until_then() -> None:
    files = signed(claims={"exp": 1000})
    assert verify(files, HS, 999) == "k"
    assert "has expired" in refusal(files, HS, 1000)
    assert "has expired" in refusal(with_payload({"files": listed(), "exp": "x"}, kid="k"))


# Which files it covers


@pytest.mark.parametrize("index", range(len(FILES)))
def test_a_file_that_is_changed_missing_or_new_is_told(index: int) -> None:
    files = signed()
    changed = [*files]
    changed[index] = ArchiveFile(
        files[index].path, files[index].content.replace(b"r1", b"r2").replace(b"1", b"2").replace(b"package", b"x")
    )
    assert f"{files[index].path}: digest mismatch" in refusal(changed)
    assert f"file(s) [{files[index].path}] specified in bundle signatures but not found" in refusal(files[:index] + files[index + 1 :])
    added = ArchiveFile("new.txt", b"")
    assert refusal([*files, added]) == "file new.txt not included in bundle signature"


def test_files_may_be_excluded_by_pattern_within_a_folder() -> None:
    exclude = Verification(HS.keys, "k", exclude_files=("*.txt", "a/*"))
    assert verify([*signed(), ArchiveFile("new.txt", b"")], exclude, 0) == "k"
    assert verify([file for file in signed() if file.path != "a/data.json"] + [ArchiveFile("a/data.json", b"{}")], exclude, 0) == "k"
    assert "b/new.txt not included" in refusal([*signed(), ArchiveFile("b/new.txt", b"")], exclude)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({}, "lists no files"),
        ({"files": [{"name": 1}]}, "lists no files"),
        ({"files": [*listed(), *listed()]}, "lists a file twice"),
        ({"files": [{**entry, "algorithm": ""} for entry in listed()]}, "no hashing algorithm provided for file .manifest"),
        ({"files": [{**entry, "algorithm": "SHA-3"} for entry in listed()]}, "unsupported hashing algorithm: SHA-3"),
    ],
)
def test_a_payload_that_does_not_say_what_is_signed_is_refused(payload: dict[str, Any], message: str) -> None:
    assert message in refusal(with_payload(payload, kid="k"))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"signatures": []}', b'{"signatures": ["a", "b"]}', b'{"signatures": [1]}', b'{"signatures": ["a.b.c"]}',
     b'{"signatures": ["x"], "plugin": "mine"}', b'{"signatures":' + b"[" * 100_000],
)  # fmt: skip
def test_a_signature_file_that_is_none_is_refused(content: bytes) -> None:
    assert refusal([*FILES, ArchiveFile(".signatures.json", content)])


def test_two_signature_files_are_refused() -> None:
    assert "several signatures" in refusal([*signed(), ArchiveFile("x/signatures.json", signed()[-1].content)])


# Digests


def test_documents_are_hashed_by_what_they_say() -> None:
    manifest = ArchiveFile(".manifest", b'{ "revision":\n"quickbrownfaux" }')
    assert digest(manifest, "MD5") == "a005c38a509dc2d5a7407b9494efb2ad"
    assert digest(manifest, "SHA-256") == "507a2c38a1441db58d2cb87982c42aa91a4342ef422a6b542eddebeef6f0412f"
    data = ArchiveFile("x/data.json", '{"b": [1, 2.50, "<é>"], "a": null}'.encode())
    assert digest(data, "SHA-256") == "3aa2a801eb50eb3b3b9ad9b4b313c5ecbe90c85813fd49fbbb94e85f57f84656"
    other = ArchiveFile("x/data.yml", data.content)
    assert digest(other, "SHA-256") == hashlib.sha256(data.content).hexdigest()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_digest_of_opa_verifies(algorithm: str) -> None:
    entries = [{"name": file.path, "hash": digest(file, algorithm), "algorithm": algorithm} for file in FILES]
    assert verify(with_payload({"files": entries}, kid="k"), HS, time.time()) == "k"


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"b": 1, "a": [True, None, "x"]}, '{"a":[true,null,"x"],"b":1}'),
        ('\u2028\x00"\\\n\t<>&/é\ud800', '"\\u2028\\u0000\\"\\\\\\n\\t<>&/é\ufffd"'),
        ([1.5, 1e21, 1e-7, 100.0, 10**20], "[1.5,1e+21,1e-07,100,100000000000000000000]"),
    ],
)
def test_canonical_text_is_gos(document: Any, text: str) -> None:
    assert canonical(document) == text
