"""What a policy gives, in a form in which evaluations by other ways and engines can be compared."""

from __future__ import annotations

from typing import Any, Final

from authz import rego
from tests.conformance.suite import canonical

CONFLICT: Final = ("error", "eval_conflict_error")

Outcome = tuple[str, Any]


def outcome(policy: rego.Policy, document: str, value: Any) -> Outcome:
    """Return what a document is for an input, in a comparable form, or the error's code."""
    try:
        return "value", solutions(policy.query(f"{document} = x", input=value))
    except rego.EvalError as error:
        return "error", error.code


def solutions(bindings: list[dict[str, Any]]) -> Any:
    return frozenset(canonical(binding) for binding in bindings)
