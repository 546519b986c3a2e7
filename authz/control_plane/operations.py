"""Bundles as an operator deals with them: what `bundles` can do, but for a refresh, which is one of discovery too."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from authz.control_plane.bundles import BundlePolicies
from authz.control_plane.versions import VersionsStatus
from authz.refresh.status import RefreshStatus


class BundleOperations:
    """The bundles of a process; `request` is how all of its control plane is asked."""

    def __init__(self, bundles: BundlePolicies, request: Callable[[], None]) -> None:
        self._bundles = bundles
        self._request = request

    def statuses(self) -> Sequence[RefreshStatus]:
        """Return the state of every bundle."""
        return self._bundles.statuses()

    def versions(self) -> VersionsStatus:
        """Return the versions, newest first."""
        return self._bundles.versions()

    async def go_back(self, id: str | None) -> None:
        """Activate an older version, the one before the active one if `id` is None, and pin it. Raises AuthzError."""
        await self._bundles.go_back(id)

    async def pin(self, id: str | None) -> None:
        """Keep a version active, the active one if `id` is None. Raises AuthzError."""
        await self._bundles.pin(id)

    async def unpin(self) -> None:
        """Let newer bundles be activated again. Raises AuthzError."""
        await self._bundles.unpin()

    def request(self) -> None:
        """Ask for the configuration and every bundle now, and report."""
        self._request()
