"""`authz serve`: flags and configuration file → `Config`, then the process runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

import click

from authz import app
from authz.config import read_config
from authz.identity import XfccMode

# Flag → field of the configuration. A flag that was not given leaves the field to the file, else to its default.
_FIELDS: Final = {
    "paths": "policies",
    "addr": "addr",
    "admin_addr": "admin_addr",
    "transport": "transport",
    "workers": "workers",
    "entrypoint": "entrypoint",
    "v0_compatible": "v0_compatible",
    "xfcc_mode": "identity.xfcc_mode",
    "trusted_proxy": "identity.trusted_proxies",
    "cache_ttl": "cache.ttl_s",
    "cache_allow_ttl": "cache.allow_ttl_s",
    "cache_size": "cache.size",
    "log_format": "log.format",
    "log_level": "log.level",
}


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="Configuration, YAML or JSON; flags win over it."
)
@click.option("--addr", multiple=True, metavar="HOST:PORT|unix:PATH", help="Serve checks here; repeatable.  [default: 127.0.0.1:9191]")
@click.option("--admin-addr", metavar="HOST:PORT", help="Serve metrics, health and status here.  [default: 127.0.0.1:8181]")
@click.option("--transport", type=click.Choice(["ngh2", "grpcio"]), help="The gRPC server.  [default: ngh2]")
@click.option("--workers", type=int, metavar="N", help="Processes that answer checks.  [default: 1]")
@click.option("--entrypoint", metavar="PATH", help="The rule that decides.  [default: envoy/authz/allow]")
@click.option("--v0-compatible", is_flag=True, default=None, help="Read policies as Rego v0.")
@click.option(
    "--xfcc-mode", type=click.Choice([mode.value for mode in XfccMode]), help="What Envoy does with XFCC.  [default: append_forward]"
)
@click.option("--trusted-proxy", multiple=True, metavar="SPIFFE_ID", help="May vouch for the hops before it; repeatable.")
@click.option("--cache-ttl", type=float, metavar="SECONDS", help="How long a denial is remembered.  [default: 5]")
@click.option("--cache-allow-ttl", type=float, metavar="SECONDS", help="How long what was allowed is remembered.  [default: 0, not at all]")
@click.option("--cache-size", type=int, metavar="N", help="How many decisions are remembered; 0 for none.  [default: 8192]")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="Format of log lines.  [default: text]")
@click.option("--log-level", type=click.Choice(["debug", "info", "warn", "error"]), help="Lowest level logged.  [default: info]")
def serve(config_file: Path | None, **given: Any) -> None:
    """Answer Envoy's ext_authz checks from the policies at PATH (directories or files)."""
    flags = {_FIELDS[name]: value for name, value in given.items() if value not in (None, ())}
    sys.exit(app.run(read_config(config_file, flags, os.environ)))
