"""What a file of a bundle hashes to, as OPA does it: documents by what they say, other files by their bytes.

Knows no signature and no key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from authz.bundle.archive import ArchiveFile
from authz.bundle.canonical import canonical_json, canonical_yaml
from authz.bundle.errors import BundleError
from authz.bundle.manifest import MANIFEST_NAME

DEFAULT_HASH: Final = "SHA-256"
HASHES: Final = {
    "MD5": "md5",
    "SHA-1": "sha1",
    "SHA-224": "sha224",
    "SHA-256": "sha256",
    "SHA-384": "sha384",
    "SHA-512": "sha512",
    "SHA-512-224": "sha512_224",
    "SHA-512-256": "sha512_256",
}
"""OPA's names of hash algorithms, and hashlib's."""

_STRUCTURED: Final[dict[str, Callable[[str], bytes]]] = {
    "data.json": canonical_json,
    "data.yaml": canonical_yaml,
    MANIFEST_NAME: canonical_json,
}


def digest(file: ArchiveFile, algorithm: str = DEFAULT_HASH) -> str:
    """Return the hexadecimal digest of a file. Raises BundleError for a document that cannot be read; the algorithm must be known."""
    hashed = hashlib.new(HASHES[algorithm], usedforsecurity=False)
    canonical = _STRUCTURED.get(file.name)
    if canonical is None:
        hashed.update(file.content)
        return hashed.hexdigest()
    try:
        hashed.update(canonical(file.content.decode("utf-8")))
    except UnicodeDecodeError as error:
        raise BundleError(f"{file.path}: not valid UTF-8") from error
    except BundleError as error:
        raise BundleError(f"{file.path}: {error.message}") from error
    return hashed.hexdigest()
