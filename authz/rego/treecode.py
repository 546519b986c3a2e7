"""Python text for a tree: the tests of few rows, one inside the other.

Owns how tests are nested and what they share. What becomes of a row that is found is for those who ask for the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Final

from authz.rego.columncode import ColumnWriter
from authz.rego.conditioncode import MAX_COMPARED, ConditionWriter, starts_of
from authz.rego.tables.cells import Cell, unfolded
from authz.rego.tables.indexes import Component
from authz.rego.tables.small import End, Tree
from authz.rego.tables.trees import Ends, Found, Left, Node, OneByOne, Step, Switch

MAX_IN_TURN: Final = 4
"""Branches whose numbers are compared one after the other; more are halved first."""


class TreeWriter:
    """Writes the tests of a tree. `ended` writes statements for a row that is found.

    `is_in_order`: rows are found in the order in which they are written. `repeats`: some may be found more than once.
    """

    def __init__(self, columns: ColumnWriter, tree: Tree, ended: Callable[[int], None]) -> None:
        self.columns = columns
        self.tree = tree
        self.ended = ended
        self.writer = columns.writer
        self.is_in_order = True
        self.repeats = False
        self.tests = ConditionWriter(columns.writer.constant, columns.table)

    def stages(self) -> bool:
        """Write the tests of all rows; return whether the last statement returns."""
        return any(self._node(stage) for stage in self.tree.stages)

    def _node(self, node: Node) -> bool:
        return any(self._step(step) for step in node)

    def _step(self, step: Step) -> bool:
        match step:
            case Ends(rows):
                return any(self._end(row) for row in rows)
            case Switch(column, branches, places):
                self._switch(self.columns.column(column), branches, places)
            case Found():
                self._found(step)
            case OneByOne(_, ((cell, node),)):
                self._inside(self._condition(cell), node)
            case OneByOne(_, branches):
                self._tests(branches)
        return False

    def _end(self, row: Left) -> bool:
        self.ended(row.number)
        return self.tree.ends[row.number] is End.DECIDES

    def _inside(self, condition: str, node: Node, word: str = "if") -> None:
        self.writer.line(f"{word} {condition}:")
        with self.columns.inner():
            self.writer.depth += 1
            self._node(node)

    def _condition(self, cell: Cell) -> str:
        plain, holds = unfolded(cell)
        text = self.tests.condition(plain, self.columns.column(plain.column))
        return text if holds else f"not ({text})"

    def _tests(self, branches: Sequence[tuple[Cell, Node]]) -> None:
        """Write tests of one kind on one column; those behind which there is the same are one."""
        merged: dict[object, tuple[list[str], Node]] = {}
        for cell, node in branches:
            text = self._condition(cell)
            merged.setdefault(_sole_end(node) or text, ([], node))[0].append(text)
        with self.columns.inner():
            self._guard([cell for cell, _ in branches])
            for texts, node in merged.values():
                self._inside(" or ".join(texts), node)

    def _guard(self, cells: Sequence[Cell]) -> None:
        """Write a test that rules out at once what fails all of several tests of how a text starts; go on inside of it."""
        starts = starts_of(cells)
        if starts is not None:
            self.writer.line(f"if {self.tests.starts_with_any(starts, self.columns.column(cells[0].column))}:")
            self.writer.depth += 1

    def _found(self, step: Found) -> None:
        columns, writer = self.columns, self.writer
        self.is_in_order = False
        self.repeats = self.repeats or step.repeats
        name = columns.column(step.filing.dimension.column)
        component, place = writer.temporary(), writer.temporary()
        with columns.inner():
            self._guard(step.cells)
            writer.line(f"for {component} in {columns.table(step.filing.index)}.select({name}):")
            writer.depth += 1
            writer.line(f"{place} = {columns.table(step.places)}.get({component})")
            self._numbered(place, step.branches)

    def _switch(self, name: str, branches: Sequence[Node], places: Mapping[Component, int]) -> None:
        if len(places) <= MAX_COMPARED:
            for number, branch in enumerate(branches):
                values = [value for value, place in places.items() if place == number]
                self._inside(self.tests.equals_one(name, values), branch, "elif" if number else "if")
            return
        place = self.writer.temporary()
        self.writer.line(f"{place} = {self.columns.table(places)}.get({name})")
        self.writer.line(f"if {place} is not None:")
        with self.columns.inner():
            self.writer.depth += 1
            self._numbered(place, branches)

    def _numbered(self, place: str, branches: Sequence[Node], first: int = 0) -> None:
        """Write the branches, of which the one whose number is in `place` is taken."""
        if len(branches) > MAX_IN_TURN:
            half = len(branches) // 2
            for word, part, start in ((f"if {place} < {first + half}:", branches[:half], first), ("else:", branches[half:], first + half)):
                self.writer.line(word)
                with self.columns.inner():
                    self.writer.depth += 1
                    self._numbered(place, part, start)
            return
        if len(branches) == 1:
            self._node(branches[0])
            return
        for number, branch in enumerate(branches):
            self._inside(f"{place} == {first + number}", branch, "elif" if number else "if")


def _sole_end(node: Node) -> tuple[Hashable] | None:
    """Return the end of the only row that is behind a test, if nothing is left to test of it."""
    match node:
        case (Ends((row,)),):
            return (row.end,)
    return None
