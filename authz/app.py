"""The composition root: builds every part of the process from one `Config`, runs it, and takes it down in order.

Here alone the parts meet. It decides no request and parses no input.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path
from time import time_ns
from typing import Final

import msgspec
import uvloop

from authz import __version__
from authz.config import Config, ConfigError
from authz.errors import AuthzError
from authz.identity import IdentityConfig, SpiffeIdError
from authz.outbound.allowlist import AllowList, AllowListError
from authz.outbound.sender import Sender
from authz.outbound.settings import SendSettings
from authz.pdp import PDP, CacheConfig
from authz.refresh.activation import Activation, SnapshotSettings
from authz.refresh.compiler_process import compile_in_process
from authz.refresh.files import printable
from authz.refresh.messages import CompileRequest, CompileResponse
from authz.refresh.refresher import Refresher
from authz.refresh.watcher import Watcher
from authz.rego.pending import HTTP_SEND
from authz.server import GrpcServer, HealthRegistry, HealthStatus, parse_address, serve
from authz.server.admin import AdminServer
from authz.server.check import AUTHORIZATION, CheckService
from authz.server.health import OVERALL
from authz.server.signals import Signals
from authz.server.view import ProcessView
from authz.server.waiting_checks import WaitingChecks
from authz.telemetry.counters import ActivationCounters, CheckCounters
from authz.telemetry.logs import LogWriter, configure_logs, log

EXIT_ABORTED: Final = 1

SWITCH_INTERVAL_S: Final = 0.0005
"""How long the event loop waits for another thread (one that unpacks a policy) to let go; Python's own 5 ms is many checks."""

logger = logging.getLogger(__name__)


class StartError(AuthzError):
    """The first policy could not be activated; `code` is that of the refresh that failed."""

    def __init__(self, code: str, message: str, help: str | None) -> None:
        super().__init__(message, help=help)
        self.code = code


def run(config: Config) -> int:
    """Serve until a signal ends it; return the exit code. Raises AuthzError if it cannot start."""
    kept = config.cache
    cache = CacheConfig(max_entries=kept.size, ttl_ns=round(kept.ttl_s * 1e9), allow_ttl_ns=round(kept.allow_ttl_s * 1e9))
    sending = _sending(config)
    sender = Sender(sending) if sending.allowed else None
    settings = SnapshotSettings(config.entrypoint, _identity(config), cache, sender)
    paths = _existing(config.policies)
    log_writer = configure_logs(config.log.format, config.log.level)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        uvloop.run(_serve(App(config, settings, paths, log_writer, sender)))
    finally:
        log_writer.close()
    return 0


def _identity(config: Config) -> IdentityConfig:
    try:
        return IdentityConfig.parse(config.identity.xfcc_mode, config.identity.trusted_proxies)
    except SpiffeIdError as error:
        raise ConfigError(f"field `identity.trusted_proxies`: {error}") from error


def _sending(config: Config) -> SendSettings:
    fields = msgspec.structs.asdict(config.http_send)
    try:
        return SendSettings(AllowList(fields.pop("allow_hosts")), **fields)
    except AllowListError as error:
        raise ConfigError(f"field `http_send.allow_hosts`: {error}", help=error.help) from error


def _existing(policies: tuple[str, ...]) -> tuple[Path, ...]:
    for path in policies:
        if not os.path.exists(path):
            raise ConfigError(f"{printable(path)}: no such file or directory", help="name a directory of policies, or a file")
        if printable(path) != path:
            raise ConfigError(f"{printable(path)}: the path is not valid UTF-8", help="rename it, or link to it under another name")
    return tuple(map(Path, policies))


async def _serve(app: App) -> None:
    signals = Signals(abort=app.abort, reload=app.refresher.request)
    async with app.administering(), app.watching(), app.sending():
        if await app.activate_first(signals.stop):
            async with app.listening(), app.refreshing():
                await signals.stop.wait()
                log(logger, "info", "draining")
    log(logger, "info", "stopped")


