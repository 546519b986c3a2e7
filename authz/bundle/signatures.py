"""`.signatures.json`: one signed list of the files of a bundle and their digests; verifying and making it.

Steps and messages are OPA's. The time is an argument. Knows nothing of what the files mean.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from authz.bundle.archive import ArchiveFile
from authz.bundle.digests import DEFAULT_HASH, HASHES, digest
from authz.bundle.errors import BundleError, SignatureError
from authz.bundle.file_patterns import any_matches
from authz.bundle.json_text import DocumentError, parse_json
from authz.bundle.keys import Key, Keys

SIGNATURES_NAME: Final = ".signatures.json"
PLUGIN: Final = "_default"
_RESERVED: Final = frozenset({"files"})


@dataclass(frozen=True, slots=True)
class Verification:
    """How signatures are to be verified, at the time `now_s` (UNIX seconds).

    With a `key_id`, or if `is_strict`, a bundle must be signed; without, one that is signed must verify all the same. `scope` is
    what the signature must be for; None leaves that to the key. Files that match `exclude_files` need not be signed.
    """

    keys: Keys
    now_s: float
    key_id: str | None = None
    scope: str | None = None
    exclude_files: tuple[str, ...] = ()
    is_strict: bool = False

    @property
    def needs_signature(self) -> bool:
        """Whether a bundle without a signature is refused."""
        return self.is_strict or bool(self.key_id)


@dataclass(frozen=True, slots=True)
class Token:
    """The parts of the JWT in a signature file, not verified. `signed` are the octets that its signature is of."""

    text: str
    header: Mapping[str, Any]
    payload: Mapping[str, Any]
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature of a bundle. `is_verified` is false where nobody asked for verification."""

    key_id: str
    algorithm: str
    scope: str
    is_verified: bool


def read_token(content: bytes) -> Token:
    """Return the one token of a signature file; raises SignatureError."""
    document = _document(content, SIGNATURES_NAME)
    tokens = document.get("signatures") or []
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise SignatureError(f"{SIGNATURES_NAME}: `signatures` must be an array of strings")
    if not tokens:
        raise SignatureError(f"{SIGNATURES_NAME}: missing JWT (expected exactly one)")
    if len(tokens) > 1:
        raise SignatureError(f"{SIGNATURES_NAME}: multiple JWTs not supported (expected exactly one)")
    if document.get("plugin") not in (None, "", PLUGIN):
        raise SignatureError(f"{SIGNATURES_NAME}: signed by the plugin `{document['plugin']}`, which is not supported")
    parts = tokens[0].split(".")
    if len(parts) != 3:
        raise SignatureError(f"{SIGNATURES_NAME}: not a JWT of three parts")
    header, payload, signature = map(_decoded, parts)
    signed = ".".join(parts[:2]).encode("utf-8", "replace")
    return Token(tokens[0], _document(header, "header of the JWT"), _document(payload, "payload of the JWT"), signed, signature)


