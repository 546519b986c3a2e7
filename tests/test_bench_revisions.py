"""What an answer says of its revision is read, a mixture is told, and an older revision after a newer one is seen."""

from __future__ import annotations

import pytest

from bench.lab.revisions import Revisions, Seen, behind_s, first_answered


def answer(**headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\nthe body: x\r\na: 9"


@pytest.mark.parametrize("headers", [{"a": "1", "b": "2"}, {"a": "1"}, {}, {"a": "-", "b": "-"}], ids=["two", "one", "none", "no number"])
def test_an_answer_that_does_not_name_one_revision_is_a_mixture(headers: dict[str, str]) -> None:
    revisions = Revisions(["a", "b"])
    revisions.observe(1.0, 2.0, answer(**headers))
    assert (revisions.seen, len(revisions.mixed)) == ([], 1)


def test_an_answer_that_names_one_revision_everywhere_is_of_it() -> None:
    revisions = Revisions(["a", "b"])
    assert revisions.last == 0
    revisions.observe(1.0, 2.0, answer(a="3", b="3", c="4"))
    assert (revisions.seen, revisions.mixed, revisions.last) == ([Seen(1.0, 2.0, 3)], [], 3)


OVERLAPPING = [Seen(0.0, 1.0, 1), Seen(0.5, 2.0, 2), Seen(1.9, 4.0, 1), Seen(2.5, 3.0, 2), Seen(3.5, 5.0, 3)]


def test_answers_that_were_asked_for_before_the_newer_one_came_may_be_older() -> None:
    assert behind_s(OVERLAPPING) == []
    assert behind_s([]) == []


def test_an_answer_asked_for_after_a_newer_one_came_is_behind_by_the_time_between() -> None:
    assert behind_s([*OVERLAPPING, Seen(2.25, 6.0, 1)]) == [0.25]
    assert behind_s([*OVERLAPPING, Seen(6.0, 7.0, 2), Seen(6.0, 7.0, 3), Seen(6.0, 7.0, 1)]) == [1.0, 4.0]


def test_a_revision_is_known_from_its_first_answer_on_in_whatever_order_answers_are_noted() -> None:
    assert first_answered(OVERLAPPING) == {1: 1.0, 2: 2.0, 3: 5.0}
    assert first_answered(OVERLAPPING[::-1]) == {1: 1.0, 2: 2.0, 3: 5.0}
