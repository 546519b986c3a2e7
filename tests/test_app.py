"""The whole process, as operators run it: start, serve, reload, drain, and every way in which each can fail."""

from __future__ import annotations

import shutil
import signal
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Self

import grpc
import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from grpc_health.v1 import health_pb2
from h2.config import H2Configuration
from h2.connection import H2Connection
from hyperframe.frame import DataFrame, Frame

from bench.lab.waiting import wait_until
from tests.serving import ALLOW_GET, ALLOW_POST, Serving, check_request, replace_atomically, run_authz, serving, write

ALLOWED, DENIED = 0, 7


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return write(tmp_path / "policies", {"authz.rego": ALLOW_GET})


@pytest.fixture
def authz(tmp_path: Path, policies: Path) -> Iterator[Serving]:
    with serving(tmp_path / "log", policies) as process:
        process.wait_ready()
        yield process


def test_it_answers_checks_from_the_policy(authz: Serving) -> None:
    assert authz.check("GET") == ALLOWED
    assert authz.check("POST") == DENIED
    assert authz.metric('authz_decisions_total{outcome="allow",reason="allowed"}') == 1
    assert authz.metric('authz_decisions_total{outcome="deny",reason="denied"}') == 1
    assert authz.metric("authz_check_duration_seconds_count") == 2


def test_the_grpcio_transport_answers_the_same(tmp_path: Path, policies: Path) -> None:
    with serving(tmp_path / "log", policies, "--transport", "grpcio") as authz:
        authz.wait_ready()
        assert [authz.check("GET"), authz.check("POST")] == [ALLOWED, DENIED]
        authz.signal(signal.SIGTERM)
        assert authz.wait() == 0


def test_it_serves_on_a_unix_socket_and_removes_it(tmp_path: Path, policies: Path) -> None:
    path = tmp_path / "authz.sock"
    with serving(tmp_path / "log", policies, addr=[f"unix://{path}"]) as authz:
        authz.wait_ready()
        assert authz.check("GET") == ALLOWED
        authz.signal(signal.SIGTERM)
        assert authz.wait() == 0
    assert not path.exists()


def test_several_addresses_serve_the_same_policy(tmp_path: Path, policies: Path) -> None:
    with serving(tmp_path / "log", policies, addr=["127.0.0.1:0", f"unix://{tmp_path}/authz.sock"]) as authz:
        authz.wait_ready()
        assert len(authz.addresses) == 2
        assert authz.check("GET") == ALLOWED
        authz.addresses.reverse()
        assert authz.check("GET") == ALLOWED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_drains_and_ends_with_zero(authz: Serving, number: signal.Signals) -> None:
    authz.signal(number)
    assert authz.wait() == 0
    assert [len(authz.lines("draining")), len(authz.lines("stopped"))] == [1, 1]


def test_a_stop_signal_during_the_first_compile_ends_with_zero(tmp_path: Path, policies: Path) -> None:
    with serving(tmp_path / "log", policies) as authz:
        authz.signal(signal.SIGTERM)  # sent as soon as it listens; the compiler needs longer than that to start
        assert authz.wait() == 0


def test_a_call_in_flight_is_answered_during_the_drain(authz: Serving) -> None:
    with HalfSentCheck(authz) as call:
        authz.signal(signal.SIGTERM)
        wait_until(lambda: authz.get("/ready")[0] == 503, "draining")
        assert authz.metric("authz_draining") == 1
        call.send_the_rest()
        assert call.answer().status.code == ALLOWED
    assert authz.wait() == 0


def test_a_second_stop_signal_does_not_wait_for_calls_in_flight(authz: Serving) -> None:
    with HalfSentCheck(authz):
        authz.signal(signal.SIGTERM)
        wait_until(lambda: authz.get("/ready")[0] == 503, "draining")
        authz.signal(signal.SIGTERM)
        assert authz.wait() == 1


