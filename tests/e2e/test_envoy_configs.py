"""The configuration files that users copy: read by the real Envoy, and closed where they must be closed."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.lab.client import Request, send, tls_context
from bench.lab.envoy import BINARY, Envoy
from bench.lab.envoy_config import Surroundings, fit
from bench.lab.pki import Authority, Credential
from bench.lab.ports import free_port

Config = dict[str, Any]

FOLDER = Path(__file__).resolve().parents[2] / "envoy"
BOOTSTRAPS = sorted(path for path in FOLDER.rglob("*.yaml") if "static_resources:" in path.read_text())
PIPE = {"pipe": {"path": "/run/authz/authz.sock"}}


def documents(path: Path) -> list[Config]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document is not None]


def bootstrap(path: Path) -> Config:
    (document,) = documents(path)
    return document


def manager(config: Config) -> Config:
    (listener,) = config["static_resources"]["listeners"]
    typed_config: Config = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return typed_config


def ext_authz(config: Config) -> Config:
    (found,) = (item["typed_config"] for item in manager(config)["http_filters"] if item["name"] == "envoy.filters.http.ext_authz")
    typed_config: Config = found
    return typed_config


def tls(config: Config) -> Config:
    typed_config: Config = config["static_resources"]["listeners"][0]["filter_chains"][0]["transport_socket"]["typed_config"]
    return typed_config


def validation_context(config: Config) -> Config:
    context: Config = tls(config)["common_tls_context"]["validation_context"]
    return context


def cluster(config: Config, name: str) -> Config:
    (found,) = (item for item in config["static_resources"]["clusters"] if item["name"] == name)
    typed: Config = found
    return typed


def endpoint(config: Config, name: str) -> Config:
    found: Config = cluster(config, name)["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    return found


def with_real_files(config: Config, authority: Authority, server: Credential) -> Config:
    tls(config)["common_tls_context"]["tls_certificates"] = [
        {"certificate_chain": {"filename": str(server.certificate)}, "private_key": {"filename": str(server.key)}}
    ]
    validation_context(config)["trusted_ca"] = {"filename": str(authority.certificate)}
    return config


def validate(config: Config, directory: Path) -> subprocess.CompletedProcess[str]:
    path = directory / "envoy.yaml"
    path.write_text(yaml.safe_dump(config))
    return subprocess.run([BINARY, "--mode", "validate", "-c", path], capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"), "example root")


@pytest.fixture(scope="module")
def server(authority: Authority) -> Credential:
    return authority.issue("envoy", "spiffe://example.org/ns/shop/sa/shop", is_server=True)


def test_the_folder_holds_what_the_documentation_names() -> None:
    assert [path.relative_to(FOLDER).as_posix() for path in BOOTSTRAPS] == ["standalone-mtls.yaml"]
    assert not (FOLDER / "__init__.py").exists()


@pytest.mark.parametrize("path", BOOTSTRAPS, ids=lambda path: path.stem)
def test_the_real_envoy_accepts_every_bootstrap(path: Path, tmp_path: Path, authority: Authority, server: Credential) -> None:
    result = validate(with_real_files(bootstrap(path), authority, server), tmp_path)
    assert result.returncode == 0, result.stderr
    assert "deprecated" not in result.stderr.lower()


@pytest.mark.parametrize("path", BOOTSTRAPS, ids=lambda path: path.stem)
def test_the_real_envoy_accepts_the_unix_socket_and_the_body_variant(
    path: Path, tmp_path: Path, authority: Authority, server: Credential
) -> None:
    config = with_real_files(bootstrap(path), authority, server)
    endpoint(config, "authz")["address"] = PIPE
    ext_authz(config)["with_request_body"] = {"max_request_bytes": 16384, "allow_partial_message": True, "pack_as_bytes": True}
    result = validate(config, tmp_path)
    assert result.returncode == 0, result.stderr


def test_a_setting_that_envoy_does_not_know_is_noticed(tmp_path: Path, authority: Authority, server: Credential) -> None:
    config = with_real_files(bootstrap(BOOTSTRAPS[0]), authority, server)
    ext_authz(config)["failure_mode_deny"] = True
    assert validate(config, tmp_path).returncode != 0


@pytest.mark.parametrize("path", BOOTSTRAPS, ids=lambda path: path.stem)
def test_every_bootstrap_fails_closed(path: Path) -> None:
    config = bootstrap(path)
    check = ext_authz(config)
    assert check["failure_mode_allow"] is False
    assert check["status_on_error"] == {"code": "ServiceUnavailable"}
    assert check["transport_api_version"] == "V3"
    assert check["include_peer_certificate"] is True
    assert check["validate_mutations"] is True
    assert check["decoder_header_mutation_rules"] == {"disallow_system": True, "disallow_is_error": True}
    assert [item["name"].rpartition(".")[2] for item in manager(config)["http_filters"]] == ["ext_authz", "router"]
    assert "typed_per_filter_config" not in yaml.safe_dump(config)


@pytest.mark.parametrize("path", BOOTSTRAPS, ids=lambda path: path.stem)
def test_every_bootstrap_takes_identity_from_tls_and_one_spelling_of_a_path(path: Path) -> None:
    config = bootstrap(path)
    settings = manager(config)
    assert settings["forward_client_cert_details"] == "SANITIZE_SET"
    assert settings["set_current_client_cert_details"]["uri"] is True
    assert settings["normalize_path"] is True
    assert settings["merge_slashes"] is True
    assert settings["path_with_escaped_slashes_action"] in {"REJECT_REQUEST", "UNESCAPE_AND_REDIRECT"}
    assert settings["common_http_protocol_options"]["headers_with_underscores_action"] == "REJECT_REQUEST"
    assert tls(config)["require_client_certificate"] is True
    validation = validation_context(config)
    assert validation.get("trust_chain_verification", "VERIFY_TRUST_CHAIN") == "VERIFY_TRUST_CHAIN"
    for matcher in validation["match_typed_subject_alt_names"]:
        prefix = matcher["matcher"]["prefix"]
        assert matcher["san_type"] == "URI"
        assert prefix.startswith("spiffe://")
        assert prefix.endswith("/")


@pytest.mark.parametrize("path", BOOTSTRAPS, ids=lambda path: path.stem)
def test_the_names_that_programs_rely_on_are_there(path: Path) -> None:
    config = bootstrap(path)
    assert [listener["name"] for listener in config["static_resources"]["listeners"]] == ["ingress"]
    assert ext_authz(config)["grpc_service"]["envoy_grpc"]["cluster_name"] == "authz"
    for name in ("authz", "upstream"):
        assert endpoint(config, name)["address"]["socket_address"]["address"] == "127.0.0.1"
    assert config["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, authority: Authority, server: Credential) -> Iterator[int]:
    """The port of an Envoy with the file's own settings and nobody behind it: no authz, no upstream."""
    around = Surroundings(authority.certificate, server, authz_ports=[free_port()], upstream_port=free_port())
    envoy = Envoy(fit(bootstrap(FOLDER / "standalone-mtls.yaml"), around), tmp_path_factory.mktemp("envoy"))
    try:
        yield envoy.ports["ingress"]
    finally:
        envoy.stop()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (Request(path="/"), 503),
        (Request(path="/a/../b"), 503),
        (Request(path="/a%2Fb"), 400),
        (Request(path="/a%5Cb"), 400),
        (Request(path="/a%00"), 400),
        (Request(path="/", headers=[("x_user", "admin")]), 400),
    ],
    ids=lambda value: value.path if isinstance(value, Request) else None,
)
def test_without_authz_nothing_passes_and_ambiguous_requests_are_refused_before(
    alone: int, authority: Authority, request_: Request, status: int
) -> None:
    caller = authority.issue("caller", "spiffe://example.org/ns/web/sa/front")
    assert send(alone, request_, tls_context(authority.certificate, caller)).status == status


