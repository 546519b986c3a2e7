"""`authz serve` under a control plane that configures it: discovery bundles over real sockets, and what is said of them."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from authz.bundle.archive import ArchiveFile, write_archive
from authz.bundle.keys import Key
from authz.bundle.signatures import SIGNATURES_NAME, sign
from bench.lab.waiting import wait_until
from tests.bundle.archives import archive, files
from tests.control_plane.plane_server import POLLING, PlaneServer, Report, bundle, discovery_of, plane_server
from tests.control_plane.published import bundle_of
from tests.serving import Serving, run_authz, serving

ALLOWED, DENIED = 0, 7
KEY = "a secret of some length, of some length"


@pytest.fixture
def plane() -> Iterator[PlaneServer]:
    with plane_server() as server:
        server.has["/get"] = bundle_of("g1", "GET")
        server.has["/post"] = bundle_of("p1", "POST")
        yield server


def boot(tmp_path: Path, plane: PlaneServer, **fields: Any) -> Path:
    """Write the configuration that a sidecar starts with; return its path."""
    document = {
        "services": {"acme": {"url": plane.url, "headers": {"X-Team": "a"}}},
        "discovery": {"resource": "discovery", "decision": "config", "polling": POLLING, "persist": True},
        "status": {"service": "acme", "partition_name": "edge"},
        "labels": {"region": "west"},
        "activation": {"require_signatures": False},
        "persistence_directory": str(tmp_path / "state"),
    }
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(document | fields))
    return path


@contextmanager
def sidecar(tmp_path: Path, config: Path, *, is_waiting: bool = False, log: str = "log") -> Iterator[Serving]:
    with serving(tmp_path / log, "--config", config, is_waiting=is_waiting) as authz:
        yield authz


def decides(authz: Serving) -> tuple[int, int]:
    return authz.check("GET"), authz.check("POST")


def discovered(report: Report) -> Any:
    return report.get("discovery", {})


def source(authz: Serving, name: str) -> dict[str, Any]:
    return next(each for each in authz.get("/v1/policy/active")[1]["sources"] if each["name"] == name)


def test_a_discovered_bundle_becomes_active_and_decides(tmp_path: Path, plane: PlaneServer) -> None:
    plane.has["/discovery"] = discovery_of({"bundles": {"authz": bundle("get")}, "labels": {"team": "a", "region": "east"}})
    with sidecar(tmp_path, boot(tmp_path, plane)) as authz:
        assert decides(authz) == (ALLOWED, DENIED)
        report = plane.report("all is well", lambda found: {each["state"] for each in found["plugins"].values()} == {"OK"})
        assert plane.report_paths[-1] == "/status/edge"
        assert report["discovery"].items() >= {"name": "discovery", "active_revision": "d1", "type": "snapshot"}.items()
        assert report["discovery"]["message"] == "Keys in the discovered configuration overridden by boot configuration: labels.region"
        assert report["bundles"]["authz"].items() >= {"name": "authz", "active_revision": "g1", "type": "snapshot"}.items()
        assert report["bundles"]["authz"]["size"] == len(bundle_of("g1", "GET"))
        assert report["plugins"].keys() == {"bundle", "discovery", "envoy_ext_authz_grpc", "status"}
        labels = report["labels"]
        assert (labels["region"], labels["team"], labels["version"]) == ("west", "a", "1.20.2")
        assert authz.get("/health?bundles")[0] == 200
        assert [each["name"] for each in authz.get("/v1/policy/active")[1]["sources"]] == ["discovery", "authz"]


def test_it_waits_for_discovery_and_then_for_bundles_and_says_so(tmp_path: Path, plane: PlaneServer) -> None:
    plane.has["/discovery"] = 503
    plane.has["/get"] = 404
    with sidecar(tmp_path, boot(tmp_path, plane), is_waiting=True) as authz:
        report = plane.report("discovery fails", lambda found: discovered(found).get("code"))
        assert (
            report["discovery"].items()
            >= {"code": "bundle_error", "http_code": 503, "message": "server replied with Service Unavailable"}.items()
        )
        assert report["discovery"]["last_successful_activation"] == "0001-01-01T00:00:00Z"
        assert {name: plugin["state"] for name, plugin in report["plugins"].items()} == {
            "discovery": "NOT_READY", "envoy_ext_authz_grpc": "NOT_READY", "status": "OK",
        }  # fmt: skip
        assert "bundles" not in report
        assert authz.get("/ready")[0] == 503
        assert authz.get("/health?bundles")[0] == 500

        plane.has["/discovery"] = discovery_of({"bundles": {"authz": bundle("get")}})
        report = plane.report("the bundle fails", lambda found: found.get("bundles", {}).get("authz", {}).get("http_code") == 404)
        assert (report["plugins"]["discovery"]["state"], report["plugins"]["bundle"]["state"]) == ("OK", "NOT_READY")
        assert "code" not in report["discovery"]

        plane.has["/get"] = bundle_of("g1", "GET")
        authz.wait_for_line("listening")
        assert decides(authz) == (ALLOWED, DENIED)
        report = plane.report("ready", lambda found: found["plugins"].get("envoy_ext_authz_grpc") == {"state": "OK"})
        assert report["plugins"]["bundle"] == {"state": "OK"}


def test_workers_decide_with_a_discovered_bundle(tmp_path: Path, plane: PlaneServer) -> None:
    plane.has["/discovery"] = discovery_of({"bundles": {"authz": bundle("get")}})
    with sidecar(tmp_path, boot(tmp_path, plane, workers=2)) as authz:
        assert decides(authz) == (ALLOWED, DENIED)
        metrics = plane.report("of both", lambda found: found["plugins"]["envoy_ext_authz_grpc"]["state"] == "OK")["metrics"]["prometheus"]
        assert metrics["authz_workers"]["metric"] == [{"gauge": {"value": 2.0}}]


def test_a_bundle_that_has_to_be_signed_from_now_on_is_verified_again(tmp_path: Path, plane: PlaneServer) -> None:
    plane.has["/discovery"] = discovery_of({"bundles": {"authz": bundle("get")}})
    with sidecar(tmp_path, boot(tmp_path, plane, keys={"k": {"key": KEY, "algorithm": "HS256"}})) as authz:
        plane.has["/discovery"] = discovery_of({"bundles": {"authz": bundle("get", signing={"keyid": "k"})}}, "d2")
        report = plane.report("refused", lambda found: found["bundles"]["authz"].get("code"))
        assert report["bundles"]["authz"]["last_successful_activation"] == "0001-01-01T00:00:00Z"
        assert report["plugins"]["bundle"] == {"state": "NOT_READY"}
        assert source(authz, "authz")["error"]["code"] == "bundle_signature"
        assert decides(authz) == (ALLOWED, DENIED)


def test_a_changed_discovery_moves_to_another_bundle(tmp_path: Path, plane: PlaneServer) -> None:
    plane.has["/discovery"] = discovery_of({"bundles": {"authz": bundle("get")}})
    with sidecar(tmp_path, boot(tmp_path, plane)) as authz:
        assert decides(authz) == (ALLOWED, DENIED)
        plane.has["/discovery"] = discovery_of({"bundles": {"other": bundle("post")}}, "d2")
        wait_until(lambda: authz.revision() == "p1", "the other bundle decides")
        assert decides(authz) == (DENIED, ALLOWED)
        report = plane.report(
            "the other one", lambda found: found["bundles"].keys() == {"other"} and "active_revision" in found["bundles"]["other"]
        )
        assert report["discovery"]["active_revision"] == "d2"


def test_the_same_bundle_from_elsewhere_is_asked_for_without_the_etag_of_the_old_place(tmp_path: Path, plane: PlaneServer) -> None:
    plane.has["/discovery"] = discovery_of({"bundles": {"authz": bundle("get")}})
    with sidecar(tmp_path, boot(tmp_path, plane)) as authz:
        plane.has["/discovery"] = discovery_of({"bundles": {"authz": bundle("post")}}, "d2")
        wait_until(lambda: authz.revision() == "p1", "the bundle of the new place decides")
        assert next(known for path, known in plane.asked if path == "/post") == ""


def says(message: str) -> Callable[[Report], bool]:
    return lambda report: discovered(report).get("message") == message


MISTAKES: tuple[tuple[dict[str, Any], str], ...] = (
    ({"services": {"acme": {"url": "http://127.0.0.1:9"}}}, "updates to the discovery service are not allowed"),
    ({"decision_logs": {"console": True}}, "field `decision_logs`: authz does not support this part of OPA's configuration"),
    ({"addr": ["0.0.0.0:1"]}, "unknown field `addr`"),
    ({"bundles": {}}, "the discovered configuration has no bundles"),
    ({"bundles": {"authz": {"resource": "post", "service": "nobody"}}}, "field `bundles.authz.service`: there is no service `nobody`"),
)


def test_a_discovery_that_may_not_be_keeps_the_old_configuration(tmp_path: Path, plane: PlaneServer) -> None:
    plane.has["/discovery"] = discovery_of({"bundles": {"authz": bundle("get")}})
    with sidecar(tmp_path, boot(tmp_path, plane)) as authz:
        for number, (configuration, message) in enumerate(MISTAKES, 1):
            plane.has["/discovery"] = discovery_of({"bundles": {"authz": bundle("post")}, **configuration}, f"bad-{number}")
            authz.signal(signal.SIGHUP)  # not after a pause that gets longer with every mistake
            report = plane.report("refused", says(message))
            assert report["discovery"].items() >= {"code": "bundle_error", "active_revision": "d1"}.items()
            assert (authz.get("/health?bundles")[0], source(authz, "discovery")["error"]["message"]) == (500, message)
            assert len(authz.lines("Discovery reconfiguration error occurred")) == number
        plane.has["/get"] = bundle_of("g2", "GET")
        wait_until(lambda: authz.revision() == "g2", "the old bundle is still followed")
        assert decides(authz) == (ALLOWED, DENIED)
        count = len(plane.asked)
        wait_until(lambda: ("/discovery", "") in plane.asked[count:], "the whole bundle is asked for again")

        plane.has["/discovery"] = discovery_of({"bundles": {"authz": bundle("post")}}, "d3")
        wait_until(lambda: authz.revision() == "p1", "a better one is followed")
        report = plane.report("mended", lambda found: discovered(found).get("active_revision") == "d3")
        assert report["discovery"].keys().isdisjoint({"code", "message"})


def test_a_discovery_that_does_not_compile_is_reported_with_its_place(tmp_path: Path, plane: PlaneServer) -> None:
    plane.has["/discovery"] = archive({"d.rego": "package config\n\nbundles := {x | y}\n"})
    with sidecar(tmp_path, boot(tmp_path, plane), is_waiting=True):
        report = plane.report("does not compile", lambda found: discovered(found).get("errors"))
        assert report["discovery"]["message"] == "error(s) occurred while compiling module(s)"
        first = report["discovery"]["errors"][0]
        assert (first["code"], first["location"]) == ("rego_unsafe_var_error", {"file": "discovery/d.rego", "row": 3, "col": 17})


def test_a_policy_picks_the_configuration_by_labels_environment_and_version(
    tmp_path: Path, plane: PlaneServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAGE", "post")
    monkeypatch.setenv("QUOTED", 'a"b')
    plane.has["/discovery"] = archive({"d.rego": POLICY, "data.json": json.dumps({"polling": POLLING})})
    services = {"acme": {"url": plane.url, "headers": {"X-Team": "a"}, "credentials": {"bearer": {"token": "t"}}}}
    config = boot(tmp_path, plane, services=services, keys={"k": {"key": "s", "algorithm": "HS256"}})
    with sidecar(tmp_path, config) as authz:
        assert decides(authz) == (DENIED, ALLOWED)
        report = plane.report("followed", lambda found: found.get("bundles", {}).get("authz", {}).get("active_revision") == "p1")
        assert report["labels"]["seen"] == report["labels"]["id"]
        assert report["labels"]["quoted"] == 'a"b'


POLICY = """package config

