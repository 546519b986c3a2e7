"""`http.send` in the whole process, as operators run it: off by default, configured, bounded, seen in metrics, reloaded and drained."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.lab.waiting import wait_until
from tests.outbound.threaded import ThreadedUpstream, threaded_upstream
from tests.serving import ALLOW_GET, Serving, replace_atomically, run_authz, serving, write

ALLOWED, DENIED = 0, 7
PATIENCE_S = 30.0

POLICY = """package envoy.authz

default allow := false

allow if http.send({"method": "get", "url": sprintf("URL%s", [input.attributes.request.http.path])}).body.allow
"""


@contextmanager
def scene(tmp_path: Path, config: str, *flags: str, opened: threading.Event | None = None) -> Iterator[tuple[Serving, ThreadedUpstream]]:
    """Run `authz serve` with a policy that asks a server, which answers once it may; `ADDRESS` in the configuration is the server's."""

    def answer(path: str) -> tuple[int, bytes]:
        if opened is not None:
            opened.wait(PATIENCE_S)
        return 200, b'{"allow": true}' if path == "/good" else b'{"allow": false}'

    with threaded_upstream(answer) as server:
        policies = write(tmp_path / "policies", {"p.rego": POLICY.replace("URL", server.url)})
        write(tmp_path, {"authz.yaml": config.replace("ADDRESS", server.address)})
        with serving(tmp_path / "log", "--config", tmp_path / "authz.yaml", *flags, policies) as authz:
            authz.wait_ready()
            yield authz, server


ENABLED = 'http_send: {allow_hosts: ["ADDRESS"], allow_http: true}\n'


@pytest.mark.parametrize("transport", ["ngh2", "grpcio"])
def test_a_policy_asks_a_host_that_is_configured(tmp_path: Path, transport: str) -> None:
    with scene(tmp_path, ENABLED, "--transport", transport) as (authz, server):
        assert [authz.check(path=path) for path in ("/good", "/bad")] == [ALLOWED, DENIED]
        assert server.asked == ["/good", "/bad"]
        assert authz.metric('authz_http_send_requests_total{outcome="ok"}') == 2
        assert authz.metric('authz_http_send_cache_lookups_total{result="bypass"}') == 2
        assert authz.metric("authz_http_send_duration_seconds_count") == 2
        assert authz.metric('authz_decisions_total{outcome="allow",reason="allowed"}') == 1


@pytest.mark.parametrize(
    "config", ["drain_s: 1\n", "http_send: {allow_http: true}\n", 'http_send: {allow_hosts: ["other.test"], allow_http: true}\n']
)
def test_a_policy_asks_nobody_else(tmp_path: Path, config: str) -> None:
    with scene(tmp_path, config) as (authz, server):
        assert authz.check(path="/good") == DENIED
        assert server.asked == []
        assert len(authz.lines("the policy calls http.send, which fails")) == ("other.test" not in config)


def test_a_reload_does_not_touch_a_check_that_waits(tmp_path: Path) -> None:
    opened = threading.Event()
    with scene(tmp_path, ENABLED, opened=opened) as (authz, _), ThreadPoolExecutor(1) as pool:
        before = authz.revision()
        check = pool.submit(authz.check, "POST", "/good")
        wait_until(lambda: authz.metric("authz_http_send_waiting_checks") == 1, "the check waits")
        assert authz.metric("authz_http_send_in_flight") == 1
        replace_atomically(tmp_path / "policies" / "p.rego", ALLOW_GET)
        wait_until(lambda: authz.revision() != before, "the edit is active")
        assert authz.check("POST", "/good") == DENIED
        opened.set()
        assert check.result(PATIENCE_S) == ALLOWED


def test_a_stop_waits_for_a_check_that_waits(tmp_path: Path) -> None:
    opened = threading.Event()
    with scene(tmp_path, ENABLED, opened=opened) as (authz, _), ThreadPoolExecutor(1) as pool:
        check = pool.submit(authz.check, "GET", "/good")
        wait_until(lambda: authz.metric("authz_http_send_waiting_checks") == 1, "the check waits")
        authz.signal(signal.SIGTERM)
        wait_until(lambda: authz.get("/ready")[0] == 503, "draining")
        opened.set()
        assert check.result(PATIENCE_S) == ALLOWED
        assert authz.wait() == 0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("http_send: {allow_hosts: ['https://a.test']}", "field `http_send.allow_hosts`: `https://a.test` is not a host"),
        ("http_send: {allow_hosts: ['*']}", "field `http_send.allow_hosts`: `*` is not a host"),
        ("http_send: {allow_hosts: a.test}", "field `http_send.allow_hosts`: expected `array`, got `str`"),
        ("http_send: {timeout_s: 0}", "field `http_send.timeout_s`: expected `float` > 0"),
        ("http_send: {max_requests_per_check: 0}", "field `http_send.max_requests_per_check`: expected `int` >= 1"),
        ("http_send: {allow_host: [a.test]}", "unknown field `http_send.allow_host`"),
    ],
)
def test_a_mistake_in_the_configuration_is_one_message(tmp_path: Path, config: str, message: str) -> None:
    write(tmp_path, {"authz.yaml": config, "policies/p.rego": ALLOW_GET})
    done = run_authz("serve", "--config", tmp_path / "authz.yaml", tmp_path / "policies")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
