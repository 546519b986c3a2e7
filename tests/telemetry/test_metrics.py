from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from authz.errors import Reason
from authz.telemetry.counters import ActivationCounters, CheckCounters, SendCounters
from authz.telemetry.histogram import LAG_BUCKETS_S, Histogram
from authz.telemetry.metrics import Gauges, Metrics, PolicyGauges
from tests.test_layering import REPOSITORY

POLICY = PolicyGauges(revision="r1", entrypoint="envoy/authz/allow", rows=7, columns=3, activated_s=1.5, cache_entries=4, cache_evictions=2)


def gauges(policy: PolicyGauges | None = POLICY) -> Gauges:
    return Gauges(
        policy,
        last_refresh_ok=True,
        in_flight=2,
        open_connections=3,
        is_draining=False,
        log_lines_dropped=1,
        waiting_checks=4,
        send_cache_bytes=5,
    )


def rendered(policy: PolicyGauges | None = POLICY) -> str:
    checks, activations = CheckCounters(), ActivationCounters()
    checks.observe(Reason.ALLOWED, "bypass", 20_000)
    checks.observe(Reason.NO_POLICY, "bypass", 2_000)
    activations.count("activated")
    sends = SendCounters()
    sends.by_outcome["timeout"] += 1
    sends.by_cache["hit"] += 1
    return Metrics(checks, activations, sends, Histogram(LAG_BUCKETS_S), lambda: gauges(policy)).render().decode()


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


def test_only_allowed_counts_as_an_allow() -> None:
    outcomes = {dict(labels)["reason"]: dict(labels)["outcome"] for name, labels in samples(rendered()) if name == "authz_decisions_total"}
    assert outcomes == {reason.value: "allow" if reason is Reason.ALLOWED else "deny" for reason in Reason}


def test_without_a_policy_there_are_no_series_of_one() -> None:
    found = samples(rendered(None))
    assert found["authz_policy_active", ()] == 0
    assert not any(name == "authz_policy_info" for name, _ in found)


def test_the_readme_names_every_metric_and_no_other() -> None:
    exported = {line.split()[2].removesuffix("_total") for line in rendered().splitlines() if line.startswith("# TYPE authz_")}
    documented = {name.removesuffix("_total") for name in re.findall(r"^\| `(authz_\w+)", (REPOSITORY / "README.md").read_text(), re.M)}
    assert exported == documented
