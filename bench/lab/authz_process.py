"""`authz serve` as a real process: the console script, a socket, signals.

Knows the command line and the admin endpoints, nothing inside the process.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.lab.client import Request, get_json, send
from bench.lab.ports import LOOPBACK, free_port
from bench.lab.process import ManagedProcess
from bench.lab.waiting import wait_until

SCRIPT: Final = Path(sys.executable).with_name("authz")


class AuthzProcess:
    """One `authz serve`; it keeps its ports over `kill` and `start`."""

    def __init__(
        self, policies: Sequence[Path], directory: Path, options: Sequence[str] = (), *, name: str = "authz", port: int | None = None
    ) -> None:
        self.port = port or free_port()
        self.admin_port = free_port()
        self._name = name
        self._log = directory / f"{name}.log"
        addresses = ["--addr", f"{LOOPBACK}:{self.port}", "--admin-addr", f"{LOOPBACK}:{self.admin_port}"]
        self._command = [str(SCRIPT), "serve", *map(str, policies), *addresses, *options]
        self._process: ManagedProcess | None = None

    @property
    def process(self) -> ManagedProcess:
        """Return the running process; raise RuntimeError before `start`."""
        if self._process is None:
            raise RuntimeError(f"{self._name} was not started")
        return self._process

    def start(self) -> None:
        """Start it and wait until it decides."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start it and return at once; `wait_until_ready` is the other half of `start`."""
        self._process = ManagedProcess(self._name, self._command, self._log)

    def wait_until_ready(self) -> None:
        """Return once it decides."""
        wait_until(self._is_ready, f"{self._name} is ready")

    def kill(self) -> None:
        """End it as a crash would: SIGKILL, nothing drained."""
        self.process.kill()

    def terminate(self) -> None:
        """Send SIGTERM and return at once; `process.wait()` gives the exit code."""
        self.process.signal(signal.SIGTERM)

    def stop(self) -> None:
        """End it whatever its state; harmless when it was never started or is gone."""
        if self._process is not None and self._process.is_running:
            self._process.stop()

    def active(self) -> Mapping[str, Any]:
        """Return what `/v1/policy/active` says."""
        return get_json(self.admin_port, "/v1/policy/active")[1]

    def revision(self) -> str:
        """Return the revision of the active policy, empty when there is none."""
        return str(self.active().get("revision") or "")

    def refresh_error(self) -> str | None:
        """Return why the last attempt to refresh the policy failed, None when it did not."""
        errors = [source["error"] for source in self.active().get("sources", []) if source["error"]]
        return str(errors[0]["message"]) if errors else None

    def wait_for_refresh_error(self) -> str:
        """Return why the policy could not be refreshed, as soon as it could not."""
        return wait_until(self.refresh_error, f"{self._name} refuses a policy")

    def wait_until_healthy(self) -> None:
        """Return once the last attempt to refresh the policy succeeded."""
        wait_until(lambda: self.refresh_error() is None, f"{self._name} accepts the policy")

    def wait_for_revision(self, revision: str) -> None:
        """Return once this revision is active."""
        wait_until(lambda: self.revision() == revision, f"{self._name} activates {revision}")

    def wait_for_other_revision(self, before: str) -> str:
        """Return the revision that replaced `before`, as soon as it did."""

        def changed() -> str | None:
            self.process.require_running()
            now = self.revision()
            return now if now != before else None

        return wait_until(changed, f"{self._name} activates another revision than {before}")

    def change_bundles(self, change: str) -> None:
        """Have an operator's change of its bundles made: `rollback`, `pin`, `unpin`. Raises RuntimeError if it is refused."""
        request = Request("POST", f"/v1/bundles/{change}", [("content-type", "application/json")], b"{}")
        answer = send(self.admin_port, request, None)
        if answer.status != 200:
            raise RuntimeError(f"{self._name} refuses {change}: {answer.body}")

    def metrics(self) -> str:
        """Return the Prometheus page."""
        return send(self.admin_port, Request(path="/metrics"), None).body

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of `name` that carry these labels, 0.0 when there are none."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        lines = [line for line in self.metrics().splitlines() if line.partition("{")[0].partition(" ")[0] == name]
        return sum(float(line.rpartition(" ")[2]) for line in lines if all(label in line for label in wanted))

    def histogram(self, name: str) -> dict[float, float]:
        """Return the counts of a histogram without labels, by the upper bounds of its buckets; each counts those below, too."""
        found = (
            line.removeprefix(f'{name}_bucket{{le="').split('"} ')
            for line in self.metrics().splitlines()
            if line.startswith(f"{name}_bucket")
        )
        return {float(bound): float(count) for bound, count in found}

    def _is_ready(self) -> bool:
        self.process.require_running()
        try:
            return send(self.admin_port, Request(path="/ready"), None).status == 200
        except OSError:
            return False


def start_all(processes: Sequence[AuthzProcess]) -> None:
    """Start them at the same time and wait until all decide."""
    for process in processes:
        process.launch()
    for process in processes:
        process.wait_until_ready()
