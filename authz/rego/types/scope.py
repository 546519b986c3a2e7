"""What is known of the variables of one body, and what an equality or an argument tells of them.

Owns the types of terms. Terms are flat here: references and closures stand alone, as `Known`, not inside other terms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, Union

from authz.rego import nodes
from authz.rego.expand import CallExpr
from authz.rego.nodes import Scalar, Term, Var
from authz.rego.types import model
from authz.rego.types.documents import DocumentTypes
from authz.rego.types.model import ANY, ArrayType, ObjectType, SetType, Type, UnionType, is_unknown, select, union
from authz.rego.types.replacing import Replacements
from authz.rego.types.unify import Unifier
from authz.rego.values import Object, Set, Value, json_key


@dataclass(frozen=True, slots=True)
class Known:
    """A reference or a closure as an operand: nothing can be learned of it but its type."""

    type: Type | None


Operand: TypeAlias = Union[Term, Known]


@dataclass(frozen=True, slots=True)
class Shared:
    """What the scopes of one rule or query share; `sources` is what the variables stand for that no author wrote."""

    unifier: Unifier
    replacements: Replacements
    sources: dict[str, CallExpr | Term] = field(default_factory=dict)


class Scope:
    """The variables' types; a variable keeps the one that its first use gave it."""

    __slots__ = ("documents", "shared", "types")

    def __init__(self, shared: Shared, documents: DocumentTypes, types: dict[str, Type]) -> None:
        self.shared = shared
        self.documents = documents
        self.types = types

    @property
    def sources(self) -> dict[str, CallExpr | Term]:
        return self.shared.sources

    @property
    def unifies(self) -> Callable[[Type | None, Type | None], bool]:
        """The function that tells whether types have a value in common."""
        return self.shared.unifier.unifies

    def inner(self) -> Scope:
        """Return the scope of a closure: what it learns stays inside."""
        return Scope(self.shared, self.documents, dict(self.types))

    # The types of terms

    def type_of(self, term: Operand) -> Type | None:
        """Return the type of a term; None, or with unknown parts, as far as nothing is known."""
        match term:
            case Var(name):
                return self.types.get(name)
            case Scalar(value):
                return model.type_of_value(value)
            case Known(type=kind):
                return kind
            case nodes.Array(items):
                return model.array(tuple(map(self.type_of, items)), None if items else ANY)
            case nodes.SetTerm(items):
                return model.set_(union(map(self.type_of, items)) or ANY)
            case nodes.ObjectTerm(pairs):
                return self._object_type(pairs)
        raise AssertionError(term)

    def _object_type(self, pairs: tuple[tuple[Term, Term], ...]) -> Type:
        """OPA knows one of the pairs whose key is no constant, here it is all of them."""
        static: dict[Value, Type | None] = {}
        others: list[tuple[Type | None, Type | None]] = []
        for key, value in pairs:
            constant = constant_of(key)
            if constant is None:
                others.append((self.type_of(key), self.type_of(value)))
            else:
                static[constant] = self.type_of(value)
        if not static and not others:
            others = [(ANY, ANY)]
        dynamic = (_joined(key for key, _ in others), _joined(value for _, value in others)) if others else None
        return model.object_(static, dynamic)

    # What is learned

    def unify(self, left: Operand, right: Operand) -> bool:
        """Learn that two terms are equal; False if they cannot be."""
        first, second = self.type_of(left), self.type_of(right)
        if is_unknown(first):
            return self._unify_unknown(left, right) if is_unknown(second) else self.learn(left, second)
        return self.learn(right, first) if is_unknown(second) else self.unifies(first, second)

    def _unify_unknown(self, left: Operand, right: Operand) -> bool:
        match left, right:
            case nodes.Array(items), nodes.Array(others):
                return len(items) == len(others) and all(map(self.unify, items, others))
            case nodes.ObjectTerm(pairs), nodes.ObjectTerm(other_pairs):
                return self._unify_objects(pairs, other_pairs)
            case (nodes.Array() | nodes.ObjectTerm() | Var(), Var()):
                return self.learn(left, ANY) and self.learn(right, self.type_of(left))
            case Var(), (nodes.Array() | nodes.ObjectTerm()):
                return self.learn(right, ANY) and self.learn(left, self.type_of(right))
            case (Var(), Known() | nodes.SetTerm()):
                return self._learn_known(left, self.type_of(right))
            case (Known() | nodes.SetTerm(), Var()):
                return self._learn_known(right, self.type_of(left))
        return False

    def _learn_known(self, variable: Var, kind: Type | None) -> bool:
        """Learn that a variable is of a type with unknown parts; False if nothing at all is known of it."""
        return kind is not None and self.learn(variable, kind)

    def _unify_objects(self, pairs: tuple[tuple[Term, Term], ...], others: tuple[tuple[Term, Term], ...]) -> bool:
        values = dict(others)
        if len(pairs) != len(others) or not all(key in values for key, _ in pairs):
            return False
        return all(self.unify(value, values[key]) for key, value in pairs)

    def misfit(self, args: Sequence[Term], wanted: Iterable[Type | None]) -> tuple[Type | None, ...] | None:
        """Learn the types of arguments; where one cannot be of its type, return the types to name in the message.

        These are the types from before the call where the one that does not fit was known then.
        """
        before = tuple(map(self.type_of, args))
        for arg, known, kind in zip(args, before, wanted, strict=False):
            if not is_unknown(known) and not self.unifies(known, kind):
                return before
            if not self.learn(arg, kind):
                return tuple(map(self.type_of, args))
        return None

    def learn(self, term: Operand, kind: Type | None, *, widen: bool = False) -> bool:
        """Learn that a term is of a type; False if it cannot be. `widen`: it is one of several types that the term may be of."""
        match term:
            case Var(name):
                return self._learn_variable(name, kind, widen)
            case nodes.Array(items):
                return self._each_member(term, kind, widen, items)
            case nodes.ObjectTerm(pairs):
                return self._each_member(term, kind, widen, (part for pair in pairs for part in pair))
            case nodes.SetTerm(items):
                return self._each_member(term, kind, widen, items)
        return self.unifies(self.type_of(term), kind)

    def _learn_variable(self, name: str, kind: Type | None, widen: bool) -> bool:
        known = self.types.get(name)
        if known is not None and not widen:
            return self.unifies(known, kind)
        new = model.either(known, kind)
        if new is not None:
            self.types[name] = new
        return True

    def _each_member(self, term: Operand, kind: Type | None, widen: bool, parts: Iterable[Term]) -> bool:
        """Learn that a composite term is of a type, or of any of the members of a union."""
        if kind is ANY:
            for part in parts:
                self.learn(part, ANY, widen=True)
            return True
        if isinstance(kind, UnionType):
            fitting = [member for member in kind.members if self.learn(term, member, widen=True)]
            return bool(fitting)
        match term, kind:
            case nodes.Array(items), ArrayType():
                return self._learn_array(items, kind, widen)
            case nodes.ObjectTerm(pairs), ObjectType():
                return self._learn_object(pairs, kind, widen)
            case nodes.SetTerm(items), SetType(of=of):
                return all(self.learn(item, of, widen=widen) for item in items)
        return False

    def _learn_array(self, items: tuple[Term, ...], kind: ArrayType, widen: bool) -> bool:
        if len(items) != len(kind.static) and kind.dynamic is None:
            return False
        return all(self.learn(item, kind.at(index), widen=widen) for index, item in enumerate(items))

    def _learn_object(self, pairs: tuple[tuple[Term, Term], ...], kind: ObjectType, widen: bool) -> bool:
        if len(pairs) != len(kind.static) and (kind.dynamic is None or kind.dynamic[1] is None):
            return False
        for key, value in pairs:
            constant = constant_of(key)
            if constant is None:
                self.learn(value, ANY, widen=widen)
                continue
            member = select(kind, constant)
            if member is None or not self.learn(value, member, widen=widen):
                return False
        return True


def _joined(kinds: Iterable[Type | None]) -> Type | None:
    """Return the union; unknown if one of the types is."""
    found = list(kinds)
    return None if None in found else union(found)


def constant_of(term: Term) -> Value | None:
    """Return the JSON value of a term without variables: sets become arrays, keys texts; None if it has any."""
    match term:
        case Scalar(value):
            return value
        case nodes.Array(items) | nodes.SetTerm(items):
            members = [constant_of(item) for item in items]
            if None in members:
                return None
            return tuple(members if isinstance(term, nodes.Array) else Set(members).ordered())  # type: ignore[arg-type]
        case nodes.ObjectTerm(pairs):
            parts = [(constant_of(key), constant_of(value)) for key, value in pairs]
            if any(part is None for pair in parts for part in pair):
                return None
            return Object((json_key(key), value) for key, value in parts)  # type: ignore[arg-type,misc]
    return None
