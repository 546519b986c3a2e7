"""The check service: one request's bytes in, one decision's bytes out, always in-band.

Owns the clocks, the counting and the last resort. What the decision is, and how it is encoded, is the PDP's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic_ns, time_ns
from typing import Final

from authz.errors import Reason
from authz.extauthz import Refusal, deny
from authz.pdp import PDP, Decision
from authz.server.rpc import Call, Service
from authz.telemetry.counters import CheckCounters
from authz.telemetry.logs import log
from authz.telemetry.repeats import RepeatFilter

AUTHORIZATION: Final = "envoy.service.auth.v3.Authorization"
CHECK_METHOD: Final = f"/{AUTHORIZATION}/Check"

logger = logging.getLogger(__name__)

# Their cause lies in us or in the policy; the others are answers.
_WORTH_A_LINE: Final = frozenset({Reason.EVAL_ERROR, Reason.BAD_DECISION, Reason.INTERNAL_ERROR})

# Encoded beforehand: what brings us here may be that there is no memory left.
_LAST_RESORT: Final = Decision(deny(Refusal(500), message=Reason.INTERNAL_ERROR.value), False, Reason.INTERNAL_ERROR)


class CheckService:
    """Answers Check with what the PDP decides, and denies when the PDP fails."""

    def __init__(
        self,
        pdp: PDP,
        counters: CheckCounters,
        *,
        now_ns: Callable[[], int] = time_ns,
        monotonic_ns: Callable[[], int] = monotonic_ns,
    ) -> None:
        self._pdp = pdp
        self._decide = pdp.decide
        self._observe = counters.observe
        self._now_ns = now_ns
        self._monotonic_ns = monotonic_ns
        self._repeats = RepeatFilter()

    def service(self) -> Service:
        """Return the gRPC service to be served."""
        return Service(unary={CHECK_METHOD: self.check})

    def check(self, request: bytes, call: Call) -> bytes:
        """Return the encoded CheckResponse. Never raises: an error to the caller could be turned into an allow.

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
        except Exception as error:  # one of the two places that catch everything: a check is denied, not dropped
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
