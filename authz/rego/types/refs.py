"""References: whether every step can select something, and what a variable that is a step ranges over.

Steps are flat: constants, variables, or composites of these. Knows no expressions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from authz.rego.nodes import Ref, Scalar, Term, Var
from authz.rego.types.documents import DocumentTypes, Node, select_path
from authz.rego.types.faults import Fault, Step, not_a_collection, not_a_member
from authz.rego.types.model import ANY, STRING, FunctionType, ObjectType, Type, UnionType, items, keys, select
from authz.rego.types.scope import Scope
from authz.rego.values import Value, sort_values

_ROOTS: Final = frozenset({"data", "input"})

_NAMES: Final = (0, 1)
"""The first steps are names of packages or rules, which are never anything but texts; OPA has it so for parts of a replaced input too."""


def type_of_ref(scope: Scope, ref: Ref) -> Type | None:
    """Return the type of what a reference selects; None if it cannot be told."""
    head = ref.head
    if not isinstance(head, Var):
        return None
    if head.name in _ROOTS:
        return scope.documents.at(head.name, ref.args)
    return select_path(scope.types.get(head.name), ref.args)


def check_ref(scope: Scope, ref: Ref) -> Fault | None:
    """Return what is wrong with a reference, if anything is; note what its variables range over."""
    head = ref.head
    if not isinstance(head, Var):
        return _check_leaf(scope, ref, ANY, 0)
    if head.name in _ROOTS:
        kind = scope.documents.at(head.name, ref.args)
        if isinstance(kind, FunctionType):
            return not_a_collection(Step(ref, len(ref.args), scope.sources), kind)
        return _check_document(scope, ref, head.name, scope.documents)
    return _check_leaf(scope, ref, scope.types.setdefault(head.name, ANY), 0)


def _check_document(scope: Scope, ref: Ref, root: str, documents: DocumentTypes | None) -> Fault | None:
    """Check a reference in a tree of documents, and in the one below it from where nothing of the first leads on."""
    if documents is None:
        return _check_leaf(scope, ref, ANY, 0)
    node = documents.root.children.get(root)
    for index, step in enumerate(ref.args):
        if node is None:
            break
        if node.type is not None:
            return _check_leaf(scope, ref, node.type, index)
        if index in _NAMES and not isinstance(step, Var) and not (isinstance(step, Scalar) and isinstance(step.value, str)):
            return not_a_member(Step(ref, index, scope.sources), scope.type_of(step), STRING, _names(node))
        if isinstance(step, Var):
            wanted, known = keys(node.extent()), scope.types.get(step.name)
            if known is not None and not scope.unifies(wanted, known):
                return not_a_member(Step(ref, index, scope.sources), known, wanted, _names(node))
            if known is None and wanted is not None:
                scope.types[step.name] = wanted
        node = node.children.get(step.value) if isinstance(step, Scalar) else None
    return None if node is not None else _check_document(scope, ref, root, documents.covered)


def _check_leaf(scope: Scope, ref: Ref, whole: Type | None, start: int) -> Fault | None:
    """Check the steps from `start` on, which lead into a value of a type."""
    for index in range(start, len(ref.args)):
        if whole is ANY:
            _range_over_anything(scope, ref.args[index:])
            return None
        step, wanted = ref.args[index], keys(whole)
        if wanted is None:
            return not_a_collection(Step(ref, index, scope.sources), whole)
        if isinstance(step, Scalar):
            selected = select(whole, step.value)
            if selected is None:
                return not_a_member(Step(ref, index, scope.sources), None, wanted, _known_keys(whole))
            whole = selected
            continue
        fault = _check_step(scope, ref, index, whole, wanted)
        if fault is not None:
            return fault
        whole = items(whole)
    return None


def _range_over_anything(scope: Scope, steps: Iterable[Term]) -> None:
    for step in steps:
        if isinstance(step, Var):
            scope.types.setdefault(step.name, ANY)
        elif not isinstance(step, Scalar):
            scope.learn(step, ANY)


def _check_step(scope: Scope, ref: Ref, index: int, whole: Type | None, wanted: Type) -> Fault | None:
    step = ref.args[index]
    if isinstance(step, Var) and step.name not in scope.types:
        scope.types[step.name] = wanted
        return None
    one_of = _known_keys(whole) if isinstance(step, Var) else ()
    return None if scope.learn(step, wanted) else not_a_member(Step(ref, index, scope.sources), scope.type_of(step), wanted, one_of)


def _names(node: Node) -> tuple[Value, ...]:
    return tuple(sort_values(node.children))


def _known_keys(whole: Type | None) -> tuple[Value, ...]:
    """Return the known keys of an object, or of all objects of a union, in order."""
    if isinstance(whole, ObjectType):
        return tuple(whole.static)
    if isinstance(whole, UnionType):
        return tuple(sort_values({key for member in whole.members for key in _known_keys(member)}))
    return ()
