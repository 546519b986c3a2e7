"""When a bundle is asked for next: OPA's delays, and floors under them. Reads no clock."""

from __future__ import annotations

import random
from typing import Final

from authz.outbound.backoff import delay_s
from authz.services.errors import HAD_A_BODY, ServiceError
from authz.services.resolution import DownloadSettings

BODY_RETRY_FLOOR_S: Final = 1.0
"""The least wait after a failure that cost the server a body: OPA asks for it again at once."""

LONG_POLL_FLOOR_S: Final = 1.0
"""The least wait after a long poll that ended early without news: a server that does not support it would be asked without end."""


def after_success_s(settings: DownloadSettings, *, is_long_polling: bool, is_news: bool, took_s: float) -> float:
    """Return the wait after an answer that was taken."""
    if is_long_polling and settings.long_polling_s is not None:
        is_early = not is_news and took_s < settings.long_polling_s / 2
        return LONG_POLL_FLOOR_S if is_early else 0.0
    return random.uniform(settings.min_delay_s, settings.max_delay_s)  # noqa: S311 - no secret


def after_failure_s(settings: DownloadSettings, failures: int, error: ServiceError) -> float:
    """Return the wait after the `failures`-th failure in a row."""
    wait_s = delay_s(failures, settings.max_delay_s)
    if error.failure in HAD_A_BODY:
        wait_s = max(wait_s, BODY_RETRY_FLOOR_S)
    return max(wait_s, min(error.retry_after_s or 0.0, settings.max_delay_s))
