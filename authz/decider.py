"""What one process answers checks with: the PDP, its gRPC service, its health, and the sender of its policies' requests.

Owns how these fit together and what they tell of themselves. Knows neither where policies come from nor other processes.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import time_ns
from typing import Final

import msgspec

from authz.config import CanarySettings, Config, ConfigError
from authz.identity import IdentityConfig, SpiffeIdError
from authz.outbound.allowlist import AllowList, AllowListError
from authz.outbound.sender import Sender
from authz.outbound.settings import SendSettings
from authz.pdp import PDP, CacheConfig, RehearsalReport, Shadow, Snapshot, superseded
from authz.pdp.rehearsal import RESULTS
from authz.refresh.activation import SnapshotBuilder, SnapshotSettings
from authz.refresh.messages import Compiled
from authz.rego.pending import HTTP_SEND
from authz.server import Address, GrpcServer, HealthRegistry, HealthStatus, serve
from authz.server.address import BoundSocket
from authz.server.check import AUTHORIZATION, CheckService
from authz.server.health import OVERALL
from authz.server.listener import serve_bound
from authz.server.shadowing import Shadowing
from authz.server.waiting_checks import WaitingChecks
from authz.telemetry.collections import CollectorPauses
from authz.telemetry.counters import CheckCounters, SendCounters
from authz.telemetry.logs import LogWriter, log
from authz.telemetry.loop_lag import LoopLag
from authz.telemetry.stats import ActivePolicy, Counts, State, Stats

SWITCH_INTERVAL_S: Final = 0.0005
"""How long the event loop waits for another thread (one that unpacks a policy) to let go; Python's own 5 ms is many checks."""

logger = logging.getLogger(__name__)


def sending_settings(config: Config) -> SendSettings:
    """Return what policies may ask others; raises ConfigError."""
    fields = msgspec.structs.asdict(config.http_send)
    try:
        return SendSettings(AllowList(fields.pop("allow_hosts")), **fields)
    except AllowListError as error:
        raise ConfigError(f"field `http_send.allow_hosts`: {error}", help=error.help) from error


def identity_settings(config: Config) -> IdentityConfig:
    """Return whom to believe about the caller; raises ConfigError."""
    try:
        return IdentityConfig.parse(config.identity.xfcc_mode, config.identity.trusted_proxies)
    except SpiffeIdError as error:
        raise ConfigError(f"field `identity.trusted_proxies`: {error}") from error