class HalfSentCheck:
    """A check on a raw connection of which the message has not been sent yet."""

    def __init__(self, authz: Serving) -> None:
        host, _, port = authz.addresses[0].rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=30)
        self._http2 = H2Connection(H2Configuration(client_side=True))
        self._http2.initiate_connection()
        pseudo = {":method": "POST", ":scheme": "http", ":authority": "x", ":path": "/envoy.service.auth.v3.Authorization/Check"}
        self._http2.send_headers(1, [*pseudo.items(), ("te", "trailers"), ("content-type", "application/grpc")])
        self._flush()
        wait_until(lambda: authz.metric("authz_checks_in_flight") == 1, "the call is in flight")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send_the_rest(self) -> None:
        message = check_request("GET", "/")
        self._http2.send_data(1, b"\0" + len(message).to_bytes(4, "big") + message, end_stream=True)
        self._flush()

    def answer(self) -> CheckResponse:
        """Read frames until the call has ended (h2 itself takes nothing more from a connection that goes away)."""
        body, stream = b"", self._socket.makefile("rb")
        while header := stream.read(9):
            frame, length = Frame.parse_frame_header(memoryview(header))
            frame.parse_body(memoryview(stream.read(length)))
            if isinstance(frame, DataFrame):
                body += frame.data
            if frame.stream_id == 1 and "END_STREAM" in frame.flags:
                return CheckResponse.FromString(body[5:])
        raise AssertionError("the connection ended without an answer")

    def _flush(self) -> None:
        self._socket.sendall(self._http2.data_to_send())


def test_an_edit_takes_effect_without_a_restart(authz: Serving, policies: Path) -> None:
    before = authz.revision()
    replace_atomically(policies / "authz.rego", ALLOW_POST)
    wait_until(lambda: authz.revision() != before, "the edit is active")
    assert [authz.check("GET"), authz.check("POST")] == [DENIED, ALLOWED]
    assert authz.metric('authz_policy_refreshes_total{outcome="activated"}') == 2


def test_a_new_data_file_takes_effect(tmp_path: Path) -> None:
    rego = "package envoy.authz\n\ndefault allow := false\n\nallow if input.attributes.request.http.method in data.methods\n"
    policies = write(tmp_path / "policies", {"authz.rego": rego, "data.json": '{"methods": ["GET"]}'})
    with serving(tmp_path / "log", policies) as authz:
        authz.wait_ready()
        assert [authz.check("GET"), authz.check("PUT")] == [ALLOWED, DENIED]
        (policies / "data.json").write_text('{"methods": ["PUT"]}')
        authz.wait_for_line("policy activated", 2)
        assert [authz.check("GET"), authz.check("PUT")] == [DENIED, ALLOWED]


def test_a_broken_edit_keeps_the_old_policy_and_shows(authz: Serving, policies: Path) -> None:
    before = authz.revision()
    (policies / "authz.rego").write_text(ALLOW_GET + "allow if {")
    line = authz.wait_for_line("policy not activated")
    assert line["code"] == "policy_compile"
    assert "authz.rego:6" in line["error"]
    assert [authz.check("GET"), authz.revision()] == [ALLOWED, before]

    status, body = authz.get("/health?bundles")
    assert status == 500
    assert "authz.rego:6" in body["sources"][0]["error"]["message"]
    assert authz.get("/health") == (200, {})
    assert authz.get("/ready")[0] == 200
    assert authz.metric("authz_policy_last_refresh_ok") == 0
    assert authz.metric('authz_policy_refreshes_total{outcome="policy_compile"}') >= 1


def test_a_broken_edit_is_said_once_however_often_it_is_tried(authz: Serving, policies: Path) -> None:
    (policies / "authz.rego").write_text("nonsense")
    authz.wait_for_line("policy not activated")
    for _ in range(2):
        before = compile_failures(authz)
        authz.signal(signal.SIGHUP)
        wait_until(partial(compile_failures_exceed, authz, before), "another attempt")
    assert len(authz.lines("policy not activated")) == 1
    (policies / "authz.rego").write_text("other nonsense")
    authz.wait_for_line("policy not activated", 2)


