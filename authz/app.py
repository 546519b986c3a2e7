"""The composition root: builds every part of the service from one `Config`, runs it, and takes it down in order.

Here alone the parts meet. It decides no request and parses no input.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import time_ns
from typing import Final, Protocol

import uvloop

from authz import __version__
from authz.config import CanarySettings, Config, ConfigError
from authz.decider import SWITCH_INTERVAL_S, Decider, identity_settings, sending_settings
from authz.errors import AuthzError
from authz.pdp import RehearsalReport, Snapshot, verdict
from authz.refresh.compiler_process import compile_in_process
from authz.refresh.files import fingerprint, printable
from authz.refresh.messages import Compiled, CompileRequest, CompileResponse
from authz.refresh.refresher import Refresher
from authz.server import Address, parse_address
from authz.server.admin import AdminServer
from authz.server.shadowing import log_rehearsal
from authz.server.signals import Signals
from authz.server.view import Deciding, ProcessView
from authz.telemetry.counters import ActivationCounters
from authz.telemetry.logs import LogWriter, configure_logs, log, telling_of_death
from authz.telemetry.stats import Counts, Stats
from authz.watcher import Watcher
from authz.workers.pool import Pool

EXIT_ABORTED: Final = 1

logger = logging.getLogger(__name__)


class StartError(AuthzError):
    """The first policy could not be activated; `code` is that of the refresh that failed."""

    def __init__(self, code: str, message: str, help: str | None) -> None:
        super().__init__(message, help=help)
        self.code = code


def run(config: Config) -> int:
    """Serve until a signal ends it; return the exit code. Raises AuthzError if it cannot start."""
    for field in ("bundles", "discovery", "status"):
        if getattr(config, field):
            raise ConfigError(f"field `{field}`: `authz serve` does not talk to control planes", help="name directories of policies")
    paths = _existing(config.policies)
    addresses = [parse_address(text) for text in config.addr]
    log_writer = configure_logs(config.log.format, config.log.level)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    answering = _answering(config, addresses, log_writer)
    try:
        uvloop.run(_serve(config, paths, answering, log_writer))
    finally:
        log_writer.close()
    return 0


def _existing(policies: tuple[str, ...]) -> tuple[Path, ...]:
    for path in policies:
        if not os.path.exists(path):
            raise ConfigError(f"{printable(path)}: no such file or directory", help="name a directory of policies, or a file")
        if printable(path) != path:
            raise ConfigError(f"{printable(path)}: the path is not valid UTF-8", help="rename it, or link to it under another name")
    return tuple(map(Path, policies))


def _answering(config: Config, addresses: Sequence[Address], log_writer: LogWriter) -> Answering:
    """Return who answers the checks. Raises ConfigError, also for what only the workers would find wrong."""
    if config.workers == 1:
        return InProcess(Decider(config, log_writer), addresses, config.drain_s)
    identity_settings(config)
    sending_settings(config)
    return Pool(config, addresses)


async def _serve(config: Config, paths: tuple[Path, ...], answering: Answering, log_writer: LogWriter) -> None:
    app = App(config, paths, answering, log_writer)
    signals = Signals(abort=app.abort, reload=app.refresher.request)
    async with app.administering(), app.watching(), answering.running():
        if await app.activate_first(signals.stop):
            async with app.listening(), app.refreshing():
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

    def listening(self) -> AbstractAsyncContextManager[Sequence[Address]]:
        """Answer checks meanwhile, at these addresses; drain in the end."""


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

    def __init__(self, config: Config, paths: tuple[Path, ...], answering: Answering, log_writer: LogWriter) -> None:
        self._config = config
        self._paths = paths
        self._answering = answering
        self._log_writer = log_writer
        activations = ActivationCounters()
        self.refresher = Refresher(", ".join(config.policies), self._compile, answering.activate, activations, time_ns)
        self._admin_addr = ""
        self._view = ProcessView(answering, self.refresher, activations)

    @asynccontextmanager
    async def administering(self) -> AsyncIterator[None]:
        """Answer probes and operators meanwhile, before the first policy is active and until the drain is over."""
        async with AsyncExitStack() as stack:
            admin = await AdminServer.start(self._view, parse_address(self._config.admin_addr))
            stack.push_async_callback(admin.stop)
            self._admin_addr = str(admin.address)
            log(logger, "info", "starting", version=__version__, admin_addr=self._admin_addr)
            yield

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Ask for a refresh meanwhile whenever a file changes; begun before the first compile, so that no edit is missed."""
        if not self._config.reload.watch:
            yield
            return
        watcher = await Watcher.start(self._paths, self._config.reload.poll_s, fingerprint)
        async with _running(self._follow(watcher)):
            yield

    async def activate_first(self, stop: asyncio.Event) -> bool:
        """Activate the first policy, or raise StartError; false if `stop` came before it was done."""
        first = asyncio.create_task(self.refresher.refresh())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait((first, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not first.done():
            first.cancel()
            return False
        error = first.result().error
        if error is not None:
            raise StartError(error.code, error.message, error.help)
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

    def refreshing(self) -> AbstractAsyncContextManager[None]:
        """Refresh the policy meanwhile whenever it is asked for."""
        return _running(self.refresher.run())

    def abort(self) -> None:
        """End the process at once, whatever it is waiting for."""
        log(logger, "warn", "aborted by a second signal")
        self._log_writer.close()
        os._exit(EXIT_ABORTED)

    async def _follow(self, watcher: Watcher) -> None:
        async for _ in watcher.changes():
            self.refresher.request()

    async def _compile(self, known_digest: str | None) -> CompileResponse:
        config = self._config
        request = CompileRequest(config.policies, config.entrypoint, config.rego_version, config.reload.compile_timeout_s, known_digest)
        return await compile_in_process(request)


@asynccontextmanager
async def _running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run `work` beside the block and cancel it in the end. Checks are answered on if it dies, but not in silence."""
    task = asyncio.create_task(work)
    task.add_done_callback(telling_of_death(logger, "a defect of authz ended hot reload; restart to get it back"))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
