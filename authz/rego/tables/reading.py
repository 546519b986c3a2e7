"""Readings: what is known half-way through a block, on one of the ways through it.

Owns the abstract values that locals have while a table is built, and the bookkeeping of cells. Reads no steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias, Union

from authz.rego import plan as p
from authz.rego.tables.cells import Cell, demands_presence, is_defined
from authz.rego.tables.columns import Column, parts_of
from authz.rego.values import Boolean, Null, Value


class Member:
    """Some member of a column's collection, the same wherever this object stands.

    `origin` is the place and the local of the iteration that chooses it, if that is a step of the definition's own block.
    """

    __slots__ = ("column", "origin")

    def __init__(self, column: Column, origin: tuple[int, str] | None = None) -> None:
        self.column = column
        self.origin = origin


@dataclass(frozen=True, slots=True)
class Items:
    """An array of known length whose items are known one by one."""

    items: tuple[Known, ...]


@dataclass(frozen=True, slots=True)
class Collected:
    """A set or an array whose members are what the alternatives of a rule or a comprehension yield."""

    source: p.RulePlan | p.Comprehension
    env: tuple[tuple[str, Known], ...] = ()

    @property
    def is_set(self) -> bool:
        return isinstance(self.source, p.RulePlan) or self.source.kind == "set"

    @property
    def is_own(self) -> bool:
        """Tell whether nobody else reads it: a comprehension."""
        return isinstance(self.source, p.Comprehension)


Known: TypeAlias = Union[p.Const, Column, Member, Items, Collected]
"""What a local is known to be; a local that is missing is anything at all."""

Env: TypeAlias = dict[str, Known]

_EXACT: Final = frozenset({str, Boolean, Null})
"""The types of values that are alike in every respect where they are equal."""


@dataclass(frozen=True, slots=True)
class Turn:
    """An iteration of the definition's own block of which the reading is one turn: the step's place, key and value, and the
    cells that say of an input that there is this turn (none where the iteration is over constants). No key: nobody asks for it."""

    place: int
    key: Value | None
    value: Value
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """One way for a condition to hold. `settled` are members that are then a constant, `tested` one that was tested otherwise."""

    cells: tuple[Cell, ...] = ()
    settled: tuple[tuple[Member, Value], ...] = ()
    tested: Member | None = None

    @property
    def is_about_members(self) -> bool:
        return bool(self.settled) or self.tested is not None


class Reading:
    """One way through a block.

    `exact`: nothing but the cells has to hold. `stopped`: what comes now may end the evaluation with an error, so nothing
    behind it may be a condition for running it. `pending` members were chosen, and have to be tested before the end of the block.
    `forks` counts the ways that rules, not data, have split the block into so far.

    Four things are kept of the definition's own block, for the code of rows that need some: `covered`, the places of steps that
    say no more than some cells; `turns`; `assumed`, the cells by which a local is what the reading takes it for; and `loose`, the
    locals that the code may find to be something else all the same.
    """

    __slots__ = (
        "assumed",
        "cells",
        "covered",
        "env",
        "exact",
        "forks",
        "known",
        "loose",
        "pending",
        "stopped",
        "tested",
        "turns",
        "untested",
    )

    def __init__(self) -> None:
        self.env: Env = {}
        self.cells: list[Cell] = []
        self.exact = True
        self.stopped = False
        self.covered: list[tuple[int, tuple[Cell, ...]]] = []
        self.turns: tuple[Turn, ...] = ()
        self.assumed: dict[str, tuple[Cell, ...]] = {}
        self.loose: frozenset[str] = frozenset()
        self.untested: list[Column] = []
        self.known: dict[Member, p.Const] = {}
        self.pending: tuple[Member, ...] = ()
        self.tested: frozenset[Member] = frozenset()
        self.forks = 1

    def fork(self) -> Reading:
        """Return a copy that goes its own way from here."""
        other = Reading.__new__(Reading)
        other.env = self.env.copy()
        other.cells = self.cells.copy()
        other.exact = self.exact
        other.stopped = self.stopped
        other.covered = self.covered.copy()
        other.turns = self.turns
        other.assumed = self.assumed
        other.loose = self.loose
        other.untested = self.untested.copy()
        other.known = self.known.copy()
        other.pending = self.pending
        other.tested = self.tested
        other.forks = self.forks
        return other

    def inner(self, env: Env) -> Reading:
        """Return a reading for a nested block: another scope, nothing found yet, the same members known."""
        other = Reading()
        other.env = env
        other.known = self.known.copy()
        other.tested = self.tested
        other.forks = self.forks
        return other

    def join(self, nested: Reading) -> None:
        """Add what a nested block has found. Its locals stay its own."""
        self.cells += nested.cells
        self.untested += nested.untested
        self.exact = self.exact and nested.exact
        self.stopped = self.stopped or nested.stopped
        self.known = nested.known
        self.pending += nested.pending
        self.tested = nested.tested
        self.turns += nested.turns
        self.forks = nested.forks

    def absorb(self, used: Reading, fresh: dict[Member, Member]) -> None:
        """Add what a rule has found that others may use too: members of its value are `fresh` ones here."""
        self.cells += used.cells
        self.untested += used.untested
        self.exact = self.exact and used.exact
        for member in used.pending:
            other = fresh.get(member)
            if other is not None:
                self.pending += (other,)
            elif member not in used.tested:
                self.exact = False
        self.tested |= {other for member, other in fresh.items() if member in used.tested}

    def finish(self) -> None:
        """Note at the end of a block what the cells do not say: a member that was chosen and not tested has to be there."""
        self.exact = self.exact and self.is_settled()

    def atom(self, atom: p.Atom) -> Known | None:
        """Return what an atom is known to be; None for anything at all."""
        if isinstance(atom, p.Const):
            return atom
        found = self.env.get(atom.name)
        return self.known.get(found, found) if isinstance(found, Member) else found

    def settle(self, member: Member, value: Value, cells: tuple[Cell, ...]) -> None:
        """Note that a member is a constant from now on; `cells` say that it is one of the members.

        Not where code could tell: a number that is equal may be spelled otherwise, and a member that was tested may be another one.
        """
        if member in self.tested or value.__class__ not in _EXACT:
            self.test(member)
            return
        self.known[member] = p.Const(value)
        self.tested |= {member}
        if member.origin is not None:
            place, name = member.origin
            self.turns += (Turn(place, None, value, cells),)
            self.loose -= {name}

    def apply(self, option: Option) -> None:
        """Add what one way for a condition to hold says."""
        self.cells += option.cells
        for member, value in option.settled:
            self.settle(member, value, option.cells)
        if option.tested is not None:
            self.test(option.tested)

    def test(self, member: Member) -> None:
        """Note that a cell tests the member; two that do may be about two members."""
        self.exact = self.exact and member not in self.tested
        self.tested |= {member}

    def is_settled(self) -> bool:
        """Tell whether no member waits for a test."""
        return self.tested.issuperset(self.pending)

    def assume(self, name: str, cells: tuple[Cell, ...]) -> None:
        """Note that a local is what it is taken for where the cells hold."""
        if cells:
            self.assumed = {**self.assumed, name: cells}

    def grounds(self, names: frozenset[str]) -> tuple[Cell, ...]:
        """Return the cells by which these locals are what they are taken for."""
        return tuple(cell for name in sorted(names & self.assumed.keys()) for cell in self.assumed[name])

    def demands(self) -> tuple[Cell, ...]:
        """Return all that has to hold so far, columns that must be there included."""
        return (*self.cells, *map(is_defined, self.untested))

    def presence(self) -> Iterator[Cell]:
        """Yield the cells of columns that the block reads, and so needs, but that no cell demands to be there."""
        tested = {cell.column for cell in self.cells if demands_presence(cell)}
        untested = [column for column in self.untested if column not in tested]
        if not untested:
            return
        demanded = {part for column in tested for part in parts_of(column)}
        for column in dict.fromkeys(untested):
            if column not in demanded:
                yield is_defined(column)
                demanded.update(parts_of(column))
