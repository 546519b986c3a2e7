"""What the benches compare decides alike: with tables and without, by hand, and in other engines."""

from __future__ import annotations

from dataclasses import replace

import pytest

from authz import rego
from bench import engines
from bench.compiling import require_right
from bench.families import ENTRYPOINT, FAMILIES, FIRST, JOINS, LAST, MISS, MIXED, SCALE, SHAPES, Case, Family
from bench.families.equality import EQUALITY
from bench.families.example_policies import Example, examples

HAVE_FLOORS = dict.fromkeys((*SCALE, *JOINS))


def names(family: Family) -> str:
    return family.name


@pytest.mark.parametrize("optimize", [True, False], ids=["with tables", "without"])
@pytest.mark.parametrize("size", [3, 10, 100])
@pytest.mark.parametrize("family", HAVE_FLOORS, ids=names)
def test_a_family_decides_as_its_floor_and_as_its_kinds_say(family: Family, size: int, optimize: bool) -> None:
    case = family.build(size)
    assert case.floor is not None
    floor = case.floor()
    entry = rego.compile({"policy.rego": case.source}, case.data, optimize=optimize).entrypoint(ENTRYPOINT)
    for kind, requests in case.requests.items():
        for request in requests:
            assert (entry.decide(request, now_ns=0), floor(request)) == (kind != MISS, kind != MISS), (kind, request)


@pytest.mark.parametrize("optimize", [True, False], ids=["with tables", "without"])
@pytest.mark.parametrize("shape", SHAPES, ids=names)
def test_a_shape_decides_as_its_kinds_say(shape: Family, optimize: bool) -> None:
    case = shape.build(20)
    require_right(rego.compile({"policy.rego": case.source}, case.data, optimize=optimize), case)


def test_names_tell_families_apart() -> None:
    assert len(FAMILIES) == len({*SCALE, *JOINS, *SHAPES})


def test_three_rules_in_ten_of_the_mixed_family_end_in_code() -> None:
    table = rego.compile({"policy.rego": MIXED.build(1000).source}).entrypoint(ENTRYPOINT).table
    assert table.rows == 1000
    assert 0.25 < table.residuals / table.rows <= 0.3


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_an_example_policy_decides_as_by_hand(example: Example) -> None:
    entry, floor = rego.compile(example.modules, example.data).entrypoint(ENTRYPOINT), example.floor()
    decisions = [(entry.decide(request, now_ns=0), floor(request)) for requests in example.requests.values() for request in requests]
    assert [decision for decision, _ in decisions] == [by_hand for _, by_hand in decisions]
    assert len({str(decision) for decision, _ in decisions}) > 1


def mislabelled(case: Case) -> Case:
    return replace(case, requests={LAST: case.requests[MISS], MISS: case.requests[LAST]})


def test_a_policy_that_decides_otherwise_is_not_measured() -> None:
    case = mislabelled(EQUALITY.build(10))
    with pytest.raises(RuntimeError, match="wrong decision on a request of kind `last`"):
        require_right(rego.compile({"policy.rego": case.source}), case)


def available_engine(name: str) -> str:
    if name not in engines.available():
        pytest.skip(f"{name} is not installed")
    return name


@pytest.mark.parametrize("family", SCALE, ids=names)
@pytest.mark.parametrize("name", engines.ENGINES)
def test_another_engine_decides_alike(name: str, family: Family) -> None:
    with engines.engine(available_engine(name), family.build(20), (FIRST, LAST, MISS)) as takes:
        assert all(take(2) > 0 for take in takes.values())


@pytest.mark.parametrize("name", engines.ENGINES)
def test_an_engine_that_decides_otherwise_is_not_measured(name: str) -> None:
    measured = engines.engine(available_engine(name), mislabelled(EQUALITY.build(10)), (LAST, MISS))
    with pytest.raises(RuntimeError, match="decides otherwise on a request of kind `last`"), measured:
        pytest.fail("it was measured")
