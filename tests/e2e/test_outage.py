"""`authz` dies, comes back, or is replaced: Envoy denies meanwhile, and nothing else has to be restarted."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from bench.lab import Lab
from bench.lab.authz_process import AuthzProcess, start_all
from bench.lab.load import BackgroundLoad
from bench.lab.waiting import wait_until
from tests.e2e import names
from tests.e2e.names import ALLOWED

OUTAGE = 503  # `status_on_error` of envoy/standalone-mtls.yaml: tells an outage from a denial


@pytest.fixture
def revived(lab: Lab) -> Iterator[Lab]:
    """A lab whose `authz` a test may end; it serves again afterwards."""
    yield lab
    if not lab.authz.process.is_running:
        lab.authz.start()
    wait_until(lambda: lab.send("frontend", ALLOWED).status == 200, "Envoy reaches authz again")


def test_a_killed_authz_means_denials_and_a_restarted_one_decides(revived: Lab) -> None:
    lab = revived
    assert lab.send("frontend", ALLOWED).status == 200
    lab.authz.kill()
    assert lab.send("frontend", ALLOWED).status == OUTAGE
    assert lab.send("intruder", ALLOWED).status == OUTAGE
    lab.authz.start()
    wait_until(lambda: lab.send("frontend", ALLOWED).status == 200, "Envoy reaches the restarted authz")
    assert lab.send("intruder", ALLOWED).status == 403


def test_a_kill_under_load_allows_nothing_that_was_not_decided(revived: Lab) -> None:
    lab = revived
    with BackgroundLoad(lab.port(), ALLOWED, lab.context("intruder")) as load:
        wait_until(lambda: load.answered > 100, "the load runs")
        lab.authz.kill()
        seen = load.answered
        wait_until(lambda: load.answered > seen + 100, "the load goes on without authz")
    assert load.result.failures == []
    assert set(load.result.statuses) == {403, OUTAGE}


def test_sigterm_ends_it_with_exit_code_0(revived: Lab) -> None:
    revived.authz.terminate()
    assert revived.authz.process.wait() == 0


@pytest.fixture
def pair(lab: Lab, check_ports: dict[str, list[int]]) -> Iterator[list[AuthzProcess]]:
    """Two `authz` behind one Envoy cluster."""
    both = [AuthzProcess([lab.policies], lab.directory, name=f"pair-{port}", port=port) for port in check_ports[names.PAIR]]
    try:
        start_all(both)
        yield both
    finally:
        for one in both:
            one.stop()


def test_replacing_two_replicas_one_after_the_other_fails_no_request(lab: Lab, pair: list[AuthzProcess]) -> None:
    wait_until(partial(has_healthy, lab, 2), "Envoy knows both replicas")
    with BackgroundLoad(lab.port(names.PAIR), ALLOWED, lab.context("frontend")) as load:
        for one in pair:
            wait_until(lambda: min(map(decided, pair)) > 50, "both replicas decide")
            one.terminate()
            assert one.process.wait() == 0
            wait_until(partial(has_healthy, lab, 1), "Envoy knows that one is gone")
            wait_until(partial(has_answered, load, load.answered + 100), "the other replica decides alone")
            one.start()
            wait_until(partial(has_healthy, lab, 2), "Envoy knows that it is back")
    assert load.result.failures == []
    assert set(load.result.statuses) == {200}


def has_answered(load: BackgroundLoad, requests: int) -> bool:
    return load.answered > requests


def has_healthy(lab: Lab, replicas: int) -> bool:
    return lab.envoy.stat(f"cluster.{names.PAIR}.membership_healthy") == replicas


def decided(replica: AuthzProcess) -> float:
    return replica.metric("authz_decisions_total", outcome="allow")
