"""What the process tells of itself: metrics, readiness, the active policy. Gathers facts others own; keeps none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from authz.outbound.sender import Sender
from authz.pdp import PDP, Snapshot
from authz.refresh.refresher import Refresher
from authz.refresh.status import RefreshStatus
from authz.server.admin import timestamp
from authz.server.listener import GrpcServer
from authz.server.waiting_checks import WaitingChecks
from authz.telemetry.counters import ActivationCounters, CheckCounters, SendCounters
from authz.telemetry.logs import LogWriter
from authz.telemetry.loop_lag import LoopLag
from authz.telemetry.metrics import Gauges, Metrics, PolicyGauges


class ProcessView:
    """An `AdminView` over the parts of one process."""

    def __init__(  # noqa: PLR0913 - the parts of a process
        self,
        pdp: PDP,
        refresher: Refresher,
        checks: CheckCounters,
        activations: ActivationCounters,
        log_writer: LogWriter,
        *,
        sender: Sender | None = None,
        waiting: WaitingChecks | None = None,
    ) -> None:
        self.servers: list[GrpcServer] = []
        self.lag = LoopLag()
        self.is_draining = False
        self._pdp = pdp
        self._refresher = refresher
        self._log_writer = log_writer
        self._sender = sender
        self._waiting = waiting
        sends = SendCounters() if sender is None else sender.counters
        self._metrics = Metrics(checks, activations, sends, self.lag.histogram, self._gauges)

    def render_metrics(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return self._metrics.render()

    def is_ready(self) -> bool:
        """Whether a policy is active and new checks are taken."""
        return self._pdp.snapshot is not None and bool(self.servers) and not self.is_draining

    def sources(self) -> Sequence[RefreshStatus]:
        """Return the state of every policy source."""
        return [self._refresher.status]

    def active_policy(self) -> dict[str, Any]:
        """Describe the active policy; the revision is null without one."""
        snapshot = self._pdp.snapshot
        if snapshot is None:
            return {"revision": None, "activated_at": None, "entrypoints": []}
        return {"revision": snapshot.revision, "activated_at": timestamp(snapshot.activated_ns), "entrypoints": [_entrypoint(snapshot)]}

    def _gauges(self) -> Gauges:
        snapshot = self._pdp.snapshot
        return Gauges(
            policy=None if snapshot is None else _policy_gauges(snapshot),
            last_refresh_ok=self._refresher.status.is_ok,
            in_flight=sum(server.in_flight for server in self.servers),
            open_connections=sum(server.open_connections for server in self.servers),
            is_draining=self.is_draining,
            log_lines_dropped=self._log_writer.dropped,
            waiting_checks=0 if self._waiting is None else self._waiting.count,
            send_cache_bytes=0 if self._sender is None else self._sender.cache.used_bytes,
        )


def _entrypoint(snapshot: Snapshot) -> dict[str, Any]:
    table = snapshot.table
    return {"name": snapshot.entrypoint, "rows": table.rows, "columns": table.columns, "cached": snapshot.cache is not None}


def _policy_gauges(snapshot: Snapshot) -> PolicyGauges:
    table, cache = snapshot.table, snapshot.cache
    return PolicyGauges(
        revision=snapshot.revision,
        entrypoint=snapshot.entrypoint,
        rows=table.rows,
        columns=table.columns,
        activated_s=snapshot.activated_ns / 1e9,
        cache_entries=0 if cache is None else len(cache),
        cache_evictions=0 if cache is None else cache.evictions,
    )
