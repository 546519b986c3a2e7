"""One rehearsal as the supervisor sees it: which workers have the candidate prepared, and what they report together.

Knows how workers are asked. When a rehearsal ends before its time, and what follows from its report, is the pool's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from authz.config import CanarySettings
from authz.pdp import RehearsalReport, added_up
from authz.refresh.messages import Compiled
from authz.workers.connection import ANSWER_S, Connection, WorkerError
from authz.workers.messages import Conclude, Discard, Rehearse, Rehearsed


class Rehearsal:
    """A policy that `workers` have prepared for `swap`; `is_allowed` once it may be committed."""

    def __init__(self, swap: int, compiled: Compiled, workers: Sequence[Connection]) -> None:
        self.swap = swap
        self.workers = workers
        self.is_allowed = False
        self._compiled = compiled

    def allows(self, compiled: Compiled) -> bool:
        """Tell whether it was about this very policy, and went well."""
        return self.is_allowed and self._compiled is compiled

    async def run(self, settings: CanarySettings) -> RehearsalReport | None:
        """Have all workers shadow checks at once; return what they have seen together, or None if none came to an end.

        Each has its part of the checks. Connections are not spread evenly, perhaps all are one worker's, so the first that has seen its
        part ends the others' turn, and what is left is shared again.
        """
        loop = asyncio.get_running_loop()
        ends_at, seen, workers = loop.time() + settings.seconds, RehearsalReport(), list(self.workers)
        while seen.checks < settings.checks and loop.time() < ends_at:
            part = -(-(settings.checks - seen.checks) // len(workers))
            turn = msgspec.structs.replace(settings, seconds=ends_at - loop.time(), checks=part)
            reports = await self._take_turn(workers, turn)
            workers = list(reports)
            if not workers:
                return None
            seen = added_up((seen, *reports.values()))
        return seen

    async def _take_turn(self, workers: Sequence[Connection], settings: CanarySettings) -> dict[Connection, RehearsalReport]:
        """Have workers shadow until one has seen enough; return what each of those that live has seen."""
        working = {asyncio.create_task(self._report(worker, settings)): worker for worker in workers}
        reports: dict[Connection, RehearsalReport] = {}
        try:
            while len(working) > 0:
                done, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
                finished = {working.pop(task): task.result() for task in done}
                reports |= {worker: report for worker, report in finished.items() if report is not None}
                for worker in working.values() if reports else ():
                    worker.send(Conclude(self.swap))
        finally:
            for task in working:
                task.cancel()
        return reports

    async def _report(self, worker: Connection, settings: CanarySettings) -> RehearsalReport | None:
        question = Rehearse(self.swap, settings)
        try:
            return (await worker.request(question, Rehearsed, longest_s=settings.seconds + ANSWER_S)).report
        except WorkerError:
            return None  # it is gone, or stuck: the pool sees to that, and the others have seen checks, too

    def discard(self) -> None:
        """Have the workers end it and forget the policy."""
        for worker in self.workers:
            worker.send(Discard(self.swap))
