"""The signature of a policy bundle: what `.signatures.json` must say for the files beside it to count.

The steps and messages are OPA's (bundle signing); where OPA lets something pass that is not signed, strictness refuses it. Knows no
manifest and no policy. Signatures are PyJWT's and cryptography's work.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from cryptography import x509

from authz.bundle.archive import ArchiveFile, BundleError
from authz.bundle.hashes import ALGORITHMS, digest

NAME: Final = ".signatures.json"
PLUGIN: Final = "_default"
SIGNING_ALGORITHMS: Final = frozenset(f"{family}{bits}" for family in ("HS", "RS", "ES", "PS") for bits in ("256", "384", "512")) | {
    "EdDSA"
}
MAX_SIGNATURE_BYTES: Final = 64 * 2**20
_CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class Key:
    """A key to verify with: PEM of a public key or certificate, or the shared secret of an `HS` algorithm."""

    key: str
    algorithm: str = "RS256"
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """How a bundle's signature is verified. With `is_required`, a bundle without one is refused; so is a delta, which has none."""

    keys: Mapping[str, Key] = field(default_factory=dict)
    key_id: str = ""
    scope: str = ""
    exclude_files: tuple[str, ...] = ()
    is_required: bool = True


def verify(files: Sequence[ArchiveFile], verification: Verification, now_s: float) -> str | None:
    """Return the id of the key by which all files are signed; None for an unsigned bundle that may be. Raises BundleError.

    `now_s` is UNIX time: a signature that says when it expires (`exp`, RFC 7519 §4.1.4) has to be younger.
    """
    signatures = [file for file in files if is_signature(file.path)]
    if not signatures:
        if verification.is_required or verification.key_id:
            raise BundleError(f"bundle missing {NAME} file", help="sign it (`authz sign`), or allow unsigned bundles in the configuration")
        return None
    if len(signatures) > 1:
        raise BundleError(f"several signatures: {', '.join(file.path for file in signatures)}")
    if not verification.keys:
        raise BundleError("verification key not provided", help="name the key in `keys` of the configuration")
    key_id, payload = _payload(_token(signatures[0]), verification)
    _check_age(payload, now_s)
    _check_files([file for file in files if not is_signature(file.path)], payload, verification.exclude_files)
    return key_id


def is_signature(path: str) -> bool:
    """Tell whether a path is that of a signature, by OPA's rule."""
    return path.endswith("signatures.json")


def _token(file: ArchiveFile) -> str:
    if len(file.content) > MAX_SIGNATURE_BYTES:
        raise BundleError(f"{file.path}: larger than {MAX_SIGNATURE_BYTES} bytes")
    try:
        document = json.loads(file.content)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{file.path}: not valid JSON: {error}") from error
    tokens = document.get("signatures") if isinstance(document, dict) else None
    if not isinstance(tokens, list) or not tokens:
        raise BundleError(f"{NAME}: missing JWT (expected exactly one)")
    if len(tokens) > 1:
        raise BundleError(f"{NAME}: multiple JWTs not supported (expected exactly one)")
    if document.get("plugin", PLUGIN) != PLUGIN:
        raise BundleError(f"{file.path}: verification plugin `{document['plugin']}` is not supported")
    if not isinstance(tokens[0], str):
        raise BundleError(f"{NAME}: the JWT must be a string")
    return tokens[0]


def _payload(token: str, verification: Verification) -> tuple[str, Mapping[str, Any]]:
    """Return the id of the key that the token was signed with, and what it says."""
    try:
        header = jwt.get_unverified_header(token)
        unverified = json.loads(jwt.api_jws.PyJWS().decode_complete(token, options={"verify_signature": False})["payload"])
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise BundleError(f"{NAME}: not a JSON Web Token: {error}") from error
    deprecated = unverified.get("keyid") if isinstance(unverified, dict) else None
    key_id = verification.key_id or header.get("kid") or deprecated or ""
    if not isinstance(key_id, str) or not key_id:
        raise BundleError("verification key ID is empty", help="name the key in `signing.keyid`, or sign with a key id")
    key = verification.keys.get(key_id)
    if key is None:
        raise BundleError(f"verification key corresponding to ID {key_id} not found", help="add it to `keys` of the configuration")
    payload = _verified(token, key)
    expected = verification.scope or key.scope
    if payload.get("scope", "") != expected:
        raise BundleError(f"scope mismatch: the bundle is signed for `{payload.get('scope', '')}`, wanted is `{expected}`")
    return key_id, payload


