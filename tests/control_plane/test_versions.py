"""Versions of a running sidecar: listed, shown, gone back to, pinned; over TCP and a Unix socket, by the commands an operator has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from bench.lab.waiting import wait_until
from tests.control_plane.published import bundle_of, configuration, publish
from tests.serving import Serving, run_authz, serving

ALLOWED, DENIED = 0, 7
METHODS = ("GET", "POST", "PUT")


class Scene:
    """A sidecar with three versions: v1 allows GET, v2 POST, v3 PUT."""

    def __init__(self, authz: Serving, archive: Path) -> None:
        self.authz = authz
        self.archive = archive

    def publish(self, revision: str, method: str) -> None:
        publish(self.archive, bundle_of(revision, method))
        self.wait_for(revision)

    def wait_for(self, revision: str) -> None:
        wait_until(lambda: self.authz.revision() == revision, f"revision {revision}")

    def command(self, *args: str) -> Any:
        done = run_authz("bundle", *args, "--admin-addr", self.authz.admin, "--format", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, *args: str) -> str:
        done = run_authz("bundle", *args, "--admin-addr", self.authz.admin)
        assert done.returncode == 1
        return done.stderr

    def versions(self) -> dict[str, dict[str, Any]]:
        return {each["revision"]: each for each in self.command("list")["versions"]}

    def allowed(self) -> list[str]:
        return [method for method in METHODS if self.authz.check(method) == ALLOWED]

    def post(self, path: str, body: bytes = b"{}", **headers: str) -> tuple[int, Any]:
        connection = HTTPConnection(self.authz.admin, timeout=30)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(connection):
            connection.request("POST", path, body, {"Content-Type": "application/json", **names})
            response = connection.getresponse()
            return response.status, json.load(response)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    archive = tmp_path / "authz.tar.gz"
    publish(archive, bundle_of("v1", "GET"))
    config = configuration(tmp_path, {"authz": {"resource": f"file://{archive}", "persist": True}})
    with serving(tmp_path / "log", "--config", config) as authz:
        made = Scene(authz, archive)
        for revision, method in (("v2", "POST"), ("v3", "PUT")):
            made.publish(revision, method)
        yield made


def test_versions_are_listed_newest_first_with_the_active_one(scene: Scene) -> None:
    versions = scene.command("list")["versions"]
    assert [(each["revision"], each["active"], each["pinned"], each["stored"]) for each in versions] == [
        ("v3", True, False, True),
        ("v2", False, False, True),
        ("v1", False, False, True),
    ]
    shown = scene.command("show")
    assert shown == versions[0]
    assert scene.command("show", versions[2]["id"][:8])["revision"] == "v1"
    for text in ("v3", "active, stored", "sha256:"):
        assert text in run_authz("bundle", "show", "--admin-addr", scene.authz.admin).stdout
    assert "│ v2 " in run_authz("bundle", "list", "--admin-addr", scene.authz.admin).stdout


def test_rollback_is_one_swap_and_takes_less_than_a_second(scene: Scene) -> None:
    begun_s = monotonic()
    status, answer = scene.post("/v1/bundles/rollback")
    took_s = monotonic() - begun_s
    assert (status, answer["versions"][0]["revision"], took_s < 1) == (200, "v2", True)
    assert scene.allowed() == ["POST"]
    assert scene.command("rollback", scene.versions()["v1"]["id"])["versions"][0]["revision"] == "v1"
    assert scene.allowed() == ["GET"]


def test_what_was_left_does_not_come_back_until_it_is_unpinned(scene: Scene) -> None:
    scene.command("rollback")
    publish(scene.archive, bundle_of("v4", "GET"))
    refused = wait_until(lambda: scene.command("list")["bundles"][0]["error"], "v4 was refused")
    assert (refused["code"], "is pinned" in refused["message"], "unpin" in refused["help"]) == ("pinned", True, True)
    assert (scene.authz.revision(), scene.allowed()) == ("v2", ["POST"])
    assert scene.authz.metric("authz_policy_pinned") == 1
    assert scene.authz.get("/health?bundles")[0] == 200  # it is as its operator wants it
    scene.command("unpin")
    scene.wait_for("v4")
    assert scene.allowed() == ["GET"]
    assert scene.authz.metric("authz_policy_pinned") == 0


def test_a_pin_keeps_the_active_version_or_the_one_named(scene: Scene) -> None:
    pinned = {each["revision"] for each in scene.command("pin")["versions"] if each["pinned"]}
    assert pinned == {"v3"}
    scene.command("pin", scene.versions()["v1"]["id"])
    assert (scene.authz.revision(), scene.allowed()) == ("v1", ["GET"])


def test_a_pin_outlives_the_process(scene: Scene, tmp_path: Path) -> None:
    scene.command("rollback", scene.versions()["v1"]["id"])
    scene.authz.process.kill()
    scene.authz.wait()
    with serving(tmp_path / "log2", "--config", tmp_path / "config.yaml") as authz:
        again = Scene(authz, scene.archive)
        assert (authz.revision(), again.allowed()) == ("v1", ["GET"])
        assert authz.lines("serving the last good version")
        again.command("unpin")
        again.wait_for("v3")


def test_a_version_that_is_not_there_is_refused_with_the_way_to_find_one(scene: Scene) -> None:
    for command in ("rollback", "pin", "show"):
        told = scene.refused(command, "nonsense")
        assert "there is no version `nonsense`" in told
        assert "authz bundle list" in told
    assert scene.authz.revision() == "v3"


def test_going_back_again_and_again_ends_where_it_says(scene: Scene) -> None:
    for revision in ("v2", "v3", "v2"):
        assert scene.command("rollback")["versions"][0]["revision"] == revision
        assert scene.authz.revision() == revision


def test_changes_are_not_taken_from_a_web_page(scene: Scene) -> None:
    path = "/v1/bundles/rollback"
    assert scene.post(path, Content_Type="text/plain")[0] == 415
    assert scene.post(path, Host="attacker.example")[0] == 403
    assert scene.post(path, b"{")[0] == 400
    assert scene.post(path, b'{"version": 7}')[0] == 400
    assert scene.post(path, b'{"version": "\xff"}')[0] == 400
    assert scene.post(path, b"[" * 1_000)[0] == 400
    assert scene.post(path, b'{"versoin": "x"}')[0] == 400
    assert scene.authz.get(path)[0] == 405
    assert scene.authz.revision() == "v3"


def test_a_sidecar_of_directories_has_no_versions(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "a.rego").write_text("package envoy.authz\n\nallow := true\n")
    with serving(tmp_path / "log", tmp_path / "policies", "--admin-addr", f"unix://{tmp_path}/admin") as authz:
        done = run_authz("bundle", "list", "--admin-addr", authz.admin)
    assert (done.returncode, "do not come from bundles" in done.stderr) == (1, True)


def test_commands_reach_a_sidecar_over_a_unix_socket(tmp_path: Path) -> None:
    archive = tmp_path / "authz.tar.gz"
    publish(archive, bundle_of("v1", "GET"))
    config = configuration(tmp_path, {"authz": {"resource": f"file://{archive}"}})
    with serving(tmp_path / "log", "--config", config, "--admin-addr", f"unix://{tmp_path}/admin") as authz:
        done = run_authz("bundle", "pin", "--admin-addr", authz.admin)
        assert (done.returncode, "active, pinned" in done.stdout) == (0, True)
        assert "there is no older version" in run_authz("bundle", "rollback", "--admin-addr", authz.admin).stderr


def test_a_sidecar_that_is_not_there_is_told_with_its_address() -> None:
    done = run_authz("bundle", "list", "--admin-addr", "127.0.0.1:1")
    assert (done.returncode, "127.0.0.1:1" in done.stderr, "--admin-addr" in done.stderr) == (1, True, True)
