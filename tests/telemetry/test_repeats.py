from __future__ import annotations

from authz.telemetry.repeats import MAX_KEYS, PERIOD_S, RepeatFilter


def test_the_first_is_said_and_the_next_are_counted_until_the_period_is_over() -> None:
    repeats = RepeatFilter()
    assert repeats.admit("a", 0.0) == 0
    assert [repeats.admit("a", 1.0), repeats.admit("a", PERIOD_S - 0.1)] == [None, None]
    assert repeats.admit("a", PERIOD_S) == 2
    assert repeats.admit("a", PERIOD_S + 1) is None


def test_another_complaint_is_said_at_once() -> None:
    repeats = RepeatFilter()
    assert [repeats.admit("a", 0.0), repeats.admit("b", 0.0)] == [0, 0]


def test_a_flood_of_different_complaints_is_bounded() -> None:
    repeats = RepeatFilter()
    said = [repeats.admit(f"complaint {number}", 0.0) for number in range(10 * MAX_KEYS)]
    assert sum(held_back is not None for held_back in said) == MAX_KEYS + 1
    assert len(repeats._next_s) <= MAX_KEYS + 1


def test_old_complaints_make_room() -> None:
    repeats = RepeatFilter()
    for number in range(MAX_KEYS):
        repeats.admit(f"old {number}", 0.0)
    assert repeats.admit("new", PERIOD_S + 1) == 0
    assert repeats.admit("old 0", PERIOD_S + 1) == 0
