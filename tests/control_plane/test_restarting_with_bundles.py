"""The life of a sidecar with bundles: its first one, its last one, a disk that fails, and every way to die between them."""

from __future__ import annotations

import random
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any, Final

import pytest

from authz.control_plane.contents import Archive
from authz.refresh.version_store import StoredBundle, Version, VersionStore, version_id
from bench.lab.waiting import wait_until
from tests.bundle.archives import archive
from tests.control_plane.mounts import can_mount, read_only, small
from tests.control_plane.plane import STRANGER, Plane, allowing, control_plane, named, sidecar, signed
from tests.control_plane.published import publish
from tests.serving import AUTHZ, Serving, children, run_authz, serving

ALLOWED: Final = 0
METHODS: Final = ("GET", "POST")
MAIN: Final = "main"
KEPT: Final = {"keep_versions": 2}
NOT_AHEAD: Final = {**KEPT, "start_compiler_ahead": False}
"""With this a sidecar has a child while it compiles, and only then."""


@pytest.fixture
def plane() -> Iterator[Plane]:
    with control_plane() as made:
        yield made


class Sidecars:
    """Sidecars of one control plane and one persistence directory, one after the other."""

    def __init__(self, directory: Path, plane: Plane) -> None:
        self.plane = plane
        self.state = directory / "state"
        self._directory = directory
        self._logs = count()
        self.method: dict[str, str] = {}

    @contextmanager
    def running(self, *args: str, command: Sequence[str] = (AUTHZ,), is_waiting: bool = False, **fields: Any) -> Iterator[Serving]:
        config = sidecar(self._directory, self.plane, MAIN, **{"activation": KEPT, **fields})
        log = self._directory / f"log-{next(self._logs)}"
        with serving(log, "--config", config, *args, command=command, is_waiting=is_waiting) as authz:
            yield authz

    def put(self, revision: str, method: str, **options: Any) -> None:
        self.method[revision] = method
        self.plane.put(MAIN, signed(allowing(method, revision), **options))

    def stored(self) -> None:
        """Have a version v1 on disk, which allows GET, and the control plane away."""
        self.put("v1", "GET")
        with self.running() as authz:
            assert persisted_or_dead(authz, "v1") == "persisted"
            kill(authz)
        self.plane.down()


@pytest.fixture
def sidecars(tmp_path: Path, plane: Plane) -> Sidecars:
    return Sidecars(tmp_path, plane)


def source(authz: Serving) -> dict[str, Any]:
    found: dict[str, Any] = authz.get("/v1/policy/active")[1]["sources"][0]
    return found


def error_code(authz: Serving) -> str | None:
    error = source(authz)["error"]
    return None if error is None else str(error["code"])


def allowed(authz: Serving) -> list[str]:
    return [method for method in METHODS if authz.check(method) == ALLOWED]


def wait_for(authz: Serving, revision: str) -> None:
    wait_until(lambda: authz.revision() == revision, f"{revision} decides")


def kill(authz: Serving) -> None:
    authz.signal(signal.SIGKILL)
    assert authz.wait() == -signal.SIGKILL


# The first bundle


def test_a_sidecar_waits_for_its_control_plane_and_serves_once_that_has_a_bundle(sidecars: Sidecars) -> None:
    sidecars.plane.down()
    with sidecars.running(is_waiting=True) as authz:
        wait_until(lambda: error_code(authz) == "unreachable", "it tells of the service")
        assert (authz.get("/ready")[0], authz.get("/health")[0], authz.get("/health?bundles")[0]) == (503, 200, 500)
        patch = {"patch.json": '{"data": [{"op": "upsert", "path": "/envoy/x", "value": 1}]}', ".manifest": named("d", ["envoy"])}
        sidecars.plane.put(MAIN, signed(patch))
        sidecars.plane.up()
        wait_until(lambda: error_code(authz) == "bundle", "a delta of nothing is refused")
        assert "no snapshot" in source(authz)["error"]["message"]
        assert (authz.lines("listening"), authz.get("/ready")[0]) == ([], 503)
        sidecars.put("v1", "GET")
        authz.wait_for_line("listening")
        authz.wait_ready()
        assert (authz.revision(), allowed(authz), source(authz)["error"]) == ("v1", ["GET"], None)
        assert authz.get("/health?bundles")[0] == 200


