"""Python text for a table's look-up inside its rule's function.

Owns the order of tests: columns one after the other while candidate rows are left, then exact rows,
then residual code. Differs from the table-free text only in what it does not run.
"""

from __future__ import annotations

from collections import defaultdict

from authz.rego import plan as p
from authz.rego.blocks import BlockWriter
from authz.rego.cells import CallColumn, Column, InputColumn, StepColumn
from authz.rego.index import HashIndex
from authz.rego.lower import ROOT_CONTEXT
from authz.rego.program import Kind
from authz.rego.table import Table, TableColumn


def write_lookup(writer: BlockWriter, table: Table) -> None:
    """Write statements that leave the candidate rows in `m`."""
    depth = writer.depth
    columns: dict[Column, str] = {}
    for index, column in enumerate(table.columns):
        name = _column(writer, column.column, columns)
        writer.line(f"m {'=' if index == 0 else '&='} {_select(writer, column, name)}")
        if index + 1 < len(table.columns):
            writer.line("if m:")
            writer.depth += 1
    writer.depth = depth


def _select(writer: BlockWriter, column: TableColumn, name: str) -> str:
    pool = writer.unit.pool
    if isinstance(column.index, HashIndex):
        return f"{pool.table(column.index.masks)}.get({name}, {pool.table(column.index.other)})"
    return f"{pool.table(column.index)}.select({name})"


def _column(writer: BlockWriter, column: Column, known: dict[Column, str]) -> str:
    """Write the column's value, once; return the name that holds it (None where it is absent)."""
    if column in known:
        return known[column]
    match column:
        case InputColumn(path):
            name = writer.input_path(ROOT_CONTEXT, tuple(p.Const(step) for step in path))
        case StepColumn(base, key):
            source = _column(writer, base, known)
            name = writer.temporary()
            writer.line(f"{name} = {writer.lookup(source, p.Const(key))}")
        case CallColumn():
            name = _call(writer, column, known)
    known[column] = name
    return name


def _call(writer: BlockWriter, column: CallColumn, known: dict[Column, str]) -> str:
    operands = [arg if isinstance(arg, p.Const) else p.Local(_column(writer, arg, known)) for arg in column.args]
    needed = [operand.name for operand in operands if isinstance(operand, p.Local)]
    name = writer.temporary()
    writer.line(f"{name} = None")
    writer.line(f"if {' and '.join(f'{operand} is not None' for operand in needed)}:")
    writer.depth += 1
    writer.assign(name, p.CallBuiltin(ROOT_CONTEXT, column.name, tuple(operands)))
    writer.depth -= 1
    return name


def write_values(writer: BlockWriter, plan: p.RulePlan, table: Table, functions: list[str | None], *, single: bool) -> None:
    """Write statements that leave the joint value of the candidate rows in `v`."""
    write_lookup(writer, table)
    writer.line("v = None")
    if single and table.settled:
        first = next(row for row in table.rows if row.exact)
        writer.line(f"if m & {writer.unit.pool.table(table.settled)}: v = {_value(writer, plan, first.definition)}")
        if table.settled == (1 << len(table.rows)) - 1:
            return
        writer.line("else:")
        writer.depth += 1
    _write_rows(writer, plan, table, functions, single=single)
    writer.depth = 1


def _write_rows(writer: BlockWriter, plan: p.RulePlan, table: Table, functions: list[str | None], *, single: bool) -> None:
    codes = writer.unit.sequence([functions[row.definition] if not row.exact else "None" for row in table.rows])
    _write_next(writer, table)
    if single and table.settled == table.exact:
        writer.line(f"v = {codes}[n](c)")
        writer.line("if v is not None: break")
        return
    values = writer.unit.sequence([_value(writer, plan, row.definition) if row.exact else "None" for row in table.rows])
    if single:
        writer.line(f"v = {values}[n]")
        writer.line(f"if v is None: v = {codes}[n](c)")
        writer.line("if v is not None: break")
        return
    locations = writer.unit.sequence([writer.unit.pool.location(plan.definitions[row.definition].location) for row in table.rows])
    writer.line(f"w = {values}[n]")
    writer.line(f"if w is None: w = {codes}[n](c)")
    writer.join("complete", f"{locations}[n]")


def _write_next(writer: BlockWriter, table: Table) -> None:
    """Write the head of the loop over candidate rows: `n` is the next, and rows that would run the same code are taken out with it."""
    writer.line("while m:")
    writer.depth += 1
    writer.line("low = m & -m")
    writer.line("n = low.bit_length() - 1")
    if len({row.definition for row in table.rows}) == len(table.rows):
        writer.line("m ^= low")
        return
    shared: dict[int, int] = defaultdict(int)
    for number, row in enumerate(table.rows):
        shared[row.definition] |= 1 << number
    same = [1 << number if row.exact else shared[row.definition] & ~table.exact for number, row in enumerate(table.rows)]
    writer.line(f"m &= ~{writer.unit.pool.table(tuple(same))}[n]")


def _value(writer: BlockWriter, plan: p.RulePlan, definition: int) -> str:
    return writer.atom(plan.definitions[definition].value)


def write_members(writer: BlockWriter, table: Table, functions: list[str | None], kind: Kind) -> None:
    """Write statements that run the candidate rows' collectors of a partial set or object."""
    assert kind in {Kind.SET, Kind.OBJECT}
    write_lookup(writer, table)
    codes = writer.unit.sequence([functions[row.definition] for row in table.rows])
    _write_next(writer, table)
    writer.line(f"{codes}[n](c, out)")
    writer.depth -= 1
