"""The lab's Envoy configuration, derived from the file that users copy.

Pure: takes the parsed `envoy/standalone-mtls.yaml`, replaces only what depends on
the machine (addresses, certificate paths, time limits) and adds listeners that
differ from the file's own in one named way. Starts nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.lab.pki import Credential
from bench.lab.ports import LOOPBACK

Config = dict[str, Any]

HCM: Final = "envoy.filters.network.http_connection_manager"
EXT_AUTHZ: Final = "envoy.filters.http.ext_authz"
CHECK_TIMEOUT: Final = "10s"
"""Instead of the file's: on a shared machine a check may wait seconds for a core, and that is not what the lab tests."""

HEALTH_CHECK: Final[Config] = {
    "timeout": "5s",
    "interval": "0.1s",
    "no_traffic_interval": "0.1s",
    "unhealthy_threshold": 1,
    "healthy_threshold": 1,
    "grpc_health_check": {"service_name": "envoy.service.auth.v3.Authorization"},
}
"""For replicas: one that listens but has no policy yet denies, so Envoy must not ask it before it says SERVING."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A listener like the file's own but for what is named here."""

    name: str
    is_checked: bool = True
    is_tls: bool = True
    requires_client_certificate: bool = True
    accepts_any_san: bool = False
    """Without the file's SAN matcher; with it Envoy also turns away who presents no certificate at all."""
    forward_client_cert: str | None = None
    cluster: str | None = None
    """Cluster that answers the checks, when it is not the file's."""
    validates_mutations: bool = True
    """As the file has it; Envoy 1.40 then refuses query values that need percent-encoding, encoded or not."""
    check_retries: int = 0
    """How often a check that reached no server is tried again; Envoy's default is never."""
    checks_per_connection: int = 0
    """After how many checks a variant with its own cluster opens another connection, which another worker may get; 0 is never."""
    response_headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of every response, also of denials, that Envoy makes; values are its format strings."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the configuration is to be fitted into; `clusters` maps the name of an extra check cluster to its ports."""

    authority: Path
    credential: Credential
    authz_ports: Sequence[int]
    upstream_port: int
    variants: Sequence[Variant] = ()
    clusters: Mapping[str, Sequence[int]] = field(default_factory=dict)


def fit(template: Config, around: Surroundings) -> Config:
    """Return the configuration for these surroundings; every listener gets a port from the kernel."""
    config = copy.deepcopy(template)
    resources = config["static_resources"]
    main = checked_listener(config)
    check_cluster = _check_service(main)["envoy_grpc"]["cluster_name"]
    config["admin"] = {"address": _address(0)}
    _replace_certificates(config, around)
    for cluster in resources["clusters"]:
        ports = around.authz_ports if cluster["name"] == check_cluster else [around.upstream_port]
        _set_endpoints(cluster, ports)
    original = next(cluster for cluster in resources["clusters"] if cluster["name"] == check_cluster)
    limits = {variant.cluster: variant.checks_per_connection for variant in around.variants}
    resources["clusters"] += [_cluster_like(original, name, ports, limits.get(name, 0)) for name, ports in around.clusters.items()]
    _check_service(main)["timeout"] = CHECK_TIMEOUT
    resources["listeners"] = [_listener_like(main, variant) for variant in (Variant(main["name"]), *around.variants)]
    return config


def checked_listener(config: Config) -> Config:
    """Return the listener that has the ext_authz filter; raise ValueError when there is none."""
    for listener in config["static_resources"]["listeners"]:
        if any(True for _ in _filters(listener, EXT_AUTHZ)):
            found: Config = listener
            return found
    raise ValueError(f"no listener with {EXT_AUTHZ} in the configuration")


def connection_managers(listener: Config) -> Iterator[Config]:
    """Yield the HTTP connection managers of a listener."""
    for chain in listener["filter_chains"]:
        for network_filter in chain["filters"]:
            if network_filter["name"] == HCM:
                yield network_filter["typed_config"]


