"""One laboratory for the whole folder: real Envoy, `authz serve` as a process, real mTLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.lab import Lab, LabOptions
from bench.lab.bundles import REVISION_OF_METADATA
from bench.lab.envoy_config import Variant
from bench.lab.ports import free_port
from tests.e2e import names

GATE = (Path(__file__).with_name("policies") / "gate.rego").read_text()

VARIANTS = (
    Variant(names.ANY_SAN, accepts_any_san=True),
    Variant(names.NO_CERTIFICATE, accepts_any_san=True, requires_client_certificate=False),
    Variant(names.APPEND, accepts_any_san=True, forward_client_cert="APPEND_FORWARD"),
    Variant(names.FORWARD, accepts_any_san=True, forward_client_cert="ALWAYS_FORWARD_ONLY"),
    Variant(names.PLAIN, is_tls=False, forward_client_cert="ALWAYS_FORWARD_ONLY"),
    Variant(names.UNVALIDATED, validates_mutations=False),
    Variant(names.PAIR, cluster=names.PAIR, check_retries=2),
    Variant(names.SEED_WORKLOAD, accepts_any_san=True, requires_client_certificate=False, cluster=names.SEED_WORKLOAD),
    Variant(names.SEED_ENVOY, accepts_any_san=True, requires_client_certificate=False, cluster=names.SEED_ENVOY),
    Variant(names.BUNDLE, cluster=names.BUNDLE, response_headers=REVISION_OF_METADATA),
    Variant(names.BUNDLE_OF_WORKERS, cluster=names.BUNDLE_OF_WORKERS, response_headers=REVISION_OF_METADATA, checks_per_connection=20),
)


@pytest.fixture(scope="session")
def check_ports() -> dict[str, list[int]]:
    """Where the further `authz` processes of some tests will listen; Envoy's configuration has to know beforehand."""
    alone = (names.SEED_WORKLOAD, names.SEED_ENVOY, names.BUNDLE, names.BUNDLE_OF_WORKERS)
    return {names.PAIR: [free_port(), free_port()]} | {name: [free_port()] for name in alone}


@pytest.fixture(scope="session")
def lab(check_ports: dict[str, list[int]]) -> Iterator[Lab]:
    options = LabOptions(envoy_id=names.ENVOY_ID, workloads=names.WORKLOADS, variants=VARIANTS, extra_checks=check_ports)
    with Lab(options, {"gate.rego": GATE}) as running:
        yield running


@pytest.fixture
def edit(lab: Lab) -> Iterator[Callable[[str | bytes], None]]:
    """Overwrite the served policy; afterwards the first one decides again."""
    first = lab.authz.revision()
    yield lambda source: lab.write_policy("gate.rego", source)
    lab.write_policy("gate.rego", GATE)
    lab.authz.wait_until_healthy()
    if lab.authz.revision() != first:
        lab.authz.wait_for_revision(first)
