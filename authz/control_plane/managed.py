"""Policies under a control plane: what discovery finds is followed, and how all of it stands is reported.

Here discovery, bundles and status reports meet. Policies may as well come from directories: then there are only the reports.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final, Protocol

from authz.control_plane.boot import Boot
from authz.control_plane.bundles import BundlePolicies
from authz.control_plane.compiling import BundleCompiler
from authz.control_plane.discovery import Discovery
from authz.control_plane.operations import BundleOperations
from authz.control_plane.status_metrics import StatusMetrics
from authz.control_plane.status_reports import StatusReports
from authz.refresh.status import RefreshStatus
from authz.services.downloader import BUNDLE, DISCOVERY
from authz.services.resolution import ControlPlane
from authz.services.status import PluginState, PluginStatus, Status, status_document
from authz.telemetry.logs import telling_of_death
from authz.telemetry.metrics import BundleStats

SETTLE_S: Final = 30.0
"""How long a report that was asked for waits for the downloads that were asked for with it."""

STATUS: Final = "status"
CHECKS: Final = "envoy_ext_authz_grpc"
"""The name of opa-envoy-plugin, whose work is ours."""

DEATH: Final = "a defect of authz: what was asked for was not done"

logger = logging.getLogger(__name__)

Metrics = Callable[[], Awaitable[Mapping[str, Any]]]
"""Return all metrics as reports have them."""


class Policies(Protocol):
    """Where policies come from: directories, or bundles."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Notice what is new meanwhile."""

    async def activate_first(self) -> None:
        """Return once a policy is active. Raises AuthzError if there will be none."""

    def refreshing(self) -> AbstractAsyncContextManager[None]:
        """Activate what is new meanwhile."""

    def request(self) -> None:
        """Look for something new now."""

    def statuses(self) -> Sequence[RefreshStatus]:
        """Return the state of every source."""

    def bundle_stats(self) -> BundleStats | None:
        """Return what is measured of bundles, None where policies do not come from bundles."""


