from __future__ import annotations

import re

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from authz.errors import Reason
from authz.telemetry.counters import ActivationCounters, CheckCounters, SendCounters
from authz.telemetry.histogram import LAG_BUCKETS_S, PAUSE_BUCKETS_S, Histogram
from authz.telemetry.metrics import BundleStats, Metrics, Scrape
from authz.telemetry.stats import ActivePolicy, Counts, State, Stats
from tests.test_layering import REPOSITORY

POLICY = ActivePolicy(revision="r1", entrypoint="envoy/authz/allow", rows=7, columns=3, activated_ns=1_500_000_000, is_cached=True)

BUNDLES = BundleStats({"a": 7.5, "b": None}, {"a": True, "b": False}, {"ok": 3, "dns": 1}, is_persistence_ok=False, is_pinned=True)


def stats(policy: ActivePolicy | None = POLICY) -> Stats:
    checks, sends = CheckCounters(), SendCounters()
    checks.observe(Reason.ALLOWED, "bypass", 20_000)
    checks.observe(Reason.NO_POLICY, "bypass", 2_000)
    sends.by_outcome["timeout"] += 1
    sends.by_cache["hit"] += 1
    counts = Counts.of(checks, sends, Histogram(LAG_BUCKETS_S), Histogram(PAUSE_BUCKETS_S), cache_evictions=2, log_lines_dropped=1)
    state = State(in_flight=2, open_connections=3, waiting_checks=4, send_cache_bytes=5, cache_entries=4)
    return Stats(17, counts, state, policy, cpu_s=1.5, resident_bytes=1000)


def rendered(*processes: Stats, retired: Counts | None = None) -> str:
    activations = ActivationCounters()
    activations.count("activated")
    scrape = Scrape(processes or (stats(),), True, False, worker_restarts=3, retired=retired or Counts(), bundles=BUNDLES)
    return Metrics(activations).render(scrape).decode()


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(text)
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for family in families for sample in family.samples}


def test_what_was_counted_is_rendered() -> None:
    found = samples(rendered())
    assert found["authz_decisions_total", (("outcome", "allow"), ("reason", "allowed"))] == 1
    assert found["authz_decisions_total", (("outcome", "deny"), ("reason", "no_policy"))] == 1
    assert found["authz_check_duration_seconds_count", ()] == 2
    assert found["grpc_request_duration_seconds_bucket", (("handler", "check"), ("le", "5e-05"))] == 2
    assert found["authz_policy_refreshes_total", (("outcome", "activated"),)] == 1
    assert found["authz_policy_info", (("entrypoint", "envoy/authz/allow"), ("revision", "r1"))] == 1
    assert found["authz_policy_table_rows", (("entrypoint", "envoy/authz/allow"),)] == 7
    assert found["authz_decision_cache_evictions_total", ()] == 2
    assert found["authz_checks_in_flight", ()] == 2
    assert found["authz_http_send_requests_total", (("outcome", "timeout"),)] == 1
    assert found["authz_http_send_cache_lookups_total", (("result", "hit"),)] == 1
    assert found["authz_http_send_waiting_checks", ()] == 4
    assert found["authz_http_send_cache_bytes", ()] == 5
    assert found["process_open_fds", ()] > 0


def test_bundles_are_told_by_age_downloads_and_what_is_wrong_with_versions() -> None:
    found = samples(rendered())
    ages = {dict(labels)["bundle"]: value for (name, labels), value in found.items() if name == "authz_bundle_age_seconds"}
    assert ages == {"a": 7.5}
    assert found["authz_bundle_stale", (("bundle", "a"),)] == 1
    assert found["authz_bundle_stale", (("bundle", "b"),)] == 0
    assert found["authz_bundle_downloads_total", (("outcome", "ok"),)] == 3
    assert (found["authz_bundle_persistence_ok", ()], found["authz_policy_pinned", ()]) == (0, 1)


def test_only_allowed_counts_as_an_allow() -> None:
    outcomes = {dict(labels)["reason"]: dict(labels)["outcome"] for name, labels in samples(rendered()) if name == "authz_decisions_total"}
    assert outcomes == {reason.value: "allow" if reason is Reason.ALLOWED else "deny" for reason in Reason}


def test_processes_are_added_up_with_what_those_that_are_gone_have_counted() -> None:
    found = samples(rendered(stats(), stats(), retired=stats().counts))
    assert found["authz_decisions_total", (("outcome", "allow"), ("reason", "allowed"))] == 3
    assert found["authz_check_duration_seconds_count", ()] == 6
    assert found["authz_check_duration_seconds_sum", ()] == 66e-6
    assert found["authz_checks_in_flight", ()] == 4
    assert found["authz_http_send_requests_total", (("outcome", "timeout"),)] == 3
    assert found["authz_workers", ()] == 2
    assert found["authz_worker_restarts_total", ()] == 3
    assert found["authz_worker_resident_memory_bytes", (("worker", "1"),)] == 1000


def test_of_processes_that_disagree_the_older_policy_is_shown() -> None:
    newer = msgspec.structs.replace(POLICY, revision="r2", activated_ns=2_000_000_000)
    found = samples(rendered(stats(newer), stats(POLICY), stats(None)))
    assert [dict(labels)["revision"] for name, labels in found if name == "authz_policy_info"] == ["r1"]


def test_without_a_policy_there_are_no_series_of_one() -> None:
    found = samples(rendered(stats(None)))
    assert found["authz_policy_active", ()] == 0
    assert not any(name == "authz_policy_info" for name, _ in found)


def test_the_readme_names_every_metric_and_no_other() -> None:
    exported = {line.split()[2].removesuffix("_total") for line in rendered().splitlines() if line.startswith("# TYPE authz_")}
    documented = {name.removesuffix("_total") for name in re.findall(r"^\| `(authz_\w+)", (REPOSITORY / "README.md").read_text(), re.M)}
    assert exported == documented
