"""What a `with` modifier replaces: input, data, or a function.

Owns the targets that are allowed and how a replacing function is told from a replacing value. Evaluates nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from authz.rego import errors, nodes
from authz.rego import plan as p
from authz.rego.nodes import Location, Ref, Scalar, Term, Var
from authz.rego.program import Kind, Path, Program


def modifier(item: nodes.With, program: Program, atom: Callable[[Term], p.Atom]) -> p.Modifier:
    """Return the plan of one resolved `with`; `atom` computes the replacing value. Raises CompileError."""
    assert isinstance(item.target, Ref)
    assert isinstance(item.target.head, Var)
    root, path = item.target.head.name, _names(item.target)
    target = ("data", *path)
    group = program.groups.get(target) if root == "data" else None
    if root == "builtin" or (group is not None and group.kind is Kind.FUNCTION):
        return _function_modifier(path if root == "builtin" else target, item.value, program, atom)
    if root == "data":
        _check_data_target(target, program, item.location)
    return p.Modifier(root, path, atom(item.value))


def _check_data_target(target: Path, program: Program, location: Location) -> None:
    for size in range(2, len(target)):
        if target[:size] in program.groups:
            raise errors.compile_error(
                errors.COMPILE,
                "with keyword cannot partially replace virtual document(s)",
                location,
                help=f"replace the whole of `{'.'.join(target[:size])}`",
            )


def _function_modifier(path: Path, value: Term, program: Program, atom: Callable[[Term], p.Atom]) -> p.Modifier:
    """Return what replaces a function. A rule does so unevaluated: it is asked where the function is called, as in OPA."""
    if isinstance(value, Ref) and isinstance(value.head, Var):
        names = _names(value)
        if value.head.name in {"builtin", "function"}:
            return p.Modifier("function", path, None, names)
        if value.head.name == "data" and len(names) == len(value.args) and ("data", *names) in program.groups:
            return p.Modifier("function", path, None, ("data", *names), is_rule=True)
    return p.Modifier("function", path, atom(value))


def _names(ref: Ref) -> Path:
    return tuple(arg.value for arg in ref.args if isinstance(arg, Scalar) and isinstance(arg.value, str))
