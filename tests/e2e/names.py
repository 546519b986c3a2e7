"""Who and what there is in the laboratory of the end-to-end tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bench.lab.client import Request

ENVOY_ID: Final = "spiffe://corp.example.com/ns/payment/sa/processor"
FRONTEND: Final = "spiffe://example.org/ns/web/sa/frontend"
INTRUDER: Final = "spiffe://example.org/ns/web/sa/intruder"
WORKLOADS: Final[Mapping[str, str]] = {"frontend": FRONTEND, "intruder": INTRUDER}

ANY_SAN: Final = "any-san"
NO_CERTIFICATE: Final = "certificate-optional"
APPEND: Final = "append-forward"
FORWARD: Final = "always-forward-only"
PLAIN: Final = "always-forward-only-plain"
UNVALIDATED: Final = "mutations-not-validated"
PAIR: Final = "pair"
SEED_WORKLOAD: Final = "seed-workload"
SEED_ENVOY: Final = "seed-envoy"
BUNDLE: Final = "bundle"
BUNDLE_OF_WORKERS: Final = "bundle-of-workers"

ALLOWED: Final = Request(path="/allowed")
WHOAMI: Final = Request(path="/whoami")
