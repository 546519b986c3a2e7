"""A candidate snapshot that decides again what the active one has decided, and what came of it.

Pure: it is handed checks and their decisions. It knows neither which checks those are nor when there is time for them.
"""

from __future__ import annotations

from typing import Final

from authz.errors import Reason
from authz.extauthz import decode
from authz.pdp.decision import Decision
from authz.pdp.pdp import PDP, Suspended, failed_by
from authz.pdp.rehearsal import (
    ALLOW_TO_DENY,
    DENY_TO_ALLOW,
    DENY_TO_ERROR,
    ERRORS,
    MAX_EXAMPLES,
    RESULTS,
    SAME,
    SKIPPED,
    Example,
    RehearsalReport,
)
from authz.pdp.snapshot import Snapshot

MAX_TEXT: Final = 200
"""Characters of one part of an example; what is cut off ends in `…`."""

_MAX_METHOD: Final = 32

# Decisions that no policy made: nothing can be compared with them.
_NOT_OF_A_POLICY: Final = frozenset({Reason.NO_POLICY, Reason.STALE_POLICY, Reason.DEADLINE_EXCEEDED, Reason.OVERLOADED})
_FAILURES: Final = frozenset({Reason.EVAL_ERROR, Reason.BAD_DECISION, Reason.INTERNAL_ERROR})


class Shadow:
    """Compares a candidate with the active policy. `checks` counts those that both decided, `results` all by RESULTS, `errors` the
    candidate's by ERRORS.

    INVARIANT: the candidate uses nothing of the active snapshot, sends nothing, and no exception of it gets out.
    """

    __slots__ = ("_examples", "_pdp", "_projection", "checks", "errors", "results")

    def __init__(self, candidate: Snapshot) -> None:
        self.results = dict.fromkeys(RESULTS, 0)
        self.errors = dict.fromkeys(ERRORS, 0)
        self.checks = 0
        self._examples: dict[str, list[Example]] = {}
        self._projection = candidate.projection
        self._pdp = PDP()
        self._pdp.activate(candidate)

    def compare(self, request: bytes, now_ns: int, decision: Decision) -> None:
        """Decide a check with the candidate, at the time at which it was decided, and count how that differs."""
        shadowed = None if decision.reason in _NOT_OF_A_POLICY else self._decide(request, now_ns)
        if shadowed is None:
            self.results[SKIPPED] += 1
            return
        self.checks += 1
        if shadowed.reason in self.errors:
            self.errors[shadowed.reason] += 1
        flip = _flip(decision, shadowed)
        self.results[flip or SAME] += 1
        if flip is not None:
            examples = self._examples.setdefault(flip, [])
            if len(examples) < MAX_EXAMPLES:
                examples.append(self._example(flip, request, decision, shadowed))

    def report(self) -> RehearsalReport:
        """Return what was counted so far."""
        errors = {reason.value: count for reason, count in self.errors.items()}
        examples = tuple(example for each in self._examples.values() for example in each)
        return RehearsalReport(dict(self.results), errors, examples)

    def release(self) -> None:
        """Let go of the candidate; only the report can be asked for afterwards. Its policy is freed when nobody holds it any more."""
        del self._pdp, self._projection

    def _decide(self, request: bytes, now_ns: int) -> Decision | None:
        """Return the candidate's decision, or None where it would have to wait for one."""
        try:
            return self._pdp.decide(request, now_ns)
        except Suspended as suspended:
            suspended.suspension.release()
            return None
        except Exception as error:  # a defect of ours: the check service would deny it, so that is what it would have been
            return failed_by(error, "")

    def _example(self, flip: str, request: bytes, before: Decision, after: Decision) -> Example:
        message = decode(request)  # it was decoded before, by a policy that did not flip over it
        http = message.attributes.request.http
        return Example(
            flip,
            before.reason.value,
            after.reason.value,
            principal=_shown(self._projection.caller(message)),
            method=_shown(http.method, _MAX_METHOD),
            host=_shown(http.host),
            path=_shown(http.path.partition("?")[0].partition("#")[0]),
            error=_shown(after.error or "") if after.reason in _FAILURES else "",
        )


def _flip(before: Decision, after: Decision) -> str | None:
    if before.allowed != after.allowed:
        return ALLOW_TO_DENY if before.allowed else DENY_TO_ALLOW
    return DENY_TO_ERROR if after.reason in _FAILURES and before.reason not in _FAILURES else None


def _shown(text: str, longest: int = MAX_TEXT) -> str:
    """Return a text of a stranger as it may stand in a log line: bounded, one line, nothing that a terminal obeys."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return cut if cut.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in cut)
