"""How large a bundle may be. Numbers only; what is measured by them is the archive reader's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one bundle; what exceeds one is refused before memory is spent on it.

    `ratio` is expanded by compressed bytes, of interest beyond `ratio_free_bytes`: small texts that repeat compress without limit.
    `file_bytes` is what OPA's `size_limit_bytes` bounds.
    """

    compressed_bytes: int = 128 * 2**20
    expanded_bytes: int = 512 * 2**20
    file_bytes: int = 256 * 2**20
    files: int = 10_000
    path_bytes: int = 1_024
    depth: int = 64
    ratio: int = 250
    ratio_free_bytes: int = 16 * 2**20
    manifest_bytes: int = 4 * 2**20
    signature_bytes: int = 16 * 2**20


DEFAULT_LIMITS = Limits()
