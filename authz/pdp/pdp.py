"""The policy decision point: bytes of a check request in, a decision out, whatever the bytes and whatever the policy does.

Pure: the time is an argument, nothing is awaited or logged. A check that needs an answer from outside is handed out, suspended.
It knows neither transports nor where a snapshot comes from.
"""

from __future__ import annotations

from typing import Final

from authz.errors import Reason
from authz.extauthz import BadDecisionError, BadRequestError, Refusal, decode, deny
from authz.pdp.cache import Entry
from authz.pdp.decision import Decision
from authz.pdp.evaluation import Evaluation, Unanswered
from authz.pdp.snapshot import Snapshot
from authz.rego.errors import EvalError
from authz.rego.values import Value

# OPA's words, for what it reports as a gRPC error. Here every answer is in-band: a gRPC error is an allow under
# `failure_mode_allow`.
UNDEFINED: Final = "undefined decision"
TIMED_OUT: Final = "check request timed out before query execution: context deadline exceeded"

STALE: Final = "the policy is older than it may be"

# 403 where the policy is at fault: it is what Envoy makes of OPA's error, and trying again does not help. 503 where waiting does.
_HTTP_STATUS: Final = {
    Reason.NO_POLICY: 503,
    Reason.STALE_POLICY: 503,
    Reason.UNDEFINED: 403,
    Reason.EVAL_ERROR: 403,
    Reason.BAD_DECISION: 403,
    Reason.DEADLINE_EXCEEDED: 503,
    Reason.OVERLOADED: 503,
    Reason.INTERNAL_ERROR: 500,
}
# Encoded beforehand: there may be no memory left to do it when one is needed. The bodies are empty: causes are for logs.
_DENIALS: Final = {reason: deny(Refusal(status), message=reason.value) for reason, status in _HTTP_STATUS.items()}


# What a request or a policy can bring about. A mistake of ours goes up to the check service, which denies and shows where.
_EXPECTED: Final = (BadRequestError, EvalError, BadDecisionError, RecursionError, MemoryError)


class Suspension:
    """A check that waits for the answer to `evaluation.request`, and is decided by the snapshot it began with.

    To be released in the end, by whoever has waited: a task that is cancelled and its traceback refer to each other, so what
    they hold would stay until a garbage collection, and a policy's data with it.
    """

    __slots__ = ("evaluation", "snapshot")

    def __init__(self, snapshot: Snapshot, evaluation: Evaluation) -> None:
        self.snapshot = snapshot
        self.evaluation = evaluation

    def release(self) -> None:
        """Let go of the snapshot; nothing can be asked of the suspension afterwards."""
        self.evaluation.release()
        del self.snapshot, self.evaluation


class Suspended(Exception):  # noqa: N818 - no error: the check is decided once its evaluation has its answer
    """A check cannot be decided without waiting."""

    def __init__(self, suspension: Suspension) -> None:
        super().__init__(suspension.snapshot.revision)
        self.suspension = suspension


class PDP:
    """Decides with the active snapshot. A swap is one assignment, so a check sees one snapshot from beginning to end.

    While it `is_withheld`, the active snapshot decides nothing.
    """

    __slots__ = ("_deciding", "is_withheld", "snapshot")

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.is_withheld = False
        self._deciding: Snapshot | None = None

    def activate(self, snapshot: Snapshot) -> None:
        """Make a snapshot the active one."""
        self.snapshot = snapshot
        self._deciding = None if self.is_withheld else snapshot

    def withhold(self, is_withheld: bool) -> None:
        """Let the active snapshot decide nothing from now on, or decide again. Checks that wait already are decided by it."""
        self.is_withheld = is_withheld
        self._deciding = None if is_withheld else self.snapshot

    def decide(self, request: bytes, now_ns: int, *, deadline_passed: bool = False) -> Decision:
        """Decide one check; allows only what the active policy allows, and raises only for a defect of ours, or Suspended.

        A check whose deadline has passed is not even decoded: Envoy has given up on it, and others are waiting.
        """
        snapshot = self._deciding
        if snapshot is None:
            return self._undecided()
        if deadline_passed:
            return failed(Reason.DEADLINE_EXCEEDED, TIMED_OUT, snapshot.revision)
        try:
            return _decide(snapshot, request, now_ns)
        except Unanswered as unanswered:
            raise Suspended(Suspension(snapshot, unanswered.evaluation)) from None
        except _EXPECTED as error:
            return failed_by(error, snapshot.revision)

    def _undecided(self) -> Decision:
        """Return the denial of a check that no snapshot decides."""
        if self.snapshot is None:
            return failed(Reason.NO_POLICY, "no policy is active", "")
        return failed(Reason.STALE_POLICY, STALE, self.snapshot.revision)

    def resume(self, suspension: Suspension) -> Decision:
        """Decide a check whose evaluation has been given its answer; raises Suspended where it needs another one."""
        snapshot = suspension.snapshot
        try:
            return _concluded(snapshot, suspension.evaluation.run())
        except Unanswered:
            raise Suspended(suspension) from None
        except _EXPECTED as error:
            return failed_by(error, snapshot.revision)


def _decide(snapshot: Snapshot, request: bytes, now_ns: int) -> Decision:
    leaves = snapshot.projection.leaves(decode(request))
    cache = snapshot.cache
    if cache is None or (snapshot.projection.reads_body and not cache.can_hold(leaves)):
        return _concluded(snapshot, snapshot.entry.evaluate(snapshot.projection.document(leaves), now_ns))
    known = cache.get(leaves, now_ns)
    if known is not None:
        return Decision(known.response, known.allowed, known.reason, cache="hit", error=known.error, revision=snapshot.revision)
    decision = _concluded(snapshot, snapshot.entry.evaluate(snapshot.projection.document(leaves), now_ns))
    decision.cache = "miss"
    # Errors never get here: they are raised past it.
    cache.put(leaves, Entry(decision.response, decision.allowed, decision.reason, decision.error, now_ns))
    return decision


def _concluded(snapshot: Snapshot, value: Value | None) -> Decision:
    """Return the decision that an entry point's value is."""
    if value is None:
        return failed(Reason.UNDEFINED, UNDEFINED, snapshot.revision)
    response, allowed = snapshot.answers.encode(value)
    return Decision(response, allowed, Reason.ALLOWED if allowed else Reason.DENIED, revision=snapshot.revision)


def failed_by(error: Exception, revision: str) -> Decision:
    """Return the denial for what ended a check."""
    match error:
        case BadRequestError(message=message):
            return Decision(deny(Refusal(400, (), message), message=message), False, Reason.BAD_REQUEST, error=message, revision=revision)
        case EvalError():
            return failed(Reason.EVAL_ERROR, str(error), revision)
        case BadDecisionError(message=message):
            return failed(Reason.BAD_DECISION, message, revision)
        case _:
            return failed(Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}", revision)


def failed(reason: Reason, error: str, revision: str) -> Decision:
    """Return the denial for a reason that is no policy's answer; `error` is for logs."""
    return Decision(_DENIALS[reason], False, reason, error=error, revision=revision)
