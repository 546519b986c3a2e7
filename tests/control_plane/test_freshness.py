"""Ages of bundles, by a clock that a jump of the time of day does not move."""

from __future__ import annotations

import time

import pytest

from authz.control_plane.freshness import Freshness, elapsed_s
from authz.services.resolution import DownloadSettings


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limited(max_age_s: float | None, name: str = "a") -> DownloadSettings:
    return DownloadSettings(name, "acme", name, max_age_s=max_age_s)


def test_a_bundle_is_stale_once_it_was_not_confirmed_for_longer_than_it_may(clock: Clock) -> None:
    freshness = Freshness(clock)
    freshness.confirm("a")
    for passed_s, is_stale in ((0, False), (59, False), (2, True), (1000, True)):
        clock.now_s += passed_s
        assert freshness.is_stale(limited(60)) is is_stale
    assert freshness.age_s("a") == 1061
    freshness.confirm("a")
    assert (freshness.is_stale(limited(60)), freshness.age_s("a")) == (False, 0)


def test_a_bundle_that_never_came_or_may_be_of_any_age_is_not_stale(clock: Clock) -> None:
    freshness = Freshness(clock)
    assert (freshness.age_s("a"), freshness.is_stale(limited(60))) == (None, False)
    freshness.confirm("a", age_s=10**9)
    assert not freshness.is_stale(limited(None))


def test_what_comes_from_disk_has_the_age_it_had(clock: Clock) -> None:
    freshness = Freshness(clock)
    freshness.confirm("a", age_s=50)
    assert (freshness.age_s("a"), freshness.is_stale(limited(60))) == (50, False)
    clock.now_s += 11
    assert freshness.is_stale(limited(60))


def test_what_was_confirmed_in_the_future_is_not_fresher_than_fresh(clock: Clock) -> None:
    """The time of day was set back between two starts."""
    freshness = Freshness(clock)
    freshness.confirm("a", age_s=-86400)
    assert freshness.age_s("a") == 0
    clock.now_s += 61
    assert freshness.is_stale(limited(60))


def test_the_first_of_the_bundles_tells_when_something_is_stale(clock: Clock) -> None:
    freshness = Freshness(clock)
    wanted = {"a": limited(60), "b": limited(30, "b"), "c": limited(None, "c"), "d": limited(1, "d")}
    assert freshness.stale_in_s(wanted) is None
    freshness.confirm("a")
    assert freshness.stale_in_s(wanted) == 60
    freshness.confirm("b", age_s=10)
    assert freshness.stale_in_s(wanted) == 20
    clock.now_s += 100
    assert freshness.stale_in_s(wanted) == 0


def test_the_time_of_day_is_not_what_ages_are_measured_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: pytest.fail("the time of day was asked for"))
    monkeypatch.setattr(time, "time_ns", lambda: pytest.fail("the time of day was asked for"))
    before_s = elapsed_s()
    freshness = Freshness()
    freshness.confirm("a")
    age_s = freshness.age_s("a")
    assert age_s is not None
    assert 0 <= age_s <= elapsed_s() - before_s
