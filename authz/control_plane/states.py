"""The state of a download → what operators are shown of it. Values; reads no clock."""

from __future__ import annotations

from authz.control_plane.activator import PINNED
from authz.refresh.status import RefreshError
from authz.services.downloads import BundleState
from authz.services.errors import Failure


def error_of(state: BundleState, known: RefreshError | None, now_ns: int) -> RefreshError | None:
    """Return what is wrong, None if nothing is; the one that is `known` if it is the same."""
    error = state.error
    if error is None:
        return None
    is_refused = error.failure is Failure.REJECTED
    code = state.code if is_refused and state.code else str(error.failure)
    if known is not None and (known.code, known.message) == (code, error.message):
        return known
    return RefreshError(code, error.message, now_ns, error.help, is_passing=not is_refused or code == PINNED)
