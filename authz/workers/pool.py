"""The workers of one service: started, kept alive, and on the same policy.

A swap has two phases: every worker builds the policy, then all of them are told to decide with it, so that they differ for no
longer than it takes to say so. Knows how a worker is told; not what a policy is, nor who wants it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from authz.config import CanarySettings, Config
from authz.errors import AuthzError, ErrorCode
from authz.pdp import RehearsalError, RehearsalReport, superseded, verdict
from authz.refresh.messages import Compiled
from authz.server import Address
from authz.server.address import BoundSocket, bind_shared
from authz.server.shadowing import log_rehearsal
from authz.telemetry.logs import log, telling_of_death
from authz.telemetry.stats import Counts, Stats, total
from authz.workers.connection import START_S, Connection, WorkerError
from authz.workers.messages import (
    Commit,
    Committed,
    Discard,
    Drain,
    Listen,
    Listening,
    Prepare,
    Prepared,
    Setup,
    Socket,
    Withheld,
    Withhold,
)
from authz.workers.rehearsal import Rehearsal

PULSE_S: Final = 1.0
"""How often a worker is asked for its stats, which also tells that it lives."""

SILENCE_S: Final = 10.0
"""How long a worker may say nothing before it is ended and started anew: its event loop is stuck."""

FIRST_RESTART_S: Final = 0.1
LONGEST_RESTART_S: Final = 5.0
STABLE_S: Final = 30.0
"""Lives that were shorter than this make the next start wait longer."""

logger = logging.getLogger(__name__)


class ActivationError(AuthzError):
    """A worker could not take a policy; none of them decides with it."""

    code = ErrorCode.ACTIVATION


class Pool:
    """The workers, by number. Use it on one event loop."""

    def __init__(self, config: Config, addresses: Sequence[Address]) -> None:
        self.restarts = 0
        self.retired = Counts()
        self._config = config
        self._wanted = addresses
        self._bound: list[list[BoundSocket]] = []
        self._workers: dict[int, Connection] = {}
        self._current: Compiled | None = None
        self._rehearsal: Rehearsal | None = None
        self._swap = 0
        self._is_withheld = False
        self._is_listening = False
        self._is_draining = False
        self._changing = asyncio.Lock()  # a worker that joins does not miss the swap that is under way

    @property
    def is_serving(self) -> bool:
        """Whether at least one worker answers checks."""
        return self._current is not None and self._is_listening and bool(self._workers)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have workers meanwhile; raises AddressError, or AuthzError if one does not start."""
        count = self._config.workers
        self._bound = [bind_shared(address, count) for address in self._wanted]
        keepers: list[asyncio.Task[None]] = []
        try:
            await asyncio.gather(*(self._start(number) for number in range(count)))
            keepers += (asyncio.create_task(self._keep(number)) for number in range(count))
            for keeper in keepers:
                keeper.add_done_callback(telling_of_death(logger, "a defect of authz: a worker is not looked after any more"))
            yield
        finally:
            self._is_draining = True
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            await asyncio.gather(*(worker.end() for worker in self._workers.values()))
            self._release()

    def _release(self) -> None:
        for sockets in self._bound:
            for bound in sockets:
                bound.release()

    # Policies

    async def activate(self, compiled: Compiled) -> None:
        """Make all workers decide with a policy; raises ActivationError, and none of them does, if one cannot."""
        async with self._changing:
            rehearsed = self._rehearsal if self._rehearsal is not None and self._rehearsal.allows(compiled) else None
            if rehearsed is None:
                self._end_rehearsal()
            swap = self._next_swap() if rehearsed is None else rehearsed.swap
            ready = await self._prepare_all(swap, compiled, () if rehearsed is None else rehearsed.workers)
            self._rehearsal = None
            self._current = compiled
            await asyncio.gather(*(worker.request(Commit(swap), Committed) for worker in ready), return_exceptions=True)

    async def rehearse(self, compiled: Compiled, settings: CanarySettings) -> RehearsalReport:
        """Let a policy shadow live checks in all workers at once; return what they have seen together.

        What the verdict allows stays prepared, for `activate`. Raises ActivationError, and RehearsalError if another policy is
        activated or rehearsed meanwhile.
        """
        async with self._changing:
            self._end_rehearsal()
            if self._current is None or self._is_withheld:  # nothing decides, so nothing can be compared
                return RehearsalReport(is_first=True)
            swap = self._next_swap()
            rehearsal = self._rehearsal = Rehearsal(swap, compiled, await self._prepare_all(swap, compiled))
        try:
            report = await rehearsal.run(settings)
            if self._rehearsal is not rehearsal:
                raise superseded()
            if report is None:
                raise RehearsalError("no worker lived to the end of the rehearsal", help="the log says how they ended")
            log_rehearsal(logger, compiled.revision, report)
            rehearsal.is_allowed = verdict(report, settings) is None
            return report
        finally:
            if self._rehearsal is rehearsal and not rehearsal.is_allowed:
                self._end_rehearsal()

    def _end_rehearsal(self) -> None:
        if self._rehearsal is not None:
            self._rehearsal.discard()
            self._rehearsal = None

    def _next_swap(self) -> int:
        self._swap += 1
        return self._swap

    async def _prepare_all(self, swap: int, compiled: Compiled, prepared: Sequence[Connection] = ()) -> list[Connection]:
        """Have every worker but those that have it build a policy; return those that did, for one may die. Raises ActivationError."""
        workers = list(self._workers.values())
        try:
            asked = [worker for worker in workers if worker not in prepared]
            answers = await asyncio.gather(*(_prepare(worker, swap, compiled) for worker in asked))
            failed = [answer for answer in answers if isinstance(answer, Prepared) and answer.error is not None]
            if failed:
                raise ActivationError(failed[0].error or "", help=failed[0].help)
            # Those that died meanwhile get it when they are started anew.
            lost = {worker for worker, answer in zip(asked, answers, strict=True) if not isinstance(answer, Prepared)}
            ready = [worker for worker in workers if worker not in lost]
            if not ready:
                raise ActivationError("no worker is alive")
        except BaseException:  # also if whoever wants it is gone
            for worker in workers:
                worker.send(Discard(swap))
            raise
        return ready

    async def withhold(self, is_withheld: bool) -> None:
        """Deny every check from now on, whatever is activated meanwhile, or decide again. Waits for no activation."""
        self._is_withheld = is_withheld
        asked = (worker.request(Withhold(is_withheld), Withheld) for worker in list(self._workers.values()))
        await asyncio.gather(*asked, return_exceptions=True)  # one that died meanwhile learns of it when it is started anew

    # Serving

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[tuple[Address, ...]]:
        """Answer checks meanwhile, on these addresses; drain in the end."""
        async with self._changing:
            self._is_listening = True
            await asyncio.gather(*(_listen(worker) for worker in self._workers.values()), return_exceptions=True)
        try:
            yield tuple(sockets[0].address for sockets in self._bound)
        finally:
            await self._drain()

    async def _drain(self) -> None:
        self._is_draining = True
        self._release()  # nothing new: the workers close theirs
        for worker in self._workers.values():
            worker.send(Drain(self._config.drain_s))
        grace_s = self._config.drain_s + SILENCE_S
        await asyncio.gather(*(worker.wait_ended(grace_s) for worker in self._workers.values()))

    async def stats(self) -> Sequence[Stats]:
        """Return the state of every worker: now, or as it last was if it does not answer in time."""
        await asyncio.gather(*(worker.ask() for worker in self._workers.values()))
        return [worker.stats for worker in self._workers.values() if worker.stats is not None]

    # Lives

    async def _start(self, number: int) -> None:
        """Start a worker and bring it to where the others are. Raises WorkerError."""
        sockets = [each[number] for each in self._bound]
        worker = await Connection.start(sockets)
        try:
            inherited = tuple(Socket(each.socket.fileno(), str(each.address)) for each in sockets)
            worker.send(Setup(number, self._config, inherited))
            await worker.ask(START_S)
            if worker.stats is None:
                raise WorkerError(f"a worker did not start within {START_S:g} s")
            async with self._changing:
                worker.send(Withhold(self._is_withheld))
                await self._bring_up(worker)
                worker.send(Withhold(self._is_withheld))  # it may have changed, and the worker was not among those that were told
                self._workers[number] = worker
        except BaseException:
            await worker.end()
            raise

    async def _bring_up(self, worker: Connection) -> None:
        if self._current is not None:
            self._swap += 1
            answer = await _prepare(worker, self._swap, self._current)
            if not isinstance(answer, Prepared) or answer.error is not None:
                raise WorkerError(f"worker could not take the policy: {answer.error if isinstance(answer, Prepared) else 'it ended'}")
            await worker.request(Commit(self._swap), Committed)
        if self._is_listening:
            await _listen(worker)

    async def _keep(self, number: int) -> None:
        """See that a worker lives, and start another one in its place when it does not."""
        delay_s = FIRST_RESTART_S
        while True:
            worker = self._workers[number]
            lived_s = await self._watch(worker)
            if self._is_draining:
                return
            ending = await worker.end()
            if worker.stats is not None:
                self.retired = total((worker.stats.counts,), self.retired)
            del self._workers[number]
            log(logger, "error", "a worker ended and is started anew", worker=number, pid=worker.pid, ending=ending)
            delay_s = FIRST_RESTART_S if lived_s >= STABLE_S else delay_s
            while number not in self._workers:
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, LONGEST_RESTART_S)
                await self._restart(number)

    async def _restart(self, number: int) -> None:
        self.restarts += 1
        try:
            await self._start(number)
        except (AuthzError, OSError) as error:
            log(logger, "error", "a worker could not be started", worker=number, error=str(error))

    async def _watch(self, worker: Connection) -> float:
        """Return when a worker has ended or is stuck; how many seconds it has lived."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not await worker.wait_ended(PULSE_S, kill=False):
            worker.ask_soon()
            if loop.time() - worker.heard_at > SILENCE_S:
                log(logger, "error", "a worker is stuck and is ended", pid=worker.pid, silent_s=SILENCE_S)
                break
        return loop.time() - began


async def _prepare(worker: Connection, swap: int, compiled: Compiled) -> Prepared | WorkerError:
    try:
        return await worker.request(Prepare(swap, compiled.revision), Prepared, compiled.policy)
    except WorkerError as error:
        return error


async def _listen(worker: Connection) -> None:
    await worker.request(Listen(), Listening)
