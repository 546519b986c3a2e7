"""Several processes as one service: one policy, one set of metrics, one drain, and nobody notices when one of them dies."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.lab.waiting import wait_until
from tests.serving import ALLOW_GET, ALLOW_POST, Serving, pids, replace_atomically, run_authz, serving, write

ALLOWED, DENIED = 0, 7
WORKERS = 3


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return write(tmp_path / "policies", {"authz.rego": ALLOW_GET})


@pytest.fixture
def authz(tmp_path: Path, policies: Path) -> Iterator[Serving]:
    with serving(tmp_path / "log", policies, "--workers", str(WORKERS)) as process:
        process.wait_ready()
        yield process


def revisions(authz: Serving) -> set[str]:
    return {worker["revision"] for worker in authz.get("/v1/policy/active")[1]["workers"]}


def checks(authz: Serving, count: int, method: str = "GET") -> set[int]:
    """Return the answers to checks on connections of their own, which the kernel spreads over the workers."""
    with ThreadPoolExecutor(8) as threads:
        return set(threads.map(lambda _: authz.check(method), range(count)))


def test_all_of_them_answer_and_are_counted_as_one(authz: Serving) -> None:
    assert len(set(pids(authz))) == WORKERS
    assert authz.process.pid not in pids(authz)
    assert checks(authz, 60) == {ALLOWED}
    assert authz.check("POST") == DENIED
    assert authz.metric('authz_decisions_total{outcome="allow",reason="allowed"}') == 60
    assert authz.metric("authz_check_duration_seconds_count") == 61
    assert authz.metric("authz_workers") == WORKERS
    assert all(authz.metric(f'authz_worker_cpu_seconds_total{{worker="{number}"}}') > 0 for number in range(WORKERS))


def test_an_edit_reaches_all_of_them_at_once(authz: Serving, policies: Path) -> None:
    before = revisions(authz)
    assert len(before) == 1
    replace_atomically(policies / "authz.rego", ALLOW_POST)
    authz.wait_for_line("policy activated", 2)
    assert len(revisions(authz)) == 1
    assert revisions(authz) != before
    assert checks(authz, 30, "POST") == {ALLOWED}
    assert checks(authz, 30) == {DENIED}


def test_a_policy_that_one_cannot_take_is_taken_by_none(authz: Serving, policies: Path) -> None:
    before = revisions(authz)
    replace_atomically(policies / "authz.rego", "package other\n\nx := 1\n")
    authz.wait_for_line("policy not activated")
    assert revisions(authz) == before
    assert checks(authz, 30) == {ALLOWED}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_one_that_dies_is_replaced_with_the_policy_that_is_active(authz: Serving, policies: Path, number: signal.Signals) -> None:
    replace_atomically(policies / "authz.rego", ALLOW_POST)
    authz.wait_for_line("policy activated", 2)
    checks(authz, 30, "POST")
    wait_until(lambda: authz.metric("authz_check_duration_seconds_count") == 30, "all checks are counted")
    victim = pids(authz)[0]
    os.kill(victim, number)
    wait_until(lambda: authz.metric("authz_worker_restarts_total") == 1 and authz.metric("authz_workers") == WORKERS, "it is replaced")
    assert victim not in pids(authz)
    assert len(revisions(authz)) == 1
    assert checks(authz, 30, "POST") == {ALLOWED}
    assert authz.metric("authz_check_duration_seconds_count") == 60
    assert authz.lines("a worker ended")[0]["ending"] == f"signal {number.value}"


def test_one_that_is_stuck_is_ended_and_replaced(authz: Serving) -> None:
    victim = pids(authz)[1]
    os.kill(victim, signal.SIGSTOP)
    authz.wait_for_line("a worker is stuck")
    wait_until(lambda: authz.metric("authz_worker_restarts_total") == 1 and authz.metric("authz_workers") == WORKERS, "it is replaced")
    assert victim not in pids(authz)


def test_they_drain_as_one_and_leave_nothing(authz: Serving) -> None:
    workers = pids(authz)
    host, _, port = authz.addresses[0].rpartition(":")
    authz.signal(signal.SIGTERM)
    assert authz.wait() == 0
    assert not any(is_alive(pid) for pid in workers)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)


def test_they_end_when_their_supervisor_is_gone(authz: Serving) -> None:
    workers = pids(authz)
    authz.signal(signal.SIGKILL)
    authz.wait()
    wait_until(lambda: not any(map(is_alive, workers)), "the workers end")


def test_they_share_a_unix_socket(tmp_path: Path, policies: Path) -> None:
    path = tmp_path / "authz.sock"
    with serving(tmp_path / "log", policies, "--workers", "2", addr=[f"unix://{path}"]) as authz:
        authz.wait_ready()
        assert checks(authz, 20) == {ALLOWED}
        authz.signal(signal.SIGTERM)
        assert authz.wait() == 0
    assert not path.exists()


def test_a_port_that_others_serve_on_is_refused(authz: Serving, policies: Path) -> None:
    done = run_authz("serve", policies, "--workers", "2", "--addr", authz.addresses[0], "--admin-addr", "127.0.0.1:0")
    assert done.returncode == 2
    assert "address already in use" in done.stderr


def test_a_policy_that_does_not_compile_at_the_start_leaves_no_worker(tmp_path: Path) -> None:
    broken = write(tmp_path / "broken", {"authz.rego": "package a\n\nallow if"})
    done = run_authz("serve", broken, "--workers", "2", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
    assert done.returncode != 0
    assert "rego_parse_error" in done.stderr


def test_the_other_transport_has_no_workers(policies: Path) -> None:
    done = run_authz("serve", policies, "--workers", "2", "--transport", "grpcio")
    assert done.returncode == 2
    assert "field `workers`" in done.stderr


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