@pytest.mark.parametrize("workers", [1, 2])
def test_a_sidecar_that_waits_for_its_first_bundle_ends_when_it_is_told_to(sidecars: Sidecars, workers: int) -> None:
    sidecars.plane.down()
    with sidecars.running("--workers", str(workers), is_waiting=True) as authz:
        wait_until(lambda: error_code(authz) is not None, "it waits")
        authz.signal(signal.SIGTERM)
        assert authz.wait() == 0
        assert authz.lines("stopped")


def test_tests_of_bundles_must_pass_where_they_are_required(sidecars: Sidecars) -> None:
    def tested(revision: str, method: str, expected: str) -> bytes:
        test = f'data.envoy.authz.allow with input.attributes.request.http.method as "{expected}"'
        text = f"package envoy.authz_test\n\ntest_{expected.lower()} if {test}\n"
        files = allowing(method, revision, {"a_test.rego": text})
        return signed(files | {".manifest": named(revision, ["envoy"])})

    sidecars.plane.put(MAIN, tested("v1", "GET", "GET"))
    with sidecars.running(activation={"require_tests": True}) as authz:
        assert allowed(authz) == ["GET"]
        sidecars.plane.put(MAIN, tested("v2", "POST", "GET"))
        wait_until(lambda: error_code(authz) == "policy_tests", "a failing test is told of")
        message = source(authz)["error"]["message"]
        assert ("1 of 1 tests" in message, "main/a_test.rego:3: data.envoy.authz_test.test_get" in message) == (True, True), message
        sidecars.put("v3", "POST")
        wait_until(lambda: "no tests" in source(authz)["error"]["message"], "a bundle without tests is refused")
        assert (authz.revision(), allowed(authz)) == ("v1", ["GET"])
        assert authz.metric('authz_policy_refreshes_total{outcome="policy_tests"}') == 2
        sidecars.plane.put(MAIN, tested("v4", "POST", "POST"))
        wait_for(authz, "v4")
        assert allowed(authz) == ["POST"]


def test_workers_share_a_bundle_that_is_a_file(sidecars: Sidecars, tmp_path: Path) -> None:
    file = tmp_path / "published" / "bundle.tar.gz"
    publish(file, signed(allowing("GET", "v1")))
    bundle = {"resource": f"file://{file}"}
    with sidecars.running("--workers", "2", bundle=bundle) as authz:

        def revisions() -> set[str]:
            return {each["revision"] for each in authz.get("/v1/policy/active")[1]["workers"]}

        assert (len(authz.get("/v1/policy/active")[1]["workers"]), revisions(), allowed(authz)) == (2, {"v1"}, ["GET"])
        publish(file, signed(allowing("POST", "v2"), STRANGER))
        wait_until(lambda: error_code(authz) == "bundle_signature", "it is refused")
        assert (revisions(), allowed(authz)) == ({"v1"}, ["GET"])
        publish(file, signed(allowing("POST", "v2")))
        wait_until(lambda: revisions() == {"v2"}, "all of them have it")
        assert [allowed(authz) for _ in range(8)] == [["POST"]] * 8
        file.unlink()
        wait_until(lambda: error_code(authz) == "file", "the file is gone")
        assert (revisions(), allowed(authz)) == ({"v2"}, ["POST"])


def test_after_a_restart_another_place_is_not_asked_with_the_etag_of_the_old_one(sidecars: Sidecars) -> None:
    sidecars.put("v1", "GET", etag='"live"')
    with sidecars.running() as authz:
        assert persisted_or_dead(authz, "v1") == "persisted"
    sidecars.plane.put("other", signed(allowing("POST", "v2")), etag='"live"')
    with sidecars.running(bundle={"resource": "bundles/other"}) as authz:
        wait_for(authz, "v2")
        assert run_authz("bundle", "rollback", "--admin-addr", authz.admin).returncode == 0
        assert (authz.revision(), allowed(authz)) == ("v1", ["GET"])
        assert run_authz("bundle", "unpin", "--admin-addr", authz.admin).returncode == 0
        wait_for(authz, "v2")
        assert allowed(authz) == ["POST"]


