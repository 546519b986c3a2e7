"""How long a failed request waits for its next attempt: OPA's numbers. Knows neither what failed nor any clock."""

from __future__ import annotations

import random
from typing import Final

FIRST_DELAY_S: Final = 0.1
GROWTH: Final = 1.6
JITTER: Final = 0.2


def delay_s(attempt: int, longest_s: float) -> float:
    """Return the wait before a retry (1 is the first): none before the first, then ever longer, a fifth shorter or longer by chance."""
    if attempt <= 1:
        return 0.0
    nominal_s = FIRST_DELAY_S
    for _ in range(1, attempt):
        nominal_s = min(nominal_s * GROWTH, longest_s)
        if nominal_s == longest_s:
            break
    return nominal_s * (1 + JITTER * (2 * random.random() - 1))  # noqa: S311 - no secret
