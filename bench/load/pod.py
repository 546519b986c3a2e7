"""The lab as a pod: Envoy, `authz`, upstream and load in one network namespace, as `bench/docker-compose.yaml` starts them.

python -m bench.load.pod prepare DIR            writes certificates and Envoy's configuration
python -m bench.load.pod drive DIR [--rate N]   sends requests at a constant rate and prints latencies, until it is ended
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

import yaml

from bench.demo.rows import ENVOY_ID, FRONTEND, ORDER
from bench.lab.client import tls_context
from bench.lab.envoy import load_template
from bench.lab.envoy_config import Surroundings, checked_listener, fit
from bench.lab.pki import Authority, Credential
from bench.load import pace
from bench.load.http import paced_http
from bench.load.pace import for_seconds, latencies

ENVOY_PORT: Final = 8443
AUTHZ_PORT: Final = 9191
UPSTREAM_PORT: Final = 8080
CONFIGURATION: Final = "envoy.yaml"
_AUTHORITY: Final = "ca.pem"
_CALLER: Final = "caller"
_REPORT_S: Final = 10.0


def prepare(directory: Path) -> None:
    """Write what Envoy and the load need: a CA, their certificates, and the configuration that users copy, fitted to the pod."""
    authority = Authority(directory, "pod root")
    around = Surroundings(
        authority=authority.certificate,
        credential=authority.issue("envoy", ENVOY_ID, is_server=True),
        authz_ports=[AUTHZ_PORT],
        upstream_port=UPSTREAM_PORT,
    )
    config = fit(load_template(), around)
    checked_listener(config)["address"]["socket_address"]["port_value"] = ENVOY_PORT
    (directory / CONFIGURATION).write_text(yaml.safe_dump(config, sort_keys=False))
    issued = authority.issue(_CALLER, FRONTEND)
    issued.certificate.rename(directory / f"{_CALLER}.pem")
    issued.key.rename(directory / f"{_CALLER}.key")


def drive(directory: Path, rate: float) -> None:
    """Send the order of the example policy again and again; print a line of JSON every ten seconds."""
    caller = Credential(directory / f"{_CALLER}.pem", directory / f"{_CALLER}.key", FRONTEND)
    context = tls_context(directory / _AUTHORITY, caller)
    while True:
        paced = pace.run(paced_http(ENVOY_PORT, ORDER, context, rate, for_seconds(_REPORT_S)))
        print(json.dumps({"rate": rate, **latencies(paced.answers)}), flush=True)


def main(arguments: list[str]) -> int:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(prog="python -m bench.load.pod", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("command", choices=["prepare", "drive"])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--rate", type=float, default=1000.0, help="requests a second (default: 1000)")
    options = parser.parse_args(arguments)
    if options.command == "prepare":
        prepare(options.directory)
    else:
        drive(options.directory, options.rate)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
