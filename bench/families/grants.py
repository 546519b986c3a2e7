"""Grants in base data as one list: whom, what, and where, by equality or by glob patterns that are data themselves."""

from __future__ import annotations

from typing import Any, Final

from authz.rego import Document
from bench.families.case import HEADER, METHODS, VARIETY, Case, Family, Floor, asked, http_input

_EQUAL: Final = """allow if {
	some grant in data.grants
	grant.caller == input.identity.spiffe_id
	grant.method == http.method
	grant.path == http.path
}
"""
_GLOB: Final = """allow if {
	some grant in data.grants
	grant.role in input.roles
	glob.match(grant.path, ["/"], http.path)
}
"""
_ROLES: Final = 50


def build_equal(grants: int) -> Case:
    """Return a policy with this many grants of one caller, method and path each."""
    data = {"grants": [{"caller": _caller(number), "method": METHODS[number % 4], "path": _path(number)} for number in range(grants)]}
    return Case(HEADER + _EQUAL, asked(grants, _hit_equal, lambda turn: _miss_equal(grants, turn)), data, lambda: _floor_equal(grants))


def build_glob(grants: int) -> Case:
    """Return a policy with this many grants of one role and path pattern each."""
    data = {"grants": [{"role": f"role-{number % _ROLES}", "path": _pattern(number)} for number in range(grants)]}
    return Case(HEADER + _GLOB, asked(grants, _hit_glob, lambda turn: _miss_glob(grants, turn)), data, lambda: _floor_glob(grants))


def _caller(number: int) -> str:
    return f"spiffe://corp.example.com/ns/team-{number % 211}/sa/worker-{number % 17}"


def _path(number: int) -> str:
    return f"/v1/projects/{number % 89}/builds/{number}"


def _hit_equal(number: int, _turn: int) -> Document:
    return {**http_input(METHODS[number % 4], _path(number)), "identity": {"spiffe_id": _caller(number)}}


def _miss_equal(grants: int, turn: int) -> Document:
    """Ask for what another caller is granted, and every other time for what nobody is."""
    number = turn * grants // VARIETY
    return {**http_input(METHODS[number % 4], _path(number + turn % 2 * grants)), "identity": {"spiffe_id": _caller(number + 1)}}


def _floor_equal(grants: int) -> Floor:
    granted = {(_caller(number), METHODS[number % 4], _path(number)) for number in range(grants)}

    def allow(document: Any) -> bool:
        http = document["attributes"]["request"]["http"]
        return (document["identity"]["spiffe_id"], http["method"], http["path"]) in granted

    return allow


def _pattern(number: int) -> str:
    return f"/v1/teams/{number}/**" if number % 5 == 4 else f"/v1/projects/*/builds/{number}"


def _hit_glob(number: int, turn: int) -> Document:
    path = f"/v1/teams/{number}/keys/{turn}" if number % 5 == 4 else f"/v1/projects/{turn}/builds/{number}"
    return {**http_input("GET", path), "roles": ["staff", f"team-{turn}", f"role-{number % _ROLES}"]}


def _miss_glob(grants: int, turn: int) -> Document:
    """Ask for what another role is granted, and every other time for what none is."""
    number = turn * grants // VARIETY
    return {
        **http_input("GET", f"/v1/projects/{turn}/builds/{number + turn % 2 * grants}"),
        "roles": ["staff", f"role-{(number + 1) % _ROLES}"],
    }


def _floor_glob(grants: int) -> Floor:
    """The two forms that the patterns have, each by what tells its grants apart."""
    builds = {(f"role-{number % _ROLES}", str(number)) for number in range(grants) if number % 5 != 4}
    teams = {(f"role-{number % _ROLES}", str(number)) for number in range(4, grants, 5)}

    def allow(document: Any) -> bool:
        parts = document["attributes"]["request"]["http"]["path"].split("/")
        if parts[:3] == ["", "v1", "projects"] and len(parts) == 6 and parts[4] == "builds":
            return any((role, parts[5]) in builds for role in document["roles"])
        if parts[:3] == ["", "v1", "teams"] and len(parts) > 4:
            return any((role, parts[3]) in teams for role in document["roles"])
        return False

    return allow


EQUAL_GRANTS: Final = Family("grants by equality", build_equal)
GLOB_GRANTS: Final = Family("grants by glob", build_glob)
