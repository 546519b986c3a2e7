"""Flags and files of signatures: keys, claims, how to verify. Knows no bundle."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeVar

import click

from authz.bundle.directory import SourceError, SourceFile, document_of
from authz.bundle.errors import SignatureError
from authz.bundle.keys import ALGORITHM_NAMES, DEFAULT_ALGORITHM, Key, Keys
from authz.bundle.signatures import Verification
from authz.refresh.files import read_file

DEFAULT_KEY_ID: Final = "default"

_Command = TypeVar("_Command", bound=Callable[..., Any])


def algorithm_flag(command: _Command) -> _Command:
    """Add `--signing-alg`."""
    add = click.option(
        "--signing-alg", default=DEFAULT_ALGORITHM, show_default=True, metavar="NAME", help=f"One of {', '.join(ALGORITHM_NAMES)}."
    )
    return add(command)


def signing_flags(command: _Command) -> _Command:
    """Add the flags of a signature that is made."""
    for add in (
        click.option("--claims-file", type=click.Path(path_type=Path), metavar="FILE", help="JSON with more claims: scope, exp, keyid."),
        click.option("--signing-key", "signing_key_", metavar="KEY", help="A file with the private key in PEM; for HMAC, the secret."),
    ):
        command = add(command)
    return command


def verification_flags(command: _Command) -> _Command:
    """Add the flags of a signature that is verified."""
    for add in (
        click.option("--exclude-files-verify", multiple=True, metavar="PATTERN", help="Files that need not be signed; repeatable."),
        click.option("--scope", default=None, metavar="SCOPE", help="What the signature must be for."),
        click.option("--verification-key-id", default=DEFAULT_KEY_ID, show_default=True, metavar="ID", help="What the key is called."),
        click.option("--verification-key", metavar="KEY", help="A file with the public key in PEM; for HMAC, the secret."),
    ):
        command = add(command)
    return command


def verification(  # noqa: PLR0913 - flags
    key: str | None, key_id: str, algorithm: str, scope: str | None, exclude_files: tuple[str, ...], *, is_strict: bool = False
) -> Verification:
    """Return how to verify, now; without a key, what is signed does not verify. Raises SignatureError and SourceError."""
    keys = Keys() if key is None else Keys.from_config({key_id: {"key": _key_text(key, algorithm), "algorithm": algorithm}})
    return Verification(keys, time.time(), key_id if keys.by_id else None, scope, exclude_files, is_strict)


def signing_key(key: str, algorithm: str, key_id: str = "") -> Key:
    """Return the key to sign with. Raises SignatureError and SourceError."""
    made = Key(key_id, algorithm=algorithm, private_key=_key_text(key, algorithm))
    made.check()
    return made


def _key_text(key: str, algorithm: str) -> str:
    """Return what a flag names: a file's text, else the flag's own for a secret or PEM."""
    if algorithm not in ALGORITHM_NAMES:
        raise SignatureError(f"unknown signature algorithm: {algorithm}", help=f"one of {', '.join(ALGORITHM_NAMES)}")
    is_text = "-----BEGIN" in key or "\0" in key
    if is_text or (algorithm.startswith("HS") and not Path(key).is_file()):
        return key
    content = read_file(Path(key))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(f"{key}: not valid UTF-8") from error


def read_claims(path: Path | None) -> dict[str, Any]:
    """Return the claims in a file. Raises SourceError."""
    if path is None:
        return {}
    claims = document_of(SourceFile(str(path), PurePosixPath("claims.json"), read_file(path)))
    if not isinstance(claims, dict):
        raise SourceError(f"{path}: claims are an object")
    return claims