class ManagedPolicies:
    """Policies, and what a control plane may say and wants to know of them. `metrics` is to be set before it runs."""

    def __init__(self, policies: Policies, boot: Boot, compiler: BundleCompiler) -> None:
        self.policies = policies
        self.plane = boot.plane
        self.status_metrics = StatusMetrics()
        self.metrics: Metrics | None = None
        self._boot = boot
        self._compiler = compiler
        self.bundles = policies if isinstance(policies, BundlePolicies) else None
        self._discovery = None if boot.plane.discovery is None else Discovery(boot, boot.plane.discovery, compiler, self._follow)
        self._reports = StatusReports(self._status, boot.environment, self.status_metrics)
        self._is_answering = False
        self._ready_for: object = None
        self._requested: set[asyncio.Task[None]] = set()
        for source in (self.bundles, self._discovery):
            if source is not None:
                source.on_change = self._reports.update

    @property
    def operations(self) -> BundleOperations | None:
        """What an operator can do with the bundles; None where policies do not come from bundles."""
        return None if self.bundles is None else BundleOperations(self.bundles, self.request)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Notice what is new meanwhile, and report."""
        async with AsyncExitStack() as stack:
            if self.bundles is not None:
                stack.push_async_callback(self._compiler.close)
                self._compiler.prepare()
            stack.push_async_callback(self._reports.close)
            if self._discovery is not None and self.bundles is not None:
                self.plane = self.bundles.plane = await self._discovery.restore() or self.plane
            await stack.enter_async_context(self.policies.running())
            await self._reports.follow(self.plane)
            if self._discovery is not None:
                await stack.enter_async_context(self._discovery.running())
            stack.callback(self._cancel_requests)
            yield

    async def _follow(self, plane: ControlPlane) -> None:
        assert self.bundles is not None
        self.plane = plane
        await self.bundles.change(plane)
        await self._reports.follow(plane)

    async def activate_first(self) -> None:
        """Return once a policy is active."""
        await self.policies.activate_first()

    @asynccontextmanager
    async def refreshing(self) -> AsyncIterator[None]:
        """Go on meanwhile; begun when checks are answered, ended when no more are taken."""
        async with self.policies.refreshing():
            self._set_answering(True)
            try:
                yield
            finally:
                self._set_answering(False)

    def _set_answering(self, is_answering: bool) -> None:
        self._is_answering = is_answering
        self._reports.update()

    # Asked for by somebody

    def request(self) -> None:
        """Look for something new now; then report, also where that is done only when it is asked for."""
        task = asyncio.create_task(self._request())
        self._requested.add(task)
        task.add_done_callback(self._requested.discard)
        task.add_done_callback(telling_of_death(logger, DEATH))

    async def _request(self) -> None:
        discovery = self._discovery
        if discovery is not None:
            discovery.trigger()
            if self._boot.plane.discovery is not None and self._boot.plane.discovery.is_manual:
                await _at_most(discovery.settle())  # what it finds has to be asked for, too
        self.policies.request()
        if self.bundles is not None and self._reports.is_on:
            await _at_most(self.bundles.settle())
        self._reports.trigger()

    def _cancel_requests(self) -> None:
        for task in list(self._requested):
            task.cancel()

    # How it stands

    def statuses(self) -> Sequence[RefreshStatus]:
        """Return the state of every source, discovery first."""
        discovery = [] if self._discovery is None else [self._discovery.status()]
        return [*discovery, *self.policies.statuses()]

    def bundle_stats(self) -> BundleStats | None:
        """Return what is measured of bundles, None where policies do not come from bundles."""
        return self.policies.bundle_stats()

    async def report(self) -> dict[str, Any] | None:
        """Return what would be reported now; None where nothing is."""
        return status_document(await self._status()) if self._reports.is_on else None

    async def _status(self) -> Status:
        discovery = self._discovery
        assert self.metrics is not None
        metrics = await self.metrics()
        return Status(
            self._boot.labels(self.plane),
            {} if self.bundles is None else dict(sorted(self.bundles.downloads.states.items())),
            None if discovery is None else discovery.named_state(),
            "" if discovery is None else discovery.message,
            self._plugins(),
            metrics={"prometheus": metrics},
        )

    def _plugins(self) -> dict[str, PluginStatus]:
        """Return how the parts stand, by OPA's names. OPA has discovery even where there is none: then it is OK."""
        plugins = {DISCOVERY.name: self._discovery_plugin(), STATUS: PluginStatus("OK"), CHECKS: PluginStatus(_ready(self._is_answering))}
        if self.bundles is not None and self.plane.bundles:
            plugins[BUNDLE.name] = self._bundle_plugin(self.bundles)
        return dict(sorted(plugins.items()))

    def _discovery_plugin(self) -> PluginStatus:
        discovery = self._discovery
        if discovery is None:
            return PluginStatus("OK")
        if discovery.disk_error is not None:
            return PluginStatus("WARN", f"the discovery bundle is not persisted: {discovery.disk_error.message}")
        return PluginStatus(_ready(discovery.state.activated_ns > 0))

    def _bundle_plugin(self, bundles: BundlePolicies) -> PluginStatus:
        """As in OPA, it is ready once all bundles of a configuration were activated, and stays so. The warnings are ours."""
        wanted, states = self.plane.bundles, bundles.downloads.states
        if self._ready_for != wanted:
            is_ready = all(name in states and states[name].activated_ns > 0 and not states[name].errors for name in wanted)
            self._ready_for = wanted if is_ready else None
        if self._ready_for is None:
            return PluginStatus("NOT_READY")
        stale = [status.name for status in bundles.statuses() if status.is_stale]
        if stale:
            return PluginStatus("WARN", f"older than their `max_age_seconds`: {', '.join(stale)}")
        disk = bundles.activator.history.error
        return PluginStatus("OK") if disk is None else PluginStatus("WARN", f"versions are not persisted: {disk.message}")


def _ready(is_ready: bool) -> PluginState:
    return "OK" if is_ready else "NOT_READY"


async def _at_most(settled: Coroutine[None, None, None]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_S):
            await settled
