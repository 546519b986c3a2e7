"""Random policies decide alike with tables, without them, and in real OPA.

OPA evaluates in an order of its own, so of two faults it may meet another one first, or none: where one side ends in a
conflict and the other does not, the case does not count. Its built-in errors are always strict, ours never here.
"""

from __future__ import annotations

from typing import Any

import pytest

from authz import rego
from tests.rego.oracle import Oracle, RefusedError, oracle_tool
from tests.rego.oracle_policies import Case, make_case
from tests.rego.outcomes import CONFLICT, Outcome, outcome, solutions

SEEDS_OF_A_TEST = 50
BUILTIN_ERRORS = {"eval_builtin_error", "eval_type_error"}


def compiled(case: Case, *, optimize: bool) -> rego.Policy | rego.CompileError:
    try:
        return rego.compile({"p.rego": case.source}, case.data, optimize=optimize)
    except rego.CompileError as error:
        return error


def direct(policy: rego.Policy, rule: str, document: Any) -> Outcome:
    """Return the same by the entry point, where the rule is one."""
    if f"t/{rule}" not in policy.entrypoints:
        return outcome(policy, f"data.t.{rule}", document)
    try:
        value = policy.entrypoint(f"t/{rule}").decide(document)
    except rego.EvalError as error:
        return "error", error.code
    return "value", solutions([] if value is rego.UNDEFINED else [{"x": value}])


@pytest.mark.parametrize("block", range(6))
def test_tables_decide_what_the_plain_code_decides(block: int) -> None:
    decided = 0
    for seed in range(block * SEEDS_OF_A_TEST, (block + 1) * SEEDS_OF_A_TEST):
        case = make_case(seed)
        fast, plain = compiled(case, optimize=True), compiled(case, optimize=False)
        if isinstance(fast, rego.CompileError) or isinstance(plain, rego.CompileError):
            assert str(fast) == str(plain), seed
            continue
        for rule in case.rules:
            for document in case.inputs:
                assert direct(fast, rule, document) == direct(plain, rule, document), (seed, rule, document)
                decided += 1
    assert decided > 500


@pytest.mark.parametrize("block", range(6))
def test_real_opa_decides_the_same(block: int) -> None:
    tool = oracle_tool()
    if tool is None:
        pytest.skip("real OPA is not available: its library is not in the cache")
    compared = 0
    for seed in range(10_000 + block * SEEDS_OF_A_TEST, 10_000 + (block + 1) * SEEDS_OF_A_TEST):
        compared += compare(tool, seed)
    assert compared > 500


def compare(tool: Any, seed: int) -> int:
    """Compare all decisions of a seed's policy; return their number."""
    case = make_case(seed)
    policy = compiled(case, optimize=True)
    try:
        judge = Oracle(tool, {"p.rego": case.source}, case.data)
        judge.query("data.t.x = 1", {})
    except RefusedError as refused:
        if not set(refused.codes) <= {"eval_conflict_error", *BUILTIN_ERRORS}:
            check_refusal(seed, policy, refused)
            return 0
    assert isinstance(policy, rego.Policy), (seed, policy)
    try:
        return sum(check_decision(judge, policy, rule, document) for rule in case.rules for document in case.inputs)
    finally:
        judge.close()


def check_refusal(seed: int, policy: rego.Policy | rego.CompileError, refused: RefusedError) -> None:
    """What OPA refuses we refuse for one of its reasons."""
    assert isinstance(policy, rego.CompileError), (seed, str(refused))
    assert {diagnostic.code for diagnostic in policy.diagnostics} & set(refused.codes), (seed, str(policy), str(refused))


def check_decision(judge: Oracle, policy: rego.Policy, rule: str, document: Any) -> bool:
    """Compare one decision; return whether it could be compared."""
    ours = direct(policy, rule, document)
    try:
        theirs: Outcome = ("value", solutions(judge.query(f"data.t.{rule} = x", document)))
    except RefusedError as refused:
        if BUILTIN_ERRORS & set(refused.codes):
            return False
        theirs = ("error", refused.codes[-1])
    if CONFLICT in (ours, theirs) and ours != theirs:
        return False
    assert ours == theirs, (rule, document)
    return True
