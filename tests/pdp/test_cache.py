"""The cache of decisions: bounded in entries, bytes and time, and not to be flooded."""

from __future__ import annotations

import tracemalloc
from decimal import Decimal
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.errors import Reason
from authz.pdp.cache import JITTER, CacheConfig, DecisionCache, Entry, Key, weight
from authz.rego.values import NULL, TRUE, Object, Set

TTL = 100


SHORTEST = TTL - TTL // JITTER


def cache(entries: int = 10, max_key_bytes: int = 4096, allow_ttl_ns: int = 0) -> DecisionCache:
    return DecisionCache(CacheConfig(entries, TTL, max_key_bytes, allow_ttl_ns))


def denial(now_ns: int = 0, response: bytes = b"no") -> Entry:
    return Entry(response, False, Reason.DENIED, None, now_ns)


def permission(now_ns: int = 0) -> Entry:
    return Entry(b"yes", True, Reason.ALLOWED, None, now_ns)


def test_remembers_what_was_put_and_counts() -> None:
    remembered = cache()
    assert remembered.get(("a",), 0) is None
    remembered.put(("a",), denial())
    entry = remembered.get(("a",), 0)
    assert entry is not None
    assert (entry.response, entry.reason) == (b"no", Reason.DENIED)
    assert (remembered.hits, remembered.misses, remembered.evictions, remembered.expirations) == (1, 1, 0, 0)


def test_undefined_and_rego_values_are_told_apart_in_keys() -> None:
    remembered = cache()
    remembered.put((None,), denial())
    assert remembered.get((NULL,), 0) is None
    remembered.put((TRUE,), denial())
    assert remembered.get((1,), 0) is None
    assert remembered.get(("",), 0) is None
    assert len(remembered) == 2


def test_entries_expire_and_leave() -> None:
    remembered = cache()
    remembered.put(("a",), denial(5))
    assert remembered.get(("a",), 5 + SHORTEST - 1) is not None
    assert remembered.get(("a",), 5 + TTL) is None
    assert len(remembered) == 0
    assert (remembered.expirations, remembered.misses) == (1, 1)


def test_what_was_learnt_together_is_not_forgotten_together() -> None:
    remembered = DecisionCache(CacheConfig(10_000, 1_000_000))
    entries = [denial() for _ in range(1000)]
    for number, entry in enumerate(entries):
        remembered.put((f"/path/{number}",), entry)
    lifetimes = {entry.expires_ns for entry in entries}
    assert len(lifetimes) > 100
    assert 1_000_000 * (JITTER - 1) // JITTER <= min(lifetimes) < max(lifetimes) <= 1_000_000


def test_what_was_allowed_is_remembered_only_for_the_time_that_it_is_given() -> None:
    remembered = cache()
    remembered.put(("a",), permission())
    assert remembered.get(("a",), 0) is None
    remembered = cache(allow_ttl_ns=10)
    remembered.put(("a",), permission())
    assert remembered.get(("a",), 8) is not None
    assert remembered.get(("a",), 10) is None
    remembered.put(("a",), denial())
    assert remembered.get(("a",), SHORTEST - 1) is not None


def test_a_million_distinct_denials_evict_nothing_that_helps_and_take_no_more_memory() -> None:
    remembered = DecisionCache(CacheConfig())
    useful = [(f"/useful/{number}",) for number in range(1000)]
    for key in useful:
        remembered.put(key, denial())
        assert remembered.get(key, 0) is not None
    flood = (((f"/attack/{number}",), denial()) for number in range(1_000_000))
    for key, entry in islice(flood, 20_000):  # full by now
        remembered.put(key, entry)
    tracemalloc.start()
    for key, entry in islice(flood, 20_000):
        remembered.put(key, entry)
    first = tracemalloc.get_traced_memory()[0]
    for key, entry in islice(flood, 60_000):
        remembered.put(key, entry)
    grown = tracemalloc.get_traced_memory()[0] - first
    tracemalloc.stop()
    for key, entry in flood:
        remembered.put(key, entry)
    assert len(remembered) == CacheConfig().max_entries
    assert grown < 100_000
    assert all(remembered.get(key, 0) is not None for key in useful)


def test_being_hit_does_not_prolong_a_denial() -> None:
    remembered = cache()
    remembered.put(("a",), denial())
    for now_ns in range(0, SHORTEST, 10):
        assert remembered.get(("a",), now_ns) is not None
    assert remembered.get(("a",), TTL) is None


def test_a_clock_that_went_back_forgets_what_it_meets() -> None:
    remembered = cache()
    remembered.put(("a",), denial(1000))
    assert remembered.get(("a",), 999) is None
    assert len(remembered) == 0


