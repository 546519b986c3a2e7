"""How old bundles are, by a clock of our own."""

from __future__ import annotations

from authz.control_plane.freshness import Freshness, elapsed_s
from authz.services.resolution import DownloadSettings


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def bundle(name: str, max_age_s: float | None) -> DownloadSettings:
    return DownloadSettings(name, None, "/x", max_age_s=max_age_s)


def test_a_bundle_is_as_old_as_its_last_confirmation() -> None:
    clock = Clock()
    freshness = Freshness(clock)
    assert freshness.age_s("a") is None
    freshness.confirm("a")
    clock.now_s += 7
    assert freshness.age_s("a") == 7
    freshness.confirm("a", age_s=100)
    assert freshness.age_s("a") == 100


def test_what_comes_from_a_disk_of_the_future_is_not_younger_than_new() -> None:
    freshness = Freshness(Clock())
    freshness.confirm("a", age_s=-5)
    assert freshness.age_s("a") == 0


def test_a_bundle_is_stale_once_it_is_older_than_it_may_be() -> None:
    clock = Clock()
    freshness = Freshness(clock)
    freshness.confirm("a")
    assert [freshness.is_stale(bundle("a", age_s)) for age_s in (10, None)] == [False, False]
    clock.now_s += 10
    assert not freshness.is_stale(bundle("a", 10))
    clock.now_s += 0.001
    assert [freshness.is_stale(bundle("a", age_s)) for age_s in (10, None)] == [True, False]


def test_what_never_came_is_missing_and_not_stale() -> None:
    assert not Freshness(Clock()).is_stale(bundle("a", 1))


def test_the_clock_never_goes_back() -> None:
    readings = [elapsed_s() for _ in range(1000)]
    assert readings == sorted(readings)