@pytest.mark.parametrize("spiffe_id", [None, "spiffe://example.org.evil.test/ns/web/sa/front", "spiffe://other.test/ns/web/sa/front"])
def test_a_certificate_of_another_trust_domain_ends_in_the_handshake(alone: int, authority: Authority, spiffe_id: str | None) -> None:
    caller = authority.issue("stranger", spiffe_id, dns=["stranger.example"])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        send(alone, Request(path="/"), tls_context(authority.certificate, caller))


def provider() -> Config:
    (mesh,) = documents(FOLDER / "istio" / "mesh-config.yaml")
    (found,) = mesh["spec"]["meshConfig"]["extensionProviders"]
    typed: Config = found
    return typed


def istio(kind: str) -> Config:
    (found,) = (item for item in documents(FOLDER / "istio" / "authorization-policy.yaml") if item["kind"] == kind)
    return found


def test_the_istio_provider_fails_closed_and_does_not_wait_for_ten_minutes() -> None:
    check = provider()["envoyExtAuthzGrpc"]
    assert check["failOpen"] is False
    assert check["statusOnError"] == "503"
    assert float(check["timeout"].removesuffix("s")) <= 1


def test_the_istio_policy_asks_the_provider_about_everything() -> None:
    policy = istio("AuthorizationPolicy")["spec"]
    assert policy["action"] == "CUSTOM"
    assert policy["provider"]["name"] == provider()["name"]
    assert policy["rules"] == [{}]


