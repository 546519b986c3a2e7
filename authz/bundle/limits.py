"""How large a policy bundle may be: bounds that no bundle of a real policy meets, and every bomb does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds in bytes, but for counts and the ratio. `file_bytes` is OPA's `size_limit_bytes`: one file, unpacked.

    OPA has no bound for all files together, so many files just below its limit exhaust its memory; here there is one.
    """

    packed_bytes: int = 256 * 2**20
    unpacked_bytes: int = 2**30
    file_bytes: int = 2**30
    files: int = 100_000
    path_bytes: int = 4096
    path_parts: int = 64
    ratio: int = 1000
    """Unpacked bytes for each packed one, beyond the first MiB: gzip itself reaches 1032 for zeros."""


DEFAULT_LIMITS = Limits()
"""Those of a bundle whose configuration says nothing."""
