"""The policy decision point: bytes of a check request in, a decision out, whatever the bytes and whatever the policy does.

Pure: the time is an argument, nothing is awaited or logged. It knows neither transports nor where a snapshot comes from.
"""

from __future__ import annotations

from typing import Final

from authz.errors import Reason
from authz.extauthz import BadDecisionError, BadRequestError, Refusal, decode, deny
from authz.pdp.cache import Entry, Key
from authz.pdp.decision import Decision
from authz.pdp.snapshot import Snapshot
from authz.rego.errors import EvalError

# OPA's words, for what it reports as a gRPC error. Here every answer is in-band: a gRPC error is an allow under
# `failure_mode_allow`.
UNDEFINED: Final = "undefined decision"
TIMED_OUT: Final = "check request timed out before query execution: context deadline exceeded"

# 403 where the policy is at fault: it is what Envoy makes of OPA's error, and trying again does not help. 503 where waiting does.
_HTTP_STATUS: Final = {
    Reason.NO_POLICY: 503,
    Reason.UNDEFINED: 403,
    Reason.EVAL_ERROR: 403,
    Reason.BAD_DECISION: 403,
    Reason.DEADLINE_EXCEEDED: 503,
    Reason.INTERNAL_ERROR: 500,
}
# Encoded beforehand: there may be no memory left to do it when one is needed. The bodies are empty: causes are for logs.
_DENIALS: Final = {reason: deny(Refusal(status), message=reason.value) for reason, status in _HTTP_STATUS.items()}


class PDP:
    """Decides with the active snapshot. A swap is one assignment, so a check sees one snapshot from beginning to end."""

    __slots__ = ("snapshot",)

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None

    def activate(self, snapshot: Snapshot) -> None:
        """Make a snapshot the one that decides."""
        self.snapshot = snapshot

    def decide(self, request: bytes, now_ns: int, *, deadline_passed: bool = False) -> Decision:
        """Decide one check; allows only what the active policy allows, and raises only for a defect of ours.

        A check whose deadline has passed is not even decoded: Envoy has given up on it, and others are waiting.
        """
        snapshot = self.snapshot
        if snapshot is None:
            return _failed(Reason.NO_POLICY, "no policy is active", "")
        if deadline_passed:
            return _failed(Reason.DEADLINE_EXCEEDED, TIMED_OUT, snapshot.revision)
        try:
            return _decide(snapshot, request, now_ns)
        except BadRequestError as error:
            return _bad_request(error.message, snapshot.revision)
        except EvalError as error:
            return _failed(Reason.EVAL_ERROR, str(error), snapshot.revision)
        except BadDecisionError as error:
            return _failed(Reason.BAD_DECISION, error.message, snapshot.revision)
        except (RecursionError, MemoryError) as error:
            # What a request or a policy can bring about. A mistake of ours goes up to the check service, which denies and shows where.
            return _failed(Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}", snapshot.revision)


def _decide(snapshot: Snapshot, request: bytes, now_ns: int) -> Decision:
    leaves = snapshot.projection.leaves(decode(request))
    cache = snapshot.cache
    if cache is None or (snapshot.projection.reads_body and not cache.can_hold(leaves)):
        return _evaluate(snapshot, leaves, now_ns)
    known = cache.get(leaves, now_ns)
    if known is not None:
        return Decision(known.response, known.allowed, known.reason, cache="hit", error=known.error, revision=snapshot.revision)
    decision = _evaluate(snapshot, leaves, now_ns)
    decision.cache = "miss"
    # Errors never get here: they are raised past it.
    cache.put(leaves, Entry(decision.response, decision.allowed, decision.reason, decision.error, now_ns))
    return decision


def _evaluate(snapshot: Snapshot, leaves: Key, now_ns: int) -> Decision:
    value = snapshot.entry.evaluate(snapshot.projection.document(leaves), now_ns)
    if value is None:
        return _failed(Reason.UNDEFINED, UNDEFINED, snapshot.revision)
    response, allowed = snapshot.answers.encode(value)
    return Decision(response, allowed, Reason.ALLOWED if allowed else Reason.DENIED, revision=snapshot.revision)


def _bad_request(message: str, revision: str) -> Decision:
    return Decision(deny(Refusal(400, (), message), message=message), False, Reason.BAD_REQUEST, error=message, revision=revision)


def _failed(reason: Reason, error: str, revision: str) -> Decision:
    return Decision(_DENIALS[reason], False, reason, error=error, revision=revision)