def compile_failures(authz: Serving) -> float:
    return authz.metric('authz_policy_refreshes_total{outcome="policy_compile"}')


def compile_failures_exceed(authz: Serving, count: float) -> bool:
    return compile_failures(authz) > count


def test_taking_a_broken_edit_back_makes_the_status_good_again(authz: Serving, policies: Path) -> None:
    before = authz.revision()
    (policies / "authz.rego").write_text("nonsense")
    authz.wait_for_line("policy not activated")
    (policies / "authz.rego").write_text(ALLOW_GET)
    wait_until(lambda: authz.get("/health?bundles")[0] == 200, "the status is good")
    assert authz.revision() == before
    assert authz.metric('authz_policy_refreshes_total{outcome="activated"}') == 1


def test_hangup_reloads_without_watching(tmp_path: Path, policies: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"policies: [{policies}]\nreload: {{watch: false}}\n")
    with serving(tmp_path / "log", "--config", config) as authz:
        authz.wait_ready()
        (policies / "authz.rego").write_text(ALLOW_POST)
        authz.signal(signal.SIGHUP)
        authz.wait_for_line("policy activated", 2)
        assert authz.check("POST") == ALLOWED


def test_hangup_without_a_change_activates_nothing(authz: Serving) -> None:
    authz.signal(signal.SIGHUP)
    wait_until(lambda: authz.metric('authz_policy_refreshes_total{outcome="unchanged"}') == 1, "the attempt is over")
    assert authz.metric('authz_policy_refreshes_total{outcome="activated"}') == 1


def test_a_directory_that_is_deleted_and_made_anew_is_followed(authz: Serving, policies: Path) -> None:
    shutil.rmtree(policies)
    line = authz.wait_for_line("policy not activated")
    assert line["code"] == "policy_source"
    assert authz.check("GET") == ALLOWED
    write(policies, {"authz.rego": ALLOW_POST})
    authz.wait_for_line("policy activated", 2)
    assert authz.check("POST") == ALLOWED
    replace_atomically(policies / "authz.rego", ALLOW_GET)
    authz.wait_for_line("policy activated", 3)


def test_a_kubernetes_config_map_swap_is_followed(tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    write(mount / "..2026_01", {"authz.rego": ALLOW_GET})
    write(mount / "..2026_02", {"authz.rego": ALLOW_POST})
    (mount / "..data").symlink_to("..2026_01")
    (mount / "authz.rego").symlink_to("..data/authz.rego")
    with serving(tmp_path / "log", mount) as authz:
        authz.wait_ready()
        assert authz.check("GET") == ALLOWED
        (mount / "..data_tmp").symlink_to("..2026_02")
        (mount / "..data_tmp").rename(mount / "..data")
        authz.wait_for_line("policy activated", 2)
        assert [authz.check("GET"), authz.check("POST")] == [DENIED, ALLOWED]


def test_an_undefined_decision_denies(tmp_path: Path) -> None:
    policies = write(
        tmp_path / "policies", {"authz.rego": 'package envoy.authz\n\nallow if input.attributes.request.http.method == "GET"\n'}
    )
    with serving(tmp_path / "log", policies) as authz:
        authz.wait_ready()
        assert authz.check("PUT") == DENIED
        assert authz.metric('authz_decisions_total{outcome="deny",reason="undefined"}') == 1


def test_the_active_policy_is_described(tmp_path: Path) -> None:
    grants = "".join(f'allow if {{ input.attributes.request.http.path == "/{n}" }}\n' for n in range(5))
    policies = write(tmp_path / "policies", {"authz.rego": f"package envoy.authz\n\ndefault allow := false\n\n{grants}"})
    with serving(tmp_path / "log", policies) as authz:
        authz.wait_ready()
        status, active = authz.get("/v1/policy/active")
        assert status == 200
        assert active["entrypoints"] == [{"name": "envoy/authz/allow", "rows": 5, "columns": 1, "cached": True}]
        assert active["sources"][0]["ok"] is True
        assert authz.metric('authz_policy_table_rows{entrypoint="envoy/authz/allow"}') == 5
        assert authz.metric(f'authz_policy_info{{entrypoint="envoy/authz/allow",revision="{active["revision"]}"}}') == 1


def test_the_grpc_health_service_follows_the_policy(authz: Serving) -> None:
    with grpc.insecure_channel(authz.addresses[0]) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, health_pb2.HealthCheckResponse] = channel.unary_unary(
            "/grpc.health.v1.Health/Check", None, health_pb2.HealthCheckResponse.FromString
        )
        for service in ("", "envoy.service.auth.v3.Authorization"):
            request = health_pb2.HealthCheckRequest(service=service).SerializeToString()
            assert call(request, timeout=10).status == health_pb2.HealthCheckResponse.SERVING


