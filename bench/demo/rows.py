"""The requests of the demo with the answers that they must get.

Data and its comparison with what came back; sends nothing, prints nothing.
The policy is the example in `policies/`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.lab.client import Request, Response

ENVOY_ID: Final = "spiffe://example.org/ns/shop/sa/orders"
FRONTEND: Final = "spiffe://example.org/ns/web/sa/frontend"
HOST: Final = "orders.shop.example"
WORKLOADS: Final[Mapping[str, str]] = {
    "frontend": FRONTEND,
    "prometheus": "spiffe://example.org/ns/monitoring/sa/prometheus",
    "look-alike": "spiffe://example.org/ns/web/sa/frontend2",
    "other-mesh": "spiffe://example.net/ns/web/sa/frontend",
    "other-monitoring": "spiffe://example.net/ns/monitoring/sa/prometheus",
}

REFUSED: Final = "TLS refused"
FORGED: Final = f"By={ENVOY_ID};Hash={'0' * 64};URI={FRONTEND}"

OPTIONAL_CERTIFICATE: Final = "certificate-optional"
ANY_SAN: Final = "any-san"
APPENDING: Final = "xfcc-append-forward"
PLAIN: Final = "xfcc-always-forward-plain"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must come back; header values of None must be absent."""

    status: int | str
    headers: Mapping[str, str | None] = field(default_factory=dict)
    upstream: Mapping[str, str | None] = field(default_factory=dict)

    def mismatch(self, outcome: Response | str) -> str | None:
        """Say what is different from the expectation, None when nothing is."""
        if isinstance(outcome, str):
            return None if outcome == self.status else f"got {outcome}"
        if outcome.status != self.status:
            return f"got {outcome.status}"
        found = {name: outcome.header(name) for name in self.headers}
        if found != dict(self.headers):
            return f"got response headers {found}"
        seen = outcome.upstream_headers if self.upstream else {}
        arrived = {name: seen.get(name) for name in self.upstream}
        return None if arrived == dict(self.upstream) else f"the upstream saw {arrived}"


@dataclass(frozen=True, slots=True)
class Row:
    """One request of the table; `caller` None presents no certificate, `listener` names a variant of Envoy's listener."""

    what: str
    caller: str | None
    request: Request
    expected: Expectation
    listener: str = ""


def _ask(method: str, path: str, *headers: tuple[str, str], host: str = HOST) -> Request:
    return Request(method, path, headers, host=host)


def _refusal(status: int, reason: str) -> Expectation:
    return Expectation(status, headers={"x-authz-reason": reason})


ORDER: Final = _ask("POST", "/v1/orders")
READ: Final = _ask("GET", "/v1/orders/42")
_FORGING: Final = _ask("POST", "/v1/orders", ("x-forwarded-client-cert", FORGED))
_OVERWRITTEN: Final = _ask("POST", "/v1/orders", ("x-caller", "root"), ("x-debug", "1"))
_GARBLED: Final = _ask("POST", "/v1/orders", ("x-forwarded-client-cert", "URI=spiffe://example.org/ns/web/sa/root"))

_ALLOWED: Final = Expectation(200, headers={"x-authz-reason": None}, upstream={"x-caller": FRONTEND, "x-debug": None})
_NO_GRANT: Final = _refusal(403, "no-grant")
_NO_IDENTITY: Final = _refusal(403, "no-identity")
_REFUSED: Final = Expectation(REFUSED)

ROWS: Final[Sequence[Row]] = (
    Row("create an order", "frontend", ORDER, _ALLOWED),
    Row("… x-caller is overwritten, x-debug removed", "frontend", _OVERWRITTEN, _ALLOWED),
    Row("read below a granted path", "frontend", READ, _ALLOWED),
    Row("wrong method", "frontend", _ask("DELETE", "/v1/orders"), _NO_GRANT),
    Row("wrong path", "frontend", _ask("GET", "/v1/orders-archive"), _NO_GRANT),
    Row("dot segments, resolved by Envoy first", "frontend", _ask("GET", "/v1/orders/../admin"), _NO_GRANT),
    Row("matrix parameter", "frontend", _ask("GET", "/v1/orders/42;admin=1"), _refusal(400, "ambiguous-request")),
    Row("host of another workload", "frontend", _ask("POST", "/v1/orders", host="payments.shop.example"), _refusal(421, "wrong-host")),
    Row("page that is too large", "frontend", _ask("GET", "/v1/orders/42?limit=501"), _refusal(403, "too-many-rows")),
    Row("look-alike identity", "look-alike", ORDER, _NO_GRANT),
    Row("namespace grant", "prometheus", _ask("GET", "/metrics"), Expectation(200)),
    Row("namespace grant, other path", "prometheus", READ, _NO_GRANT),
    Row("same namespace, other trust domain", "other-monitoring", _ask("GET", "/metrics"), _NO_GRANT, ANY_SAN),
    Row("other trust domain, stopped by Envoy", "other-mesh", ORDER, _REFUSED),
    Row("certificate of another CA", "foreign", ORDER, _REFUSED),
    Row("no certificate", None, ORDER, _REFUSED),
    Row("no certificate where none is required", None, ORDER, _NO_IDENTITY, OPTIONAL_CERTIFICATE),
    Row("… health needs no identity", None, _ask("GET", "/healthz"), Expectation(200), OPTIONAL_CERTIFICATE),
    Row("certificate without SPIFFE ID", "nameless", ORDER, _NO_IDENTITY, ANY_SAN),
    Row("forged XFCC, no certificate", None, _FORGING, _NO_IDENTITY, OPTIONAL_CERTIFICATE),
    Row("forged XFCC, replaced by Envoy", "look-alike", _FORGING, _NO_GRANT),
    Row("forged XFCC, Envoy appends to it", "look-alike", _FORGING, _NO_GRANT, APPENDING),
    Row("… and a true caller stays itself", "frontend", _GARBLED, _ALLOWED, APPENDING),
    Row("forged XFCC over plain text", None, _FORGING, _NO_IDENTITY, PLAIN),
)
