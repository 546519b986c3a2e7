"""Iterations: over constants a row each, over a column as some member of it, over what rules collect as its members.

Owns the decision whether rows of an iteration's turns are worth it, and the join of members with constant objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeAlias

from authz.rego import plan as p
from authz.rego.lower import ROOT_CONTEXT
from authz.rego.planlocals import UsedNames, used_names
from authz.rego.planner import Planned
from authz.rego.program import Path
from authz.rego.tables.cells import Cell, HasMember, OneOf, equals
from authz.rego.tables.columns import COLUMNS, Column, KeyColumn, StepColumn
from authz.rego.tables.expressions import World, data_prefix
from authz.rego.tables.looking import MAX_FORKS, Looking, Outcomes
from authz.rego.tables.reading import Collected, Items, Known, Member, Reading, Turn
from authz.rego.tables.walk import Forks, Frame
from authz.rego.values import Object, Set, Value

TRIED_TURNS: Final = 8
"""Turns of an iteration that are tried to see whether an index would tell them apart."""

Pairs: TypeAlias = Sequence[tuple[Value, Value]]


class Iterating(Looking):
    """Reads iterations and joins."""

    def __init__(self, planned: Planned, world: World, raising: dict[Path, bool], *, looks: bool, enumerates: bool) -> None:
        super().__init__(planned, world, raising, looks=looks)
        self.enumerates = enumerates
        self.used_names = UsedNames()
        self._choices: dict[tuple[int, int, bool], bool] = {}
        self._uses: dict[tuple[int, int], frozenset[str]] = {}

    def loop(self, frame: Frame, place: int, step: p.Loop, reading: Reading) -> Forks:
        """Read an iteration."""
        collection = reading.atom(step.collection)
        if isinstance(collection, p.Const):
            return self._constant(frame, place, step, collection.value, reading)
        if isinstance(collection, StepColumn) and self.enumerates:
            joined = self._column_join(frame, place, step, collection, reading)
            if joined is not None:
                return joined
        if isinstance(collection, COLUMNS):
            return self._member(frame, place, step, collection, reading)
        if isinstance(collection, Items) and len(collection.items) * reading.forks <= MAX_FORKS:
            return self._items(frame, step, collection, reading)
        if isinstance(collection, Collected):
            return self._collected(frame, place, step, collection, reading)
        return self._left_to_code(frame, step, reading)

    def _left_to_code(self, frame: Frame, step: p.Loop, reading: Reading) -> Forks:
        if frame.is_own:
            reading.loose |= {name for name in (step.key, step.value) if name is not None}
        return self.unread(step, reading)

    def _uses_key(self, frame: Frame, place: int, step: p.Loop) -> bool:
        known = self._uses.get((id(frame.block), place))
        if known is None:
            known = self._uses[id(frame.block), place] = used_names((frame.block[place + 1 :], frame.heads))
        return step.key in known

    # Constants

    def _constant(self, frame: Frame, place: int, step: p.Loop, collection: Value, reading: Reading) -> Forks:
        pairs = pairs_of(collection)
        if not pairs:
            return ()

        def taken(turn: int) -> Reading:
            key, value = pairs[turn]
            return self._bound(frame, place, step, (key, value), (), self.turn(reading))

        return self._each_turn(frame, place, step, len(pairs), taken, reading)

    def _each_turn(  # noqa: PLR0913 - an iteration has all of these
        self, frame: Frame, place: int, step: p.Loop, count: int, take: Callable[[int], Reading], reading: Reading
    ) -> Forks:
        """Return every turn of an iteration, if it is worth it; else leave it to code."""
        choice = (id(frame.block), place, frame.is_own)
        if choice not in self._choices:
            # What a set is made of is for those to tell apart who ask for its members.
            is_made = not frame.is_own and step.value in used_names(frame.heads)
            self._choices[choice] = self.enumerates and (is_made or self._tells_apart(frame, place, count, take, len(reading.cells)))
        if not self._choices[choice]:
            return self._left_to_code(frame, step, reading)
        return map(take, range(count))

    def _bound(  # noqa: PLR0913 - one turn has all of these
        self, frame: Frame, place: int, step: p.Loop, pair: tuple[Value | None, Value], cells: tuple[Cell, ...], fork: Reading
    ) -> Reading:
        """Return the reading as one turn of an iteration. Code is held to the turn only if it has the same collection for sure."""
        key, value = pair
        assert isinstance(step.collection, p.Local | p.Const)
        used = self.used_names(step.collection)
        is_loose = not fork.loose.isdisjoint(used)
        fork.cells += cells
        if step.key is not None and key is not None:
            fork.env[step.key] = p.Const(key)
        if step.value is not None:
            fork.env[step.value] = p.Const(value)
        if frame.is_own and is_loose:
            fork.loose |= {name for name in (step.key, step.value) if name is not None}
        elif frame.is_own:
            fork.turns += (Turn(place, key, value, cells + fork.grounds(used)),)
        return fork

    def _tells_apart(self, frame: Frame, place: int, count: int, take: Callable[[int], Reading], known: int) -> bool:
        """Try some turns: most must lead to a cell of their own that an index can look up."""
        found: list[set[Cell]] = []
        for turn in range(0, count, max(1, count // TRIED_TURNS)):
            tried = islice(self.walk(frame, place + 1, take(turn)), TRIED_TURNS)
            found += [set(reading.cells[known:]) for reading in tried]
        common = set.intersection(*found) if len(found) > 1 else set()
        selective = sum(any(is_selective(cell) for cell in cells - common) for cells in found)
        return selective * 2 >= len(found)

    # Columns

    def _member(self, frame: Frame, place: int, step: p.Loop, column: Column, reading: Reading) -> Forks:
        if self._uses_key(frame, place, step):
            return self._left_to_code(frame, step, reading)
        name = step.value or ""
        member = Member(column, (place, name) if frame.is_own else None)
        if frame.is_own:
            reading.loose |= {name}
        reading.env[name] = member
        reading.pending += (member,)
        return None

    def _column_join(self, frame: Frame, place: int, step: p.Loop, column: StepColumn, reading: Reading) -> Forks:
        """Return a turn for every element below every key of a constant object (`some e in data.acl[input.user]`), if it is worth it.

        Where the elements are scalars, the members of the one list that is looked up do as well, in fewer rows.
        """
        base, key = column.base, column.key
        if not (isinstance(base, p.Const) and isinstance(base.value, Object)) or isinstance(key, p.Const):
            return None
        if any(is_number_text(name) for name in base.value) and column.is_data:
            key = KeyColumn(key)
        triples = [(name, pair) for name in base.value.ordered() for pair in pairs_of(base.value[name])]
        if not any(isinstance(value, Object | tuple | Set) for _, (_, value) in triples[:TRIED_TURNS]):
            return None

        def take(turn: int) -> Reading:
            name, pair = triples[turn]
            fork = self._bound(frame, place, step, pair, (equals(key, name),), self.turn(reading))
            fork.untested = [other for other in fork.untested if other != column]
            return fork

        choice = (id(frame.block), place, frame.is_own)
        if choice not in self._choices:
            self._choices[choice] = self._tells_apart(frame, place, len(triples), take, len(reading.cells))
        return map(take, range(len(triples))) if self._choices[choice] else None

    # Known collections

    def _items(self, frame: Frame, step: p.Loop, collection: Items, reading: Reading) -> Iterator[Reading]:
        for index, item in enumerate(collection.items):
            fork = reading.fork()
            fork.forks *= len(collection.items)
            if step.key is not None:
                fork.env[step.key] = p.Const(index)
            if step.value is not None:
                fork.env[step.value] = item
            if frame.is_own:
                fork.loose |= {name for name in (step.key, step.value) if name is not None}
            yield fork

    def _collected(self, frame: Frame, place: int, step: p.Loop, collection: Collected, reading: Reading) -> Forks:
        has_keys = not collection.is_set and self._uses_key(frame, place, step)
        found = None if has_keys else self.members(collection, reading)
        if found is None:
            return self._left_to_code(frame, step, reading)

        def taken(turn: int) -> Reading:
            return self._chosen(frame, place, step, collection, found, turn, reading)

        if found.from_data:
            return self._each_turn(frame, place, step, len(found.items), taken, reading)
        return map(taken, range(len(found.items)))

    def _chosen(  # noqa: PLR0913 - one turn has all of these
        self, frame: Frame, place: int, step: p.Loop, collection: Collected, found: Outcomes, turn: int, reading: Reading
    ) -> Reading:
        """Return the reading with one of the members that a set may have."""
        name, outcome = step.value or "$value", found.items[turn]
        fork = self.after(outcome, found, reading, name, is_own=collection.is_own)
        value = fork.env.get(name)
        if step.key is not None and collection.is_set and value is not None:
            fork.env[step.key] = value
        if not frame.is_own:
            return fork
        if isinstance(value, p.Const) and outcome.is_certain:
            fork.turns += (Turn(place, value.value if collection.is_set else None, value.value, outcome.reading.demands()),)
        else:
            fork.loose |= {local for local in (step.key, name) if local is not None}
        return fork

    # Joins

    def joined(self, step: p.Let, reading: Reading) -> Forks:
        """Join a member with a constant object that it is a key of, or look a key up in a collected set; None for other steps."""
        base, key, is_data = self._lookup(step.expr, reading)
        if isinstance(base, Collected) and base.is_set and key is not None:
            return self.each_equal(key, step.name, base, reading)
        if isinstance(key, Member) and isinstance(base, p.Const) and isinstance(base.value, Object) and self.enumerates:
            return self._keys(step.name, base.value, key, is_data, reading)
        return None

    def _lookup(self, expr: p.Expr, reading: Reading) -> tuple[Known | None, Known | None, bool]:
        """Return the collection and the key of an expression that is one step into something known."""
        if isinstance(expr, p.Lookup):
            return reading.atom(expr.base), reading.atom(expr.key), False
        if isinstance(expr, p.BaseData) and expr.ctx == ROOT_CONTEXT:
            start, rest = data_prefix(expr.path, reading)
            if len(rest) == 1 and self.world.is_fixed(start):
                return self.world.base_data(start), reading.atom(rest[0]), True
        return None, None, False

    def _keys(self, name: str, whole: Object, member: Member, is_data: bool, reading: Reading) -> Iterator[Reading]:
        for key in whole.ordered():
            fork = self.turn(reading)
            fork.env[name] = p.Const(whole[key])
            if is_data and is_number_text(key):
                # A whole number finds this key, too, but not one that is spelled otherwise: that is for code to see.
                fork.cells.append(HasMember(member.column, (key, int(str(key)))))
                fork.test(member)
                fork.exact = False
            else:
                cells = (HasMember(member.column, (key,)),)
                fork.cells += cells
                fork.settle(member, key, cells)
            if member.origin is not None and member not in fork.known:
                fork.loose |= {name}
            yield fork


def pairs_of(collection: Value) -> Pairs:
    """Return the (key, value) pairs of a collection in Rego's order; none for a scalar."""
    if isinstance(collection, Object):
        return [(key, collection[key]) for key in collection.ordered()]
    if isinstance(collection, Set):
        return [(member, member) for member in collection.ordered()]
    return list(enumerate(collection)) if isinstance(collection, tuple) else ()


def is_number_text(key: Value) -> bool:
    """Tell whether a string is what a whole number finds it by in base data."""
    return isinstance(key, str) and key.removeprefix("-").isdecimal() and key.isascii() and str(int(key)) == key


def is_selective(cell: Cell) -> bool:
    """Tell whether an index looks the cell up: a value it has or a pattern it matches, not one that it differs from."""
    return not (isinstance(cell, OneOf) and cell.others)
