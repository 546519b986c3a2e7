"""The type checker and real OPA's accept the same random policies, and refuse the others in the same words.

What OPA says of the place of a reference is not compared: it names the last one that the package makes to that rule.
"""

from __future__ import annotations

import re

import pytest

from authz import rego
from tests.rego.oracle import Oracle, RefusedError, oracle_tool
from tests.rego.typed_policies import make_policy
from tests.rego.types.checking import TYPE

SEEDS_OF_A_TEST = 60

_HEAD = re.compile(r"p\.rego:(\d+): (rego_\w+): (.*)")
_GENERATED = re.compile(r"__local\w+?__")

Finding = tuple[int, str, str, tuple[str, ...]]
"""Row, code, message and details."""


def of_opa(source: str) -> list[Finding]:
    """Return OPA's findings; none if it accepts the policy."""
    try:
        judge = Oracle(oracle_tool(), {"p.rego": source}, None)
        judge.query("x = 1", None)
    except RefusedError as error:
        return list(read(str(error)))
    judge.close()
    return []


def read(text: str) -> list[Finding]:
    found: list[tuple[int, str, str, list[str]]] = []
    for line in _GENERATED.sub("_", text).splitlines():
        head = _HEAD.search(line)
        if head is not None:
            found.append((int(head[1]), head[2], head[3], []))
        elif line.startswith("\t"):
            found[-1][3].append(line[1:])
    assert found, text
    return [(row, code, message, tuple(details)) for row, code, message, details in found]


def of_ours(source: str) -> list[Finding]:
    try:
        rego.compile({"p.rego": source})
    except rego.CompileError as error:
        return [(item.location.row, item.code, item.message, item.details) for item in error.diagnostics]
    return []


def comparable(findings: list[Finding]) -> set[Finding]:
    """Return the findings without the places of references.

    Left out is what OPA says or not, as the order of its maps has it: a function of which one definition is wrong is
    undefined where the wrong one came first.
    """
    return {
        (0 if message.startswith(("undefined ref", "function ")) else row, code, message, details)
        for row, code, message, details in findings
        if not message.startswith("undefined function")
    }


@pytest.mark.skipif(oracle_tool() is None, reason="real OPA is not available: its library is not in the cache")
@pytest.mark.parametrize("block", range(6))
def test_real_opa_refuses_the_same_in_the_same_words(block: int) -> None:
    accepted = refused = 0
    for seed in range(block * SEEDS_OF_A_TEST, (block + 1) * SEEDS_OF_A_TEST):
        source = make_policy(seed)
        theirs, ours = of_opa(source), of_ours(source)
        if not theirs:
            assert not ours, (seed, ours)
            accepted += 1
        elif theirs[0][1] == TYPE and (not ours or ours[0][1] == TYPE):
            assert ours, seed
            assert len(ours) >= 10 or comparable(theirs) == comparable(ours), seed
            refused += 1
    assert accepted > 5
    assert refused > 20
