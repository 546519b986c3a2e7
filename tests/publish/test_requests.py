from __future__ import annotations

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from authz.publish.requests import MAX_WAIT_S, Asked


def asked(*headers: tuple[str, str]) -> Asked:
    return Asked.of(CIMultiDictProxy(CIMultiDict(headers)))


@pytest.mark.parametrize(
    ("prefer", "wait_s", "takes_deltas"),
    [
        ("modes=snapshot,delta;wait=30", 30, True),
        ("modes=snapshot,delta", 0, True),
        ("modes=delta", 0, True),
        ("wait=1.5;modes=snapshot,delta", 1.5, True),
        ("wait=10, modes=snapshot,delta", 10, True),
        ('modes="snapshot,delta"', 0, True),
        ("modes=snapshot;wait=30", 30, False),
        ("modes=snapshot, delta=1", 0, False),
        ("modes=snapshots,deltas", 0, False),
        ("wait=30", 30, False),
        ("nowait=30;othermodes=delta", 0, False),
        ("wait=-1", 0, False),
        ("wait=1e9", 0, False),
        ("wait=999999999", MAX_WAIT_S, False),
        ("", 0, False),
    ],
)
def test_preferences_are_read_as_opa_writes_them(prefer: str, wait_s: float, takes_deltas: bool) -> None:
    found = asked(("Prefer", prefer))
    assert (found.wait_s, found.takes_deltas) == (wait_s, takes_deltas)


def test_headers_may_come_in_several_lines() -> None:
    found = asked(("Prefer", "wait=5"), ("prefer", "modes=snapshot,delta"), ("If-None-Match", '"a"'), ("if-none-match", 'W/"b"'))
    assert (found.wait_s, found.takes_deltas, found.tags) == (5.0, True, frozenset({"a", "b"}))


@pytest.mark.parametrize(
    ("known", "is_known"),
    [('"a"', True), ('W/"a"', True), ('"b", "a"', True), ('"b,"a', False), ("*", True), ("a", False), ('"A"', False), ("", False)],
)
def test_tags_compare_weakly(known: str, is_known: bool) -> None:
    assert asked(("If-None-Match", known)).knows("a") is is_known


@pytest.mark.parametrize(("known", "base"), [('"a"', "a"), ('W/"a"', "a"), ('"a", W/"a"', "a"), ('"a", "b"', None), ("", None)])
def test_a_delta_leads_from_the_only_version_that_is_known(known: str, base: str | None) -> None:
    assert asked(("If-None-Match", known), ("Prefer", "modes=snapshot,delta")).base == base
    assert asked(("If-None-Match", known), ("Prefer", "modes=snapshot")).base is None
