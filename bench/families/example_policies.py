"""The policies that stand in files, the requests that they are asked about, and their decisions by hand.

`policies/` is the example of this repository, `bench/policies/three_rules.rego` what the other benches use.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from authz.rego import Document
from bench.lab.upstream import REPOSITORY
from bench.messages import CALLER_ID

_THREE_RULES: Final = REPOSITORY / "bench" / "policies" / "three_rules.rego"
_EXAMPLE: Final = REPOSITORY / "policies"


@dataclass(frozen=True, slots=True)
class Example:
    """A policy of few rules. `floor` makes the function that decides alike: it returns what the entry point's value is as JSON."""

    name: str
    modules: Mapping[str, str]
    requests: Mapping[str, Sequence[Document]]
    floor: Callable[[], Callable[[Any], Document]]
    data: Document = None


def examples() -> list[Example]:
    """Return the policies that stand in files."""
    modules = {path.name: path.read_text() for path in sorted(_EXAMPLE.glob("*.rego")) if not path.name.endswith("_test.rego")}
    data = json.loads((_EXAMPLE / "data.json").read_text())
    return [
        Example("three rules", {_THREE_RULES.name: _THREE_RULES.read_text()}, _three_requests(), lambda: three_rules),
        Example("policies/", modules, _workload_requests(), lambda: _workload(data), data),
    ]


# Three rules

_REPORTER: Final = "spiffe://corp.example.com/ns/analytics/sa/reporter"


def _three_requests() -> dict[str, list[Document]]:
    return {
        "first": [_three(CALLER_ID, "POST", "/v1/transactions")],
        "second": [_three(_REPORTER, "GET", f"/v1/transactions/{number}") for number in range(64)],
        "last": [_three(CALLER_ID, "GET", f"/v1/transactions/{number}") for number in range(64)],
        "none": [_three(CALLER_ID, "DELETE", f"/v1/transactions/{number}") for number in range(64)],
    }


def _three(caller: str, method: str, path: str) -> Document:
    return {
        "identity": {"spiffe_id": caller},
        "request": {"method": method, "path": path},
        "attributes": {"request": {"http": {"headers": {"x-tenant": "acme-retail-emea"}}}},
        "parsed_path": path.split("/")[1:],
    }


def three_rules(document: Any) -> Document:
    """Decide as `bench/policies/three_rules.rego` does."""
    caller, request = document["identity"]["spiffe_id"], document["request"]
    method, path = request["method"], request["path"]
    if caller == CALLER_ID:
        if method == "POST" and path == "/v1/transactions":
            return True
        headers = document["attributes"]["request"]["http"]["headers"]
        return method == "GET" and headers.get("x-tenant") == "acme-retail-emea" and document["parsed_path"][0] == "v1"
    return caller == _REPORTER and method in {"GET", "HEAD"} and path.startswith("/v1/transactions/")


# The example policy

_ORDERS: Final = "spiffe://example.org/ns/shop/sa/orders"
_FRONTEND: Final = {"spiffe_id": "spiffe://example.org/ns/web/sa/frontend", "trust_domain": "example.org", "namespace": "web"}
_SCRAPER: Final = {
    "spiffe_id": "spiffe://example.org/ns/monitoring/sa/prometheus",
    "trust_domain": "example.org",
    "namespace": "monitoring",
}


def _workload_requests() -> dict[str, list[Document]]:
    return {
        "path": [_asks(_FRONTEND, "POST", "/v1/orders")],
        "below": [_asks(_FRONTEND, "GET", f"/v1/orders/{number}/items", {"limit": ["50"]}) for number in range(64)],
        "namespace": [_asks(_SCRAPER, "GET", "/metrics")],
        "health": [_asks({}, "GET", "/healthz")],
        "no grant": [_asks(_FRONTEND, "DELETE", f"/v1/orders/{number}") for number in range(64)],
        "ambiguous": [_asks(_FRONTEND, "GET", f"/v1/orders/{number}/../../charges") for number in range(64)],
    }


def _asks(identity: Mapping[str, str], method: str, path: str, query: Mapping[str, Sequence[str]] | None = None) -> Document:
    return {
        "identity": dict(identity),
        "request": {"method": method, "path": path, "host": "orders.shop.example", "destination": _ORDERS},
        "parsed_path": path.split("/")[1:],
        "parsed_query": dict(query or {}),
    }


def _refusal(status: int, reason: str) -> Document:
    return {"allowed": False, "http_status": status, "headers": {"x-authz-reason": reason}, "body": f"denied: {reason}\n"}


_AMBIGUOUS: Final = _refusal(400, "ambiguous-request")
_NO_IDENTITY: Final = _refusal(403, "no-identity")
_WRONG_HOST: Final = _refusal(421, "wrong-host")
_TOO_MANY: Final = _refusal(403, "too-many-rows")
_NO_GRANT: Final = _refusal(403, "no-grant") | {"body": "denied: no grant for this caller, method and path\n"}
_MARKS: Final = re.compile(r"//|;|\\|%25|%2f|%5c|%00")
_NUMBER: Final = re.compile(r"[0-9]{1,6}", re.ASCII)


def _workload(data: Any) -> Callable[[Any], Document]:
    """Decide as `policies/` does, its grants filed by what they are about."""
    hosts, largest_page, trust_domain = data["hosts"], data["largest_page"], data["trust_domain"]
    exact = {(grant["caller"], grant["destination"], grant["path"]): grant["methods"] for grant in data["grants"] if "path" in grant}
    below: dict[tuple[str, str], list[tuple[str, list[str]]]] = {}
    for grant in data["grants"]:
        if grant.get("below", "").endswith("/"):
            below.setdefault((grant["caller"], grant["destination"]), []).append((grant["below"], grant["methods"]))
    spaces = {space: {grant["path"]: grant["methods"] for grant in grants} for space, grants in data["namespace_grants"].items()}

    def decide(document: Any) -> Document:
        request, identity, query = document["request"], document["identity"], document["parsed_query"]
        method, path, destination = request["method"], request["path"], request["destination"]
        if not path.startswith("/") or _MARKS.search(path.lower()) or any(part in {".", ".."} for part in document["parsed_path"]):
            return _AMBIGUOUS
        if path in {"/healthz", "/readyz"} and method in {"GET", "HEAD"} and not query:
            return {"allowed": True}
        caller = identity.get("spiffe_id")
        if caller is None:
            return _NO_IDENTITY
        if request["host"].lower().split(":")[0] not in hosts.get(destination, ()):
            return _WRONG_HOST
        limit = query.get("limit")
        if limit is not None and not (len(limit) == 1 and _NUMBER.fullmatch(limit[0]) and int(limit[0]) <= largest_page):
            return _TOO_MANY
        if (
            method in exact.get((caller, destination, path), ())
            or any(path.startswith(start) and method in methods for start, methods in below.get((caller, destination), ()))
            or (identity["trust_domain"] == trust_domain and method in spaces.get(identity["namespace"], {}).get(path, ()))
        ):
            return {"allowed": True, "headers": {"x-caller": caller}, "request_headers_to_remove": ["x-debug"]}
        return _NO_GRANT

    return decide
