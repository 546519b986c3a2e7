"""Which of many equal complaints to say aloud: the first, then one a period with the number left out.

Arithmetic on times it is given; knows neither clocks nor loggers.
"""

from __future__ import annotations

from typing import Final

PERIOD_S: Final = 60.0
MAX_KEYS: Final = 128
"""Distinct complaints remembered; more are said under one common key, so an attacker cannot write our log."""

OVERFLOW_KEY: Final = "(other errors)"


class RepeatFilter:
    """Admits each key once a period."""

    __slots__ = ("_next_s", "_suppressed")

    def __init__(self) -> None:
        self._next_s: dict[str, float] = {}
        self._suppressed: dict[str, int] = {}

    def admit(self, key: str, now_s: float) -> int | None:
        """Return how many were held back since the last that was said, or None if this one is held back too."""
        if key not in self._next_s and len(self._next_s) >= MAX_KEYS:
            self._forget_old(now_s)
        if key not in self._next_s and len(self._next_s) >= MAX_KEYS:
            key = OVERFLOW_KEY
        if now_s < self._next_s.get(key, now_s):
            self._suppressed[key] = self._suppressed.get(key, 0) + 1
            return None
        self._next_s[key] = now_s + PERIOD_S
        return self._suppressed.pop(key, 0)

    def _forget_old(self, now_s: float) -> None:
        for key in [key for key, next_s in self._next_s.items() if next_s <= now_s]:
            del self._next_s[key]
            self._suppressed.pop(key, None)
