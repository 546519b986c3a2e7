"""Static types: what OPA refuses with `rego_type_error`, found before anything is generated.

The face of the type checker: rules, in the order in which they depend on each other, and queries. A body that no values
can satisfy, because two terms that are to be equal have types without a common value, or a reference or an argument
is of a type that can never do, is an author's mistake. What comes from outside (input, base data) is of any type.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from authz.rego.errors import CompileError, Findings
from authz.rego.expand import FlatBody
from authz.rego.names import constants
from authz.rego.nodes import Rule, Term
from authz.rego.types.bodies import BodyChecker, new_scope_types
from authz.rego.types.documents import DocumentTypes, Path
from authz.rego.types.faults import Fault
from authz.rego.types.model import ANY, BOOLEAN, Type, function, object_, set_
from authz.rego.types.replacing import Replacements, Uses
from authz.rego.types.schemas import Schemas, SchemaTypes
from authz.rego.types.scope import Scope, Shared
from authz.rego.types.unify import Unifier
from authz.rego.variables import term_vars

__all__ = ["Definition", "SchemaTypes", "Schemas", "Typing", "check_query", "check_rules"]


@dataclass(frozen=True, slots=True)
class Definition:
    """One rule, or one link of an `else` chain, expanded and with an ordered body.

    `path` starts with `data`, `keys` are the steps of the head below it. `key` is the member of a set, `value` what the
    rule makes; where both are None, that is true.
    """

    path: tuple[str, ...]
    keys: tuple[Term, ...]
    args: tuple[Term, ...]
    body: FlatBody
    key: Term | None
    value: Term | None
    rule: Rule

    @property
    def ground(self) -> Path:
        """The leading keys that are constants."""
        return constants(self.keys)


@dataclass(frozen=True, slots=True)
class Typing:
    """What is known of the rules' types, for queries."""

    documents: DocumentTypes
    replacements: Replacements


def check_rules(definitions: Iterable[Definition], uses: Uses, findings: Findings, schemas: SchemaTypes | None) -> Typing:
    """Return the types of the rules, given those that a rule uses before it; add what is wrong to the findings."""
    typing = Typing(DocumentTypes(), Replacements(uses))
    unifier = Unifier()
    if schemas is not None:
        schemas.put_input(typing.documents)
    for definition in definitions:
        ground = definition.ground
        path = (*definition.path, *ground)
        with findings.collect():
            try:
                kind = _checked(definition, typing, unifier, schemas)
            except CompileError:
                # Rules that use this one would only repeat its mistake.
                typing.documents.put_anything(path, is_ground=len(ground) == len(definition.keys))
                raise
            if kind is not None:
                typing.documents.insert(path, kind)
    return typing


def _checked(definition: Definition, typing: Typing, unifier: Unifier, schemas: SchemaTypes | None) -> Type | None:
    """Return the type of what a definition makes at its constant path. Raises CompileError."""
    documents = typing.documents
    if schemas is not None:
        path = (*definition.path[1:], *definition.ground)
        documents = schemas.over(documents, definition.rule, path)
    checker = _checker(typing, documents, unifier)
    faults = checker.check(definition.body)
    if faults:
        raise _error(faults)
    return _type_made(definition, checker, len(definition.ground))


def check_query(body: FlatBody, typing: Typing) -> None:
    """Raise CompileError for what is wrong with a query's ordered body."""
    faults = _checker(typing, typing.documents, Unifier(), is_query=True).check(body)
    if faults:
        raise _error(faults)


def _checker(typing: Typing, documents: DocumentTypes, unifier: Unifier, *, is_query: bool = False) -> BodyChecker:
    return BodyChecker(Scope(Shared(unifier, typing.replacements), documents, new_scope_types()), is_query=is_query)


def _error(faults: list[Fault]) -> CompileError:
    return CompileError(tuple(fault.diagnostic() for fault in faults))


def _type_made(definition: Definition, checker: BodyChecker, ground: int) -> Type | None:
    """Return the type of what a definition makes at its constant path, whose last `ground` steps are keys; None if it is not known."""
    scope = checker.scope
    if definition.args:
        args = tuple(map(checker.flat, definition.args))
        for arg in args:
            _settle(arg, scope)
        return function(tuple(map(scope.type_of, args)), _value_type(definition, scope))
    kind = _value_type(definition, scope)
    if definition.key is not None:
        member = scope.type_of(definition.key)
        kind = None if member is None else set_(member)
    for key in reversed(definition.keys[ground:]):
        step = scope.type_of(key)
        kind = None if kind is None or step is None else object_({}, (step, kind))
    return kind


def _value_type(definition: Definition, scope: Scope) -> Type | None:
    return scope.type_of(definition.value) if definition.value is not None else BOOLEAN


def _settle(arg: Term, scope: Scope) -> None:
    """Give the variables of an argument that the body does not use the type of anything."""
    for var in term_vars(arg, nested=False):
        scope.types.setdefault(var.name, ANY)
