"""One rehearsal as the supervisor sees it: which workers have the candidate prepared, and what they report together.

Knows how workers are asked. When a rehearsal ends before its time, and what follows from its report, is the pool's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from authz.config import CanarySettings
from authz.pdp import RehearsalReport
from authz.refresh.messages import Compiled
from authz.workers.connection import ANSWER_S, Connection, WorkerError
from authz.workers.messages import Discard, Rehearse, Rehearsed


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

    async def run(self, settings: CanarySettings) -> list[RehearsalReport]:
        """Have all workers shadow checks at once, each its part of them; return the reports of those that came to an end."""
        part = msgspec.structs.replace(settings, checks=-(-settings.checks // len(self.workers)))
        reports = await asyncio.gather(*(self._report(worker, part) for worker in self.workers))
        return [report for report in reports if report is not None]

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