def test_a_flood_of_denied_keys_does_not_evict_what_is_hit_again_and_again() -> None:
    remembered = cache(entries=10)
    for name in ("x", "y"):
        remembered.put((name,), denial())
        remembered.get((name,), 0)
    for number in range(1000):
        remembered.put((number,), denial())
    assert remembered.get(("x",), 0) is not None
    assert remembered.get(("y",), 0) is not None
    assert len(remembered) == 10
    assert remembered.evictions == 1000 - 8


def test_among_what_is_hit_again_the_least_recently_hit_goes_first() -> None:
    remembered = cache(entries=10)  # 8 of them protected
    for number in range(8):
        remembered.put((number,), denial())
        remembered.get((number,), 0)
    remembered.get((0,), 0)
    for number in range(8, 10):
        remembered.put((number,), denial())
        remembered.get((number,), 0)
    for number in range(100, 110):
        remembered.put((number,), denial())
    assert [number for number in range(10) if remembered.get((number,), 0)] == [0, 3, 4, 5, 6, 7, 8, 9]


def test_putting_a_key_again_replaces_its_denial() -> None:
    remembered = cache()
    remembered.put(("a",), denial())
    remembered.get(("a",), 0)
    remembered.put(("a",), denial(response=b"other"))
    entry = remembered.get(("a",), 0)
    assert entry is not None
    assert entry.response == b"other"
    assert len(remembered) == 1


def test_what_is_hit_no_more_makes_room_for_what_is() -> None:
    remembered = cache(entries=10)
    for number in range(100):
        remembered.put((number,), denial())
        remembered.get((number,), 0)
    assert remembered.get((99,), 0) is not None
    assert remembered.get((0,), 0) is None
    assert len(remembered) == 10


def test_large_keys_and_large_responses_are_not_remembered() -> None:
    remembered = cache(max_key_bytes=400)
    remembered.put(("k" * 400,), denial())
    remembered.put(("k",), denial(response=b"r" * 400))
    assert len(remembered) == 0
    remembered.put(("k" * 100,), denial(response=b"r" * 100))
    assert len(remembered) == 1


@pytest.mark.parametrize(
    ("value", "least"),
    [
        ("a" * 1000, 1000),
        ("é" * 1000, 2000),
        (10**3000, 1200),
        (Decimal("1" * 3000), 3000),
        (("a" * 500, "b" * 500), 1000),
        (Object({"k" * 500: "v" * 500}), 1000),
        (Set(["a" * 1000]), 1000),
        (None, 0),
        (TRUE, 0),
    ],
)
def test_weight_grows_with_what_a_value_holds(value: object, least: int) -> None:
    assert weight((value,)) >= least  # type: ignore[arg-type]


keys = st.tuples(st.one_of(st.none(), st.sampled_from("abcdefgh"), st.integers(0, 5)))
steps = st.lists(st.tuples(st.sampled_from(["get", "put"]), keys, st.integers(0, 30)), max_size=80)


@given(st.integers(1, 6), steps)
def test_never_answers_what_a_plain_dictionary_would_not(entries: int, history: list[tuple[str, Key, int]]) -> None:
    remembered, model, now_ns = cache(entries), dict[Key, Entry](), 0
    for action, key, elapsed in history:
        now_ns += elapsed
        if action == "put":
            model[key] = denial(now_ns)
            remembered.put(key, model[key])
        else:
            entry = remembered.get(key, now_ns)
            assert entry is None or (entry is model[key] and now_ns - entry.stored_ns < TTL)
        assert len(remembered) <= entries


@pytest.mark.parametrize("key", [("a", None, 1, TRUE), ((1, 2), Object({"a": 1})), (Set({"a"}),), ("a" * 3900,), ()])
def test_keys_that_are_small_and_have_one_spelling_can_be_held(key: Key) -> None:
    assert cache().can_hold(key)


@pytest.mark.parametrize(
    "key",
    [(Decimal("1.0"),), ((1, (Decimal(1),)),), (Object({"a": Decimal(1)}),), (Object({Decimal(1): "a"}),), (Set({Decimal(1)}),)],
)
def test_keys_with_numbers_of_several_spellings_cannot_be_held(key: Key) -> None:
    assert not cache().can_hold(key)


@pytest.mark.parametrize(
    "key", [("a" * 4096,), (tuple(range(1000)),), (Object({str(i): i for i in range(100)}),), ("a" * 2500, "a" * 2500)]
)
def test_large_keys_cannot_be_held(key: Key) -> None:
    assert not cache().can_hold(key)
