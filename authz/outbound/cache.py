"""Answers that are kept for later evaluations: bounded in bytes, the longest unused ones make room. Asks nobody, reads no clock."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from authz.outbound.freshness import conditions
from authz.pdp.cache import weight
from authz.rego.builtins.http_response import Fields
from authz.rego.values import Object

CLOCK_STEP_NS: Final = 60_000_000_000
"""How far before it was stored an answer is still good: checks that run at the same time began at different ones.
Beyond, the clock was put back, and nothing that was stored before can be relied on."""

_OVERHEAD: Final = 512


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer, and until when it is good."""

    value: Object
    headers: Fields
    stored_ns: int
    expires_ns: int


class ResponseCache:
    """Stored answers by their requests' keys. INVARIANT: `used_bytes` is the sum of their sizes, and at most `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._stored: OrderedDict[str, tuple[Stored, int]] = OrderedDict()
        self.used_bytes = 0

    def __len__(self) -> int:
        return len(self._stored)

    def fresh(self, key: str, now_ns: int) -> Object | None:
        """Return an answer that is still good."""
        found = self._stored.get(key)
        if found is None:
            return None
        stored, _ = found
        if now_ns >= stored.expires_ns or stored.stored_ns - now_ns > CLOCK_STEP_NS:
            return None
        self._stored.move_to_end(key)
        return stored.value

    def take(self, key: str) -> Stored | None:
        """Remove an answer, good or not, and return it."""
        found = self._stored.pop(key, None)
        if found is None:
            return None
        self.used_bytes -= found[1]
        return found[0]

    def put(self, key: str, stored: Stored) -> None:
        """Store an answer in place of an older one, unless it is too large, or neither good nor worth asking about."""
        self.take(key)
        size = _OVERHEAD + len(key) + weight(stored.value) + sum(len(name) + len(value) for name, value in stored.headers)
        is_useful = stored.expires_ns > stored.stored_ns or conditions(stored.headers)
        if size > self._max_bytes or not is_useful:
            return
        self._stored[key] = stored, size
        self.used_bytes += size
        while self.used_bytes > self._max_bytes:
            _, (_, freed) = self._stored.popitem(last=False)
            self.used_bytes -= freed
