"""The composition root: builds every part of the service from one `Config`, runs it, and takes it down in order.

Here alone the parts meet. It decides no request and parses no input.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final, Protocol

import uvloop

from authz import __version__
from authz.config import CanarySettings, Config, ConfigError, Loaded
from authz.control_plane.boot import Boot
from authz.control_plane.bundles import BundlePolicies
from authz.control_plane.compiling import BundleCompiler, CompileSettings
from authz.control_plane.managed import ManagedPolicies, Policies
from authz.decider import SWITCH_INTERVAL_S, Decider, identity_settings, sending_settings
from authz.errors import ErrorCode
from authz.pdp import RehearsalReport, Snapshot, verdict
from authz.refresh.compilers import Compilers
from authz.refresh.directories import DirectoryPolicies, DirectorySettings
from authz.refresh.messages import Compiled, Failed
from authz.refresh.refresher import Approve, Decide
from authz.server import Address, parse_address
from authz.server.admin import AdminServer
from authz.server.shadowing import log_rehearsal
from authz.server.signals import Signals
from authz.server.view import Deciding, ProcessView
from authz.services.resolution import resolve
from authz.telemetry.counters import ActivationCounters
from authz.telemetry.documents import printable
from authz.telemetry.logs import LogWriter, configure_logs, log
from authz.telemetry.stats import Counts, Stats
from authz.workers.pool import Pool

EXIT_ABORTED: Final = 1
CANARY_HELP: Final = "if that is what the policy is for, raise `canary.max_flip_rate`, or start anew without `canary`"

logger = logging.getLogger(__name__)


def run(loaded: Loaded) -> int:
    """Serve until a signal ends it; return the exit code. Raises AuthzError if it cannot start."""
    config = loaded.config
    _refuse_missing(config.policies)
    addresses = [parse_address(text) for text in config.addr]
    log_writer = configure_logs(config.log.format, config.log.level)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    answering = _answering(config, addresses, log_writer)
    try:
        uvloop.run(_serve(loaded, answering, log_writer))
    finally:
        log_writer.close()
    return 0


def _refuse_missing(policies: tuple[str, ...]) -> None:
    for path in policies:
        if not os.path.exists(path):
            raise ConfigError(f"{printable(path)}: no such file or directory", help="name a directory of policies, or a file")
        if printable(path) != path:
            raise ConfigError(f"{printable(path)}: the path is not valid UTF-8", help="rename it, or link to it under another name")


def _answering(config: Config, addresses: Sequence[Address], log_writer: LogWriter) -> Answering:
    """Return who answers the checks. Raises ConfigError, also for what only the workers would find wrong."""
    if config.workers == 1:
        return InProcess(Decider(config, log_writer), addresses, config.drain_s)
    identity_settings(config)
    sending_settings(config)
    return Pool(config, addresses)


async def _serve(loaded: Loaded, answering: Answering, log_writer: LogWriter) -> None:
    app = App(loaded, answering, log_writer)
    signals = Signals(abort=app.abort, reload=app.policies.request)
    async with app.administering(), answering.running(), app.policies.running():
        if await app.activate_first(signals.stop):
            async with app.listening(), app.policies.refreshing():
                await signals.stop.wait()
                log(logger, "info", "draining")
    log(logger, "info", "stopped")


class Answering(Deciding, Protocol):
    """Whoever answers the checks: this process, or others."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Be able to take a policy meanwhile."""

    async def activate(self, compiled: Compiled) -> None:
        """Decide with a policy; raises AuthzError and changes nothing if that is not possible."""

    async def rehearse(self, compiled: Compiled, settings: CanarySettings) -> RehearsalReport:
        """Let a policy shadow live checks, and return what was seen, maybe nothing; log it.

        If `verdict` allows it, what was built is kept, so that activating this very value builds nothing again. Raises AuthzError
        where it cannot be built, or another policy is activated or rehearsed meanwhile.
        """

    async def withhold(self, is_withheld: bool) -> None:
        """Deny every check from now on, whatever is activated meanwhile, or decide again."""

    def listening(self) -> AbstractAsyncContextManager[Sequence[Address]]:
        """Answer checks meanwhile, at these addresses; drain in the end."""


def _managed(loaded: Loaded, answering: Answering, counters: ActivationCounters) -> ManagedPolicies:
    """Return the policies, and what a control plane has to do with them."""
    config = loaded.config
    wanted = config.activation
    compiling = CompileSettings(
        config.entrypoint, config.rego_version, config.reload.compile_timeout_s, wanted.require_signatures, wanted.require_tests
    )
    compiler = BundleCompiler(compiling, Compilers(is_ahead=wanted.start_compiler_ahead))
    boot = Boot(loaded.document, resolve(config), os.environ)
    return ManagedPolicies(_policies(config, boot, compiler, answering, counters), boot, compiler)