def _verified(token: str, key: Key) -> Mapping[str, Any]:
    if key.algorithm not in SIGNING_ALGORITHMS:
        raise BundleError(f"unknown signature algorithm: {key.algorithm}")
    try:
        payload = json.loads(jwt.api_jws.PyJWS().decode(token, _public_key(key), algorithms=[key.algorithm]))
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise BundleError(f"{NAME}: the signature cannot be verified: {error}") from error
    if not isinstance(payload, dict):
        raise BundleError(f"{NAME}: the JWT's payload must be an object")
    return payload


def _public_key(key: Key) -> Any:
    """Return what PyJWT verifies with; it refuses a public key as the secret of an `HS` algorithm by itself."""
    if key.key.lstrip().startswith(_CERTIFICATE):
        return x509.load_pem_x509_certificate(key.key.encode()).public_key()
    return key.key


def _check_age(payload: Mapping[str, Any], now_s: float) -> None:
    expires_s = payload.get("exp")
    if expires_s is None:
        return
    if not isinstance(expires_s, int | float) or isinstance(expires_s, bool) or expires_s <= now_s:
        raise BundleError(f"{NAME}: the signature has expired (exp {expires_s})", help="sign the bundle again")


def _check_files(files: Sequence[ArchiveFile], payload: Mapping[str, Any], exclude: Iterable[str]) -> None:
    expected = _expected(payload)
    patterns = [_shell_glob(pattern) for pattern in exclude]
    for file in files:
        if any(pattern.fullmatch(file.path) for pattern in patterns):
            expected.pop(file.path, None)
            continue
        entry = expected.pop(file.path, None)
        if entry is None:
            raise BundleError(f"file {file.path} not included in bundle signature")
        algorithm, wanted = entry.get("algorithm"), entry.get("hash")
        if not algorithm:
            raise BundleError(f"no hashing algorithm provided for file {file.path}")
        if algorithm not in ALGORITHMS:
            raise BundleError(f"unsupported hashing algorithm: {algorithm}")
        found = digest(file, algorithm)
        if found != wanted:
            raise BundleError(f"{file.path}: digest mismatch (want: {wanted}, got: {found})")
    if expected:
        names = ", ".join(sorted(expected))
        raise BundleError(f"file(s) [{names}] specified in bundle signatures but not found in the target bundle")


def _expected(payload: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    entries = payload.get("files")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in entries):
        raise BundleError(f"{NAME}: the JWT lists no files")
    found = {entry["name"].lstrip("/"): entry for entry in entries}
    if len(found) != len(entries):
        raise BundleError(f"{NAME}: the JWT lists a file twice")
    return found


def _shell_glob(pattern: str) -> re.Pattern[str]:
    """Return a pattern of `exclude_files`: `*` and `?` do not cross `/`; a bad one matches nothing, as in OPA."""
    text = "".join(_GLOB_PARTS.get(char, re.escape(char)) for char in posixpath.normpath(pattern).lstrip("/"))
    return re.compile(text)


_GLOB_PARTS: Final = {"*": "[^/]*", "?": "[^/]"}


def sign(  # noqa: PLR0913 - what a signature is made of
    files: Iterable[ArchiveFile],
    private_key: str,
    algorithm: str = "RS256",
    *,
    key_id: str = "",
    scope: str = "",
    claims: Mapping[str, Any] | None = None,
) -> ArchiveFile:
    """Return the signature file for files; `claims` go into the token besides. Raises BundleError for a key that does not fit."""
    if algorithm not in SIGNING_ALGORITHMS:
        raise BundleError(f"unknown signature algorithm: {algorithm}")
    listed = [{"name": file.path, "hash": digest(file, "SHA-256"), "algorithm": "SHA-256"} for file in sorted(files, key=_by_path)]
    payload = {**(claims or {}), "files": listed, **({"scope": scope} if scope else {})}
    try:
        token = jwt.encode(payload, private_key, algorithm=algorithm, headers={"kid": key_id} if key_id else None)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise BundleError(f"the key cannot sign with {algorithm}: {error}") from error
    return ArchiveFile(NAME, json.dumps({"signatures": [token]}, separators=(",", ":")).encode())


def _by_path(file: ArchiveFile) -> str:
    return file.path
