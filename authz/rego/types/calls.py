"""What a call may be given, and whether one function can stand in for another.

Owns the way from an operator to the types that are wanted. Knows no bodies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from authz.rego import nodes
from authz.rego.nodes import Ref, Scalar, Term, Var
from authz.rego.types import model
from authz.rego.types.documents import DocumentTypes
from authz.rego.types.faults import Fault, argument_details, bad_arguments
from authz.rego.types.model import FunctionType, Type, function
from authz.rego.types.scope import Scope
from authz.rego.types.signatures import Signature, signature
from authz.rego.values import Value

Operator = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Callee:
    """A function: its type, the types of its arguments with that of its result behind them, and their labels."""

    type: Type
    arity: int
    wanted: tuple[Type | None, ...]
    labels: tuple[str, ...]

    def problem(self, size: int) -> str | None:
        """Return what is wrong with a number of arguments; one more than the function takes is its result."""
        if size > len(self.wanted):
            return "too many arguments"
        return "too few arguments" if size < self.arity else None


def callee_of(operator: Operator, documents: DocumentTypes) -> Callee | None:
    """Return what a call calls; None where nothing is known of it, which is nothing to complain about."""
    if operator[0] != "data":
        declared = signature(".".join(operator))
        return None if declared is None else _builtin(declared)
    kind = documents.at("data", tuple(map(Scalar, operator[1:])))
    if not isinstance(kind, FunctionType):
        return None  # a function with a fault of its own may be anything
    wanted = kind.params if kind.result is None else (*kind.params, kind.result)
    return Callee(kind, len(kind.params), wanted, ())


@cache
def _builtin(declared: Signature) -> Callee:
    params, result = declared.params, declared.result
    return Callee(function(params, result), len(params), (*params, result), declared.labels)


def document_path(item: nodes.With) -> Operator | None:
    """Return the path of the document that a `with` replaces; None for a built-in function."""
    path = _path(item.target)
    return path if path[0] in {"data", "input"} else None


def replaced(item: nodes.With, scope: Scope) -> Fault | None:
    """Return the fault of a `with` that replaces a function by one that takes other arguments; None if it does not."""
    target, other = _function(item.target, scope.documents), _function(item.value, scope.documents)
    if target is None or other is None or scope.unifies(target.type, other.type):
        return None
    name = ".".join(_path(item.target))
    have, want = other.wanted[: other.arity], target.wanted[: target.arity]
    fault = bad_arguments(name, "arity mismatch", have, want, target.labels, item.location)
    return replace(fault, help="what replaces a function takes what it takes")


def _function(term: Term, documents: DocumentTypes) -> Callee | None:
    path = _path(term)
    return callee_of(path, documents) if path else None


def _path(term: Term) -> Operator:
    """Return the path of what a resolved reference names: a document, or a function (OPA's name of it)."""
    if not isinstance(term, Ref) or not isinstance(term.head, Var):
        return ()
    names = tuple(arg.value for arg in term.args if isinstance(arg, Scalar) and isinstance(arg.value, str))
    if len(names) != len(term.args):
        return ()
    if term.head.name == "builtin":
        return tuple(names[0].split("."))
    return names if term.head.name == "function" else (term.head.name, *names)


def wrong_number(name: str, args: tuple[Term, ...], *, is_operand: bool) -> tuple[str, ...]:
    """Return the details of a call of a built-in with too many or too few arguments; its result is one if it is used.

    The call is as it was written: of variables, calls and closures nothing is known.
    """
    declared = signature(name)
    have = (*map(_written_type, args), None) if is_operand else tuple(map(_written_type, args))
    return () if declared is None else argument_details(have, declared.params, declared.labels)


def _written_type(term: Term) -> Type | None:
    match term:
        case Scalar(value):
            return model.type_of_value(value)
        case Ref(Var("data" | "input")):
            return model.ANY
        case nodes.Array(items):
            return model.array(tuple(map(_written_type, items)), None if items else model.ANY)
        case nodes.SetTerm(items):
            return model.set_(model.union(map(_written_type, items)) or model.ANY)
        case nodes.ObjectTerm(pairs):
            members: dict[Value, Type | None] = {key.value: _written_type(value) for key, value in pairs if isinstance(key, Scalar)}
            others = [(_written_type(key), _written_type(value)) for key, value in pairs if not isinstance(key, Scalar)]
            return model.object_(members, others[-1] if others else None if members else (model.ANY, model.ANY))
    return None