def _policies(config: Config, boot: Boot, compiler: BundleCompiler, answering: Answering, counters: ActivationCounters) -> Policies:
    """Return where policies come from: directories, or bundles."""
    reload, decide = config.reload, Decide(answering.activate, _approval(config, answering))
    if not (config.bundles or config.discovery):
        paths = config.policies
        directories = DirectorySettings(
            paths, config.entrypoint, config.rego_version, reload.compile_timeout_s, is_watching=reload.watch, poll_s=reload.poll_s
        )
        return DirectoryPolicies(directories, decide, counters)
    wanted = config.activation
    return BundlePolicies(
        boot.plane,
        compiler,
        decide,
        counters,
        boot.environment,
        keep_versions=wanted.keep_versions,
        withhold=answering.withhold if wanted.deny_when_stale else None,
    )


def _approval(config: Config, answering: Answering) -> Approve:
    """Return what a canary says of a policy, nothing where there is none."""
    canary = config.canary

    async def approve(compiled: Compiled) -> Failed | None:
        if canary is None:
            return None
        report = await answering.rehearse(compiled, canary)
        refusal = verdict(report, canary)
        # What flips would flip again; too few checks may be more another time.
        is_final = report.flip_rate > canary.max_flip_rate
        return None if refusal is None else Failed(ErrorCode.CANARY, refusal, CANARY_HELP, is_final=is_final)

    return approve


class InProcess:
    """Checks answered by this process."""

    def __init__(self, decider: Decider, addresses: Sequence[Address], drain_s: float) -> None:
        self.restarts = 0
        self.retired = Counts()
        self.is_serving = False
        self._decider = decider
        self._addresses = addresses
        self._drain_s = drain_s
        self._rehearsed: tuple[Compiled, Snapshot] | None = None

    def running(self) -> AbstractAsyncContextManager[None]:
        return self._decider.running()

    async def activate(self, compiled: Compiled) -> None:
        snapshot = self._take_rehearsed(compiled) or await self._decider.prepare(compiled)
        self._decider.commit(snapshot)

    async def rehearse(self, compiled: Compiled, settings: CanarySettings) -> RehearsalReport:
        self._rehearsed = None
        self._rehearsed = compiled, await self._decider.prepare(compiled)
        is_kept = False
        try:
            report = await self._decider.rehearse(self._rehearsed[1], settings)
            log_rehearsal(logger, compiled.revision, report)
            is_kept = verdict(report, settings) is None
            return report
        finally:
            if not is_kept:
                self._take_rehearsed(compiled)

    async def withhold(self, is_withheld: bool) -> None:
        self._decider.withhold(is_withheld)

    def _take_rehearsed(self, compiled: Compiled) -> Snapshot | None:
        """Return what was built of this very policy for its rehearsal, if it was; let go of it, or of that of another one."""
        rehearsed, self._rehearsed = self._rehearsed, None
        return rehearsed[1] if rehearsed is not None and rehearsed[0] is compiled else None

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Sequence[Address]]:
        addresses = await self._decider.listen(self._addresses)
        self.is_serving = True
        try:
            yield addresses
        finally:
            await self._decider.drain(self._drain_s)

    async def stats(self) -> Sequence[Stats]:
        return (self._decider.stats(),)


class App:
    """What keeps a service up to date and tells of it; each method is a phase of its life, in this order."""

    def __init__(self, loaded: Loaded, answering: Answering, log_writer: LogWriter) -> None:
        self._config = loaded.config
        self._answering = answering
        self._log_writer = log_writer
        activations = ActivationCounters()
        self.policies = _managed(loaded, answering, activations)
        self._admin_addr = ""
        self._view = ProcessView(answering, self.policies, activations)
        self._view.metrics.add(self.policies.status_metrics)
        self.policies.metrics = self._view.metrics_json

    @asynccontextmanager
    async def administering(self) -> AsyncIterator[None]:
        """Answer probes and operators meanwhile, before the first policy is active and until the drain is over."""
        async with AsyncExitStack() as stack:
            admin = await AdminServer.start(self._view, parse_address(self._config.admin_addr), self.policies.operations)
            stack.push_async_callback(admin.stop)
            self._admin_addr = str(admin.address)
            log(logger, "info", "starting", version=__version__, admin_addr=self._admin_addr)
            yield

    async def activate_first(self, stop: asyncio.Event) -> bool:
        """Wait for the first policy; false if `stop` came before it was active. Raises AuthzError if there will be none."""
        first = asyncio.create_task(self.policies.activate_first())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait((first, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not first.done():
            first.cancel()
            return False
        first.result()
        return True

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Answer checks meanwhile; drain in the end.

        Begun with a policy active: a replica that starts refuses connections instead of denying what another one
        could decide, and Envoy asks that one.
        """
        async with self._answering.listening() as addresses:
            config, shown = self._config, ", ".join(map(str, addresses))
            log(
                logger,
                "info",
                "listening",
                addr=shown,
                admin_addr=self._admin_addr,
                transport=config.transport,
                workers=config.workers,
            )
            try:
                yield
            finally:
                self._view.is_draining = True

    def abort(self) -> None:
        """End the process at once, whatever it is waiting for."""
        log(logger, "warn", "aborted by a second signal")
        self._log_writer.close()
        os._exit(EXIT_ABORTED)
