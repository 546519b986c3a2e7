"""Where reports of the state go, as the configuration says now: begun, changed and ended. Knows nothing of what they say."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from authz.control_plane.status_metrics import StatusMetrics
from authz.services.client import ServiceClient
from authz.services.reporter import StatusReporter
from authz.services.resolution import ControlPlane
from authz.services.status import Status
from authz.telemetry.logs import telling_of_death

DEATH: Final = "a defect of authz ended the status reports; restart to get them back"

logger = logging.getLogger(__name__)


class StatusReports:
    """Reports what `status` returns, if and where the control plane says so."""

    def __init__(self, status: Callable[[], Awaitable[Status]], environment: Mapping[str, str], metrics: StatusMetrics) -> None:
        self._status = status
        self._environment = environment
        self._metrics = metrics
        self._plane = ControlPlane()
        self._client: ServiceClient | None = None
        self._reporter: StatusReporter | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_on(self) -> bool:
        """Whether anything is reported anywhere."""
        return self._reporter is not None

    async def follow(self, plane: ControlPlane) -> None:
        """Report to where this control plane says from now on. Whatever has changed, that is news."""
        before, self._plane = self._plane, plane
        if _way(plane) != _way(before):
            await self.close()
            await self._begin(plane)
        self.update()

    async def _begin(self, plane: ControlPlane) -> None:
        target = plane.status
        self._metrics.is_on = target is not None and target.prometheus
        if target is None:
            return
        if target.service is not None:
            client = ServiceClient(plane.services[target.service], plane.keys, self._environment)
            self._client = await client.__aenter__()
        self._reporter = StatusReporter(target, self._client, self._noted)
        self._task = asyncio.create_task(self._reporter.run())
        self._task.add_done_callback(telling_of_death(logger, DEATH))

    async def _noted(self) -> Status:
        status = await self._status()
        self._metrics.note(status)
        return status

    def update(self) -> None:
        """Have the state reported, for it has changed. Never waits."""
        if self._reporter is not None:
            self._reporter.update()

    def trigger(self) -> None:
        """Have the state reported, also if that is done only when it is asked for."""
        if self._reporter is not None:
            self._reporter.trigger()

    async def close(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._client is not None:
            await self._client.__aexit__(None, None, None)
        self._task = self._client = self._reporter = None


def _way(plane: ControlPlane) -> object:
    """Return what reports depend on."""
    target = plane.status
    service = None if target is None or target.service is None else plane.services[target.service]
    return target, service, None if service is None else plane.keys