def _document(content: bytes, what: str) -> dict[str, Any]:
    try:
        document = parse_json(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise SignatureError(f"{what}: not valid UTF-8") from error
    except DocumentError as error:
        raise SignatureError(f"{what}: {error.message}") from error
    if not isinstance(document, dict):
        raise SignatureError(f"{what}: must be an object")
    return document


def _decoded(part: str) -> bytes:
    try:
        octets = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise SignatureError(f"{SIGNATURES_NAME}: the JWT is not base64url") from error
    if _encoded(octets) != part:  # padding, or bits that nobody reads: there is one way to write octets
        raise SignatureError(f"{SIGNATURES_NAME}: the JWT is not base64url")
    return octets


def _encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def verify(token: Token, files: Iterable[ArchiveFile], verification: Verification) -> Signature:
    """Verify that the token is signed as asked for, and lists exactly the files (of which it is none). Raises SignatureError."""
    key = _key(token, verification)
    if token.header.get("alg") != key.algorithm:
        raise SignatureError(f"signed by the algorithm `{token.header.get('alg')}`, but key `{key.id}` is for {key.algorithm}")
    if "crit" in token.header:
        raise SignatureError("the header of the JWT has `crit`: extensions are not supported")
    if not key.verifies(token.signed, token.signature):
        raise SignatureError(f"the signature is not that of key `{key.id}`")
    expected = key.scope if verification.scope is None else verification.scope
    scope = token.payload.get("scope", "")
    if scope != expected:
        raise SignatureError(f"scope mismatch: the bundle is signed for `{scope}`, expected `{expected}`")
    _check_times(token.payload, verification.now_s)
    _check_files(listed_files(token), files, verification.exclude_files)
    return Signature(key.id, key.algorithm, scope, is_verified=True)


def _key(token: Token, verification: Verification) -> Key:
    known = verification.keys.by_id
    if not known:
        raise SignatureError("verification key not provided", help="the bundle is signed: give the key to verify it with")
    named = verification.key_id or token.header.get("kid") or token.payload.get("keyid")
    if not isinstance(named, str):
        raise SignatureError("verification key ID is empty")
    key = known.get(named)
    if key is None:
        raise SignatureError(f"verification key corresponding to ID {named} not found", help=f"keys are: {', '.join(sorted(known))}")
    return key


def _check_times(payload: Mapping[str, Any], now_s: float) -> None:
    expires, begins = (payload.get(name) for name in ("exp", "nbf"))
    for name, when in (("exp", expires), ("nbf", begins)):
        if isinstance(when, bool | str | list | dict):
            raise SignatureError(f"`{name}` of the signature must be a number")
    if expires is not None and now_s >= expires:
        raise SignatureError("the signature has expired")
    if begins is not None and now_s < begins:
        raise SignatureError("the signature is not valid yet")


def listed_files(token: Token) -> dict[str, tuple[str, str]]:
    """Return (digest, algorithm) of the files that the token lists, by path. Raises SignatureError."""
    files = token.payload.get("files") or []
    found: dict[str, tuple[str, str]] = {}
    for entry in files if isinstance(files, list) else [None]:
        name, hash, algorithm = _listed(entry)
        if name in found:
            raise SignatureError(f"file {name} is twice in the bundle signature")
        found[name] = hash, algorithm
    return found


def _listed(entry: Any) -> tuple[str, str, str]:
    name, hash, algorithm = (entry.get(field, "") for field in ("name", "hash", "algorithm")) if isinstance(entry, dict) else (None,) * 3
    if isinstance(name, str) and isinstance(hash, str) and isinstance(algorithm, str):
        return name.removeprefix("/"), hash, algorithm
    raise SignatureError("`files` of the signature must be an array of objects with `name`, `hash` and `algorithm`")


def _check_files(listed: dict[str, tuple[str, str]], files: Iterable[ArchiveFile], exclude_files: Iterable[str]) -> None:
    is_excluded = any_matches(exclude_files)
    missing = set(listed)
    for file in files:
        missing.discard(file.path)
        if is_excluded(file.path):
            continue
        if file.path not in listed:
            raise SignatureError(f"file {file.path} not included in bundle signature")
        wanted, algorithm = listed[file.path]
        if not algorithm:
            raise SignatureError(f"no hashing algorithm provided for file {file.path}")
        if algorithm not in HASHES:
            raise SignatureError(f"unsupported hashing algorithm: {algorithm}", help=f"one of {', '.join(HASHES)}")
        found = _digest(file, algorithm)
        if found != wanted:
            raise SignatureError(f"{file.path}: digest mismatch (want: {wanted}, got: {found})")
    left = sorted(name for name in missing if not is_excluded(name))
    if left:
        raise SignatureError(f"file(s) {left} specified in bundle signatures but not found in the target bundle")


def _digest(file: ArchiveFile, algorithm: str) -> str:
    try:
        return digest(file, algorithm)
    except BundleError as error:
        raise SignatureError(error.message) from error


def sign(files: Iterable[ArchiveFile], key: Key, claims: Mapping[str, Any] | None = None) -> bytes:
    """Return the signature file of a bundle; `claims` (`keyid`, `scope`, `exp`, …) join what is signed. Raises SignatureError."""
    extra = dict(claims or {})
    reserved = _RESERVED & extra.keys()
    if reserved:
        raise SignatureError(f"the claim `{min(reserved)}` is made from the bundle")
    if not isinstance(extra.get("keyid", ""), str) or not isinstance(extra.get("scope", ""), str):
        raise SignatureError("the claims `keyid` and `scope` must be strings")
    if key.id:
        extra.setdefault("keyid", key.id)
    listed = [{"name": file.path, "hash": _digest(file, DEFAULT_HASH), "algorithm": DEFAULT_HASH} for file in files]
    header = {"alg": key.algorithm} | ({"kid": extra["keyid"]} if "keyid" in extra else {}) | {"typ": "JWT"}
    signed = f"{_encoded(_json(header))}.{_encoded(_json({'files': listed, **extra}))}"
    token = f"{signed}.{_encoded(key.sign(signed.encode()))}"
    return json.dumps({"signatures": [token], "plugin": PLUGIN}, indent=1).encode()


def signature_file(files: Iterable[ArchiveFile], key: Key, claims: Mapping[str, Any] | None = None) -> ArchiveFile:
    """Return the signature of a bundle's files, whatever their order, as a file; one that is among them does not count.

    Raises SignatureError.
    """
    ordered = sorted(without_signatures(files), key=lambda file: file.path)
    return ArchiveFile(SIGNATURES_NAME, sign(ordered, key, claims))


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False, default=float).encode("utf-8", "surrogatepass")


def without_signatures(files: Iterable[ArchiveFile]) -> Iterator[ArchiveFile]:
    """Yield the files that a signature is about."""
    return (file for file in files if not is_signature_file(file))


def is_signature_file(file: ArchiveFile) -> bool:
    """Say whether OPA reads this file as signatures: it goes by how the name ends."""
    return file.path.endswith("signatures.json")
