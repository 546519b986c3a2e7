"""What reports add up to, and when they stop an activation."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from authz.pdp import RehearsalReport, added_up, verdict
from authz.pdp.rehearsal import FLIPS, MAX_EXAMPLES, RESULTS, Example


@dataclass(frozen=True)
class Tolerance:
    max_flip_rate: float = 0.01
    min_checks: int = 0


def example(flip: str = "allow_to_deny", path: str = "/", error: str = "") -> Example:
    return Example(flip, "allowed", "undefined", "spiffe://a.test/b", "GET", "a.test", path, error)


def report(*examples: Example, errors: dict[str, int] | None = None, **results: int) -> RehearsalReport:
    nothing = RehearsalReport()
    return RehearsalReport({**nothing.results, **results}, {**nothing.errors, **(errors or {})}, examples)


def test_a_report_of_nothing_has_no_checks_and_no_rate() -> None:
    assert (RehearsalReport().checks, RehearsalReport().flips, RehearsalReport().flip_rate) == (0, 0, 0.0)


def test_what_was_skipped_or_dropped_is_no_check() -> None:
    seen = report(same=6, allow_to_deny=1, deny_to_allow=2, deny_to_error=1, skipped=50, dropped=70)
    assert (seen.checks, seen.flips, seen.flip_rate) == (10, 4, 0.4)


def test_reports_of_several_processes_are_added_up() -> None:
    one = report(example(path="/1"), same=3, allow_to_deny=1, errors={"undefined": 1})
    two = report(example("deny_to_allow"), example(path="/2"), same=5, deny_to_allow=1, allow_to_deny=1, dropped=2)
    assert added_up([one, two]) == report(
        example(path="/1"),
        example(path="/2"),
        example("deny_to_allow"),
        same=8,
        allow_to_deny=2,
        deny_to_allow=1,
        dropped=2,
        errors={"undefined": 1},
    )
    assert added_up([]) == RehearsalReport()


def test_together_they_have_no_more_examples_than_one() -> None:
    many = report(*[example(flip) for flip in FLIPS for _ in range(MAX_EXAMPLES)])
    assert len(added_up([many] * 50).examples) == MAX_EXAMPLES * len(FLIPS)


@pytest.mark.parametrize(
    ("seen", "tolerance"),
    [
        (RehearsalReport(), Tolerance()),
        (report(skipped=9, dropped=9), Tolerance()),
        (report(same=99, allow_to_deny=1), Tolerance()),
        (report(allow_to_deny=7), Tolerance(max_flip_rate=1.0)),
        (report(same=10), Tolerance(min_checks=10)),
        (RehearsalReport(is_first=True), Tolerance(min_checks=10)),
    ],
)
def test_what_is_within_the_tolerance_may_be_activated(seen: RehearsalReport, tolerance: Tolerance) -> None:
    assert verdict(seen, tolerance) is None


@pytest.mark.parametrize("flip", FLIPS)
def test_one_flip_more_than_may_be_is_one_too_many(flip: str) -> None:
    nothing = RehearsalReport()
    for same, flips, most in ((98, 2, 0.01), (1_000_000, 1, 0.0)):
        seen = RehearsalReport({**nothing.results, "same": same, flip: flips}, nothing.errors)
        assert verdict(seen, Tolerance(max_flip_rate=most)) is not None


def test_it_is_told_what_flipped_how_often_and_for_whom() -> None:
    seen = report(
        example(path="/a"),
        example("deny_to_error", error="p.rego:3: x"),
        same=8,
        allow_to_deny=1,
        deny_to_error=1,
        errors={"eval_error": 1},
    )
    assert verdict(seen, Tolerance()) == (
        "2 of 10 live checks flip (20 %, more than the 1 % of `canary.max_flip_rate`): 1 allow→deny, 0 deny→allow, 1 deny→error; "
        "the candidate's errors: 1 eval_error\n"
        "allow→deny (allowed → undefined): GET a.test/a by spiffe://a.test/b\n"
        "deny→error (allowed → undefined: p.rego:3: x): GET a.test/ by spiffe://a.test/b"
    )


def test_it_is_told_that_too_few_checks_came() -> None:
    message = "only 3 live checks were compared (1 skipped, 2 dropped), fewer than `canary.min_checks` (4)"
    assert verdict(report(same=3, skipped=1, dropped=2), Tolerance(min_checks=4)) == message


def test_flips_weigh_more_than_that_there_were_few_checks() -> None:
    message = verdict(report(allow_to_deny=1), Tolerance(min_checks=4))
    assert message is not None
    assert message.startswith("1 of 1 live checks flip (100 %")


def test_every_result_has_its_place_in_an_empty_report() -> None:
    assert tuple(RehearsalReport().results) == RESULTS
