"""Python text for the columns of a table: what is computed from the input, once for all who test it.

Knows neither tests nor rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from authz.rego import plan as p
from authz.rego.blocks import BlockWriter
from authz.rego.lower import ROOT_CONTEXT
from authz.rego.tables.columns import CallColumn, Column, InputColumn, KeyColumn, Operand, ParamColumn, SizeColumn, StepColumn


class ColumnWriter:
    """Writes columns into a function's body, and names what the function looks up in.

    INVARIANT: `columns` holds the names of what is computed at the outermost depth, or at the present one.
    """

    def __init__(self, writer: BlockWriter) -> None:
        self.writer = writer
        self.columns: dict[Column, str] = {}
        self._names: dict[int, str] = {}

    def table(self, content: object) -> str:
        """Return the name of what is looked up in. The content has to live as long as this does."""
        if id(content) not in self._names:
            self._names[id(content)] = self.writer.unit.pool.table(content)
        return self._names[id(content)]

    @contextmanager
    def inner(self) -> Iterator[None]:
        """Forget at the end what was computed meanwhile, and come back to the present depth."""
        writer, depth = self.writer, self.writer.depth
        kept = dict(self.columns), dict(writer.prefixes)
        yield
        writer.depth = depth
        self.columns, writer.prefixes = kept

    def column(self, column: Column) -> str:
        """Write the column's value, once; return the name that holds it (None where it is absent)."""
        known = self.columns.get(column)
        if known is not None:
            return known
        writer = self.writer
        match column:
            case InputColumn(path):
                name = writer.input_path(ROOT_CONTEXT, tuple(p.Const(step) for step in path))
            case ParamColumn(index):
                name = f"a{index}"
            case StepColumn():
                name = self._step(column)
            case SizeColumn(base, kind):
                source, name = self.column(base), writer.temporary()
                writer.line(f"{name} = len({source}) if {source}.__class__ is {'tuple' if kind == 'array' else 'Object'} else None")
            case KeyColumn(base):
                source, name = self.column(base), writer.temporary()
                writer.line(f"{name} = key_text({source}) if {source}.__class__ is int else {source}")
            case CallColumn():
                name = self._call(column)
        self.columns[column] = name
        return name

    def _step(self, column: StepColumn) -> str:
        writer = self.writer
        base, key = self._operand(column.base), column.key
        if isinstance(key, p.Const) and not column.is_data:
            name = writer.temporary()
            writer.line(f"{name} = {writer.lookup(base, key)}")
            return name
        found = self._operand(key)
        name = writer.temporary()
        text = f"get_data({base}, ({found}, ))" if column.is_data else f"get({base}, {found})"
        writer.line(f"{name} = {text}" + ("" if isinstance(key, p.Const) else f" if {found} is not None else None"))
        return name

    def _call(self, column: CallColumn) -> str:
        operands = [arg if isinstance(arg, p.Const) else p.Local(self.column(arg)) for arg in column.args]
        needed = [operand.name for operand in operands if isinstance(operand, p.Local)]
        writer, name = self.writer, self.writer.temporary()
        writer.line(f"{name} = None")
        writer.line(f"if {' and '.join(f'{operand} is not None' for operand in needed)}:")
        writer.depth += 1
        writer.assign(name, p.CallBuiltin(ROOT_CONTEXT, column.name, tuple(operands)))
        writer.depth -= 1
        return name

    def _operand(self, operand: Operand) -> str:
        return self.writer.constant(operand.value) if isinstance(operand, p.Const) else self.column(operand)
