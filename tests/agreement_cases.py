"""Every decision that reference cases and example policies ask for, as a policy and a CheckRequest.

A seed case's input is no CheckRequest; it travels as a JSON body, and a rule of ours
puts it in the place of `input`. Compares nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from authz import rego
from authz.identity import IdentityConfig
from authz.pdp import CacheConfig, Snapshot
from bench.messages import Check, realistic
from tests.extauthz.requests import check_request
from tests.shared import SHARED

NOW_NS: Final = 1_900_000_000_000_000_000  # the clock of the seed cases
EXAMPLES: Final = Path(__file__).resolve().parents[1] / "policies"
ENTRYPOINT: Final = "envoy/authz/allow"

# Shows undefined and every kind of value in the answer; an error stays an error.
_SHOW: Final = """package test.show

default allow := {{"allowed": false, "dynamic_metadata": {{"undefined": true}}}}

allow := {{"allowed": true, "dynamic_metadata": {{"value": value}}}} if {{
	value := {query} with input as input.parsed_body
}}
"""


@dataclass(frozen=True)
class Posed:
    """A policy with a question to it."""

    name: str
    modules: Mapping[str, str]
    request: bytes
    data: Any = None
    versions: int | Mapping[str, int] = 1
    entrypoint: str = ENTRYPOINT

    def snapshot(self, *, optimize: bool = True) -> Snapshot:
        policy = rego.compile(self.modules, self.data, self.versions, optimize=optimize)
        return Snapshot.build(policy, entrypoint=self.entrypoint, revision="1", identity=IdentityConfig(), cache=CacheConfig())


def cases() -> Iterator[Posed]:
    """Yield what is available; reference cases that are not at hand are left out."""
    if (SHARED / "seeds").exists():
        yield from seed_cases(SHARED / "seeds" / "policies")
    if (SHARED / "opa-envoy-cases").exists():
        yield from opa_envoy_cases(SHARED / "opa-envoy-cases")
    yield from example_cases()


def seed_cases(folder: Path) -> Iterator[Posed]:
    """Yield the seed cases, in their own shape of input."""
    for number, case in enumerate(json.loads((folder / "cases.json").read_text())):
        name = case["policy"]
        body = json.dumps(case["input"])
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        yield Posed(
            name=f"seed-{name}-{number}",
            modules={name: (folder / name).read_text(), "show.rego": _SHOW.format(query=case["query"])},
            request=Check("POST", "/", headers=headers, body=body).encode(),
            data=case.get("data"),
            versions={name: 0 if ".v0." in name else 1, "show.rego": 1},
            entrypoint="test/show/allow",
        )


def opa_envoy_cases(folder: Path) -> Iterator[Posed]:
    """Yield the cases of opa-envoy-plugin. Their options change the answer, not whether two ways to it agree."""
    for case in json.loads((folder / "cases.json").read_text()):
        source = case["policy"]
        if not source.startswith("package"):
            source = (folder / "policies" / f"{source}.rego").read_text()
        request = check_request(case["http"], case.get("source"), **case.get("attributes", {}))
        yield Posed(
            f"opa-envoy-{case['id']}", {"policy.rego": source}, request.SerializeToString(), entrypoint=case.get("path", ENTRYPOINT)
        )


def example_cases() -> Iterator[Posed]:
    """Yield questions to the example policies, along each of their rules and beside them."""
    modules = {path.name: path.read_text() for path in EXAMPLES.glob("*.rego") if not path.name.endswith("_test.rego")}
    data = json.loads((EXAMPLES / "data.json").read_text())
    for name, check in _example_checks().items():
        yield Posed(f"example-{name}", modules, realistic(check).encode(), data)


def _example_checks() -> dict[str, Check]:
    orders, frontend = "spiffe://example.org/ns/shop/sa/orders", "spiffe://example.org/ns/web/sa/frontend"
    scraper, host = "spiffe://example.org/ns/monitoring/sa/prometheus", "orders.shop.example"

    def ask(method: str, path: str, principal: str = frontend, destination: str = orders, host: str = host) -> Check:
        return Check(method, path, principal, destination, host=host)

    return {
        "create": ask("POST", "/v1/orders"),
        "read-below": ask("GET", "/v1/orders/42?limit=10"),
        "write-below": ask("DELETE", "/v1/orders/42"),
        "starts-alike": ask("GET", "/v1/orders-archive"),
        "ambiguous": ask("GET", "/v1/orders/../admin"),
        "page-too-large": ask("GET", "/v1/orders/42?limit=501"),
        "page-repeated": ask("GET", "/v1/orders/42?limit=1&limit=2"),
        "wrong-host": ask("POST", "/v1/orders", host="evil.test"),
        "health": ask("GET", "/healthz", principal=""),
        "nobody": ask("POST", "/v1/orders", principal=""),
        "scraper": ask("GET", "/metrics", principal=scraper),
        "scraper-elsewhere": ask("GET", "/v1/orders", principal=scraper),
        "other-trust-domain": ask("GET", "/metrics", principal=scraper.replace("example.org", "evil.test")),
        "other-destination": ask("POST", "/v1/orders", destination="spiffe://example.org/ns/shop/sa/payments"),
        "bad-escape": ask("GET", "/v1/orders/%zz"),
    }
