"""Base data that is declared volatile is looked up, so that it can be replaced without compiling anything."""

from __future__ import annotations

import pytest

from authz import rego

POLICY = """package t

allow if {
	some grant in data.grants
	grant.user == input.user
}

allow if input.user in data.acl.users

allow if data.acl.open[input.path]
"""
DATA = {"grants": [{"user": "ann"}], "acl": {"users": ["bob"], "open": {"/": True}}}


def compiled(**options: object) -> rego.Policy:
    return rego.compile({"p.rego": POLICY}, DATA, **options)  # type: ignore[arg-type]


def decide(policy: rego.Policy, **document: str) -> object:
    return policy.entrypoint("t/allow").decide(document)


@pytest.mark.parametrize("optimize", [True, False])
def test_volatile_data_can_be_replaced_and_the_policy_it_came_from_keeps_its_own(optimize: bool) -> None:
    policy = compiled(volatile=["acl"], optimize=optimize)
    other = policy.with_data("acl/users", ["eve"]).with_data("acl/open", {})
    assert [decide(policy, user=user) for user in ("ann", "bob", "eve")] == [True, True, rego.UNDEFINED]
    assert [decide(other, user=user) for user in ("ann", "bob", "eve")] == [True, rego.UNDEFINED, True]
    assert (decide(policy, path="/"), decide(other, path="/")) == (True, rego.UNDEFINED)
    assert other.query("data.acl = x") == [{"x": {"users": ["eve"], "open": {}}}]


def test_only_what_is_not_volatile_becomes_rows() -> None:
    whole, part, none = compiled(), compiled(volatile=["acl"]), compiled(volatile=["acl", "grants"])
    assert [policy.entrypoint("t/allow").table.residuals for policy in (whole, part)] == [0, 2]
    assert none.entrypoint("t/allow").table.rows == 0
    assert none.with_data("grants", [{"user": "eve"}]).entrypoint("t/allow").decide({"user": "eve"}) is True


def test_a_policy_that_travelled_keeps_what_is_volatile() -> None:
    policy = rego.Policy.from_bytes(compiled(volatile=["acl"]).to_bytes())
    assert decide(policy.with_data("acl/users", ["eve"]), user="eve") is True


@pytest.mark.parametrize("path", ["grants", "", "ac"])
def test_what_is_not_volatile_cannot_be_replaced(path: str) -> None:
    with pytest.raises(ValueError, match=f"data at `{path}` is not volatile"):
        compiled(volatile=["acl"]).with_data(path, {})


def test_data_that_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="not a JSON value"):
        compiled(volatile=["acl"]).with_data("acl", object())
