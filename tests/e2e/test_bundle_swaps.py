"""Bundles replace each other under load, from a bundle server through `authz` to what Envoy answers.

Every answer names the revision that decided it, three times: Rego and data in headers of the policy's, the manifest in the dynamic
metadata, of which Envoy makes a header. `AUTHZ_SWAPS` says how often bundles are swapped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Final

import pytest

from bench.lab import Lab
from bench.lab.authz_process import AuthzProcess
from bench.lab.bundles import ENTRYPOINT, REVISION_HEADERS, ControlPlane, telling_bundle
from bench.lab.client import Request
from bench.lab.load import BackgroundLoad
from bench.lab.revisions import Revisions, Seen, behind_s, first_answered
from bench.lab.waiting import wait_until
from tests.e2e import names
from tests.serving import run_authz

SWAPS: Final = int(os.environ.get("AUTHZ_SWAPS", "6"))
CHANGES: Final = 3
LATEST_S: Final = 1.0
"""Within which a change decides, and a rollback."""

BUSY: Final = 2.0
"""Compiles, one by one, within which a change decides on a machine that is too busy for anything within a second."""

CONNECTIONS: Final = 20
SPREAD_S: Final = 0.1
"""For how long workers may decide by different revisions."""

REST_S: Final = 0.002
DENIED: Final = Request(path="/denied")
POLICY: Final = """package envoy.authz

default allow := false

allow if input.attributes.request.http.path == "/allowed"
"""


class Scene:
    """A sidecar whose bundle is replaced, behind a listener; `revision` is the one that was published last."""

    def __init__(self, lab: Lab, plane: ControlPlane, authz: AuthzProcess, listener: str, workers: int) -> None:
        self.lab = lab
        self.workers = workers
        self.plane = plane
        self.authz = authz
        self.port = lab.port(listener)
        self.revision = 1
        self.revisions = Revisions(REVISION_HEADERS)

    def load(self, request: Request, connections: int = 4) -> BackgroundLoad:
        context = self.lab.context("frontend")
        return BackgroundLoad(self.port, request, context, connections, rest_s=REST_S, observe=self.revisions.observe)

    def publish(self) -> float:
        """Publish the next revision; return the moment."""
        self.revision += 1
        return self.plane.publish(telling_bundle(self.revision, POLICY))

    def wait_until_answered(self, revision: int) -> None:
        wait_until(lambda: self.revisions.last == revision, f"revision {revision} decides")

    def swap(self) -> float:
        """Publish the next revision and wait until it decides; return how long that took."""
        published = self.publish()
        self.wait_until_answered(self.revision)
        return self.revisions.first_answered()[self.revision] - published

    def require_order(self, seen: Sequence[Seen]) -> None:
        """Require that nothing that was sent after an answer was decided by an older revision; between workers, soon after it."""
        longest_s = max(behind_s(seen), default=0.0)
        assert longest_s <= (0.0 if self.workers == 1 else SPREAD_S)
        if self.workers > 1:  # each connection is one worker's, by chance: that all were the same one's is out of the question
            assert self.lab.envoy.stat(f"cluster.{names.BUNDLE_OF_WORKERS}.upstream_cx_total") > CONNECTIONS


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path)
    made.publish(telling_bundle(1, POLICY))
    made.start()
    yield made
    made.stop()


@pytest.fixture(params=[(names.BUNDLE, 1), (names.BUNDLE_OF_WORKERS, 2)], ids=["one process", "two workers"])
def scene(lab: Lab, check_ports: dict[str, list[int]], plane: ControlPlane, request: pytest.FixtureRequest) -> Iterator[Scene]:
    name, workers = request.param
    options = ["--config", str(plane.configuration(name)), "--entrypoint", ENTRYPOINT, "--workers", str(workers)]
    authz = AuthzProcess([], lab.directory, options, name=name, port=check_ports[name][0])
    try:
        authz.start()
        wait_until(lambda: lab.send("frontend", names.ALLOWED, name).status == 200, "Envoy reaches it")
        yield Scene(lab, plane, authz, name, workers)
    finally:
        authz.stop()


def test_swaps_under_load_fail_no_request_and_mix_no_revisions(scene: Scene) -> None:
    with scene.load(names.ALLOWED) as allowed, scene.load(DENIED) as denied:
        for _ in range(SWAPS):
            scene.swap()
    assert allowed.result.failures == denied.result.failures == []
    assert (set(allowed.result.statuses), set(denied.result.statuses)) == ({200}, {403})
    assert scene.revisions.mixed == []
    assert scene.revisions.first_answered().keys() == set(range(1, SWAPS + 2))
    scene.require_order(scene.revisions.seen)


def test_a_change_decides_within_a_second_and_so_does_the_way_back(scene: Scene) -> None:
    with scene.load(names.ALLOWED, connections=1):
        wait_until(lambda: scene.revisions.last == 1, "the first revision decides")
        for _ in range(CHANGES):
            took_s = scene.swap()
            assert took_s < max(LATEST_S, BUSY * compile_s(scene.plane))
        rolled_back = perf_counter()
        scene.authz.change_bundles("rollback")
        scene.wait_until_answered(scene.revision - 1)
    back = [each for each in scene.revisions.seen if each.sent > rolled_back]
    took_s = first_answered(back)[scene.revision - 1] - rolled_back
    assert took_s < LATEST_S
    scene.require_order([each._replace(revision=-each.revision) for each in back])


def compile_s(plane: ControlPlane) -> float:
    """Return how long the machine takes at the moment to start a process that compiles the bundle, which is most of a change."""
    begun = perf_counter()
    assert run_authz("check", "-b", plane.archive).returncode == 0
    return perf_counter() - begun
