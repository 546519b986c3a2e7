"""Entry points: rules, and the documents of rules below a path."""

import pytest

from authz import rego

POLICY = {
    "a.rego": """package envoy.authz
decision.allowed := true if input.user == "alice"
decision.allowed := false if input.user != "alice"
decision["http_status"] := 401
decision.headers := {"x-at": sprintf("%d", [time.now_ns()])} if input.stamp
"""
}


def entry(optimize: bool = True) -> rego.EntryPoint:
    return rego.compile(POLICY, {"envoy": {"authz": {"decision": {"body": "no"}}}}, optimize=optimize).entrypoint("envoy/authz/decision")


@pytest.mark.parametrize("optimize", [True, False])
def test_the_rules_below_a_path_are_one_decision(*, optimize: bool) -> None:
    want = {"allowed": True, "http_status": 401, "body": "no"}
    assert entry(optimize).decide({"user": "alice"}) == want
    assert entry(optimize).decide({"user": "bob"}) == {**want, "allowed": False}


def test_its_read_set_is_that_of_all_its_rules() -> None:
    reads = entry().reads
    assert reads.input == (("stamp",), ("user",))
    assert reads.data == (("envoy", "authz", "decision"),)
    assert reads.nondeterministic == ("time.now_ns",)


def test_it_survives_the_way_into_another_process() -> None:
    policy = rego.Policy.from_bytes(rego.compile(POLICY).to_bytes())
    assert policy.entrypoint("/envoy/authz/decision/").decide({"user": "x"}) == {"allowed": False, "http_status": 401}


@pytest.mark.parametrize("path", ["", "/", "envoy/authz/decisions", "envoy/authz/decision/allowed/x"])
def test_a_path_without_rules_is_refused_with_those_there_are(path: str) -> None:
    with pytest.raises(rego.CompileError, match="is not a rule of the policy") as caught:
        rego.compile(POLICY).entrypoint(path)
    assert "envoy/authz/decision/allowed" in (caught.value.help or "")
