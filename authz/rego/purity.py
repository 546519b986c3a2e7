"""Which steps of a plan are cheap and can only fail, and may therefore run first.

The steps of a body are a conjunction: their order decides neither its solutions nor (built-in
errors being undefined) its errors, as long as steps that can end the evaluation with an
error keep their order. Tests of the input go first, in both the table and the table-free path, so that both
meet the same errors. Knows nothing of tables.
"""

from __future__ import annotations

from typing import Final

from authz.rego import plan as p
from authz.rego.lower import ROOT_CONTEXT

CHEAP: Final = frozenset({
    "abs", "ceil", "contains", "count", "div", "endswith", "equal", "floor", "glob.match", "gt", "gte", "indexof", "internal.member_2",
    "is_array", "is_boolean", "is_null", "is_number", "is_object", "is_set", "is_string", "lower", "lt", "lte", "minus", "mul", "neq",
    "net.cidr_contains", "object.get", "plus", "re_match", "regex.match", "rem", "round", "split", "startswith",
    "strings.any_prefix_match", "strings.any_suffix_match", "substring", "to_number", "trim", "trim_left", "trim_prefix", "trim_right",
    "trim_space", "trim_suffix", "type_name", "upper",
})  # fmt: skip
"""Deterministic built-ins whose cost is bounded by the size of an input string."""


def pure_first(block: p.Block, params: tuple[str, ...]) -> p.Block:
    """Return the block with its pure steps, in order, before the others, in order; one that prints tells how far it comes, so it stays."""
    if any(map(is_print, block)):
        return block
    known = set(params)
    pure: list[p.Step] = []
    others: list[p.Step] = []
    for step in block:
        if is_pure(step, known):
            pure.append(step)
            if isinstance(step, p.Let):
                known.add(step.name)
        else:
            others.append(step)
    return (*pure, *others)


def is_print(step: object) -> bool:
    """Tell whether a part of a plan is a `print` that was kept."""
    return isinstance(step, p.Check) and isinstance(step.cond, p.Holds) and step.cond.call.name == "internal.print"


def is_pure(step: p.Step, known: set[str]) -> bool:
    """Tell whether a step reads only the input, constants and `known` locals, at little cost."""
    match step:
        case p.Let(_, expr):
            return _pure_expr(expr, known)
        case p.Check(cond):
            return _pure_cond(cond, known)
    return False


def _pure_cond(cond: p.Cond, known: set[str]) -> bool:
    match cond:
        case p.Truthy(atom) | p.IsArray(atom) | p.IsObject(atom):
            return _pure_atoms((atom,), known)
        case p.Equal(left, right):
            return _pure_atoms((left, right), known)
        case p.Holds(call):
            return _pure_expr(call, known)
        case p.Never():
            return True
        case p.NoSolution(block):
            return _pure_block(block, known)
    return False


def _pure_block(block: p.Block, known: set[str]) -> bool:
    inner = set(known)
    for step in block:
        if not is_pure(step, inner):
            return False
        if isinstance(step, p.Let):
            inner.add(step.name)
    return True


def _pure_expr(expr: p.Expr, known: set[str]) -> bool:
    match expr:
        case p.Const():
            return True
        case p.Local():
            return expr.name in known
        case p.Input(ctx, path) | p.BaseData(ctx, path):
            return ctx == ROOT_CONTEXT and _pure_atoms(path, known)
        case p.Lookup(base, key):
            return _pure_atoms((base, key), known)
        case p.CallBuiltin(ctx, name, args):
            return ctx == ROOT_CONTEXT and name in CHEAP and _pure_atoms(args, known)
        case p.MakeArray(items) | p.MakeSet(items):
            return _pure_atoms(items, known)
        case p.MakeObject(pairs):
            return all(_pure_atoms(pair, known) for pair in pairs)
    return False


def _pure_atoms(atoms: tuple[p.Atom, ...], known: set[str]) -> bool:
    return all(isinstance(atom, p.Const) or atom.name in known for atom in atoms)