def _filters(listener: Config, name: str) -> Iterator[Config]:
    for manager in connection_managers(listener):
        yield from (item for item in manager["http_filters"] if item["name"] == name)


def _check_service(listener: Config) -> Config:
    service: Config = next(_filters(listener, EXT_AUTHZ))["typed_config"]["grpc_service"]
    return service


def _listener_like(main: Config, variant: Variant) -> Config:
    listener: Config = copy.deepcopy(main)
    listener["name"] = variant.name
    listener["address"] = _address(0)
    if variant.cluster is not None:
        _check_service(listener)["envoy_grpc"]["cluster_name"] = variant.cluster
    if variant.check_retries:
        _check_service(listener)["retry_policy"] = _retry_policy(variant.check_retries)
    if not variant.validates_mutations:
        next(_filters(listener, EXT_AUTHZ))["typed_config"]["validate_mutations"] = False
    for manager in connection_managers(listener):
        manager["stat_prefix"] = variant.name
        if not variant.is_checked:
            manager["http_filters"] = [item for item in manager["http_filters"] if item["name"] != EXT_AUTHZ]
        if variant.forward_client_cert is not None:
            manager["forward_client_cert_details"] = variant.forward_client_cert
        if variant.response_headers:
            manager["route_config"]["response_headers_to_add"] = [
                {"header": {"key": name, "value": value}} for name, value in variant.response_headers.items()
            ]
    _set_transport(listener, variant)
    return listener


def _retry_policy(retries: int) -> Config:
    """Return a policy that repeats only checks that nobody answered, on another host if there is one."""
    previous = "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
    avoid = {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": {"@type": previous}}
    back_off = {"base_interval": "0.005s", "max_interval": "0.05s"}  # by default up to a second, longer than a check may take
    return {
        "retry_on": "connect-failure,refused-stream,reset,unavailable",
        "num_retries": retries,
        "retry_host_predicate": [avoid],
        "retry_back_off": back_off,
    }


def _set_transport(listener: Config, variant: Variant) -> None:
    for chain in listener["filter_chains"]:
        if not variant.is_tls:
            del chain["transport_socket"]
            continue
        tls = chain["transport_socket"]["typed_config"]
        tls["require_client_certificate"] = variant.requires_client_certificate
        if variant.accepts_any_san:
            tls["common_tls_context"]["validation_context"].pop("match_typed_subject_alt_names", None)


def _cluster_like(original: Config, name: str, ports: Sequence[int], checks_per_connection: int) -> Config:
    cluster = {**copy.deepcopy(original), "name": name}
    if checks_per_connection:
        for options in cluster["typed_extension_protocol_options"].values():
            options["common_http_protocol_options"] = {"max_requests_per_connection": checks_per_connection}
    # Envoy allows three retries at a time by default, fewer than a load has connections.
    cluster["circuit_breakers"] = {"thresholds": [{"max_retries": 1000}]}
    if len(ports) > 1:
        cluster["health_checks"] = [HEALTH_CHECK]
        cluster["common_lb_config"] = {"update_merge_window": "0s"}  # by default its workers hear of health up to a second late
    _set_endpoints(cluster, ports)
    return cluster


def _set_endpoints(cluster: Config, ports: Sequence[int]) -> None:
    endpoints = [{"endpoint": {"address": _address(port)}} for port in ports]
    cluster["load_assignment"] = {"cluster_name": cluster["name"], "endpoints": [{"lb_endpoints": endpoints}]}


def _replace_certificates(config: Config, around: Surroundings) -> None:
    paths = {
        "certificate_chain": around.credential.certificate,
        "private_key": around.credential.key,
        "trusted_ca": around.authority,
    }
    for node in _objects(config):
        for key, path in paths.items():
            if isinstance(node.get(key), dict) and "filename" in node[key]:
                node[key] = {"filename": str(path)}


def _objects(node: Any) -> Iterator[Config]:
    if isinstance(node, dict):
        yield node
    if isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _objects(child)


def _address(port: int) -> Config:
    return {"socket_address": {"address": LOOPBACK, "port_value": port}}