def test_who_goes_back_does_not_wait_for_a_compile(sidecars: Sidecars) -> None:
    numbers = ",".join(map(str, range(1_500_000)))
    slow = signed(allowing("POST", "slow", {"data.json": f'{{"envoy": {{"numbers": [{numbers}]}}}}'}))
    sidecars.put("v1", "GET")
    with sidecars.running(activation=NOT_AHEAD) as authz:
        sidecars.put("v2", "POST")
        wait_for(authz, "v2")
        wait_until(lambda: not children(authz), "nothing is compiled")
        sidecars.plane.put(MAIN, slow)
        compilers = wait_until(lambda: children(authz), "it is compiled")
        begun_s = monotonic()
        assert run_authz("bundle", "rollback", "--admin-addr", authz.admin).returncode == 0
        assert (authz.revision(), allowed(authz)) == ("v1", ["GET"])
        assert monotonic() - begun_s < 3  # a command's start is most of it
        assert not any(Path(f"/proc/{pid}").exists() for pid in compilers)
        wait_until(lambda: error_code(authz) == "pinned", "what was compiled is told that a version is pinned")
        assert authz.lines("activation given up")


# What is on disk


def test_versions_on_disk_that_are_not_what_was_activated_are_refused(sidecars: Sidecars) -> None:
    """v1 is good. v2: its file was edited; v3: its archive was; v4: forged, all digests fit; v5: its signature has expired."""
    sidecars.stored()
    contents = {
        "v2": signed(allowing("POST", "v2")),
        "v3": signed(allowing("POST", "v3")),
        "v4": archive(allowing("POST", "v4")),
        "v5": signed(allowing("POST", "v5"), exp=1),
    }
    directory = sidecars.state / "versions"
    store = VersionStore.open(directory, keep=10)
    for revision, content in contents.items():
        digest = Archive.of(content).digest
        bundle = StoredBundle(MAIN, revision, (digest,))
        store.save(Version(version_id({MAIN: (digest,)}), revision, 1, (bundle,)), {digest: content})
    store.close()
    edited = sorted((directory / "versions").iterdir())[1]
    edited.write_bytes(edited.read_bytes().replace(b'"v2"', b'"v9"'))
    blob = directory / "blobs" / Archive.of(contents["v3"]).digest
    blob.write_bytes(contents["v4"])
    with sidecars.running(activation={"keep_versions": 10}) as authz:
        assert (authz.revision(), allowed(authz)) == ("v1", ["GET"])
        assert [line["path"] for line in authz.lines("a version on disk is damaged")] == [str(edited)]
        refused = {line["revision"]: line["error"] for line in authz.lines("a version on disk cannot be activated")}
        assert refused.keys() == {"v3", "v4", "v5"}
        assert [str(blob) in refused["v3"], "missing .signatures.json" in refused["v4"], "expired" in refused["v5"]] == [True] * 3
        assert authz.lines("serving the last good version")[0]["revision"] == "v1"


@pytest.fixture
def mountable(tmp_path: Path) -> None:
    if not can_mount(tmp_path):
        pytest.skip("this user may not mount anything")


@pytest.mark.usefixtures("mountable")
def test_a_full_disk_costs_what_is_remembered_and_not_the_policy(sidecars: Sidecars) -> None:
    def large(revision: str, method: str) -> bytes:
        text = random.Random(revision).randbytes(30_000).hex()  # noqa: S311 - no secret, but nothing that packs well
        return signed(allowing(method, revision, {"data.json": f'{{"envoy": {{"text": "{text}"}}}}'}))

    sidecars.state.mkdir()
    sidecars.plane.put(MAIN, large("v1", "GET"))
    with sidecars.running(command=small(sidecars.state, "64k")) as authz:
        assert (allowed(authz), authz.metric("authz_bundle_persistence_ok")) == (["GET"], 1)
        for revision, method in (("v2", "POST"), ("v3", "GET")):
            sidecars.plane.put(MAIN, large(revision, method))
            wait_for(authz, revision)
            assert allowed(authz) == [method]
        wait_until(lambda: authz.metric("authz_bundle_persistence_ok") == 0, "the disk is told of")
        assert "no space left" in authz.lines("policy is active but was not persisted")[0]["error"]
        sidecars.put("v4", "POST")
        wait_for(authz, "v4")
        wait_until(lambda: authz.metric("authz_bundle_persistence_ok") == 1, "a small one has room")
        assert len(authz.lines("policy is active but was not persisted")) == 1
        stored = {each["revision"]: each["stored"] for each in authz.get("/v1/bundles")[1]["versions"]}
        assert stored == {"v4": True, "v3": False}


@pytest.mark.usefixtures("mountable")
def test_from_a_read_only_disk_the_last_version_is_served_and_then_what_comes(sidecars: Sidecars) -> None:
    sidecars.stored()
    with sidecars.running(command=read_only(sidecars.state)) as authz:
        assert (authz.revision(), allowed(authz)) == ("v1", ["GET"])
        sidecars.put("v2", "POST")
        sidecars.plane.up()
        wait_for(authz, "v2")
        assert allowed(authz) == ["POST"]
        wait_until(lambda: authz.metric("authz_bundle_persistence_ok") == 0, "the disk is told of")
        assert "read-only" in authz.lines("policy is active but was not persisted")[0]["error"]


