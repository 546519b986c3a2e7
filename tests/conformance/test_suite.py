"""Every conformance case passes, with tables, without, and observed, but for those in the committed lists; no listed case passes.

The lists only ever shrink: a case that starts to pass has to be taken out.
"""

from __future__ import annotations

import pytest

from tests.conformance.suite import VERSIONS, canonical, categories, failures, known_failures, load, name
from tests.shared import shared_path

CATEGORIES = [(version, category) for version in VERSIONS for category in categories(version)]


@pytest.mark.skipif(not CATEGORIES, reason="conformance cases are not available")
@pytest.mark.parametrize(("version", "category"), CATEGORIES or [("v1", "none")], ids=lambda part: part)
def test_the_cases_of_a_category_pass_unless_they_are_listed(version: str, category: str) -> None:
    known = {case for case in known_failures(version) if case.startswith(f"{category}/")}
    found = dict(failures(version, category))
    assert {case: reason for case, reason in found.items() if case not in known} == {}
    assert sorted(known - set(found)) == [], "these cases pass: take them out of the list"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_lists_name_only_cases_that_exist(version: str) -> None:
    shared_path("rego-conformance", version)
    existing = {name(category, index, case) for category in categories(version) for index, case in enumerate(load(version, category))}
    assert set(known_failures(version)) <= existing
    assert all(reason.strip() for reason in known_failures(version).values())


def test_bindings_compare_by_value_and_truth_is_no_number() -> None:
    assert canonical({"x": 1}) == canonical({"x": 1.0})
    assert canonical({"x": True}) != canonical({"x": 1})
    assert canonical([1, "1"]) != canonical([1, 1])
