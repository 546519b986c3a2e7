"""Status reports of `authz serve` as a control plane receives them, step by step."""

from __future__ import annotations

import json
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.lab.waiting import wait_until
from tests.bundle.archives import archive
from tests.control_plane.plane_server import PlaneServer, bundle, plane_server
from tests.control_plane.published import bundle_of
from tests.serving import ALLOW_GET, serving, write


@pytest.fixture
def plane() -> Iterator[PlaneServer]:
    with plane_server() as server:
        server.has["/get"] = bundle_of("g1", "GET")
        yield server


def configuration(tmp_path: Path, plane: PlaneServer, **fields: Any) -> Path:
    document = {
        "services": [{"name": "acme", "url": plane.url}],
        "bundles": {"authz": bundle("get")},
        "status": {},
        "activation": {"require_signatures": False},
    }
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(document | fields))
    return path


def test_every_step_of_a_bundle_is_reported(tmp_path: Path, plane: PlaneServer) -> None:
    with serving(tmp_path / "log", "--config", configuration(tmp_path, plane)):
        report = plane.report("active", lambda found: found["plugins"].get("bundle") == {"state": "OK"})
        first = report["bundles"]["authz"]
        assert plane.report_paths[-1] == "/status"
        assert uuid.UUID(report["labels"]["id"]).version == 4
        assert {first["active_revision"], first["type"]} == {"g1", "snapshot"}
        assert first.keys().isdisjoint({"code", "message", "http_code", "errors"})

        timed = next(report["bundles"]["authz"] for report in plane.reports if report["bundles"]["authz"].get("type"))["metrics"]
        assert timed.keys() == {"timer_bundle_request_ns", "timer_rego_load_bundles_ns", "timer_rego_module_compile_ns"}
        assert min(timed.values()) > 0

        plane.has["/get"] = 502
        failing = plane.report("it fails", lambda found: found["bundles"]["authz"].get("code"))["bundles"]["authz"]
        assert failing.items() >= {"code": "bundle_error", "message": "server replied with Bad Gateway", "http_code": 502}.items()
        assert failing["active_revision"] == "g1"
        assert failing["last_request"] > failing["last_successful_request"]

        plane.has["/get"] = archive({"policy.rego": "package envoy.authz\n\nallow if x\n", ".manifest": '{"revision": "g2"}'})
        wrong = plane.report("it is wrong", lambda found: found["bundles"]["authz"].get("errors"))["bundles"]["authz"]
        assert (wrong["message"], wrong["active_revision"]) == ("error(s) occurred while compiling module(s)", "g1")
        assert wrong["errors"] == [
            {
                "code": "rego_unsafe_var_error",
                "message": "var x is unsafe",
                "location": {"file": "authz/policy.rego", "row": 3, "col": 10},
            }
        ]
        assert "http_code" not in wrong
        assert wrong["last_successful_download"] > wrong["last_successful_activation"]

        plane.has["/get"] = bundle_of("g3", "GET")
        report = plane.report("mended", lambda found: found["bundles"]["authz"].get("active_revision") == "g3")
        assert report["bundles"]["authz"].keys().isdisjoint({"code", "message", "errors"})
        assert report["plugins"]["bundle"] == {"state": "OK"}
        assert len({each["labels"]["id"] for each in plane.reports}) == 1


def test_a_poll_without_news_is_reported_too_for_services_take_it_as_a_sign_of_life(tmp_path: Path, plane: PlaneServer) -> None:
    with serving(tmp_path / "log", "--config", configuration(tmp_path, plane)):
        count = len(plane.reports)
        wait_until(lambda: len(plane.reports) >= count + 3, "more reports")
        last, before = plane.reports[-1]["bundles"]["authz"], plane.reports[-3]["bundles"]["authz"]
        assert last["last_successful_request"] > before["last_successful_request"]


def test_a_status_service_that_is_down_costs_nothing_and_hears_all_of_it_once_it_is_up(tmp_path: Path, plane: PlaneServer) -> None:
    with plane_server() as sink:
        sink.stop()
        services = [{"name": "acme", "url": plane.url}, {"name": "sink", "url": sink.url}]
        config = configuration(tmp_path, plane, services=services, status={"service": "sink"})
        with serving(tmp_path / "log", "--config", config) as authz:
            plane.has["/get"] = bundle_of("g2", "GET")
            wait_until(lambda: authz.revision() == "g2", "news are activated meanwhile")
            assert authz.wait_for_line("status report not sent")["failure"] == "unreachable"
            sink.status_answer = 500
            sink.start()
            wait_until(lambda: any(line["failure"] == "status" for line in authz.lines("status report not sent")), "it refuses")
            sink.status_answer = 200
            assert sink.report("the newest")["bundles"]["authz"]["active_revision"] == "g2"


