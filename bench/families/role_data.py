"""Role-based access control in base data: users have roles, roles have grants, and one rule joins them."""

from __future__ import annotations

from math import isqrt
from typing import Any, Final

from authz.rego import Document
from bench.families.case import HEADER, METHODS, VARIETY, Case, Family, Floor, asked, http_input

_RULE: Final = """allow if {
	some role in data.user_roles[http.headers["x-user"]]
	some grant in data.role_grants[role]
	grant.method == http.method
	grant.path == http.path
}
"""


def build(grants: int) -> Case:
    """Return a policy with this many grants and as many users.

    The number of roles is the square root, so roles and what each of them grants grow alike; a user has three.
    """
    data = {"user_roles": _user_roles(grants), "role_grants": _role_grants(grants)}
    return Case(HEADER + _RULE, asked(grants, _hit, lambda turn: _miss(grants, turn)), data, lambda: _floor(grants))


def _user_roles(grants: int) -> dict[str, list[str]]:
    """Every user may use the grant of the same number, by the last of their roles."""
    roles = isqrt(grants)
    return {f"user-{user}": [f"role-{role % roles}" for role in (user * 7, user * 13 + 1, user)] for user in range(grants)}


def _role_grants(grants: int) -> dict[str, list[dict[str, str]]]:
    roles = isqrt(grants)
    return {
        f"role-{role}": [{"method": METHODS[number % 4], "path": _path(number)} for number in range(role, grants, roles)]
        for role in range(roles)
    }


def _path(number: int) -> str:
    return f"/v1/projects/{number % 89}/builds/{number}"


def _ask(user: str, method: str, path: str) -> Document:
    return http_input(method, path, headers={"x-user": user})


def _hit(number: int, _turn: int) -> Document:
    return _ask(f"user-{number}", METHODS[number % 4], _path(number))


def _miss(grants: int, turn: int) -> Document:
    """Ask by turns for what nobody, another method and a stranger could be granted."""
    number = turn * grants // VARIETY
    user = "nobody" if turn % 3 == 0 else f"user-{number}"
    method = METHODS[number % 4] if turn % 3 < 2 else "PATCH"
    return _ask(user, method, _path(number) if turn % 3 != 1 else f"{_path(number)}/logs")


def _floor(grants: int) -> Floor:
    user_roles = _user_roles(grants)
    granted = {(role, grant["method"], grant["path"]) for role, own in _role_grants(grants).items() for grant in own}

    def allow(document: Any) -> bool:
        http = document["attributes"]["request"]["http"]
        method, path = http["method"], http["path"]
        return any((role, method, path) in granted for role in user_roles.get(http["headers"]["x-user"], ()))

    return allow


ROLE_DATA: Final = Family("role data", build)
