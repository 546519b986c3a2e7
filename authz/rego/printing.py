"""What may be printed: operands that are bound by what stands before the `print`.

Looks at names as written; resolves, expands and prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from authz.rego import errors, nodes
from authz.rego.errors import Stage
from authz.rego.nodes import Term, Var


def refuse_unbound(args: tuple[Term, ...], is_known: Callable[[str], bool]) -> None:
    """Raise CompileError for an operand's variable that nothing before binds; comprehensions may bind their own."""
    for var in _unbound(args, is_known):
        name = "_" if var.is_wildcard else var.name
        help = "`print` shows values, it does not iterate: bind the variable in an expression before it"
        raise errors.compile_error(errors.COMPILE, f"var {name} is undeclared", var.location, help=help, check=Stage.EXPRESSIONS)


def _unbound(args: tuple[Term, ...], is_known: Callable[[str], bool]) -> Iterator[Var]:
    for arg in args:
        match arg:
            case Var() if not is_known(arg.name):
                yield arg
            case nodes.Ref(head, steps):
                yield from _unbound((head, *steps), is_known)
            case nodes.Call(_, inner) | nodes.Array(inner) | nodes.SetTerm(inner):
                yield from _unbound(inner, is_known)
            case nodes.ObjectTerm(pairs):
                yield from _unbound(tuple(part for pair in pairs for part in pair), is_known)
