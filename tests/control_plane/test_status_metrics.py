"""OPA's metrics of status reports are bounded, whatever services answer."""

from __future__ import annotations

from collections.abc import Mapping

from authz.control_plane.status_metrics import MAX_FAILURES, OTHER, StatusMetrics
from authz.services.downloads import COMPILE, REQUEST, BundleState
from authz.services.errors import Failure, ServiceError
from authz.services.status import Status


def report(
    message: str | None = None, *, answered_ns: int = 1, revision: str = "r", stages: Mapping[str, int] = {REQUEST: 3_000}
) -> Status:
    error = None if message is None else ServiceError(Failure.STATUS, message)
    return Status({}, {"b": BundleState("b", revision, activated_ns=1, answered_ns=answered_ns, stages_ns=stages, error=error)})


def samples(metrics: StatusMetrics, name: str) -> list[tuple[dict[str, str], float]]:
    return [(s.labels, s.value) for family in metrics.collect() if family.name == name for s in family.samples]


def test_new_failures_beyond_the_bound_are_counted_together() -> None:
    metrics = StatusMetrics()
    metrics.is_on = True
    for number in range(MAX_FAILURES + 10):
        metrics.note(report(f"error {number}"))
    metrics.note(report("error 0"))
    found = {labels["message"]: value for labels, value in samples(metrics, "bundle_failed_load_counter")}
    assert (len(found), found[OTHER], found["error 0"]) == (MAX_FAILURES + 1, 10, 2)


def test_only_the_active_revision_is_shown_and_a_request_is_timed_once() -> None:
    metrics = StatusMetrics()
    metrics.is_on = True
    for answered_ns, revision in ((1, "r1"), (1, "r1"), (2, "r2")):
        metrics.note(report(answered_ns=answered_ns, revision=revision))
    assert [labels["active_revision"] for labels, _ in samples(metrics, "last_success_bundle_activation")] == ["r2"]
    assert samples(metrics, "bundle_loaded_counter") == [({"name": "b"}, 3)]
    timed = {labels.get("le", "total"): value for labels, value in samples(metrics, "bundle_loading_duration_ns")}
    assert (timed["2000.0"], timed["4000.0"], timed["+Inf"]) == (0, 2, 2)


def test_stages_that_end_after_a_report_of_the_request_are_timed_too() -> None:
    metrics = StatusMetrics()
    metrics.is_on = True
    for stages in ({REQUEST: 3_000}, {REQUEST: 3_000, COMPILE: 7_000}):
        metrics.note(report(stages=stages))
    found = samples(metrics, "bundle_loading_duration_ns")
    counted = {labels["stage"]: value for labels, value in found if labels.get("le") == "+Inf"}
    assert counted == {"timer_bundle_request_ns": 1, "timer_rego_module_compile_ns": 1}


def test_they_are_not_shown_unless_they_are_on() -> None:
    metrics = StatusMetrics()
    metrics.note(report())
    assert list(metrics.collect()) == []
