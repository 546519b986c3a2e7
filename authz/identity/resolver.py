"""The identity of a caller, remembered: header, principal and certificate are constant for a connection.

Safe to remember because `identify` is pure and the configuration lives as long as the resolver. This module decides nothing itself.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Final

from authz.identity.peer import Identity, IdentityConfig, identify

CACHE_ENTRIES: Final = 2048
MAX_CACHED_CHARS: Final = 8192  # a leaf certificate fits; 2048 entries of what a hostile sender varies stay below 16 MiB


class IdentityResolver:
    """Answers who is calling under one configuration. One per snapshot, usable from several threads."""

    __slots__ = ("_config", "_recall")

    def __init__(self, config: IdentityConfig, *, cache_entries: int = CACHE_ENTRIES) -> None:
        self._config = config
        self._recall = lru_cache(cache_entries)(partial(identify, config))

    def resolve(self, header: str | None, principal: str, certificate: str = "") -> Identity:
        """Return who is calling; see `identify`. Equal inputs give the same object while they are remembered."""
        if len(principal) + len(certificate) + (len(header) if header else 0) > MAX_CACHED_CHARS:
            return identify(self._config, header, principal, certificate)
        return self._recall(header, principal, certificate)