bundles.authz := {"resource": opa.runtime().env.STAGE, "polling": data.polling} if {
	config := opa.runtime().config
	config.labels.region == "west"
	config.services.acme.headers == {"X-Team": "a"}
	not config.services.acme.credentials
	not config.keys.k.key
	startswith(opa.runtime().version, "1.")
}

labels := {"seen": opa.runtime().config.labels.id, "quoted": "${QUOTED}"}
"""


def is_stored(authz: Serving) -> bool:
    return any(version["stored"] for version in authz.get("/v1/bundles")[1]["versions"])


def signed(contents: dict[str, str]) -> bytes:
    members = files(contents)
    return write_archive([*members, ArchiveFile(SIGNATURES_NAME, sign(members, Key("k", KEY, "HS256")))])


def test_a_discovery_bundle_must_be_signed_unless_that_is_waived(tmp_path: Path, plane: PlaneServer) -> None:
    contents = {"data.json": json.dumps({"config": {"bundles": {"authz": bundle("get")}}}), ".manifest": '{"revision": "d1"}'}
    plane.has["/discovery"] = archive(contents)
    policy = {"policy.rego": 'package envoy.authz\n\ndefault allow := false\n\nallow if input.attributes.request.http.method == "GET"\n'}
    plane.has["/get"] = signed({**policy, ".manifest": '{"revision": "g1", "roots": ["envoy"]}'})
    config = boot(tmp_path, plane, activation={}, keys={"k": {"key": KEY, "algorithm": "HS256"}})
    with sidecar(tmp_path, config, is_waiting=True) as authz:
        report = plane.report("refused", lambda found: discovered(found).get("code"))
        assert "bundle discovery: " in report["discovery"]["message"]
        assert source(authz, "discovery")["error"]["code"] == "bundle_signature"
        plane.has["/discovery"] = signed(contents)
        authz.wait_for_line("listening")
        assert decides(authz) == (ALLOWED, DENIED)
        forged = {
            "data.json": json.dumps({"config": {"keys": {"k": {"key": "mine", "algorithm": "HS256"}}, "bundles": {"authz": bundle("get")}}})
        }
        plane.has["/discovery"] = signed(forged)
        text = "updates to keys specified in the boot configuration are not allowed"
        assert plane.report("refused", lambda found: found["discovery"].get("message"))["discovery"]["message"] == text


def test_a_restart_without_the_control_plane_restores_configuration_and_policy(tmp_path: Path, plane: PlaneServer) -> None:
    plane.has["/discovery"] = discovery_of({"bundles": {"authz": bundle("get", persist=True)}, "labels": {"team": "a"}})
    config = boot(tmp_path, plane)
    with sidecar(tmp_path, config) as authz:
        wait_until(lambda: is_stored(authz), "the version is on disk")
        authz.signal(signal.SIGTERM)
        assert authz.wait() == 0
    plane.stop()
    with sidecar(tmp_path, config, log="second") as authz:
        assert decides(authz) == (ALLOWED, DENIED)
        assert authz.lines("configured by the last good discovery bundle until its service answers")
        assert authz.lines("serving the last good version until a service answers")
        assert authz.get("/ready")[0] == 200
        wait_until(lambda: source(authz, "discovery")["error"], "the service is missed")
        first = len(plane.reports)
        plane.has["/get"] = bundle_of("g2", "GET")
        plane.start()
        wait_until(lambda: authz.revision() == "g2", "it is followed again")
        report = plane.report("up again", lambda found: len(plane.reports) > first and "code" not in found["discovery"])
        assert (report["discovery"]["active_revision"], report["labels"]["team"]) == ("d1", "a")
        assert not authz.lines("Discovery update processed successfully")


def test_a_damaged_discovery_bundle_on_disk_is_not_believed(tmp_path: Path, plane: PlaneServer) -> None:
    plane.has["/discovery"] = discovery_of({"bundles": {"authz": bundle("get")}})
    config = boot(tmp_path, plane)
    with sidecar(tmp_path, config):
        plane.has["/discovery"] = discovery_of({"bundles": {"authz": bundle("get")}}, "d2")
        plane.report("persisted", lambda found: discovered(found).get("active_revision") == "d2")
    blobs = tmp_path / "state" / "discovery" / "blobs"
    newest = max(blobs.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(newest.read_bytes()[:-1] + b"!")
    plane.has["/discovery"] = 500
    with sidecar(tmp_path, config, log="second") as authz:
        error = authz.wait_for_line("a discovery bundle on disk cannot be used")
        assert str(newest) in error["error"]
        assert authz.lines("configured by the last good discovery bundle")[0]["revision"] == "d1"


def test_a_disk_that_cannot_be_used_costs_no_configuration_and_is_a_warning(tmp_path: Path, plane: PlaneServer) -> None:
    plane.has["/discovery"] = discovery_of({"bundles": {"authz": bundle("get", persist=True)}})
    (tmp_path / "state").write_text("no directory")
    with sidecar(tmp_path, boot(tmp_path, plane)) as authz:
        assert decides(authz) == (ALLOWED, DENIED)
        assert authz.lines("the discovery bundle is not persisted")
        report = plane.report("warnings", lambda found: found["plugins"].get("bundle", {}).get("state") == "WARN")
        assert report["plugins"]["discovery"]["state"] == "WARN"
        assert str(tmp_path / "state") in report["plugins"]["discovery"]["message"]

        (tmp_path / "state").unlink()
        authz.signal(signal.SIGHUP)
        plane.report("mended", lambda found: {found["plugins"][name]["state"] for name in ("bundle", "discovery")} == {"OK"})
        assert len(authz.lines("the discovery bundle is not persisted")) == 1
    plane.has["/discovery"] = plane.has["/get"] = 503
    with sidecar(tmp_path, boot(tmp_path, plane), log="again") as authz:
        assert decides(authz) == (ALLOWED, DENIED)


def test_reports_move_with_the_configuration(tmp_path: Path, plane: PlaneServer) -> None:
    with plane_server() as sink:
        config = {"bundles": {"authz": bundle("get")}, "services": {"sink": {"url": sink.url}}, "status": {"service": "sink"}}
        plane.has["/discovery"] = discovery_of(config)
        path = boot(tmp_path, plane)
        document = json.loads(path.read_text())
        del document["status"]  # for what is in here cannot be discovered
        path.write_text(json.dumps(document))
        with sidecar(tmp_path, path) as authz:
            sink.report("there", lambda found: discovered(found).get("active_revision") == "d1")
            plane.has["/discovery"] = discovery_of({**config, "status": {"service": "acme", "partition_name": "p"}}, "d2")
            plane.report("here", lambda found: discovered(found).get("active_revision") == "d2")
            assert plane.report_paths[-1] == "/status/p"
            plane.has["/discovery"] = discovery_of({"bundles": {"authz": bundle("get")}}, "d3")
            wait_until(lambda: authz.get("/v1/status")[0] == 500, "nowhere")


def test_without_persistence_a_restart_waits_for_the_control_plane(tmp_path: Path, plane: PlaneServer) -> None:
    plane.has["/discovery"] = discovery_of({"bundles": {"authz": bundle("get", persist=True)}})
    config = boot(tmp_path, plane, discovery={"resource": "discovery", "decision": "config", "polling": POLLING})
    with sidecar(tmp_path, config) as authz:
        wait_until(lambda: is_stored(authz), "the version is on disk")
    plane.has["/get"] = 500
    with sidecar(tmp_path, config, log="second") as authz:  # discovery answers: then the bundle's last version will do
        assert decides(authz) == (ALLOWED, DENIED)
        assert authz.lines("serving the last good version until a service answers")
    plane.stop()
    with sidecar(tmp_path, config, log="third", is_waiting=True) as authz:
        authz.wait_for_line("Discovery download failed")
        assert authz.get("/ready")[0] == 503
        authz.signal(signal.SIGTERM)
        assert authz.wait() == 0


def test_manual_discovery_bundles_and_status_move_at_a_signal_only(tmp_path: Path, plane: PlaneServer) -> None:
    plane.has["/discovery"] = discovery_of({"bundles": {"authz": {"resource": "get"}}})
    config = boot(tmp_path, plane, discovery={"resource": "discovery", "decision": "config", "trigger": "manual"})
    with sidecar(tmp_path, config, is_waiting=True) as authz:
        authz.signal(signal.SIGHUP)
        authz.wait_for_line("listening")
        report = plane.report("one report")
        assert report["bundles"]["authz"]["active_revision"] == "g1"
        assert (len(plane.reports), len(plane.asked)) == (1, 2)
        assert run_authz("bundle", "refresh", "--admin-addr", authz.admin).returncode == 0
        wait_until(lambda: len(plane.reports) == 2, "another report")
        assert len(plane.asked) == 4