def test_the_istio_provider_finds_the_container_in_the_same_pod() -> None:
    entry, check = istio("ServiceEntry")["spec"], provider()["envoyExtAuthzGrpc"]
    assert check["service"] in entry["hosts"]
    assert check["port"] in [port["number"] for port in entry["ports"]]
    assert [port["protocol"] for port in entry["ports"]] == ["GRPC"]
    assert [item["address"] for item in entry["endpoints"]] == ["127.0.0.1"]
    assert f"127.0.0.1:{check['port']}" in sidecar()["args"]


def test_plain_text_callers_are_refused() -> None:
    assert istio("PeerAuthentication")["spec"]["mtls"]["mode"] == "STRICT"


def pod() -> Config:
    (deployment,) = documents(FOLDER / "kubernetes" / "sidecar.yaml")
    assert deployment["spec"]["selector"]["matchLabels"] == deployment["spec"]["template"]["metadata"]["labels"]
    spec: Config = deployment["spec"]["template"]["spec"]
    return spec


def sidecar() -> Config:
    (found,) = (container for container in pod()["containers"] if container["name"] == "authz")
    typed: Config = found
    return typed


def test_the_pod_runs_without_rights_it_does_not_need() -> None:
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert pod()["automountServiceAccountToken"] is False
    for container in pod()["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_sidecar_is_probed_on_its_admin_port_and_not_restarted_for_a_missing_policy() -> None:
    container = sidecar()
    (port,) = container["ports"]
    assert f"0.0.0.0:{port['containerPort']}" in container["args"]
    assert port["containerPort"] == 8181
    paths = {name: container[name]["httpGet"]["path"] for name in ("readinessProbe", "livenessProbe", "startupProbe")}
    assert paths == {"readinessProbe": "/ready", "livenessProbe": "/health", "startupProbe": "/health"}
    assert {container[name]["httpGet"]["port"] for name in paths} == {port["name"]}


def test_every_mounted_volume_exists_and_the_policies_are_read_only() -> None:
    volumes = {volume["name"] for volume in pod()["volumes"]}
    mounts = {mount["name"]: mount for mount in sidecar()["volumeMounts"]}
    assert mounts.keys() <= volumes
    assert mounts["policies"]["readOnly"] is True
    assert mounts["policies"]["mountPath"] in sidecar()["args"]