def test_reports_hold_all_metrics_in_the_form_of_protobuf(tmp_path: Path, plane: PlaneServer) -> None:
    with serving(tmp_path / "log", "--config", configuration(tmp_path, plane)) as authz:
        assert authz.check("GET") == 0
        counted = plane.report("a check", lambda found: _check_count(found) == "1")
        metrics = counted["metrics"]["prometheus"]
        decisions = metrics["authz_decisions_total"]
        assert (decisions["name"], decisions["type"]) == ("authz_decisions_total", "COUNTER")
        assert {
            "label": [{"name": "outcome", "value": "allow"}, {"name": "reason", "value": "allowed"}],
            "counter": {"value": 1.0},
        } in decisions["metric"]
        assert metrics["authz_workers"]["metric"] == [{"gauge": {"value": 1.0}}]
        histogram = metrics["authz_check_duration_seconds"]["metric"][0]["histogram"]
        assert histogram["bucket"][0].keys() == {"cumulativeCount", "upperBound"}
        assert histogram["bucket"][-1] == {"cumulativeCount": "1", "upperBound": 1.0}


def _check_count(report: dict[str, Any]) -> str:
    count: str = report["metrics"]["prometheus"]["authz_check_duration_seconds"]["metric"][0]["histogram"]["sampleCount"]
    return count


def test_opas_metrics_of_reports_are_shown_if_they_are_asked_for(tmp_path: Path, plane: PlaneServer) -> None:
    config = configuration(tmp_path, plane, status={"prometheus": True})
    with serving(tmp_path / "log", "--config", config) as authz:
        plane.has["/get"] = 502
        failure = 'bundle_failed_load_counter{code="bundle_error",message="server replied with Bad Gateway",name="authz"}'
        wait_until(lambda: authz.metric(failure) > 0, "failures are counted")
        assert authz.metric('opa_info{version="1.20.2"}') == 1
        assert authz.metric('plugin_status_gauge{name="bundle",status="OK"}') == 1
        assert authz.metric('bundle_loaded_counter{name="authz"}') > 0
        assert authz.metric('last_success_bundle_activation{active_revision="g1",name="authz"}') > 1.7e18
        assert authz.metric('last_bundle_request{name="authz"}') > authz.metric('last_success_bundle_request{name="authz"}')
        assert authz.metric('bundle_loading_duration_ns_count{name="authz",stage="timer_bundle_request_ns"}') > 0
        assert plane.reports == []


def test_opas_metrics_are_not_shown_otherwise(tmp_path: Path, plane: PlaneServer) -> None:
    with serving(tmp_path / "log", "--config", configuration(tmp_path, plane)) as authz:
        plane.report("one")
        assert "opa_info" not in authz.get("/metrics")[1]


def test_policies_of_directories_report_labels_and_parts(tmp_path: Path, plane: PlaneServer) -> None:
    policies = write(tmp_path / "policies", {"authz.rego": ALLOW_GET})
    config = configuration(tmp_path, plane, bundles={}, labels={"region": "west"}, status={"service": "acme", "console": True})
    with serving(tmp_path / "log", "--config", config, policies) as authz:
        report = plane.report("listening", lambda found: found["plugins"]["envoy_ext_authz_grpc"] == {"state": "OK"})
        assert report.keys() == {"labels", "plugins", "metrics"}
        assert report["labels"]["region"] == "west"
        assert report["plugins"].keys() == {"discovery", "envoy_ext_authz_grpc", "status"}
        assert authz.get("/v1/status")[1]["result"].items() >= {name: report[name] for name in ("labels", "plugins")}.items()
        console = authz.lines("Status Log")[-1]
        assert console.items() >= {"type": "openpolicyagent.org/status", "labels": report["labels"], "level": "info"}.items()


def test_manual_reports_are_sent_after_what_was_asked_for_with_them(tmp_path: Path, plane: PlaneServer) -> None:
    policies = write(tmp_path / "policies", {"authz.rego": ALLOW_GET})
    config = configuration(tmp_path, plane, bundles={}, status={"trigger": "manual"})
    with serving(tmp_path / "log", "--config", config, policies) as authz:
        assert plane.reports == []
        authz.signal(signal.SIGHUP)
        plane.report("one", lambda found: found["plugins"]["status"] == {"state": "OK"})
        authz.signal(signal.SIGHUP)
        wait_until(lambda: len(plane.reports) == 2, "another one")
