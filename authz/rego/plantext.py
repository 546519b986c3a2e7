"""Plans and tables as text for people: what `authz compile --emit plan|tables` prints.

One line a step; indentation shows iteration. Decides nothing and is read by no other stage.
"""

from __future__ import annotations

from collections.abc import Iterator

from authz.rego import plan as p
from authz.rego.render import to_text
from authz.rego.tables.cells import cell_text
from authz.rego.tables.columns import column_text
from authz.rego.tables.table import EXACT, Table

MAX_VALUES = 8
"""Constants of a cell that are shown; the rest is counted."""


def plan_text(plan: p.RulePlan) -> str:
    """Return the plan of one rule."""
    lines = [f"{plan.kind} {'.'.join(plan.path)}"]
    for definition in plan.definitions:
        for item in definition.chain():
            lines += _definition("rule" if item is definition else "else", item)
    if plan.default is not None:
        lines += _definition("default", plan.default)
    return "\n".join(lines)


def _definition(word: str, definition: p.Definition) -> list[str]:
    heads = [f"key {_atom(key)}" for key in (*definition.keys, *((definition.key,) if definition.key else ()))]
    params = f"({', '.join(definition.params)})" if definition.params else ""
    head = f"  {word}{params} {' '.join([*heads, f'value {_atom(definition.value)}'])}  # {definition.location}"
    return [head, *_block(definition.block, 4)]


def _block(block: p.Block, depth: int) -> list[str]:
    lines: list[str] = []
    for step in block:
        lines += [" " * depth + text for text in _step(step)]
        if isinstance(step, p.Loop | p.LoopRelation):
            depth += 2
    return lines


def _step(step: p.Step) -> Iterator[str]:
    match step:
        case p.Let(name, p.Comprehension() as expr):
            yield f"{name} = {expr.kind} of {_atom(expr.value)}{f' under {_atom(expr.key)}' if expr.key else ''} where"
            yield from _block(expr.block, 2)
        case p.Let(name, expr):
            yield f"{name} = {_expr(expr)}"
        case p.Check(p.NoSolution(block)):
            yield "not"
            yield from _block(block, 2)
        case p.Check(p.Every() as cond):
            yield f"every {f'{cond.key}, ' if cond.key else ''}{cond.value} in {_atom(cond.domain)}"
            yield from _block(cond.block, 2)
        case p.Check(cond):
            yield f"check {_cond(cond)}"
        case p.Loop(collection, key, value):
            yield f"for {key}, {value} in {_atom(collection)}"
        case p.LoopRelation(call, value):
            yield f"for {value} in {_expr(call)}"
        case p.Scope(name, base, modifiers):
            yield f"{name} = {base} with {'; '.join(_modifier(item) for item in modifiers)}"


def _modifier(modifier: p.Modifier) -> str:
    path = modifier.path if modifier.root == "function" else (modifier.root, *modifier.path)
    value = ".".join(modifier.callable_path or ()) if modifier.value is None else _atom(modifier.value)
    return f"{'.'.join(path)} as {value}"


def _expr(expr: p.Expr) -> str:
    match expr:
        case p.Const() | p.Local():
            return _atom(expr)
        case p.Input(ctx, path):
            return _context(ctx) + "input" + _path(path)
        case p.BaseData(ctx, path):
            return _context(ctx) + "data" + _path(path)
        case p.RuleValue(ctx, names):
            return f"{_context(ctx)}rule {'.'.join(names)}"
        case p.Document(ctx, names):
            return f"{_context(ctx)}document {'.'.join(names)}"
        case p.Lookup(base, key):
            return f"{_atom(base)}[{_atom(key)}]"
        case p.CallBuiltin(ctx, name, args):
            return f"{_context(ctx)}{name}({_atoms(args)})"
        case p.CallRule(ctx, names, args):
            return f"{_context(ctx)}{'.'.join(names)}({_atoms(args)})"
        case p.MakeArray(items):
            return f"[{_atoms(items)}]"
        case p.MakeSet(items):
            return f"set({_atoms(items)})"
        case p.MakeObject(pairs):
            return "{" + ", ".join(f"{_atom(key)}: {_atom(value)}" for key, value in pairs) + "}"
        case p.Comprehension():
            return f"{expr.kind} comprehension"


def _cond(cond: p.Cond) -> str:
    match cond:
        case p.Truthy(atom):
            return _atom(atom)
        case p.Equal(left, right):
            return f"{_atom(left)} == {_atom(right)}"
        case p.Holds(call):
            return _expr(call)
        case p.IsArray(atom, size):
            return f"{_atom(atom)} is array of {size}"
        case p.IsObject(atom, size):
            return f"{_atom(atom)} is object of {size}"
    return "never"


def _context(ctx: str) -> str:
    return "" if ctx == "c" else f"{ctx}:"


def _path(path: tuple[p.Atom, ...]) -> str:
    return "".join(f"[{_atom(step)}]" for step in path)


def _atoms(atoms: tuple[p.Atom, ...]) -> str:
    return ", ".join(_atom(atom) for atom in atoms)


def _atom(atom: p.Atom) -> str:
    return atom.name if isinstance(atom, p.Local) else to_text(atom.value)


# Tables


def table_text(table: Table) -> str:
    """Return a table: what it looks up, how its rows are filed, and the rows with their cells."""
    filed = "a tree" if table.tree is not None else f"{len(table.spaces)} spaces"
    counts = f"{len(table.rows)} rows, {len(table.filings)} columns, {filed}, {len(table.residuals)} residuals"
    lines = [f"table {'.'.join(table.path)}: {counts}", *(f"  note {note}" for note in table.notes)]
    for filing in table.filings.values():
        lines.append(f"  column {column_text(filing.dimension.column)}: {' '.join(filter(None, filing.dimension.kind))}")
    for number, (row, code) in enumerate(zip(table.rows, table.codes, strict=True)):
        lines.append(f"  row {number}{'' if code == EXACT else f' + residual {code}'}  # {table.locations[number]}")
        lines += [f"    {cell_text(cell)}" for cell in row.cells]
    return "\n".join(lines)