class App:
    """The parts of one process, wired; each method is a phase of its life, in this order."""

    def __init__(
        self, config: Config, settings: SnapshotSettings, paths: tuple[Path, ...], log_writer: LogWriter, sender: Sender | None
    ) -> None:
        self._config = config
        self._paths = paths
        self._addresses = [parse_address(text) for text in config.addr]
        self._log_writer = log_writer
        self._sender = sender
        self._pdp = PDP()
        self._health = HealthRegistry()
        checks, activations = CheckCounters(), ActivationCounters()
        activation = Activation(self._pdp, settings, time_ns, self._on_active)
        self.refresher = Refresher(", ".join(config.policies), self._compile, activation.activate, activations, time_ns)
        self._admin_addr = ""
        waiting = None if sender is None else WaitingChecks(self._pdp, sender)
        self._view = ProcessView(self._pdp, self.refresher, checks, activations, log_writer, sender=sender, waiting=waiting)
        self._service = CheckService(self._pdp, checks, waiting).service() | self._health.service()

    @asynccontextmanager
    async def administering(self) -> AsyncIterator[None]:
        """Answer probes and operators meanwhile, before the first policy is active and until the drain is over."""
        for name in (OVERALL, AUTHORIZATION):
            self._health.set(name, HealthStatus.NOT_SERVING)
        gc.freeze()  # what is imported lives as long as the process: no collection need look at it again
        self._view.lag.start()
        async with AsyncExitStack() as stack:
            stack.callback(self._view.lag.stop)
            admin = await AdminServer.start(self._view, parse_address(self._config.admin_addr))
            stack.push_async_callback(admin.stop)
            self._admin_addr = str(admin.address)
            log(logger, "info", "starting", version=__version__, admin_addr=self._admin_addr)
            yield

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Answer checks meanwhile; drain in the end.

        Begun with a policy active: a replica that starts refuses connections instead of denying what another one
        could decide, and Envoy asks that one.
        """
        server = await self._start_server()
        self._view.servers.append(server)
        addresses = ", ".join(map(str, server.addresses))
        log(logger, "info", "listening", addr=addresses, admin_addr=self._admin_addr, transport=self._config.transport)
        try:
            yield
        finally:
            await self._drain(server)

    async def _start_server(self) -> GrpcServer:
        if self._config.transport == "ngh2":
            return await serve(self._service, self._addresses)
        from authz.server.grpcio_transport import serve_grpcio  # noqa: PLC0415 - 20 MB, only for who asks for it

        return await serve_grpcio(self._service, self._addresses)

    async def _drain(self, server: GrpcServer) -> None:
        self._view.is_draining = True
        await server.drain(self._config.drain_s)  # tells the health registry

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Ask for a refresh meanwhile whenever a file changes; begun before the first compile, so that no edit is missed."""
        if not self._config.reload.watch:
            yield
            return
        watcher = await Watcher.start(self._paths, self._config.reload.poll_s)
        async with _running(self._follow(watcher)):
            yield

    def sending(self) -> AbstractAsyncContextManager[object]:
        """Be able to send the requests of policies meanwhile; until the last check is drained."""
        return nullcontext() if self._sender is None else self._sender

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

    async def _compile(self, known_revision: str | None) -> CompileResponse:
        config = self._config
        request = CompileRequest(config.policies, config.entrypoint, config.rego_version, config.reload.compile_timeout_s, known_revision)
        return await compile_in_process(request)

    def _on_active(self) -> None:
        for name in (OVERALL, AUTHORIZATION):
            self._health.set(name, HealthStatus.SERVING)
        snapshot = self._pdp.snapshot
        if self._sender is None and snapshot is not None and HTTP_SEND in snapshot.entry.reads.nondeterministic:
            log(logger, "warn", "the policy calls http.send, which fails: no host is allowed", field="http_send.allow_hosts")


@asynccontextmanager
async def _running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run `work` beside the block and cancel it in the end. Checks are answered on if it dies, but not in silence."""
    task = asyncio.create_task(work)
    task.add_done_callback(_tell_if_dead)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _tell_if_dead(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("a defect of authz ended hot reload; restart to get it back", exc_info=task.exception())
