"""Files that may be changing → what they held at one moment. Knows neither what is read nor how changes show."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Final, TypeVar

from authz.bundle.directory import SourceError
from authz.errors import AuthzError

ATTEMPTS: Final = 20
PAUSE_S: Final = 0.1

_Read = TypeVar("_Read")


def settled(read: Callable[[], _Read], fingerprint: Callable[[], Hashable], where: str) -> _Read:
    """Return what `read` makes of files whose fingerprint did not change meanwhile; raises SourceError, and what `read` raises.

    A `git checkout` or a copy that is still under way must not become a policy, least of all one that lacks a rule which denies.
    """
    before = fingerprint()
    for _ in range(ATTEMPTS):
        failure: AuthzError | None = None
        try:
            found = read()
        except AuthzError as error:  # perhaps of half a change: then the next look finds the whole
            failure = error
        after = fingerprint()
        if after == before:
            if failure is not None:
                raise failure
            return found
        before = after
        time.sleep(PAUSE_S)
    raise SourceError(f"{where}: files change faster than they can be read")