@pytest.mark.usefixtures("mountable")
def test_where_nothing_can_be_persisted_bundles_are_served(sidecars: Sidecars) -> None:
    sidecars.state.mkdir(mode=0o700)
    sidecars.put("v1", "GET")
    with sidecars.running(command=read_only(sidecars.state)) as authz:
        assert (authz.revision(), allowed(authz), authz.metric("authz_bundle_persistence_ok")) == ("v1", ["GET"], 0)
        assert "read-only" in authz.lines("versions of bundles are not persisted")[0]["error"]


def test_a_directory_that_can_be_used_after_all_is_used(sidecars: Sidecars) -> None:
    sidecars.state.write_text("in the way")
    sidecars.put("v1", "GET")
    with sidecars.running() as authz:
        assert (authz.revision(), authz.metric("authz_bundle_persistence_ok")) == ("v1", 0)
        sidecars.state.unlink()
        assert run_authz("bundle", "refresh", "--admin-addr", authz.admin).returncode == 0
        assert persisted_or_dead(authz, "v1") == "persisted"
        assert authz.metric("authz_bundle_persistence_ok") == 1
        assert len(authz.lines("versions of bundles are not persisted")) == 1
    sidecars.plane.down()
    with sidecars.running() as authz:
        assert (authz.revision(), allowed(authz)) == ("v1", ["GET"])


# Death


def check_restored(sidecars: Sidecars, authz: Serving, revisions: set[str]) -> str:
    """Check that it decides with one of these versions from disk, whole; return which."""
    revision = authz.revision()
    assert revision in revisions
    assert allowed(authz) == [sidecars.method[revision]]
    assert authz.lines("serving the last good version")[0]["revision"] == revision
    assert authz.lines("a version on disk") == []
    return revision


def persisted_or_dead(authz: Serving, revision: str) -> str:
    """Return what becomes of a sidecar that persists a revision."""

    def found() -> str | None:
        if authz.process.poll() is not None:
            return "dead"
        try:
            versions = authz.get("/v1/bundles")[1]["versions"]
        except OSError:  # it is dying
            return None
        return "persisted" if any(each["revision"] == revision and each["stored"] for each in versions) else None

    return wait_until(found, "it is persisted, or dies of it")


def test_a_kill_at_any_step_of_persisting_leaves_a_version_to_start_from(sidecars: Sidecars) -> None:
    """Each sidecar starts from what the one before has left, and dies two steps later: of three kinds of steps, all are met."""
    sidecars.stored()
    known = {"v1"}
    for step in count(1, 2):
        command = [sys.executable, str(Path(__file__).with_name("dying.py")), str(step), str(sidecars.state)]
        with sidecars.running(command=command) as authz:
            old, new = check_restored(sidecars, authz, known), f"v{step + 1}"
            sidecars.put(new, "POST" if sidecars.method[old] == "GET" else "GET")
            known = {old, new}
            sidecars.plane.up()
            outcome = persisted_or_dead(authz, new)
        sidecars.plane.down()
        if outcome == "persisted":
            break
        assert authz.wait() == -signal.SIGKILL
    assert step > 8  # two files are opened, renamed and synced; a version and an archive are dropped
    with sidecars.running() as authz:
        assert check_restored(sidecars, authz, known) == new


@pytest.mark.parametrize("moment", ["asked", "compiling", "activated"])
def test_a_kill_during_an_activation_leaves_a_version_to_start_from(sidecars: Sidecars, moment: str) -> None:
    sidecars.stored()
    compilers: list[int] = []
    with sidecars.running(activation=NOT_AHEAD) as authz:
        sidecars.put("v2", "POST")
        sidecars.plane.asked.clear()
        sidecars.plane.up()
        wait_until(lambda: sidecars.plane.asked, "it is asked for")
        if moment == "compiling":
            compilers = wait_until(lambda: children(authz), "it is compiled")
        elif moment == "activated":
            authz.wait_for_line("policy activated", 2)
        kill(authz)
    sidecars.plane.down()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in compilers), "the compiler ends, too")
    with sidecars.running() as authz:
        check_restored(sidecars, authz, {"v1", "v2"})
        sidecars.plane.up()
        wait_for(authz, "v2")
        assert allowed(authz) == ["POST"]
