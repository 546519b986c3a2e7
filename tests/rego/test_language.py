"""Random policies over the whole language mean the same with tables, without, in Rego v0, in real OPA and in other engines.

OPA is the judge: where another engine disagrees, OPA has to agree with us. Where one side ends in a conflict and the other
does not, a decision does not count: it depends on what is evaluated first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from authz import rego
from tests.rego.engines import NAMES, Engine, is_installed
from tests.rego.language_policies import Bundle, make_bundle
from tests.rego.oracle import Oracle, RefusedError, oracle_tool
from tests.rego.outcomes import CONFLICT, Outcome, outcome, solutions

SEEDS_OF_A_TEST = 20
BLOCKS = range(3)


def compiled(bundle: Bundle, *, optimize: bool = True) -> rego.Policy | rego.CompileError:
    try:
        return rego.compile(bundle.modules, bundle.data, rego_version=bundle.rego_version, optimize=optimize)
    except rego.CompileError as error:
        return error


def bundles(block: int, start: int = 0, size: int = SEEDS_OF_A_TEST, **options: Any) -> Iterator[tuple[int, Bundle]]:
    first = start + block * size
    return ((seed, make_bundle(seed, **options)) for seed in range(first, first + size))


def asked(bundle: Bundle) -> Iterator[tuple[str, Any]]:
    return ((document, value) for document in bundle.documents for value in bundle.inputs)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("rego_version", [1, 0])
def test_tables_decide_what_the_plain_code_decides(block: int, rego_version: int) -> None:
    decided = 0
    for seed, bundle in bundles(block, rego_version=rego_version):
        fast, plain = compiled(bundle), compiled(bundle, optimize=False)
        if isinstance(fast, rego.CompileError) or isinstance(plain, rego.CompileError):
            assert str(fast) == str(plain), seed
            continue
        for document, value in asked(bundle):
            assert outcome(fast, document, value) == outcome(plain, document, value), (seed, document, value)
            decided += 1
    assert decided > 150


@pytest.mark.parametrize("block", BLOCKS)
def test_real_opa_decides_the_same(block: int) -> None:
    tool = oracle_tool()
    if tool is None:
        pytest.skip("real OPA is not available: its library is not in the cache")
    assert sum(compare_with_opa(tool, seed, bundle) for seed, bundle in bundles(block, 10_000)) > 150


def compare_with_opa(tool: Any, seed: int, bundle: Bundle) -> int:
    """Compare all decisions of a bundle that OPA does not refuse; return how many could be compared."""
    judge = judging(tool, bundle)
    if judge is None:
        return 0
    policy = compiled(bundle)
    assert isinstance(policy, rego.Policy), (seed, policy)
    try:
        return sum(is_alike(judge, policy, seed, document, value) for document, value in asked(bundle))
    finally:
        judge.close()


def judging(tool: Any, bundle: Bundle) -> Oracle | None:
    """Return OPA with a bundle, or None if it refuses it."""
    judge = None
    try:
        judge = Oracle(tool, bundle.modules, bundle.data)
        judge.query("data.t.x = 1", {})
    except RefusedError as refused:
        if any(code.startswith("rego_") for code in refused.codes):
            if judge is not None:
                judge.close()
            return None
    return judge


def is_alike(judge: Oracle, policy: rego.Policy, seed: int, document: str, value: Any) -> bool:
    """Compare one decision; return whether it could be compared. OPA's built-in errors are strict here, ours never."""
    ours = outcome(policy, document, value)
    try:
        theirs: Outcome = ("value", solutions(judge.query(f"{document} = x", value)))
    except RefusedError as refused:
        if refused.codes[-1] != "eval_conflict_error":
            return False
        theirs = CONFLICT
    if CONFLICT in (ours, theirs) and ours != theirs:
        return False
    assert ours == theirs, (seed, document, value)
    return True


@pytest.mark.parametrize("name", NAMES)
def test_where_another_engine_decides_otherwise_opa_decides_as_we_do(name: str) -> None:
    if not is_installed(name):
        pytest.skip(f"{name} is not installed: it has no wheel for this platform")
    tool = oracle_tool()
    engine = Engine(name)
    agreed = disputed = 0
    try:
        for seed, bundle in bundles(0, 20_000, 9 * SEEDS_OF_A_TEST, inputs=2, has_logical_words=False):
            policy = compiled(bundle)
            if isinstance(policy, rego.CompileError):
                continue
            questions = list(asked(bundle))
            answers = engine.answers(bundle.modules, bundle.data, questions) or [None] * len(questions)
            differing = [
                question
                for question, answer in zip(questions, answers, strict=True)
                if answer is not None and ("value", solutions([{"x": value} for value in answer])) != outcome(policy, *question)
            ]
            agreed += sum(answer is not None for answer in answers) - len(differing)
            disputed += len(differing)
            judge = judging(tool, bundle) if tool is not None and differing else None
            if judge is not None:
                for document, value in differing:
                    is_alike(judge, policy, seed, document, value)
                judge.close()
    finally:
        engine.close()
    assert agreed > 40
    assert agreed > 2 * disputed
