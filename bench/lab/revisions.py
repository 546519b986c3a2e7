"""Which revision of a policy each answer came from: whether one is of several, and whether an older one came after a newer.

Knows the headers of answers; neither policies nor who sends requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bench.lab.upstream import END_OF_HEAD


class Seen(NamedTuple):
    """When a request was sent and answered (`perf_counter`), and the revision that it was decided by."""

    sent: float
    answered: float
    revision: int


class Revisions:
    """Revisions as answers name them, in the order in which the answers came; revisions are numbers that grow.

    `mixed` are the answers whose headers do not all name one revision: none, or several. `observe` fits a load, from any thread.
    """

    def __init__(self, headers: Sequence[str]) -> None:
        self.seen: list[Seen] = []
        self.mixed: list[str] = []
        self._headers = [header.encode() for header in headers]

    @property
    def last(self) -> int:
        """The revision of the last answer, 0 before the first."""
        return self.seen[-1].revision if self.seen else 0

    def observe(self, sent: float, answered: float, answer: bytes) -> None:
        """Note an answer."""
        fields = dict(line.split(b": ", 1) for line in answer.partition(END_OF_HEAD)[0].split(b"\r\n")[1:])
        named = [fields.get(header, b"") for header in self._headers]
        if len(set(named)) == 1 and named[0].isdigit():
            self.seen.append(Seen(sent, answered, int(named[0])))
        else:
            self.mixed.append(", ".join(f"{header.decode()}: {value.decode()}" for header, value in zip(self._headers, named, strict=True)))

    def first_answered(self) -> dict[int, float]:
        """Return when each revision was first answered with."""
        return first_answered(self.seen)


def first_answered(seen: Sequence[Seen]) -> dict[int, float]:
    """Return when each revision was first answered with."""
    found: dict[int, float] = {}
    for each in seen:
        found[each.revision] = min(each.answered, found.get(each.revision, each.answered))
    return found


def behind_s(seen: Sequence[Seen]) -> list[float]:
    """Return, of each answer that was older than what was known, how long after a newer one's first answer its request was sent.

    Empty where revisions only ever grow: no request that was sent after an answer was decided by an older revision than that
    answer, on whichever connections both were.
    """
    newer, newest_known = dict[int, float](), float("inf")
    first = first_answered(seen)
    for revision in sorted(first, reverse=True):
        newer[revision] = newest_known
        newest_known = min(newest_known, first[revision])
    return [each.sent - newer[each.revision] for each in seen if each.sent > newer[each.revision]]
