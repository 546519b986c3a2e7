"""The walk over a block: step by step, and a way of its own for every fork.

Owns the order of steps and the bounds on the work. What a kind of step comes to is for those who build on it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from authz.rego import plan as p
from authz.rego.planner import Planned
from authz.rego.program import Path
from authz.rego.tables.expressions import World
from authz.rego.tables.raising import may_raise
from authz.rego.tables.reading import Reading

MAX_TURNS: Final = 2_000_000
"""Constants that the tables of one policy iterate over; base data beyond it is iterated by code."""

MAX_STEPS: Final = 20_000
"""Steps that reading one definition may take."""

STEPS_A_TURN: Final = 100
"""How many steps more every constant that is iterated allows."""

Forks = Iterable[Reading] | None
"""How a reading goes on: None, as itself; else as each of these, none of them if it can never hold."""


class TooManyReadingsError(Exception):
    """A block splits into more readings than a table is worth."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A block that is read, and what its head uses. `is_own`: it is the definition's own, of which code may be left."""

    block: p.Block
    heads: tuple[p.Atom, ...]
    is_own: bool = False


class Walk(ABC):
    """Reads blocks of one set of plans."""

    def __init__(self, planned: Planned, world: World, raising: dict[Path, bool]) -> None:
        self.planned = planned
        self.world = world
        self.raising = raising
        self.turns = 0
        self.steps_left = MAX_STEPS

    def walk(self, frame: Frame, place: int, reading: Reading) -> Iterator[Reading]:
        """Yield the readings of the steps from `place` on. Raises TooManyReadingsError."""
        block = frame.block
        while place < len(block) and not reading.stopped:
            self.steps_left -= 1
            if self.steps_left < 0:
                raise TooManyReadingsError
            step = block[place]
            if isinstance(step, p.Let):
                forks = self.let(frame, place, step, reading)
            elif isinstance(step, p.Check):
                forks = self.check(frame, place, step, reading)
            elif isinstance(step, p.Loop):
                forks = self.loop(frame, place, step, reading)
            else:
                forks = self.unread(step, reading)
            place += 1
            if forks is not None:
                for fork in forks:
                    yield from self.walk(frame, place, fork)
                return
        yield reading

    @abstractmethod
    def let(self, frame: Frame, place: int, step: p.Let, reading: Reading) -> Forks:
        """Read a step that binds a local."""

    @abstractmethod
    def check(self, frame: Frame, place: int, step: p.Check, reading: Reading) -> Forks:
        """Read a condition."""

    @abstractmethod
    def loop(self, frame: Frame, place: int, step: p.Loop, reading: Reading) -> Forks:
        """Read an iteration."""

    def unread(self, step: p.Step, reading: Reading) -> Forks:
        """Leave a step to code."""
        reading.exact = False
        reading.stopped = may_raise(step, self.raising)
        return None

    def turn(self, reading: Reading) -> Reading:
        """Return a fork for one of the constants that are iterated."""
        self.turns += 1
        self.steps_left += STEPS_A_TURN
        if self.turns > MAX_TURNS:
            raise TooManyReadingsError
        return reading.fork()
