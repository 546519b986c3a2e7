"""How long ago each bundle was last known to be the newest, by a clock that is never set: a jump of the time of day turns nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

from authz.services.resolution import DownloadSettings


def elapsed_s() -> float:
    """Return the seconds since some moment, those included in which the machine was suspended if the system counts them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Freshness:
    """When each bundle was confirmed: activated, or answered with "not modified"."""

    def __init__(self, clock: Callable[[], float] = elapsed_s) -> None:
        self._clock = clock
        self._confirmed_s: dict[str, float] = {}

    def confirm(self, name: str, age_s: float = 0.0) -> None:
        """Note that a bundle was the newest, now or so long ago."""
        self._confirmed_s[name] = self._clock() - max(age_s, 0.0)

    def age_s(self, name: str) -> float | None:
        """Return how long ago a bundle was last confirmed; None for never."""
        confirmed_s = self._confirmed_s.get(name)
        return None if confirmed_s is None else self._clock() - confirmed_s

    def is_stale(self, settings: DownloadSettings) -> bool:
        """Say whether a bundle is older than it may be; one that never came is not stale, it is missing."""
        age_s = self.age_s(settings.name)
        return settings.max_age_s is not None and age_s is not None and age_s > settings.max_age_s
