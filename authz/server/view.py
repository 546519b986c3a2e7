"""What the process tells of itself: metrics, readiness, the active policy. Gathers facts others own; keeps none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from authz.refresh.status import RefreshStatus
from authz.server.responses import timestamp
from authz.telemetry.counters import ActivationCounters
from authz.telemetry.metrics import BundleStats, Metrics, Scrape
from authz.telemetry.stats import ActivePolicy, Counts, Stats


class Deciding(Protocol):
    """The processes that answer checks."""

    @property
    def is_serving(self) -> bool:
        """Whether checks are answered by an active policy."""

    @property
    def restarts(self) -> int:
        """How many processes were started in the place of others."""

    @property
    def retired(self) -> Counts:
        """What processes that are gone have counted."""

    async def stats(self) -> Sequence[Stats]:
        """Return the state of every process."""


class Sources(Protocol):
    """Where policies come from."""

    def statuses(self) -> Sequence[RefreshStatus]:
        """Return the state of every source."""

    def bundle_stats(self) -> BundleStats | None:
        """Return what is measured of bundles, None where policies do not come from bundles."""

    async def report(self) -> dict[str, Any] | None:
        """Return the status report as it is now, None where none is sent anywhere."""


class ProcessView:
    """An `AdminView` over the parts of one service."""

    def __init__(self, deciding: Deciding, policies: Sources, activations: ActivationCounters) -> None:
        self.is_draining = False
        self._deciding = deciding
        self._policies = policies
        self.metrics = Metrics(activations)

    async def render_metrics(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return self.metrics.render(await self._scrape())

    async def metrics_json(self) -> dict[str, Any]:
        """Return all metrics as OPA's status reports have them."""
        return self.metrics.as_json(await self._scrape())

    def is_ready(self) -> bool:
        """Whether a policy is active that is not stale, and new checks are taken."""
        is_stale = any(status.is_stale for status in self._policies.statuses())
        return self._deciding.is_serving and not self.is_draining and not is_stale

    def sources(self) -> Sequence[RefreshStatus]:
        """Return the state of every policy source."""
        return self._policies.statuses()

    async def report(self) -> dict[str, Any] | None:
        """Return the status report as it is now, None where none is sent anywhere."""
        return await self._policies.report()

    async def active_policy(self) -> dict[str, Any]:
        """Describe the active policy; the revision is null without one."""
        scrape = await self._scrape()
        policy = scrape.policy
        workers = [{"pid": each.pid, "revision": each.policy and each.policy.revision} for each in scrape.processes]
        if policy is None:
            return {"revision": None, "activated_at": None, "entrypoints": [], "workers": workers}
        activated = timestamp(policy.activated_ns)
        return {"revision": policy.revision, "activated_at": activated, "entrypoints": [_entrypoint(policy)], "workers": workers}

    async def _scrape(self) -> Scrape:
        is_ok = all(status.is_ok for status in self._policies.statuses())
        deciding = self._deciding
        bundles = self._policies.bundle_stats()
        return Scrape(await deciding.stats(), is_ok, self.is_draining, deciding.restarts, deciding.retired, bundles)


def _entrypoint(policy: ActivePolicy) -> dict[str, Any]:
    return {"name": policy.entrypoint, "rows": policy.rows, "columns": policy.columns, "cached": policy.is_cached}
