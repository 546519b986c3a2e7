"""Bundles that are older than they may be: readiness and health turn, decisions where an operator wants it, and all comes back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from grpc_health.v1 import health_pb2

from bench.lab.waiting import wait_until
from tests.control_plane.clocks import TimeOfDay
from tests.control_plane.plane import Plane, allowing, control_plane, sidecar, signed
from tests.serving import AUTHZ, Serving, pids, run_authz, serving

ALLOWED: Final = 0
MAIN: Final = "main"
STALE: Final = 'authz_decisions_total{outcome="deny",reason="stale_policy"}'
MAX_AGE_S: Final = 1.0


@pytest.fixture
def plane() -> Iterator[Plane]:
    with control_plane() as made:
        made.put(MAIN, signed(allowing("GET", "v1")))
        yield made


def config(directory: Path, plane: Plane, *, denies: bool, max_age_s: float = MAX_AGE_S, **fields: Any) -> Path:
    return sidecar(directory, plane, MAIN, bundle={"max_age_seconds": max_age_s}, activation={"deny_when_stale": denies}, **fields)


def states(authz: Serving) -> tuple[int, int]:
    """Return the status of `/ready` and of `/health?bundles`."""
    return authz.get("/ready")[0], authz.get("/health?bundles")[0]


def serving_status(authz: Serving) -> str:
    """Return what `grpc.health.v1` says."""
    with grpc.insecure_channel(authz.addresses[0]) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, health_pb2.HealthCheckResponse] = channel.unary_unary(
            "/grpc.health.v1.Health/Check", None, health_pb2.HealthCheckResponse.FromString
        )
        answer = call(b"", timeout=10)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def wait_for(authz: Serving, ready: int, health: int) -> None:
    wait_until(lambda: states(authz) == (ready, health), f"/ready is {ready} and /health?bundles {health}")


def wait_until_stored(authz: Serving) -> None:
    wait_until(lambda: authz.get("/v1/bundles")[1]["versions"][0]["stored"], "the newest version is on disk")


def test_a_bundle_that_gets_old_turns_readiness_and_health_until_its_service_answers(tmp_path: Path, plane: Plane) -> None:
    with serving(tmp_path / "log", "--config", config(tmp_path, plane, denies=False)) as authz:
        wait_for(authz, 200, 200)
        plane.down()
        wait_for(authz, 503, 500)
        assert authz.metric('authz_bundle_stale{bundle="main"}') == 1
        assert authz.metric('authz_bundle_age_seconds{bundle="main"}') > MAX_AGE_S
        assert (authz.check("GET"), authz.metric(STALE), serving_status(authz)) == (ALLOWED, 0, "SERVING")
        plane.up()
        wait_for(authz, 200, 200)


def test_where_it_is_wanted_nothing_is_decided_by_a_bundle_that_is_too_old(tmp_path: Path, plane: Plane) -> None:
    with serving(tmp_path / "log", "--config", config(tmp_path, plane, denies=True)) as authz:
        assert (authz.check("GET"), serving_status(authz)) == (ALLOWED, "SERVING")
        plane.down()
        wait_until(lambda: authz.check("GET") != ALLOWED, "nothing is decided")
        assert (states(authz), serving_status(authz)) == ((503, 500), "NOT_SERVING")
        assert authz.metric(STALE) == 1
        assert authz.lines("every check is denied")[0]["bundles"] == MAIN
        assert authz.revision() == "v1"
        plane.up()
        wait_until(lambda: authz.check("GET") == ALLOWED, "the policy decides again")
        assert (states(authz), serving_status(authz)) == ((200, 200), "SERVING")


def test_a_newer_bundle_ends_it_by_itself(tmp_path: Path, plane: Plane) -> None:
    with serving(tmp_path / "log", "--config", config(tmp_path, plane, denies=True, canary={"seconds": 3600})) as authz:
        plane.down()
        wait_until(lambda: authz.check("GET") != ALLOWED, "nothing is decided")
        plane.put(MAIN, signed(allowing("POST", "v2")))
        plane.up()
        wait_until(
            lambda: authz.check("POST") == ALLOWED, "the new policy decides: there is nothing that its canary could be compared with"
        )
        assert authz.check("GET") != ALLOWED


def test_going_back_to_an_older_version_makes_nothing_fresh(tmp_path: Path, plane: Plane) -> None:
    with serving(tmp_path / "log", "--config", config(tmp_path, plane, denies=True)) as authz:
        plane.put(MAIN, signed(allowing("POST", "v2")))
        wait_until(lambda: authz.revision() == "v2", "v2 decides")
        plane.down()
        wait_until(lambda: authz.check("POST") != ALLOWED, "nothing is decided")
        assert run_authz("bundle", "rollback", "--admin-addr", authz.admin).returncode == 0
        assert authz.revision() == "v1"
        assert authz.check("GET") != ALLOWED


def test_workers_deny_together_and_one_that_is_started_meanwhile_does_too(tmp_path: Path, plane: Plane) -> None:
    with serving(tmp_path / "log", "--config", config(tmp_path, plane, denies=True), "--workers", "2") as authz:
        assert authz.check("GET") == ALLOWED
        plane.down()
        wait_until(lambda: authz.check("GET") != ALLOWED, "nothing is decided")
        before = pids(authz)
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: len(pids(authz)) == 2 and before[0] not in pids(authz), "it was replaced")
        assert all(authz.check("GET") != ALLOWED for _ in range(20))
        plane.up()
        wait_until(lambda: authz.check("GET") == ALLOWED, "one of them decides again")
        assert all(authz.check("GET") == ALLOWED for _ in range(20))


def test_what_was_persisted_too_long_ago_decides_only_when_its_service_has_confirmed_it(tmp_path: Path, plane: Plane) -> None:
    path = config(tmp_path, plane, denies=True, max_age_s=3600)
    with serving(tmp_path / "log-1", "--config", path) as authz:
        wait_until_stored(authz)
    plane.down()
    day = TimeOfDay(tmp_path / "time")
    day.shift(1)
    with serving(tmp_path / "log-2", "--config", path, command=day.command([AUTHZ]), is_waiting=True) as authz:
        authz.wait_for_line("serving the last good version")
        authz.wait_for_line("every check is denied")
        assert authz.lines("listening") == []
        assert authz.get("/ready")[0] == 503
        plane.up()
        authz.wait_for_line("listening")
        assert authz.check("GET") == ALLOWED


def test_what_was_persisted_not_long_ago_decides_at_once(tmp_path: Path, plane: Plane) -> None:
    path = config(tmp_path, plane, denies=True, max_age_s=3600)
    with serving(tmp_path / "log-1", "--config", path) as authz:
        wait_until_stored(authz)
    plane.down()
    with serving(tmp_path / "log-2", "--config", path) as authz:
        assert authz.check("GET") == ALLOWED
        assert authz.lines("every check is denied") == []


def activated_at(authz: Serving) -> datetime:
    return datetime.fromisoformat(authz.get("/v1/policy/active")[1]["activated_at"])


@pytest.mark.parametrize("days", [400, -400])
def test_a_time_of_day_that_jumps_turns_nothing(tmp_path: Path, plane: Plane, days: int) -> None:
    """Ages are of clocks that are never set. What is dated (versions, logs) has the new time, and what was dated before stays usable."""
    day = TimeOfDay(tmp_path / "time")
    path = config(tmp_path, plane, denies=True, max_age_s=30)
    with serving(tmp_path / "log-1", "--config", path, command=day.command([AUTHZ])) as authz:
        assert authz.check("GET") == ALLOWED
        first = activated_at(authz)
        day.shift(days)
        plane.put(MAIN, signed(allowing("POST", "v2")))
        wait_until(lambda: authz.revision() == "v2", "v2 decides")
        assert (activated_at(authz) - first).days in range(days - 1, days + 1)
        assert [authz.check(method) == ALLOWED for method in ("POST", "GET")] == [True, False]
        assert states(authz) == (200, 200)
        assert 0 <= authz.metric('authz_bundle_age_seconds{bundle="main"}') < 30
        wait_until_stored(authz)
        assert [each["revision"] for each in authz.get("/v1/bundles")[1]["versions"]] == ["v2", "v1"]
        assert authz.lines("every check is denied") == []
    with serving(tmp_path / "log-2", "--config", path, command=day.command([AUTHZ])) as authz:
        assert authz.check("POST") == ALLOWED
        assert states(authz) == (200, 200)
