"""Remembers decisions for a while: who retries a denied call in a loop should not cost an evaluation each time.

Sound because the key is everything that the policy reads and a cache belongs to one snapshot. It knows no policy and no clock:
callers say what time it is, and put in only what may be remembered. A check is evaluated without waiting for anything, so of equal
checks that arrive at once the first evaluates and the others find its decision: nothing need hold them back.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeAlias

from authz.errors import Reason
from authz.rego.values import Object, Value

Key: TypeAlias = tuple[Value | None, ...]

# What a value costs beside its text, roughly: object header, tuple slot, dictionary entry.
_OVERHEAD: Final = 64
# Entries that were hit again may take up to this part of the cache.
_PROTECTED_PARTS: Final = 4, 5

JITTER: Final = 8
"""Lifetimes end up to an eighth early, by key: what was learnt in one burst is not forgotten in one."""


@dataclass(frozen=True, slots=True)
class CacheConfig:
    """How much is remembered, and for how long.

    `max_key_bytes` bounds one entry (its key and its response), so memory stays below `max_entries` times that. No entries: no cache.
    `ttl_ns` is for denials; `allow_ttl_ns`, for what was allowed, is how long a right may outlive what it came from, so it is 0 (not
    remembered) unless an operator says otherwise.
    """

    max_entries: int = 8192
    ttl_ns: int = 5_000_000_000
    max_key_bytes: int = 4096
    allow_ttl_ns: int = 0

    @property
    def remembers(self) -> bool:
        """Tell whether anything at all is remembered."""
        return self.max_entries > 0 and max(self.ttl_ns, self.allow_ttl_ns) > 0


class Entry:
    """A remembered decision."""

    __slots__ = ("allowed", "error", "expires_ns", "reason", "response", "stored_ns")

    def __init__(self, response: bytes, allowed: bool, reason: Reason, error: str | None, stored_ns: int) -> None:
        self.response = response
        self.allowed = allowed
        self.reason = reason
        self.error = error
        self.stored_ns = stored_ns
        self.expires_ns = stored_ns


class DecisionCache:
    """Segmented least-recently-used: a new key is on probation until it is hit, so a flood of keys that are seen once
    evicts itself and not what is asked again and again.

    INVARIANT: a key is in one of the two segments, and they hold at most `max_entries` together. `hits`, `misses`, `evictions`
    and `expirations` only ever grow. One thread at a time.
    """

    __slots__ = ("_config", "_max_protected", "_probation", "_protected", "evictions", "expirations", "hits", "misses")

    def __init__(self, config: CacheConfig) -> None:
        self._config = config
        part, whole = _PROTECTED_PARTS
        self._max_protected = config.max_entries * part // whole
        self._probation: OrderedDict[Key, Entry] = OrderedDict()
        self._protected: OrderedDict[Key, Entry] = OrderedDict()
        self.hits = self.misses = self.evictions = self.expirations = 0

    def __len__(self) -> int:
        return len(self._probation) + len(self._protected)

    def get(self, key: Key, now_ns: int) -> Entry | None:
        """Return what is remembered under a key, if it is young enough. A clock that went back makes everything too old."""
        entry = self._protected.get(key)
        segment = self._protected
        if entry is None:
            entry = self._probation.get(key)
            segment = self._probation
        if entry is None:
            self.misses += 1
            return None
        if not entry.stored_ns <= now_ns < entry.expires_ns:
            del segment[key]
            self.expirations += 1
            self.misses += 1
            return None
        self.hits += 1
        if segment is self._protected:
            segment.move_to_end(key)
        else:
            self._promote(key, entry)
        return entry

    def can_hold(self, key: Key) -> bool:
        """Tell whether a key is small enough, and says all that a policy can see of it; never looks at more than may be kept.

        Equal keys are not always alike: `1`, `1.0` and `1e0` are one number, but a policy that writes it out tells them apart.
        Only whole numbers (`int`) have one spelling.
        """
        left = self._config.max_key_bytes
        waiting: list[Value | Key | None] = [key]
        while waiting:
            value = waiting.pop()
            if isinstance(value, Decimal):
                return False
            left -= _OVERHEAD + (len(value) if isinstance(value, str) else 0)
            parts = () if not isinstance(value, Object | tuple | frozenset) else value
            if _OVERHEAD * len(parts) > left:
                return False
            waiting.extend(parts)
            if isinstance(value, Object):
                waiting.extend(value.values())
        return left >= 0

    def put(self, key: Key, entry: Entry) -> None:
        """Remember a decision, unless it is too large or of a kind that is not remembered."""
        lifetime_ns = self._config.allow_ttl_ns if entry.allowed else self._config.ttl_ns
        if not lifetime_ns or len(entry.response) + weight(key) > self._config.max_key_bytes:
            return
        entry.expires_ns = entry.stored_ns + lifetime_ns - lifetime_ns // JITTER * (hash(key) & 0xFF) // 0xFF
        self._protected.pop(key, None)
        self._probation.pop(key, None)
        self._probation[key] = entry
        if len(self) > self._config.max_entries:
            self._probation.popitem(last=False)  # never empty: the new key is in it
            self.evictions += 1

    def _promote(self, key: Key, entry: Entry) -> None:
        del self._probation[key]
        self._protected[key] = entry
        if len(self._protected) > self._max_protected:
            oldest, demoted = self._protected.popitem(last=False)
            self._probation[oldest] = demoted


def weight(value: Value | Key | None) -> int:
    """Return about how many bytes of memory a value keeps alive."""
    if isinstance(value, str):
        return _OVERHEAD + (len(value) if value.isascii() else 4 * len(value))
    if isinstance(value, Object):
        return _OVERHEAD + sum(weight(name) + weight(item) for name, item in value.items())
    if isinstance(value, tuple | frozenset):
        return _OVERHEAD + sum(weight(item) for item in value)
    return _OVERHEAD + (
        value.bit_length() // 8 if isinstance(value, int) else len(value.as_tuple().digits) if isinstance(value, Decimal) else 0
    )
