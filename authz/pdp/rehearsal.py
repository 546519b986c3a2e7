"""What a candidate decided beside the active policy: a bounded report that can be sent and added up, and the verdict on it.

Shapes and arithmetic. Knows neither how the checks were chosen nor who obeys the verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Final, Protocol

import msgspec

from authz.errors import AuthzError, ErrorCode, Reason

ALLOW_TO_DENY: Final = "allow_to_deny"
DENY_TO_ALLOW: Final = "deny_to_allow"
DENY_TO_ERROR: Final = "deny_to_error"
FLIPS: Final = (ALLOW_TO_DENY, DENY_TO_ALLOW, DENY_TO_ERROR)
"""How a candidate can differ. The last is denied by both: by the active policy because it says so, by the candidate because it fails."""

SAME: Final = "same"
SKIPPED: Final = "skipped"
DROPPED: Final = "dropped"
RESULTS: Final = (SAME, *FLIPS, SKIPPED, DROPPED)
"""What can become of a check during a rehearsal. Skipped: one of the two would have to wait, or it was not decided by a policy at all.
Dropped: there were more than may be shadowed."""

ERRORS: Final = (Reason.UNDEFINED, Reason.EVAL_ERROR, Reason.BAD_DECISION, Reason.INTERNAL_ERROR)
"""Reasons of a candidate that are counted on their own. Undefined is how many policies deny, so it is no flip by itself."""

MAX_EXAMPLES: Final = 5
"""Of each kind of flip."""

_SHOWN: Final = {DENY_TO_ERROR: "deny→error", ALLOW_TO_DENY: "allow→deny", DENY_TO_ALLOW: "deny→allow"}
_UNKNOWN: Final = "an unknown caller"


class RehearsalError(AuthzError):
    """A rehearsal ended without a report."""

    code = ErrorCode.ACTIVATION


def superseded() -> RehearsalError:
    """Return the error of a rehearsal whose active policy was exchanged: a comparison with two of them says nothing."""
    return RehearsalError("another policy was activated or rehearsed meanwhile", help="rehearse this one again")


class Example(msgspec.Struct, frozen=True):
    """One check that flipped. No headers, no body, no query: what identifies a request, not what is secret in it."""

    flip: str
    before: str
    after: str
    principal: str
    method: str
    host: str
    path: str
    error: str = ""

    def __str__(self) -> str:
        error = f": {self.error}" if self.error else ""
        where = f"{self.method} {self.host}{self.path}"
        return f"{_SHOWN[self.flip]} ({self.before} → {self.after}{error}): {where} by {self.principal or _UNKNOWN}"


def _zeros(names: Iterable[str]) -> Mapping[str, int]:
    return dict.fromkeys(map(str, names), 0)


class RehearsalReport(msgspec.Struct, frozen=True):
    """What became of the checks: `results` by RESULTS, `errors` of the candidate by reason (ERRORS), and some flips as examples.

    `is_first` where no policy was active, so that there was nothing to compare with.
    """

    results: Mapping[str, int] = msgspec.field(default_factory=lambda: _zeros(RESULTS))
    errors: Mapping[str, int] = msgspec.field(default_factory=lambda: _zeros(ERRORS))
    examples: tuple[Example, ...] = ()
    is_first: bool = False

    @property
    def checks(self) -> int:
        """How many checks both have decided."""
        return self.results[SAME] + self.flips

    @property
    def flips(self) -> int:
        return sum(self.results[flip] for flip in FLIPS)

    @property
    def flip_rate(self) -> float:
        """The part of the checks that flipped, 0 to 1; 0 where there was no check."""
        return self.flips / self.checks if self.checks else 0.0

    def __add__(self, other: RehearsalReport) -> RehearsalReport:
        return RehearsalReport(_added(self.results, other.results), _added(self.errors, other.errors), (*self.examples, *other.examples))


def added_up(reports: Iterable[RehearsalReport]) -> RehearsalReport:
    """Return what several processes have seen of one rehearsal, with no more examples than one of them may have."""
    whole = reduce(RehearsalReport.__add__, reports, RehearsalReport())
    kept = [example for flip in FLIPS for example in [each for each in whole.examples if each.flip == flip][:MAX_EXAMPLES]]
    return msgspec.structs.replace(whole, examples=tuple(kept))


def _added(first: Mapping[str, int], second: Mapping[str, int]) -> Mapping[str, int]:
    return {name: count + second[name] for name, count in first.items()}


class Tolerance(Protocol):
    """How much a candidate may differ, and on how many checks it must have been seen."""

    @property
    def max_flip_rate(self) -> float: ...
    @property
    def min_checks(self) -> int: ...


def verdict(report: RehearsalReport, tolerance: Tolerance) -> str | None:
    """Return why a candidate must not become active, in several lines with examples, or None if it may. The first policy always may."""
    if report.is_first:
        return None
    if report.flip_rate > tolerance.max_flip_rate:
        kinds = ", ".join(f"{report.results[flip]} {_SHOWN[flip]}" for flip in FLIPS)
        rate = f"{_percent(report.flip_rate)}, more than the {_percent(tolerance.max_flip_rate)} of `canary.max_flip_rate`"
        head = f"{report.flips} of {report.checks} live checks flip ({rate}): {kinds}{_errors(report)}"
        return "\n".join([head, *map(str, report.examples)])
    if report.checks < tolerance.min_checks:
        passed_over = ", ".join(f"{report.results[result]} {result}" for result in (SKIPPED, DROPPED))
        return f"only {report.checks} live checks were compared ({passed_over}), fewer than `canary.min_checks` ({tolerance.min_checks})"
    return None


def _errors(report: RehearsalReport) -> str:
    met = [f"{count} {reason}" for reason, count in report.errors.items() if count]
    return f"; the candidate's errors: {', '.join(met)}" if met else ""


def _percent(part: float) -> str:
    return f"{100 * part:.3g} %"
