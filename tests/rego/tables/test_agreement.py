"""Random policies that lean on every part of the tables decide alike with tables and without.

Tables are made both ways: as trees where they are small enough, which most of these are, and filed in spaces all of them.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from authz import rego
from authz.rego.tables import small
from tests.rego.tables.policies import DATA, make_case

BLOCKS = 6
SEEDS = int(os.environ.get("AUTHZ_TABLE_SEEDS", "50"))
"""Seeds of a block; a long run is `AUTHZ_TABLE_SEEDS=4000 pytest tests/rego/tables/test_agreement.py`."""


def decision(policy: rego.Policy, rule: str, document: Any) -> tuple[str, str]:
    try:
        return "value", repr(policy.entrypoint(f"t/{rule}").decide(document, now_ns=1))
    except rego.EvalError as error:
        return "error", error.code


def without_trees(source: str) -> rego.Policy:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small, "MAX_ROWS", 0)
        return rego.compile({"p.rego": source}, DATA)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_tables_decide_what_the_plain_code_decides(block: int) -> None:
    rows = compared = differing = 0
    for seed in range(block * SEEDS, (block + 1) * SEEDS):
        case = make_case(seed)
        try:
            plain = rego.compile({"p.rego": case.source}, DATA, optimize=False)
        except rego.CompileError:
            continue  # a random body may use a variable before it is bound, or be of types that cannot be
        trees, spaces = rego.compile({"p.rego": case.source}, DATA), without_trees(case.source)
        differing += trees.artifact.text != spaces.artifact.text
        for rule in case.rules:
            rows += spaces.entrypoint(f"t/{rule}").table.rows
            for document in case.inputs:
                expected = decision(plain, rule, document)
                assert decision(trees, rule, document) == expected, (seed, rule, document)
                assert decision(spaces, rule, document) == expected, (seed, rule, document)
                compared += 1
    assert compared > 15 * SEEDS
    assert rows > 8 * SEEDS
    assert differing > SEEDS // 4
