"""Roles and attributes mixed: ten kinds of rules, three of which end in something that no index holds.

Those three name an endpoint or a resource like the others, and then relate two parts of the input to each other: by arithmetic,
by the time of day, by a text that is made of one and compared with the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import Any, Final

from authz.rego import Document
from bench.families.case import VARIETY, Case, Family, Floor, asked, http_input

JWT_FILTER: Final = "envoy.filters.http.jwt_authn"

_HEADER: Final = f"""package envoy.authz

import input.attributes.metadataContext.filterMetadata["{JWT_FILTER}"].claims
import input.attributes.request.http as http

default allow := false

is_internal if input.identity.trust_domain == "corp.example.com"

has_scope(scope) if scope in split(claims.scope, " ")

hour := time.clock(time.parse_rfc3339_ns(input.attributes.request.time))[0]

"""

_ROLES: Final = 50
_LEVELS: Final = 5
_OPENINGS: Final = 9
_OPEN_HOURS: Final = 14

_KINDS: Final[tuple[Callable[[int], str], ...]] = (
    lambda n: f'"role-{n % _ROLES}" in claims.roles\n\thttp.method == "GET"\n\thttp.path == "/v1/reports/{n}"',
    lambda n: f'input.identity.spiffe_id == "{_worker(n)}"\n\thttp.method in {{"GET", "HEAD"}}\n\tstartswith(http.path, "/v1/queues/{n}/")',
    lambda n: f'is_internal\n\tglob.match("/internal/*/jobs/{n}", ["/"], http.path)',
    lambda n: f'http.headers["x-tenant"] == "tenant-{n}"\n\tinput.parsed_path[0] == "v2"\n\thttp.method == "GET"',
    lambda n: f'net.cidr_contains("{_network(n)}", input.attributes.source.address.socketAddress.address)\n\thttp.path == "/metrics/{n}"',
    lambda n: f'claims.department == "department-{n}"\n\tclaims.level >= {n % _LEVELS}\n\tstartswith(http.path, "/v1/documents/")',
    lambda n: f'has_scope("orders:{n}")\n\thttp.method == "POST"',
    lambda n: f'http.path == "/v1/payments/{n}"\n\tto_number(http.headers["x-amount"]) + claims.spent <= claims.limit - {n}',
    lambda n: f'http.path == "/v1/batches/{n}"\n\thour >= {n % _OPENINGS}\n\thour < {n % _OPENINGS + _OPEN_HOURS}',
    lambda n: f'http.headers["x-resource"] == "mail-{n}"\n\thttp.path == sprintf("/v1/users/%s/folders/{n}", [claims.sub])',
)


def build(rules: int) -> Case:
    """Return a policy whose rules are of the ten kinds by turns."""
    source = _HEADER + "\n".join(f"allow if {{\n\t{_KINDS[number % 10](number)}\n}}\n" for number in range(rules))
    return Case(source, asked(rules, _hit, lambda turn: _miss(rules, turn)), floor=lambda: _floor(rules))


def _worker(number: int) -> str:
    return f"spiffe://corp.example.com/ns/team-{number}/sa/worker"


def _network(number: int) -> str:
    return f"10.{number // 256 % 256}.{number % 256}.0/24"


# Requests


def _hit(number: int, turn: int) -> Document:
    n = number
    match number % 10:
        case 0:
            return _ask(f"/v1/reports/{n}", claims={"roles": ["staff", f"team-{turn}", f"role-{n % _ROLES}"]})
        case 1:
            return _ask(f"/v1/queues/{n}/messages/{turn}", method=("GET", "HEAD")[turn % 2], caller=_worker(n))
        case 2:
            return _ask(f"/internal/region-{turn}/jobs/{n}")
        case 3:
            return _ask(f"/v2/carts/{turn}", headers={"x-tenant": f"tenant-{n}"})
        case 4:
            return _ask(f"/metrics/{n}", address=_network(n).replace(".0/24", f".{turn + 1}"))
        case 5:
            return _ask(f"/v1/documents/{turn}", claims={"department": f"department-{n}", "level": _LEVELS})
        case 6:
            return _ask(f"/v1/orders/{turn}", method="POST", claims={"scope": f"profile orders:{n}"})
        case 7:
            return _ask(f"/v1/payments/{n}", headers={"x-amount": str(100 + turn)}, claims={"limit": n + 500})
        case 8:
            return _ask(f"/v1/batches/{n}")
    return _ask(f"/v1/users/user-{turn}/folders/{n}", headers={"x-resource": f"mail-{n}"}, claims={"sub": f"user-{turn}"})


def _miss(rules: int, turn: int) -> Document:
    """Ask for what fails at once, by turns with what fails at its last test only."""
    number = turn * rules // VARIETY // 10 * 10
    match turn % 5:
        case 0:
            return _ask(f"/v1/reports/{number}", claims={"roles": ["staff", f"team-{turn}"]})
        case 1:
            return _ask(f"/v1/payments/{number + 7}", headers={"x-amount": str(100 + turn)}, claims={"limit": number + 50})
        case 2:
            return _ask(f"/v1/batches/{number + 8}", time="2026-11-22T23:30:00Z")
        case 3:
            return _ask(f"/v1/users/user-{turn}/folders/1", headers={"x-resource": f"mail-{number + 9}"}, claims={"sub": "user"})
    return _ask(f"/v1/none/{turn}", method="DELETE")


def _ask(  # noqa: PLR0913 - the parts of a request, each with a default that no rule is about
    path: str,
    *,
    method: str = "GET",
    caller: str = "spiffe://corp.example.com/ns/web/sa/frontend",
    address: str = "192.0.2.7",
    time: str = "2026-11-22T12:00:00Z",
    headers: Mapping[str, str] | None = None,
    claims: Mapping[str, Document] | None = None,
) -> Document:
    document = http_input(method, path, headers={"x-tenant": "none", "x-amount": "25", "x-resource": "none", **(headers or {})})
    document["attributes"]["request"]["time"] = time
    document["attributes"]["source"] = {"address": {"socketAddress": {"address": address}}}
    payload = {"sub": "nobody", "roles": ["staff"], "department": "none", "level": 0, "scope": "profile", "spent": 100, "limit": 0}
    document["attributes"]["metadataContext"] = {"filterMetadata": {JWT_FILTER: {"claims": payload | dict(claims or {})}}}
    document["identity"] = {"spiffe_id": caller, "trust_domain": "corp.example.com"}
    document["parsed_path"] = path.split("/")[1:]
    return document


# By hand


def _floor(rules: int) -> Floor:
    """A dictionary for each kind of rule; the kinds that a path decides share one, so that a request is looked up once."""
    numbers = range(rules)
    paths = {f"{_STARTS[kind]}{number}": (kind, number) for kind in _STARTS for number in numbers[kind::10]}
    networks = {number: ip_network(_network(number)) for number in numbers[4::10]}
    queues = {_worker(number): f"/v1/queues/{number}/" for number in numbers[1::10]}
    jobs = {str(number) for number in numbers[2::10]}
    tenants = {f"tenant-{number}" for number in numbers[3::10]}
    departments = {f"department-{number}": number % _LEVELS for number in numbers[5::10]}
    scopes = {f"orders:{number}" for number in numbers[6::10]}
    mails = {f"mail-{number}": str(number) for number in numbers[9::10]}

    def allow(document: Any) -> bool:
        attributes = document["attributes"]
        http, caller = attributes["request"]["http"], document["identity"]
        method, path, headers = http["method"], http["path"], http["headers"]
        claims = attributes["metadataContext"]["filterMetadata"][JWT_FILTER]["claims"]
        kind, number = paths.get(path, _NO_KIND)
        if kind == 0 and method == "GET" and f"role-{number % _ROLES}" in claims["roles"]:
            return True
        if kind == 4 and ip_address(attributes["source"]["address"]["socketAddress"]["address"]) in networks[number]:
            return True
        if kind == 7 and float(headers["x-amount"]) + claims["spent"] <= claims["limit"] - number:
            return True
        if kind == 8 and 0 <= datetime.fromisoformat(attributes["request"]["time"]).hour - number % _OPENINGS < _OPEN_HOURS:
            return True
        queue = queues.get(caller["spiffe_id"])
        if queue is not None and method in {"GET", "HEAD"} and path.startswith(queue):
            return True
        if path.startswith("/internal/") and caller["trust_domain"] == "corp.example.com":
            parts = path.split("/")
            if len(parts) == 5 and parts[3] == "jobs" and parts[4] in jobs:
                return True
        if method == "GET" and headers["x-tenant"] in tenants and document["parsed_path"][0] == "v2":
            return True
        level = departments.get(claims["department"])
        if level is not None and claims["level"] >= level and path.startswith("/v1/documents/"):
            return True
        if method == "POST" and any(scope in scopes for scope in claims["scope"].split(" ")):
            return True
        folder = mails.get(headers["x-resource"])
        return folder is not None and path == f"/v1/users/{claims['sub']}/folders/{folder}"

    return allow


_STARTS: Final = {0: "/v1/reports/", 4: "/metrics/", 7: "/v1/payments/", 8: "/v1/batches/"}
_NO_KIND: Final = -1, -1

MIXED: Final = Family("mixed", build, is_indexed=False)
