"""What a request says of the version that its client has, and of the answer that it likes. Knows no bundle."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from multidict import CIMultiDictProxy

MAX_WAIT_S: Final = 300.0
_MODES: Final = re.compile(r'(?:^|[;, ])modes="?([a-z]+(?:,[a-z]+)*)')
_WAIT: Final = re.compile(r"(?:^|[;, ])wait=(\d{1,9}(?:\.\d{1,9})?)(?:$|[;, ])")
_TAG: Final = re.compile(r'(?:W/)?"([^"]*)"')
_ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client has, and likes. `tags` compare weakly (RFC 9110, 13.1.2); preferences are read as OPA writes them."""

    tags: frozenset[str]
    wait_s: float
    takes_deltas: bool

    @classmethod
    def of(cls, headers: CIMultiDictProxy[str]) -> Self:
        """Read the headers; what makes no sense in them does not count."""
        known = ",".join(headers.getall("If-None-Match", ()))
        prefer = ",".join(headers.getall("Prefer", ()))
        modes, wait = _MODES.search(prefer), _WAIT.search(prefer)
        tags = frozenset((_ANY,)) if known.strip() == _ANY else frozenset(_TAG.findall(known))
        return cls(tags, min(float(wait[1]), MAX_WAIT_S) if wait else 0.0, modes is not None and "delta" in modes[1].split(","))

    def knows(self, etag: str) -> bool:
        """Say whether the client has this version."""
        return etag in self.tags or _ANY in self.tags

    @property
    def base(self) -> str | None:
        """The version that a delta may lead from: of several, nobody knows which one is active."""
        return next(iter(self.tags)) if self.takes_deltas and len(self.tags) == 1 else None
