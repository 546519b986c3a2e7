"""Profiles: how often the expressions of every line were evaluated, and how long it took until the next one was.

Listens to events; the clock is the caller's. Knows no JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from authz.rego.nodes import Location
from authz.rego.observed.events import Event, Op
from authz.rego.observed.plans import Stage


@dataclass(slots=True)
class LineProfile:
    """The expressions of one line; `location` is that of the first of them that was evaluated."""

    location: Location
    total_time_ns: int = 0
    num_eval: int = 0
    num_redo: int = 0
    indexes: set[int] = field(default_factory=set)

    @property
    def num_gen_expr(self) -> int:
        """The number of expressions that the line was compiled to, as OPA counts them: by their place in a body."""
        return len(self.indexes)


class Profile:
    """Listens to an evaluation. `clock` gives nanoseconds; it is asked at every expression."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._lines: dict[tuple[str, int], LineProfile] = {}
        self._active: LineProfile | None = None
        self._since = 0

    def __call__(self, event: Event) -> None:
        if event.op not in {Op.EVAL, Op.REDO} or not isinstance(event.node, Stage):
            return
        self._account()
        location = event.location
        line = self._lines.setdefault((location.file, location.row), LineProfile(location))
        line.indexes.add(event.node.index)
        if event.op is Op.EVAL:
            line.num_eval += 1
        else:
            line.num_redo += 1
        self._active, self._since = line, self._clock()

    def _account(self) -> None:
        if self._active is not None:
            self._active.total_time_ns += self._clock() - self._since
            self._active = None

    def lines(self) -> list[LineProfile]:
        """Return the lines in the order in which they were reached; the evaluation has ended."""
        self._account()
        return list(self._lines.values())