# ways not to start


def assert_fails(code: int, *texts: str, args: list[str | Path]) -> None:
    done = run_authz("serve", "--admin-addr", "127.0.0.1:0", *args)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if line.lower().startswith("error:")]
    assert len(errors) == 1
    assert all(text in done.stderr for text in texts)


def test_a_directory_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    assert_fails(2, "no/such/place: no such file or directory", args=["no/such/place"])


def test_a_directory_without_policies_is_an_error(tmp_path: Path) -> None:
    assert_fails(1, f"{tmp_path}: no `.rego` file", args=["--addr", "127.0.0.1:0", tmp_path])


def test_a_syntax_error_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    write(tmp_path, {"bad.rego": "package a\n\nallow if {\n"})
    assert_fails(1, "bad.rego:", "rego_parse_error", args=["--addr", "127.0.0.1:0", tmp_path])


def test_bad_data_is_an_error_that_names_the_place(tmp_path: Path) -> None:
    write(tmp_path, {"ok.rego": ALLOW_GET, "roles/data.json": '{"a": 1,\n "a": 2,}'})
    assert_fails(1, "roles/data.json:2:", "not valid JSON", args=["--addr", "127.0.0.1:0", tmp_path])


@pytest.mark.parametrize("transport", ["ngh2", "grpcio"])
def test_a_port_in_use_is_an_error(policies: Path, transport: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert_fails(
            2, f"cannot listen on `{address}`: address already in use", args=["--transport", transport, "--addr", address, policies]
        )


def test_an_admin_port_in_use_is_an_error(policies: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run_authz("serve", "--addr", "127.0.0.1:0", "--admin-addr", address, policies)
    assert done.returncode == 2
    assert f"cannot listen on `{address}`" in done.stderr


def test_a_directory_named_like_a_policy_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.rego").mkdir()
    assert_fails(1, "x.rego: is a directory, not a policy file", args=["--addr", "127.0.0.1:0", tmp_path])


def test_a_dangling_link_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.rego").symlink_to("nowhere.rego")
    assert_fails(1, "x.rego: no such file or directory", args=["--addr", "127.0.0.1:0", tmp_path])


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--addr", "localhost"], "address `localhost` has no port"),
        (["--no-such-flag"], "No such option"),
        (["--transport", "http"], "'http' is not one of"),
        (["--cache-ttl", "0"], "flags: field `cache.ttl_s`"),
        (["--cache-ttl", "inf"], "flags: field `cache.ttl_s`"),
        (["--cache-ttl", "nan"], "flags: field `cache.ttl_s`"),
        (["--trusted-proxy", "spiffe://UPPER/x"], "field `identity.trusted_proxies`"),
        (["--config", "no-such-file.yaml"], "no-such-file.yaml: no such file or directory"),
    ],
)
def test_a_bad_flag_is_a_usage_error(policies: Path, flags: list[str | Path], text: str) -> None:
    assert_fails(2, text, args=[*flags, policies])
