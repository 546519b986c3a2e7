"""Checks that wait for answers to their policy's requests: how many, for how long, and what they are answered beyond that.

Asks for the answers and has the PDP go on; how they are obtained is the sender's, what they mean the policy's.
"""

from __future__ import annotations

import asyncio
from typing import Final

from authz.errors import Reason
from authz.outbound.sender import Sender
from authz.pdp import PDP, Decision, Suspended, Suspension, failed, failed_by
from authz.rego.errors import EvalError
from authz.rego.pending import HTTP_SEND, too_many_requests

MARGIN: Final = 0.1
MAX_MARGIN_S: Final = 0.02
"""How much before its deadline a check is denied: the answer has to reach Envoy while it still waits, or it would fail the
check itself, and let the request through under `failure_mode_allow`."""


class WaitingChecks:
    """Brings suspended checks to their decision. `count` is how many wait now."""

    def __init__(self, pdp: PDP, sender: Sender) -> None:
        self._pdp = pdp
        self._sender = sender
        self._limits = sender.settings
        self.count = 0

    async def decide(self, suspension: Suspension, deadline: float | None) -> Decision:
        """Return the decision on a check, at the latest shortly before its deadline (seconds of the loop's time); release it."""
        most, revision = self._limits.max_waiting_checks, suspension.snapshot.revision
        if self.count >= most:
            return failed(Reason.OVERLOADED, f"{HTTP_SEND}: {most} checks are waiting already", revision)
        self.count += 1
        try:
            async with asyncio.timeout(self._longest_s(deadline)):
                return await self._settled(suspension)
        except TimeoutError:
            return failed(Reason.DEADLINE_EXCEEDED, f"{HTTP_SEND}: the check waited as long as it may", revision)
        except EvalError as error:
            return failed_by(error, revision)
        finally:
            self.count -= 1
            suspension.release()

    def _longest_s(self, deadline: float | None) -> float:
        longest_s = self._limits.check_timeout_s
        if deadline is None:
            return longest_s
        left_s = deadline - asyncio.get_running_loop().time()
        return min(longest_s, left_s - min(left_s * MARGIN, MAX_MARGIN_S))

    async def _settled(self, suspension: Suspension) -> Decision:
        """Obtain answers until the check is decided. Raises EvalError for one that needs too many."""
        evaluation = suspension.evaluation
        for _ in range(self._limits.max_requests_per_check):
            evaluation.answer(await self._sender.send(evaluation.request, evaluation.now_ns))
            try:
                return self._pdp.resume(suspension)
            except Suspended:
                continue
        raise too_many_requests(self._limits.max_requests_per_check)
