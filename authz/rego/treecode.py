"""Python text for a tree: the tests of few rows, one inside the other.

Owns how tests are nested and what they share. What becomes of a row that is found is for those who ask for the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from authz.rego.columncode import ColumnWriter
from authz.rego.tables.cells import Cell, unfolded
from authz.rego.tables.small import End, Tree
from authz.rego.tables.trees import Ends, Found, Left, Step, Switch, Tests
from authz.rego.testcode import MAX_COMPARED, TestWriter

MAX_IN_TURN: Final = 4
"""Branches whose numbers are compared one after the other; more are halved first."""


class TreeWriter:
    """Writes the tests of a tree. `ended` writes statements for a row that is found."""

    def __init__(self, columns: ColumnWriter, tree: Tree, ended: Callable[[int], None]) -> None:
        self.columns = columns
        self.tree = tree
        self.ended = ended
        self.writer = columns.writer
        self.tests = TestWriter(columns.writer.constant, columns.table)

    def stages(self) -> bool:
        """Write the tests of all rows; return whether the last statement returns."""
        return any(self._rows(stage) for stage in self.tree.stages)

    def _rows(self, rows: Sequence[Left]) -> bool:
        return any(self._step(step) for step in self.tree.ranking.steps(rows))

    def _step(self, step: Step) -> bool:
        match step:
            case Ends(rows):
                return any(self._end(row) for row in {row.end: row for row in rows}.values())
            case Switch(column, branches, places):
                self._switch(self.columns.column(column), branches, places)
            case Found():
                self._found(step)
            case Tests(_, ((cell, rows),)):
                self._inside(self._condition(cell), rows)
            case Tests(_, branches):
                self._tests(branches)
        return False

    def _end(self, row: Left) -> bool:
        self.ended(row.number)
        return self.tree.ends[row.number] is End.DECIDES

    def _inside(self, condition: str, rows: Sequence[Left], word: str = "if") -> None:
        self.writer.line(f"{word} {condition}:")
        with self.columns.inner():
            self.writer.depth += 1
            self._rows(rows)

    def _condition(self, cell: Cell) -> str:
        plain, holds = unfolded(cell)
        text = self.tests.condition(plain, self.columns.column(plain.column))
        return text if holds else f"not ({text})"

    def _tests(self, branches: Sequence[tuple[Cell, tuple[Left, ...]]]) -> None:
        """Write tests of one kind on one column; those behind which there is the same are one."""
        conditions = [(self._condition(cell), rows) for cell, rows in branches]
        merged: dict[object, list[tuple[str, tuple[Left, ...]]]] = {}
        for text, rows in conditions:
            alone = rows[0].end if len(rows) == 1 and not rows[0].cells else (text,)
            merged.setdefault(alone, []).append((text, rows))
        with self.columns.inner():
            guard = self.tests.any_start([cell for cell, _ in branches], self.columns.column(branches[0][0].column))
            if guard is not None:
                self.writer.line(f"if {guard}:")
                self.writer.depth += 1
            for group in merged.values():
                self._inside(" or ".join(text for text, _ in group), group[0][1])

    def _found(self, step: Found) -> None:
        columns, writer = self.columns, self.writer
        name = columns.column(step.filing.dimension.column)
        component, place = writer.temporary(), writer.temporary()
        with columns.inner():
            guard = self.tests.any_start(step.cells, name)
            if guard is not None:
                writer.line(f"if {guard}:")
                writer.depth += 1
            writer.line(f"for {component} in {columns.table(step.filing.index)}.select({name}):")
            writer.depth += 1
            writer.line(f"{place} = {columns.table(step.places)}.get({component})")
            self._numbered(place, step.branches)

    def _switch(self, name: str, branches: Sequence[tuple[Left, ...]], places: dict[object, int]) -> None:
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

    def _numbered(self, place: str, branches: Sequence[tuple[Left, ...]], first: int = 0) -> None:
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
            self._rows(branches[0])
            return
        for number, branch in enumerate(branches):
            self._inside(f"{place} == {first + number}", branch, "elif" if number else "if")
