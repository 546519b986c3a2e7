"""The check service: one request's bytes in, one decision's bytes out, always in-band.

Owns the clocks, the counting and the last resort. What the decision is, and how it is encoded, is the PDP's; a check that
cannot be decided on the spot is `waiting_checks`'.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator
from time import monotonic_ns, time_ns
from typing import Any, Final, Protocol, TypeAlias

from authz.errors import Reason
from authz.extauthz import Refusal, deny
from authz.pdp import PDP, Decision, Suspended, Suspension
from authz.server.rpc import Call, Service
from authz.server.waiting_checks import WaitingChecks
from authz.telemetry.counters import CheckCounters
from authz.telemetry.logs import log
from authz.telemetry.repeats import RepeatFilter

Offer: TypeAlias = Callable[[bytes, int, Decision | None], None]
"""Is told of every check: its bytes, the time at which it was decided, the decision; None for one that has to wait for it."""

AUTHORIZATION: Final = "envoy.service.auth.v3.Authorization"
CHECK_METHOD: Final = f"/{AUTHORIZATION}/Check"

logger = logging.getLogger(__name__)

# Their cause lies in us or in the policy; the others are answers.
_WORTH_A_LINE: Final = frozenset({Reason.EVAL_ERROR, Reason.BAD_DECISION, Reason.INTERNAL_ERROR, Reason.OVERLOADED})

# Encoded beforehand: what brings us here may be that there is no memory left.
_LAST_RESORT: Final = Decision(deny(Refusal(500), message=Reason.INTERNAL_ERROR.value), False, Reason.INTERNAL_ERROR)


class Decide(Protocol):
    """`PDP.decide`, or one that also tells of it."""

    def __call__(self, request: bytes, now_ns: int, *, deadline_passed: bool) -> Decision: ...


def _telling(decide: Decide, offer: Offer) -> Decide:
    def decide_and_tell(request: bytes, now_ns: int, *, deadline_passed: bool) -> Decision:
        try:
            decision = decide(request, now_ns, deadline_passed=deadline_passed)
        except Suspended:
            offer(request, now_ns, None)
            raise
        offer(request, now_ns, decision)
        return decision

    return decide_and_tell


class CheckService:
    """Answers Check with what the PDP decides, and denies when the PDP fails."""

    def __init__(
        self,
        pdp: PDP,
        counters: CheckCounters,
        waiting: WaitingChecks | None = None,
        *,
        now_ns: Callable[[], int] = time_ns,
        monotonic_ns: Callable[[], int] = monotonic_ns,
    ) -> None:
        self._pdp = pdp
        self._decide: Decide = pdp.decide
        self._observe = counters.observe
        self._waiting = waiting
        self._now_ns = now_ns
        self._monotonic_ns = monotonic_ns
        self._repeats = RepeatFilter()

    def service(self) -> Service:
        """Return the gRPC service to be served."""
        return Service(unary={CHECK_METHOD: self.check})

    def shadow(self, offer: Offer | None) -> None:
        """Tell somebody of every check from now on, or nobody. A function that is exchanged costs nothing while there is nobody."""
        self._decide = self._pdp.decide if offer is None else _telling(self._pdp.decide, offer)

    def check(self, request: bytes, call: Call) -> bytes | Awaitable[bytes]:
        """Return the encoded CheckResponse, or what to wait for where the policy asks others. Never raises, nor does the waiting.

        Envoy reads a gRPC error as "the authorization service failed", and lets the request through
        under `failure_mode_allow`; a denial in a CheckResponse stands.
        """
        started_ns = self._monotonic_ns()
        try:
            deadline = call.deadline
            is_late = deadline is not None and deadline * 1e9 <= started_ns
            decision = self._decide(request, self._now_ns(), deadline_passed=is_late)
            if decision.error is not None and decision.reason in _WORTH_A_LINE:
                self._tell(decision.reason, decision.error, decision.revision)
        except Suspended as suspended:
            return _WaitingCheck(self, suspended.suspension, call.deadline, started_ns)
        except Exception as error:  # one of the two places that catch everything: a check is denied, not dropped
            decision = _LAST_RESORT
            self._tell_failure(error)
        self._observe(decision.reason, decision.cache, self._monotonic_ns() - started_ns)
        return decision.response

    async def finish(self, suspension: Suspension, deadline: float | None, started_ns: int) -> bytes:
        """Return the encoded CheckResponse of a check that has to wait. Raises nothing but what cancels it."""
        try:
            assert self._waiting is not None
            decision = await self._waiting.decide(suspension, deadline)
            if decision.error is not None and decision.reason in _WORTH_A_LINE:
                self._tell(decision.reason, decision.error, decision.revision)
        except Exception as error:  # as in `check`
            decision = _LAST_RESORT
            self._tell_failure(error)
        self._observe(decision.reason, decision.cache, self._monotonic_ns() - started_ns)
        return decision.response

    def _tell(self, reason: Reason, error: str, revision: str) -> None:
        held_back = self._repeats.admit(error, self._monotonic_ns() / 1e9)
        if held_back is not None:
            log(logger, "error", "check denied", reason=reason.value, error=error, revision=revision, repeated=held_back)

    def _tell_failure(self, error: Exception) -> None:
        kind = f"{type(error).__name__}: {error}"
        held_back = self._repeats.admit(kind, self._monotonic_ns() / 1e9)
        if held_back is not None:
            logger.error("check denied by a defect of authz", exc_info=error, extra={"fields": {"repeated": held_back}})


class _WaitingCheck:
    """The answer to a check that has to wait. Nothing has begun until it is awaited, so it may as well be dropped."""

    __slots__ = ("_deadline", "_service", "_started_ns", "_suspension")

    def __init__(self, service: CheckService, suspension: Suspension, deadline: float | None, started_ns: int) -> None:
        self._service = service
        self._suspension = suspension
        self._deadline = deadline
        self._started_ns = started_ns

    def __await__(self) -> Generator[Any, None, bytes]:
        return self._service.finish(self._suspension, self._deadline, self._started_ns).__await__()
