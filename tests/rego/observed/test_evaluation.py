"""An observed evaluation decides what the compiled code decides: it is another way to the same answer."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz import rego
from authz.rego.observed.evaluation import ALL_SHORTCUTS, Shortcuts
from authz.rego.observed.policy import ObservedPolicy
from authz.rego.values import Value, from_json
from tests.policy_strategies import DATA, ENTRYPOINT, inputs, policies
from tests.rego.observed.asking import ask, observed

NO_SHORTCUTS = Shortcuts(indexing=False, early_exit=False)


def decided(policy: rego.Policy, document: Value) -> Value | str | None:
    try:
        return policy.entrypoint(ENTRYPOINT).evaluate(document, 0)
    except rego.EvalError as error:
        return f"error {error.code}"


def told(policy: ObservedPolicy, document: Value, shortcuts: Shortcuts) -> Value | str | None:
    try:
        solutions = ask(policy, f"data.{ENTRYPOINT.replace('/', '.')}", lambda _: None, document, shortcuts)
    except rego.EvalError as error:
        return f"error {error.code}"
    return solutions[0].values[0] if solutions else None


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(source=policies, documents=st.lists(inputs, min_size=1, max_size=4))
def test_generated_policies_are_told_as_they_are_decided(source: str, documents: list[Any]) -> None:
    try:
        policy = rego.compile({"gen.rego": source}, DATA, optimize=False)
    except rego.CompileError:
        return
    watched = observed({"gen.rego": source}, DATA)
    for document in documents:
        value = from_json(document)
        for shortcuts in (ALL_SHORTCUTS, NO_SHORTCUTS):
            assert told(watched, value, shortcuts) == decided(policy, value), (document, shortcuts)