class Decider:
    """Answers checks, with the policy that was committed last. Use it on one event loop."""

    def __init__(self, config: Config, log_writer: LogWriter) -> None:
        """Prepare; raises ConfigError."""
        self._config = config
        self._log_writer = log_writer
        sending = sending_settings(config)
        self._sender = Sender(sending) if sending.allowed else None
        kept = config.cache
        cache = CacheConfig(max_entries=kept.size, ttl_ns=round(kept.ttl_s * 1e9), allow_ttl_ns=round(kept.allow_ttl_s * 1e9))
        settings = SnapshotSettings(config.entrypoint, identity_settings(config), cache, self._sender)
        self._builder = SnapshotBuilder(settings)
        self._pdp = PDP()
        self._activated_ns = 0
        self._shadowing: Shadowing | None = None
        self._shadowed = dict.fromkeys(RESULTS, 0)
        self._health = HealthRegistry()
        self._checks = CheckCounters()
        self._lag = LoopLag()
        self._pauses = CollectorPauses()
        self._servers: list[GrpcServer] = []
        self._waiting = None if self._sender is None else WaitingChecks(self._pdp, self._sender)
        self._check_service = CheckService(self._pdp, self._checks, self._waiting)
        self._service = self._check_service.service() | self._health.service()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Measure the event loop and be able to send the requests of policies meanwhile; not healthy before a policy is active."""
        self._tell_health()
        gc.freeze()  # what is imported lives as long as the process: no collection need look at it again
        self._lag.start()
        async with AsyncExitStack() as stack:
            stack.callback(self._lag.stop)
            self._pauses.start()
            stack.callback(self._pauses.stop)
            if self._sender is not None:
                await stack.enter_async_context(self._sender)
            yield

    async def prepare(self, compiled: Compiled) -> Snapshot:
        """Build a snapshot beside the event loop; it decides nothing yet. Raises AuthzError."""
        return await self._builder.build(compiled)

    def commit(self, snapshot: Snapshot) -> None:
        """Make a snapshot the one that decides."""
        if self._shadowing is not None:
            self._shadowing.supersede()
        self._pdp.activate(snapshot)
        self._activated_ns = time_ns()
        self._tell_health()
        if self._sender is None and HTTP_SEND in snapshot.entry.reads.nondeterministic:
            log(logger, "warn", "the policy calls http.send, which fails: no host is allowed", field="http_send.allow_hosts")

    def withhold(self, is_withheld: bool) -> None:
        """Deny every check from now on, whatever is committed meanwhile, or decide again."""
        self._pdp.withhold(is_withheld)
        self._tell_health()

    def _tell_health(self) -> None:
        is_deciding = self._pdp.snapshot is not None and not self._pdp.is_withheld
        for name in (OVERALL, AUTHORIZATION):
            self._health.set(name, HealthStatus.SERVING if is_deciding else HealthStatus.NOT_SERVING)

    async def activate(self, compiled: Compiled) -> None:
        """Make a compiled policy the one that decides; raises AuthzError and changes nothing if it cannot."""
        self.commit(await self.prepare(compiled))

    async def rehearse(self, snapshot: Snapshot, settings: CanarySettings) -> RehearsalReport:
        """Let a snapshot shadow live checks until enough were compared or the time is over; return what was seen, maybe nothing.

        Raises RehearsalError if another policy was committed, or another rehearsal begun, meanwhile. When it returns, raises or is
        cancelled, the snapshot is held by nobody here: whoever built it may commit it, or forget it.
        """
        if self._shadowing is not None:
            self._shadowing.supersede()
        if self._pdp.snapshot is None or self._pdp.is_withheld:  # nothing decides, so nothing can be compared
            return RehearsalReport(is_first=True)
        shadowing = self._shadowing = Shadowing(Shadow(snapshot), settings.checks)
        del snapshot  # a task that is cancelled and its traceback keep what this frame holds until a collection
        self._check_service.shadow(shadowing.offer)
        try:
            await asyncio.wait((shadowing.is_over,), timeout=settings.seconds)
        finally:
            report = shadowing.close()
            for result, count in report.results.items():
                self._shadowed[result] += count
            if self._shadowing is shadowing:
                self._check_service.shadow(None)
                self._shadowing = None
        if shadowing.is_superseded:
            raise superseded()
        return report

    def conclude_rehearsal(self) -> None:
        """Let the rehearsal that is under way, if one is, return with what it has seen."""
        if self._shadowing is not None:
            self._shadowing.conclude()

    async def listen(self, addresses: Sequence[Address]) -> tuple[Address, ...]:
        """Bind the addresses and answer checks on them; return them with their real ports. Raises AddressError."""
        if self._config.transport == "ngh2":
            server = await serve(self._service, addresses)
        else:
            from authz.server.grpcio_transport import serve_grpcio  # noqa: PLC0415 - 20 MB, only for who asks for it

            server = await serve_grpcio(self._service, addresses)
        self._servers.append(server)
        return server.addresses

    async def listen_on(self, bound: Sequence[BoundSocket]) -> None:
        """Answer checks on sockets that are bound already."""
        self._servers.append(await serve_bound(self._service, bound))

    async def drain(self, grace_s: float) -> None:
        """Accept nothing new, finish what was received within the grace, end the rest."""
        for server in self._servers:
            await server.drain(grace_s)  # tells the health registry

    def stats(self) -> Stats:
        """Return what was counted, what goes on, and what it costs."""
        snapshot, sends = self._pdp.snapshot, SendCounters() if self._sender is None else self._sender.counters
        cache = None if snapshot is None else snapshot.cache
        evictions = 0 if cache is None else cache.evictions
        counts = Counts.of(
            self._checks,
            sends,
            self._lag.histogram,
            self._pauses.histogram,
            canary=self._canary_counts(),
            cache_evictions=evictions,
            log_lines_dropped=self._log_writer.dropped,
        )
        state = State(
            in_flight=sum(server.in_flight for server in self._servers),
            open_connections=sum(server.open_connections for server in self._servers),
            waiting_checks=0 if self._waiting is None else self._waiting.count,
            sends_in_flight=sends.in_flight,
            send_cache_bytes=0 if self._sender is None else self._sender.cache.used_bytes,
            cache_entries=0 if cache is None else len(cache),
        )
        policy = None if snapshot is None else _active(snapshot, self._activated_ns)
        return Stats(os.getpid(), counts, state, policy, _cpu_s(), _resident_bytes())

    def _canary_counts(self) -> dict[str, int]:
        now = {} if self._shadowing is None else self._shadowing.results
        return {result: count + now.get(result, 0) for result, count in self._shadowed.items()}


def _active(snapshot: Snapshot, activated_ns: int) -> ActivePolicy:
    table = snapshot.table
    return ActivePolicy(
        snapshot.revision, snapshot.entrypoint, table.rows, table.columns, activated_ns, is_cached=snapshot.cache is not None
    )


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()
    except OSError:  # no /proc: the most it ever was
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
