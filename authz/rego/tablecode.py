"""Python text for a table's look-up: a function of its own beside its rule's.

Owns the order of tests: columns, then space after space, then the rows that are left, exact ones by their values and others by their
residual code. Differs from the table-free text only in what it does not run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from authz.rego import plan as p
from authz.rego.blocks import BlockWriter
from authz.rego.columncode import ColumnWriter
from authz.rego.program import Kind
from authz.rego.tables.dimensions import CLASS, Dimension
from authz.rego.tables.small import End, Tree
from authz.rego.tables.spaces import Space
from authz.rego.tables.table import EXACT, HIT, Table, is_constant
from authz.rego.treecode import TreeWriter


class TableWriter:
    """Writes the body of one table's function. `codes` names a module-level tuple with the functions of its residuals.

    INVARIANT: `components` holds the names of what is computed at the outermost depth, or at the present one.
    """

    def __init__(self, writer: BlockWriter, plan: p.RulePlan, table: Table, codes: str) -> None:
        self.writer = writer
        self.plan = plan
        self.table = table
        self.codes = codes
        self.columns = ColumnWriter(writer)
        self.components: dict[int, str] = {}
        self.is_single = is_constant(plan)

    @property
    def decides(self) -> bool:
        """Tell whether to find a row is to have decided."""
        tree = self.table.tree
        return (self.table.only_hits and not self.table.always) if tree is None else End.WAITS not in tree.ends

    # Finding rows

    def lookup(self) -> None:
        """Write statements that leave the candidate rows in `m`, in ascending order; or that return, if what they are decides."""
        writer = self.writer
        if self.table.tree is not None:
            return self._tree(self.table.tree)
        if not self.decides:
            writer.line(f"m = {self.columns.table(self.table.always)}" if self.table.always else "m = ()")
        uses = Counter(number for space in self.table.spaces for number in space.others)
        for space in self.table.spaces:
            for number in space.singles:
                self._component(number)
            for number in space.others:
                if uses[number] > 1 or not space.singles:
                    self._component(number)
        for space in self.table.spaces:
            self._space(space)
        if self.decides:
            return None
        if self.table.repeats:
            writer.line("if m: m = sorted(set(m))")
        elif len(self.table.spaces) + bool(self.table.always) > 1:
            writer.line("if m: m = sorted(m)")
        return None

    def _tree(self, tree: Tree) -> None:
        """Write the tests of a tree; those that wait are put in order."""
        waiting: list[int] = []

        def ended(number: int) -> None:
            if tree.ends[number] is End.WAITS:
                waiting.append(number)
                self.writer.line(f"m += ({number}, )")
            else:
                self._take(number)

        if not self.decides:
            self.writer.line("m = ()")
        tests = TreeWriter(self.columns, tree, ended)
        tests.stages()
        if waiting and not (tests.is_in_order and sorted(waiting) == waiting):
            self.writer.line(f"if m: m = sorted({'set(m)' if tests.repeats else 'm'})")

    def _take(self, number: int) -> None:
        """Write statements that return a row's value, if it has one."""
        code, values = self.table.codes[number], self.table.values[number]
        if code == EXACT:
            assert values is not None
            return self.writer.line(f"return {self.writer.constant(values[-1])}")
        handed = "None" if values is None else self.columns.table(values)
        name, params = self.writer.temporary(), "".join(f", a{index}" for index in range(self.plan.arity))
        self.writer.line(f"{name} = d{self.plan.number}_{code}(c, {handed}{params})")
        return self.writer.line(f"if {name} is not None: return {name}")

    def _space(self, space: Space) -> None:
        kept = dict(self.components)
        with self.columns.inner():
            self._inside(space)
        self.components = kept

    def _inside(self, space: Space) -> None:
        writer = self.writer
        found = self.columns.table(space.root)
        if space.singles:
            names = [self._component(number) for number in space.singles]
            key = names[0] if len(names) == 1 else f"({', '.join(names)})"
            found = f"{found}.get({key})"
            if space.others:
                found = self._below(found)
        names = [self._component(number) for number in space.others]
        for place, name in enumerate(names):
            component = writer.temporary()
            writer.line(f"for {component} in {name}:")
            writer.depth += 1
            found = f"{found}.get({component})"
            if place + 1 < len(names):
                found = self._below(found)
        self._bucket(found)

    def _below(self, found: str) -> str:
        """Write the way into a level of dictionaries; return the name that holds it."""
        name = self.writer.temporary()
        self.writer.line(f"{name} = {found}")
        self.writer.line(f"if {name} is not None:")
        self.writer.depth += 1
        return name

    def _bucket(self, found: str) -> None:
        writer = self.writer
        bucket = writer.temporary()
        writer.line(f"{bucket} = {found}")
        if not self.table.hits:
            writer.line(f"if {bucket} is not None: m += {bucket}")
            return
        writer.line(f"if {bucket} is not None:")
        if self.table.only_hits:
            writer.line(f"    return {self._first_value()}")
            return
        writer.line(f"    if {bucket} is {HIT}: return {self._first_value()}")
        writer.line(f"    m += {bucket}")

    # Columns

    def _component(self, number: int) -> str:
        """Write what a dimension's value is filed under; return the name that holds it (of several: in a sequence)."""
        known = self.components.get(number)
        if known is not None:
            return known
        filing = self.table.filings[number]
        value = self.columns.column(filing.dimension.column)
        self.components[number] = name = self._selected(filing.dimension, filing.index, value)
        return name

    def _selected(self, dimension: Dimension, index: object, value: str) -> str:
        if index is None:
            return value
        name = self.writer.temporary()
        if dimension.kind == CLASS:
            self.writer.line(f"{name} = {self.columns.table(index.classes)}.get({value}, 0)")  # type: ignore[attr-defined]
        else:
            self.writer.line(f"{name} = {self.columns.table(index)}.select({value})")
        return name

    # Running rows

    def values(self) -> None:
        """Write statements that return the joint value of the candidate rows of a complete rule or a function."""
        self.lookup()
        writer = self.writer
        if self.is_single or self.decides:
            return self._first()
        writer.line("v = None")
        in_chains = any(definition.orelse is not None for definition in self.plan.definitions)
        if in_chains:
            writer.line("done, at = -1, 0")
        self._each_row()
        if in_chains:
            # The first body of an `else` chain that has a value is the only one.
            writer.line(f"chain, position = {self.columns.table(self.table.places)}[n]")
            writer.line("if chain == done and position != at: continue")
        self._run("w", lambda row: f"{row}[-1]")
        if in_chains:
            writer.line("if w is not None: done, at = chain, position")
        writer.join("function" if self.plan.kind is Kind.FUNCTION else "complete", f"{self.columns.table(self.table.locations)}[n]")
        writer.depth = 1
        return writer.line("return v")

    def _first(self) -> None:
        """Write statements that return the one value that there is, if some row holds."""
        writer = self.writer
        if self.decides:
            return writer.line("return None")
        self._each_row()
        self._run("v", lambda _: self._first_value())
        writer.line("if v is not None: return v")
        writer.depth = 1
        return writer.line("return None")

    def _first_value(self) -> str:
        return self.writer.atom(self.plan.definitions[0].value)

    def members(self) -> None:
        """Write statements that run the candidate rows of a partial set or object."""
        self.lookup()
        self._each_row()
        writer = self.writer
        values = self._values()
        arguments = f"c, out, {values}[n]"
        if EXACT in self.table.codes:
            writer.line(f"i = {self._codes()}[n]")
            writer.line(f"if i >= 0: {self.codes}[i]({arguments})")
            if self.plan.kind is Kind.SET:
                writer.line(f"else: out.add({values}[n][-2])")
            else:
                writer.line(f"else: put(out, {values}[n][0], {values}[n][-1], {self.columns.table(self.table.locations)}[n])")
        else:
            writer.line(f"{self.codes}[{self._codes()}[n]]({arguments})")
        writer.depth = 1

    def _each_row(self) -> None:
        self.writer.line("for n in m:")
        self.writer.depth += 1

    def _run(self, name: str, exact: Callable[[str], str]) -> None:
        """Write statements that leave the value of row `n` in `name`."""
        writer = self.writer
        params = "".join(f", a{index}" for index in range(self.plan.arity))
        call = f"{self.codes}[i](c, {self._values()}[n]{params})"
        if not self.table.residuals:
            writer.line(f"{name} = {exact(f'{self._values()}[n]')}")
            return
        writer.line(f"i = {self._codes()}[n]")
        writer.line(f"{name} = {call}" + (f" if i >= 0 else {exact(f'{self._values()}[n]')}" if EXACT in self.table.codes else ""))

    def _codes(self) -> str:
        return self.columns.table(self.table.codes)

    def _values(self) -> str:
        return self.columns.table(self.table.values)
